#!/usr/bin/perl

# A Prometheus that scrapes a real instance: it takes the page, each query of the
# dashboard in scripts/grafana.json finds something, and the alerts of README go
# off when they are to.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Chat::Metrics;
use Chat::Readme;
use IO::Socket::INET;
use POSIX ();

my $redis = start_redis();
my $provider = start_provider(chunks => 4, gap => 2);
my $port = $provider->port;
my $nginx = start_nginx(redis => $redis, provider => $provider, lead => 'on',
    provider_lines => 'cost 1 2; max_fails 0; retries 0;',
    server => "$METRICS location = /queued { chat; chat_lead off; }"
        . ' location = /bypass { chat; chat_cache off; }');
my $prometheus = start_prometheus($nginx->port);
my $n = 0;


sub start_prometheus {
    my ($target) = @_;
    my $dir = test_dir() . '/prometheus';
    my $self = bless { dir => $dir, port => free_port() }, 'Chat::Prometheus';

    mkdir($dir) or die "$dir: $!\n";
    open(my $file, '>', "$dir/prometheus.yml") or die "$dir: $!\n";
    print $file "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n"
        . "scrape_configs:\n  - job_name: ngx_chat\n    static_configs:\n"
        . "      - targets: ['127.0.0.1:$target']\n";
    close($file);

    $self->{pid} = fork() // die "fork: $!\n";

    if ($self->{pid} == 0) {
        open(STDOUT, '>', "$dir/log");
        open(STDERR, '>&', \*STDOUT);
        exec('prometheus', "--config.file=$dir/prometheus.yml",
             "--storage.tsdb.path=$dir/data", '--log.level=warn',
             "--web.listen-address=127.0.0.1:$self->{port}")
            or POSIX::_exit(127);
    }

    wait_for {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                              PeerPort => $self->{port}, Proto => 'tcp')
            && get($self, '/-/ready')->{status} == 200
    } 30, 'Prometheus' or die "no Prometheus:\n" . read_file("$dir/log");

    return $self;
}


sub Chat::Prometheus::port { return $_[0]{port} }


sub Chat::Prometheus::DESTROY {
    my ($self) = @_;

    local $?;
    kill('KILL', $self->{pid});
    waitpid($self->{pid}, 0);
}


# the values that a query has now, by their labels; or what is wrong with it

sub query {
    my ($expr) = @_;

    $expr =~ s/([^\w.-])/sprintf('%%%02X', ord($1))/ge;

    my $reply = parse_json(get($prometheus,
                               "/api/v1/query?query=$expr")->{body});

    return $reply->{error} if $reply->{status} ne 'success';
    return { map {
        my %label = %{ $_->{metric} };

        (join(',', map { "$_=$label{$_}" } sort keys %label)
            => $_->{value}[1]);
    } @{ $reply->{data}{result} } };
}


# of each kind a request

sub traffic {
    my $new = 'Question ' . ++$n . '?';

    ask($nginx, { question => $new }, { question => $new },
        { question => 'Always the same' },
        { question => "Q $new", path => '/queued' },
        { question => "B $new", path => '/bypass' },
        { question => "R $new {{status=500}}" },
        { question => "L $new {{gap=20}}", hangup_after => 1 });
}


# what there is, as Prometheus has it

traffic();

ok(wait_for(sub { my $v = query('up'); ref($v) && grep { $_ eq '1' } values %$v },
            20), 'Prometheus takes the page');
ok(wait_for(sub {
    my $mine = metrics($nginx);
    my $its = query('chat_requests_total');

    ref($its) && keys(%$its) == 8
        && !grep {
            my ($result) = /result=(\w+)/;

            $its->{$_} != $mine->{"chat_requests_total{result=\"$result\"}"};
        } keys %$its;
}, 20), 'the same numbers: chat_requests_total');

my $types = parse_json(get($prometheus, '/api/v1/metadata')->{body})->{data};
my %known = families(metrics_text($nginx));

is_deeply({ map { $_ => $types->{$_}[0]{type} } grep { /^chat_/ }
            keys %$types }, \%known, 'all families, with their types');


# the dashboard

my $file = Chat::Nginx::root() . '/scripts/grafana.json';
my $board = parse_json(read_file($file));
my (%queries, %used, %id, @bad);

foreach my $panel (@{ $board->{panels} }) {
    push(@bad, $panel->{title}) if $id{$panel->{id}}++;

    next if $panel->{type} eq 'row';

    push(@bad, $panel->{title}) unless @{ $panel->{targets} };

    foreach my $target (@{ $panel->{targets} }) {
        my $expr = $target->{expr};

        $used{$_}++ foreach $expr =~ /\b(chat_\w+)/g;

        # as Grafana puts in the time of a few scrapes

        $expr =~ s/\$__rate_interval/3s/g;
        $expr =~ s/\$instance/.*/g;
        push(@bad, "$panel->{title}: a variable") if $expr =~ /\$/;
        $queries{"$panel->{title}, $target->{refId}"} = $expr;
    }
}

is_deeply(\@bad, [], 'the dashboard: its panels');
cmp_ok(scalar(keys %queries), '>', 40, 'the dashboard: queries');

s/_bucket$// foreach my @names = keys %used;

is_deeply([ sort @names ], [ sort keys %known ],
          'the dashboard: all families, and none besides');

my %open = %queries;

wait_for {
    traffic();

    foreach my $name (keys %open) {
        my $found = query($open{$name});

        delete $open{$name} if ref($found) && %$found
                               && !grep { !/^[\d.e+-]+$/ } values %$found;
    }

    !%open;
} 20;

ok(!defined $open{$_}, "the dashboard: $_") or do {
    my $found = query($open{$_});

    diag($open{$_}, "\n", ref($found) ? explain($found) : $found);
} foreach sort keys %queries;

# not only numbers, but the right ones

my $shares = query($queries{'Answered without a call, A'});

cmp_ok($shares->{'tier=redis'} // -1, '>', 0, 'the share of hits');
cmp_ok($shares->{'tier=redis'} // 2, '<', 1, 'the share of hits: not all');
is_deeply([ sort map { /path=(\w+)/ } keys %{ query($queries{'Begun, A'}) } ],
          [ 'direct', 'led', 'queued' ], 'the ways of generations');

my $page = metrics($nginx);

cmp_ok($page->{'chat_cost_total{provider="openai"}'}, '>', 0, 'costs');


# alerts: what README has is correct, and goes off when it is to

my ($rules) = readme('ngx_chat_module/http')
    =~ /^<!-- test: alerts -->\n```yaml\n(.*?)^```/ms;

write_text(test_dir() . '/rules.yml', $rules);
is(system('promtool check rules ' . test_dir() . '/rules.yml >'
          . test_dir() . '/promtool 2>&1'), 0, 'the alerts: promtool')
    or diag(read_file(test_dir() . '/promtool'));

my %alert = $rules =~ /- alert: (\w+)\n +expr: (?:>\n)?(.*?)\n(?= +for:|\n|\z)/msg;

is(join(' ', sort keys %alert), 'ChatFails ChatFillersDie ChatProviderDown '
   . 'ChatQueueWaits ChatRedisDown', 'the alerts: all of them');
s/\[\d+m\]/[3s]/g foreach values %alert;


# does it go off?

sub goes_off { my $v = query($alert{$_[0]}); return ref($v) ? keys %$v : $v }


ask($nginx, { question => 'Always the same' }, { body => '{' });
ok(wait_for(sub { !goes_off('ChatFails') }, 20),
   'the alerts: not for what clients send');
is(join(' ', map { goes_off($_) } grep { $_ ne 'ChatFails' } keys %alert), '',
   'the alerts: all is well');

ask($nginx, { question => 'Who fails? {{status=500}}' });
ok(wait_for(sub { ask($nginx, { question => 'Who fails? {{status=500}}' });
                  goes_off('ChatFails') }, 20), 'the alerts: answers fail');

foreach (1 .. 3) {
    my $filler = filler($nginx);

    $nginx->allow_log(qr/exited on signal 9/);
    kill('KILL', $filler);
    another_filler($nginx, $filler);
}

ok(wait_for(sub { (values %{ query($alert{ChatFillersDie}
                                   =~ s/3s/60s/r) })[0] }, 20),
   'the alerts: fillers die');

$redis->stop;
ok(wait_for(sub { goes_off('ChatRedisDown') }, 20), 'the alerts: Redis is down');

undef $prometheus;
done();
