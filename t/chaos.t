#!/usr/bin/perl

# Anything is killed, at any time, and yet everybody gets an end, and nobody
# half an answer.  CHAT_CHAOS_SECONDS and CHAT_CHAOS_SEED: another run.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Chaos;

chaos(seconds => $ENV{CHAT_CHAOS_SECONDS} || 15,
      seed => $ENV{CHAT_CHAOS_SEED} || 1);

done();
