
/*
 * Jobs that a worker leads, one rule after the other: what is written, in which
 * order, and what the worker is told.
 */


#include "ut_jobs.h"


static void ut_writes_what_comes(void);
static void ut_gathers(void);
static void ut_waits_for_the_claim(void);
static void ut_claims_in_vain(void);
static void ut_starts_over(void);
static void ut_resumes(void);
static void ut_resumes_otherwise(void);
static void ut_ends_with_an_error(void);
static void ut_too_long(void);
static void ut_insures(void);
static void ut_is_not_insured(void);
static void ut_is_stopped(void);
static void ut_is_idle(void);
static void ut_redis_goes(void);
static void ut_is_lost(void);
static void ut_no_memory(void);


int
main(void)
{
    ut_writes_what_comes();
    ut_gathers();
    ut_waits_for_the_claim();
    ut_claims_in_vain();
    ut_starts_over();
    ut_resumes();
    ut_resumes_otherwise();
    ut_ends_with_an_error();
    ut_too_long();
    ut_insures();
    ut_is_not_insured();
    ut_is_stopped();
    ut_is_idle();
    ut_redis_goes();
    ut_is_lost();
    ut_no_memory();

    ut_ok(ut_wrong == 0, ut_fault ? ut_fault : "no rule was broken");

    return ut_done();
}


static void
ut_writes_what_comes(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 1);

    ut_ok(ut_told(&lane, "K"), "claimed: the worker is told");
    ut_ok(ut_written("W.1", 1), "the first chunk is written");
    ut_ok(ut_gen.processings == 1, "the first chunk: no second processing");

    ut_chunks(&lane, "W.1", 1, 2);
    ut_redis();
    ut_ok(ut_written("W.1", 3), "an entry for each chunk");
    ut_ok(ut_sent[UT_APPEND] == 2, "an append for what came at once");

    fake_loop_run(3000);
    ut_redis();
    ut_ok(ut_sent[UT_APPEND] == 3, "the lease is renewed in silence");
    ut_ok(ut_gen.till == ngx_current_msec + 10000, "for its whole time");

    ut_complete(&lane);
    ut_redis();
    ut_ok(ut_gen.state == 'd' && ut_gen.cached, "an end: cached");
    ut_ok(ut_told(&lane, "KD"), "an end: the worker is told");
    ut_ok(ut_sent[UT_INSURE] == 0 && ut_sent[UT_REMOVE] == 0,
          "nobody listened: the queue knows nothing of it");

    ut_end();
}


static void
ut_gathers(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 1);

    ut_chunks(&lane, "W.1", 1, 1);
    ut_chunks(&lane, "W.1", 2, 20);
    ut_ok(ut_flying() == 1, "one append in flight");

    ut_complete(&lane);
    ut_redis();
    ut_ok(ut_sent[UT_APPEND] == 4 && ut_gen.chunks == 22,
          "16 chunks an append at most");
    ut_ok(ut_told(&lane, "KD"), "and then the end");

    ut_end();
}


static void
ut_waits_for_the_claim(void)
{
    ut_lane_t  lane;

    ut_begin();
    ut_fill(&lane, 0, "W.1", 1);
    ut_chunks(&lane, "W.1", 0, 3);
    ut_complete(&lane);

    ut_ok(ut_flying() == 1 && ut_told(&lane, ""), "a claim in flight: waits");

    ut_redis();
    ut_ok(ut_gen.state == 'd' && ut_written("W.1", 3), "all of it is written");
    ut_ok(ut_told(&lane, "KD"), "in this order");
    ut_end();

    ut_begin();
    ut_fill(&lane, 0, "W.1", 1);
    ut_chunks(&lane, "W.1", 0, 3);
    ut_restart(&lane, "W.2");
    ut_chunks(&lane, "W.2", 0, 1);
    ut_redis();
    ut_ok(ut_written("W.2", 1) && ut_gen.processings == 2,
          "a restart while it is claimed");
    ut_ok(strcmp(ut_gen.call, "W.2") == 0, "its label is written");

    ut_failed(&lane, NGX_CHAT_E_PROVIDER_BROKEN);
    ut_redis();
    ut_end();
}


static void
ut_claims_in_vain(void)
{
    ut_lane_t  lane;

    ut_begin();
    ut_gen.state = 'd';
    ut_fill(&lane, 0, "W.1", 1);
    ut_chunks(&lane, "W.1", 0, 2);
    ut_redis();
    ut_ok(ut_told(&lane, "N") && strcmp(lane.why, "ended") == 0,
          "it has ended: not kept");
    ut_ok(ut_sent[UT_APPEND] == 0, "nothing is written");
    ut_end();

    ut_begin();
    ut_gen.state = 0;
    ut_fill(&lane, 0, "W.1", 1);
    ut_redis();
    ut_ok(ut_told(&lane, "N") && strcmp(lane.why, "gone") == 0,
          "it is gone: not kept");
    ut_end();

    ut_begin();
    ut_gen.state = 'r';
    ut_gen.till = ngx_current_msec + 5000;
    strcpy(ut_gen.token, "another.1");
    strcpy(ut_gen.call, "another.1.1");
    ut_fill(&lane, 0, "W.1", 1);
    ut_redis();
    ut_ok(ut_told(&lane, "N") && strcmp(lane.why, "busy") == 0,
          "another writes it: not kept");
    ut_end();
}


static void
ut_starts_over(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 2);

    ut_chunks(&lane, "W.1", 2, 1);
    ut_chunks(&lane, "W.1", 3, 1);
    ut_restart(&lane, "W.2");
    ut_redis();
    ut_ok(ut_written("W.1", 3), "a restart: chunks before it are dropped");
    ut_ok(ut_gen.processings == 1, "a restart alone is not written");

    ut_chunks(&lane, "W.2", 0, 1);
    ut_redis();
    ut_ok(ut_written("W.2", 1) && ut_gen.processings == 2,
          "a processing goes before its first chunk");

    /* with no text between */

    ut_restart(&lane, "W.3");
    ut_restart(&lane, "W.4");
    ut_complete(&lane);
    ut_redis();
    ut_ok(ut_gen.processings == 3 && ut_gen.bytes == 0
          && strcmp(ut_gen.call, "W.4") == 0,
          "an empty answer after restarts");
    ut_ok(ut_gen.state == 'd' && !ut_gen.cached, "which is not cached");

    ut_end();
}


static void
ut_resumes(void)
{
    ut_lane_t  lane, next;

    ut_lead(&lane, 5);

    ut_kill(0);
    ut_fill(&next, 1, "W.1", 2);
    ut_chunks(&next, "W.1", 0, 3);
    ut_redis();
    ut_ok(ut_told(&next, "K") && ut_written("W.1", 5),
          "another filler: what is there is left alone");

    ut_chunks(&next, "W.1", 3, 4);
    ut_redis();
    ut_ok(ut_written("W.1", 7) && ut_gen.processings == 1,
          "another filler: goes on behind it");
    ut_ok(ut_gen.tries == 1, "another filler: no other try");

    ut_complete(&next);
    ut_redis();
    ut_ok(ut_told(&next, "KD") && ut_gen.cached, "another filler: the end");
    ut_end();

    /* the worker has started over meanwhile */

    ut_lead(&lane, 5);
    ut_kill(0);
    ut_fill(&next, 1, "W.2", 2);
    ut_chunks(&next, "W.2", 0, 1);
    ut_redis();
    ut_ok(ut_written("W.2", 1) && ut_gen.processings == 2,
          "another attempt: no text of the one before");

    ut_restart(&next, "W.3");
    ut_chunks(&next, "W.3", 0, 1);
    ut_complete(&next);
    ut_redis();
    ut_ok(ut_written("W.3", 1) && ut_gen.processings == 3,
          "another attempt: and one more");
    ut_end();

    /* a restart comes before what is there has come again */

    ut_lead(&lane, 5);
    ut_kill(0);
    ut_fill(&next, 1, "W.1", 2);
    ut_redis();
    ut_chunks(&next, "W.1", 0, 2);
    ut_restart(&next, "W.2");
    ut_chunks(&next, "W.2", 0, 4);
    ut_complete(&next);
    ut_redis();
    ut_ok(ut_written("W.2", 4) && ut_gen.processings == 2,
          "a restart in what is passed over");
    ut_ok(ut_told(&next, "KD"), "and its end");
    ut_end();

    /* or fails */

    ut_lead(&lane, 5);
    ut_kill(0);
    ut_fill(&next, 1, "W.1", 2);
    ut_redis();
    ut_chunks(&next, "W.1", 0, 2);
    ut_failed(&next, NGX_CHAT_E_PROVIDER_BROKEN);
    ut_redis();
    ut_ok(ut_gen.state == 'f' && ut_written("W.1", 5),
          "an error in what is passed over");
    ut_end();
}


/* should not be: better the whole answer again than a wrong one */

static void
ut_resumes_otherwise(void)
{
    ut_lane_t  lane, next;

    ut_lead(&lane, 2);
    ut_kill(0);
    ut_gen.bytes--;
    ut_fill(&next, 1, "W.1", 2);
    ut_redis();
    ut_chunks(&next, "W.1", 0, 3);
    ut_complete(&next);
    ut_redis();
    ut_ok(ut_written("W.1", 3) && ut_gen.processings == 2,
          "cut otherwise: the whole answer again");
    ut_ok(ut_gen.cached, "cut otherwise: cached");
    ut_end();

    ut_lead(&lane, 4);
    ut_kill(0);
    ut_fill(&next, 1, "W.1", 2);
    ut_redis();
    ut_chunks(&next, "W.1", 0, 2);
    ut_complete(&next);
    ut_redis();
    ut_ok(ut_written("W.1", 2) && ut_gen.processings == 2,
          "shorter than what is there: the whole answer again");
    ut_end();
}


static void
ut_ends_with_an_error(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 1);
    ut_chunks(&lane, "W.1", 1, 2);
    ut_failed(&lane, NGX_CHAT_E_PROVIDER_TIMEOUT);
    ut_chunks(&lane, "W.1", 3, 1);
    ut_redis();
    ut_ok(ut_written("W.1", 3), "an error: what came before is written");
    ut_ok(ut_gen.state == 'f' && strcmp(ut_gen.error, "provider_timeout") == 0,
          "an error: it is written");
    ut_ok(ut_told(&lane, "KD"), "an error: the worker is told");
    ut_end();
}


static void
ut_too_long(void)
{
    ut_lane_t   lane;
    ngx_str_t   text;

    ut_lead(&lane, 1);
    text = ut_repeat("x", 4096);
    ngx_chat_job_led_text(lane.job, &text);
    ut_free(&text);
    fake_loop_run(0);
    ut_redis();
    ut_ok(ut_gen.state == 'f' && strcmp(ut_gen.error, "answer_too_long") == 0,
          "longer than the worker said: an error");
    ut_ok(ut_told(&lane, "KN"), "longer than the worker said: not kept");
    ut_end();
}


static void
ut_insures(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    ut_redis();
    ut_ok(ut_told(&lane, "KL"), "a listener elsewhere: the worker is told");
    ut_ok(ut_sent[UT_INSURE] == 1 && ut_gen.pending[1] == 1,
          "a listener elsewhere: the task is queued");
    ut_ok(strcmp(ut_gen.task, "-") == 0, "no command for the entry alone");

    ut_chunks(&lane, "W.1", 2, 1);
    ut_redis();
    ut_ok(strcmp(ut_gen.task, "l1-0") == 0, "the next append tells the entry");

    ut_gen.listeners = 0;
    ut_chunks(&lane, "W.1", 3, 1);
    ut_redis();
    ut_ok(ut_told(&lane, "KLl"), "it has left: the worker is told");

    ut_gen.listeners = 2;
    ut_chunks(&lane, "W.1", 4, 1);
    ut_redis();
    ut_ok(ut_told(&lane, "KLlL") && ut_sent[UT_INSURE] == 1,
          "others: no other entry");

    ut_complete(&lane);
    ut_redis();
    ut_ok(ut_gen.cached && ut_gen.pending[1] == 0,
          "at the end the entry is taken out");
    ut_end();

    /* the end comes while the entry is on its way */

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    (void) ut_redis_one();
    ut_complete(&lane);
    ut_ok(ut_flying() == 1 && ut_sent[UT_FINISH] == 0,
          "the end waits for the entry");
    ut_redis();
    ut_ok(ut_gen.cached && ut_gen.pending[1] == 0, "and takes it out");
    ut_end();

    /* somebody has joined before it was claimed */

    ut_begin();
    ut_gen.joined = 1;
    ut_fill(&lane, 0, "W.1", 1);
    ut_redis();
    ut_ok(ut_told(&lane, "KL") && ut_sent[UT_INSURE] == 1,
          "joined before the claim: queued");
    ut_failed(&lane, NGX_CHAT_E_INTERNAL);
    ut_redis();
    ut_end();

    /* another filler has the entry already */

    ut_begin();
    ut_gen.joined = 1;
    ut_fill(&lane, 0, "W.1", 1);
    ut_redis();
    ut_chunks(&lane, "W.1", 0, 1);
    ut_redis();
    ut_kill(0);
    ut_fill(&lane, 1, "W.1", 2);
    ut_chunks(&lane, "W.1", 0, 1);
    ut_complete(&lane);
    ut_redis();
    ut_ok(ut_sent[UT_INSURE] == 1 && ut_gen.pending[1] == 0,
          "another filler knows the entry");
    ut_end();
}


static void
ut_is_not_insured(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 1);
    ut_refuses = 1;
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    ut_redis();
    ut_chunks(&lane, "W.1", 2, 1);
    ut_redis();
    ut_ok(ut_sent[UT_INSURE] == 1 && ut_written("W.1", 3),
          "the queue refuses: it goes on");

    ut_refuses = 0;
    fake_loop_run(3000);
    ut_redis();
    ut_ok(ut_sent[UT_INSURE] == 2 && ut_gen.pending[1],
          "the queue refuses: tried again at the next renewal");

    ut_complete(&lane);
    ut_redis();
    ut_end();
}


static void
ut_is_stopped(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 1);
    ut_gen.stop = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    ut_redis();
    ut_chunks(&lane, "W.1", 2, 1);
    ut_redis();
    ut_ok(ut_told(&lane, "KS"), "a stop: the worker is told, once");

    ut_failed(&lane, NGX_CHAT_E_STOPPED);
    ut_redis();
    ut_ok(strcmp(ut_gen.error, "stopped") == 0, "a stop: the worker's error");
    ut_end();

    /* the worker is gone before it could */

    ut_lead(&lane, 1);
    ut_gen.stop = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    ut_redis();
    ut_lose(&lane);
    ut_redis();
    ut_ok(strcmp(ut_gen.error, "stopped") == 0, "a stop, and no worker");
    ut_end();
}


static void
ut_is_idle(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 1);
    ut_idle(&lane);
    ut_redis();
    ut_ok(ut_told(&lane, "KC") && strcmp(ut_gen.error, "cancelled") == 0,
          "idle: cancelled");
    ut_end();

    ut_lead(&lane, 1);
    ut_closed = 1;
    ut_idle(&lane);
    ut_redis();
    ut_ok(ut_told(&lane, "KH"), "idle, and Redis is away: it goes on");
    ut_closed = 0;
    ut_complete(&lane);
    ut_redis();
    ut_end();

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_idle(&lane);
    ut_redis();
    ut_ok(ut_told(&lane, "KH") && ut_gen.state == 'r', "idle: heard elsewhere");

    ut_complete(&lane);
    ut_idle(&lane);
    ut_redis();
    ut_ok(ut_gen.cached && ut_sent[UT_CANCEL] == 1, "idle at the end: nothing");
    ut_end();

    ut_begin();
    ut_fill(&lane, 0, "W.1", 1);
    ut_idle(&lane);
    ut_redis();
    ut_ok(ut_told(&lane, "KC"), "idle before the claim");
    ut_end();
}


static void
ut_redis_goes(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 1);
    ut_down = 1;
    ut_chunks(&lane, "W.1", 1, 5);
    ut_redis();
    fake_loop_run(15000);
    ut_redis();
    ut_chunks(&lane, "W.1", 6, 2);
    ut_down = 0;
    ut_redis();
    ut_complete(&lane);
    ut_redis();
    ut_ok(ut_told(&lane, "KD") && ut_written("W.1", 8),
          "Redis is away for 15 s: nothing is missing");
    ut_end();

    ut_lead(&lane, 1);
    ut_down = 1;
    ut_chunks(&lane, "W.1", 1, 5);
    fake_loop_run(20001);
    ut_redis();
    fake_loop_run(1000);
    ut_redis();
    ut_ok(ut_told(&lane, "KN") && strcmp(lane.why, "redis") == 0,
          "Redis is away for 20 s: not kept");
    ut_end();

    ut_begin();
    ut_down = 1;
    ut_fill(&lane, 0, "W.1", 1);
    ut_chunks(&lane, "W.1", 0, 5);
    fake_loop_run(20001);
    ut_redis();
    ut_ok(ut_told(&lane, "N") && strcmp(lane.why, "redis") == 0,
          "Redis is away from the start: not kept");
    ut_end();
}


static void
ut_is_lost(void)
{
    ut_lane_t  lane, next;

    /* the filler was stopped, and the worker has come to another */

    ut_lead(&lane, 3);
    ut_fill(&next, 1, "W.1", 2);
    ut_chunks(&next, "W.1", 0, 4);
    ut_redis();

    ut_chunks(&lane, "W.1", 3, 1);
    ut_redis();
    ut_ok(ut_told(&lane, "KN") && strcmp(lane.why, "busy") == 0,
          "lost to another filler: not kept");

    ut_chunks(&next, "W.1", 4, 1);
    ut_complete(&next);
    ut_redis();
    ut_ok(ut_told(&next, "KD") && ut_written("W.1", 5) && ut_gen.cached,
          "lost to another filler: who writes it to its end");
    ut_end();

    /* ended by somebody else, with an entry that is of no use any more */

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    ut_redis();
    ut_gen.state = 'f';
    ut_chunks(&lane, "W.1", 2, 1);
    ut_redis();
    ut_ok(ut_told(&lane, "KLN") && strcmp(lane.why, "ended") == 0,
          "ended by others: not kept");
    ut_ok(ut_gen.pending[1] == 0, "ended by others: the entry is taken out");
    ut_end();

    /* given back by whoever has had it since */

    ut_lead(&lane, 2);
    ut_gen.state = 'q';
    strcpy(ut_gen.token, "another.1");
    ut_chunks(&lane, "W.1", 2, 1);
    ut_redis();
    ut_ok(ut_written("W.1", 3) && ut_gen.processings == 2,
          "lost, and claimed again: from its start");
    ut_complete(&lane);
    ut_redis();
    ut_ok(ut_told(&lane, "KD"), "lost, and claimed again: kept to the end");
    ut_end();

    /* and started over by its worker meanwhile */

    ut_lead(&lane, 2);
    ut_gen.state = 'q';
    strcpy(ut_gen.token, "another.1");
    ut_chunks(&lane, "W.1", 2, 1);
    ut_restart(&lane, "W.2");
    ut_redis();
    ut_chunks(&lane, "W.2", 0, 1);
    ut_complete(&lane);
    ut_redis();
    ut_ok(ut_written("W.2", 1) && ut_gen.processings == 2,
          "lost, and claimed again with another attempt: one processing");
    ut_end();
}


static void
ut_no_memory(void)
{
    ut_lane_t   lane;
    ngx_uint_t  n;

    for (n = 1; n < 40; n++) {
        ut_begin();
        ut_fail_alloc = n;

        ut_fill(&lane, 0, "W.1", 1);

        if (lane.job) {
            ut_redis();
            ut_chunks(&lane, "W.1", 0, 3);
            ut_redis();
            ut_complete(&lane);
            ut_redis();

            if (!ut_told(&lane, "KD") && !ut_told(&lane, "KN")) {
                ut_bad("no end without memory");
            }
        }

        ut_fail_alloc = 0;
        ut_end();
    }

    ut_ok(ut_wrong == 0, "without memory: an end in any case");
}
