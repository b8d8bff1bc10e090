package Chat::Metrics;

# The metrics page: all samples as a hash, and what an action moves.
#
#     my $page = metrics($nginx);
#     $page->{'chat_requests_total{result="hit"}'}
#
#     moves($nginx, 'a hit', sub { ask($nginx, { question => 'Why?' }) },
#           'chat_requests_total{result="hit"}' => 1);

use warnings;
use strict;

use Exporter qw(import);

use Chat::Test;

our @EXPORT = qw(metrics metrics_text moves shifts families $METRICS);

# a location for the page

our $METRICS = 'location = /metrics { chat_metrics; }';


sub metrics_text {
    my ($nginx) = @_;

    return get($nginx, '/metrics')->{body};
}


sub metrics {
    my ($nginx) = @_;

    return { metrics_text($nginx) =~ /^([a-z_]+(?:\{[^}]*\})?) (\S+)$/mg };
}


# type by name, in the order of the page

sub families {
    my ($text) = @_;

    return $text =~ /^# TYPE (\w+) (\w+)$/mg;
}


# what has another value, with the difference

sub shifts {
    my ($before, $after) = @_;

    return { map {
        my $n = $after->{$_} - ($before->{$_} // 0);

        $n ? ($_ => 0 + sprintf('%.9g', $n)) : ();
    } keys %$after };
}


# One test: the action moves these counters by so much, a moment later at most,
# and no other one of the same families.

sub moves {
    my ($nginx, $name, $action, %wanted) = @_;
    my %family = map { /^(\w+)/ => 1 } keys %wanted;
    my $before = metrics($nginx);
    my @result = $action->();
    my %moved;

    foreach (keys %wanted) {
        delete $wanted{$_} if !$wanted{$_};
    }

    my $right = wait_for {
        my $all = shifts($before, metrics($nginx));

        %moved = map { $_ => $all->{$_} }
                 grep { /^(\w+)/ && $family{$1} } keys %$all;

        join(' ', map { "$_=$moved{$_}" } sort keys %moved)
            eq join(' ', map { "$_=$wanted{$_}" } sort keys %wanted);
    } 5;

    is_deeply(\%moved, \%wanted, "$name: what is counted");

    return wantarray ? @result : $result[0];
}


1;
