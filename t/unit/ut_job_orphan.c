
/*
 * Jobs whose worker has gone: they are led again over another lane, ask the
 * provider, go back to the queue, or end.
 */


#include "ut_jobs.h"


static void ut_orphans(void);
static void ut_orphan_comes_back(void);
static void ut_orphan_bequeaths(void);
static void ut_orphan_nobody_joined(void);
static void ut_orphan_without_room(void);
static void ut_orphan_without_room_and_entry(void);
static void ut_orphan_is_handed_over(void);
static void ut_orphan_comes_late(void);
static void ut_orphan_has_ended(void);
static void ut_leaves(void);
static void ut_scans(void);


int
main(void)
{
    ut_orphans();
    ut_orphan_comes_back();
    ut_orphan_bequeaths();
    ut_orphan_nobody_joined();
    ut_orphan_without_room();
    ut_orphan_without_room_and_entry();
    ut_orphan_is_handed_over();
    ut_orphan_comes_late();
    ut_orphan_has_ended();
    ut_leaves();
    ut_scans();

    ut_ok(ut_wrong == 0, ut_fault ? ut_fault : "no rule was broken");

    return ut_done();
}


static void
ut_orphans(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 2);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 2, 1);
    ut_redis();

    ut_chunks(&lane, "W.1", 3, 1);
    ut_lose(&lane);
    ut_redis();
    ut_ok(ut_written("W.1", 4), "no worker: what it has sent is written");
    ut_ok(ut_jobs[0].led == 1 && ut_jobs[0].running == 0,
          "no worker: waits for it");

    fake_loop_run(999);
    ut_redis();
    ut_ok(ut_asked == 0, "no worker: not asked at once");

    fake_loop_run(1);
    ut_redis();
    ut_ok(ut_asked == 1 && ut_jobs[0].led == 0 && ut_jobs[0].running == 1,
          "no worker for a second: the provider is asked");
    ut_ok(ut_gen.tries == 2 && ut_gen.processings == 2,
          "no worker: another try, which starts over");
    ut_ok(strncmp(ut_gen.call, ut_gen.token, strlen(ut_gen.token)) == 0,
          "no worker: with a label of its own");

    ut_says(0);
    ut_redis();
    ut_says(1);
    ut_redis();
    ut_ok(ut_written("P1", 2), "no worker: what the provider says now");

    ut_ends();
    ut_redis();
    ut_ok(ut_gen.cached && ut_gen.pending[1] == 0, "no worker: an answer");
    ut_end();
}


static void
ut_orphan_comes_back(void)
{
    ut_lane_t  lane, next;

    ut_lead(&lane, 3);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 3, 1);
    ut_redis();
    ut_lose(&lane);
    fake_loop_run(500);

    ut_fill(&next, 0, "W.1", 2);
    ut_ok(ut_running(0) == 1, "another lane: one job");

    ut_chunks(&next, "W.1", 0, 6);
    ut_redis();
    fake_loop_run(2000);
    ut_redis();
    ut_ok(ut_written("W.1", 6) && ut_gen.processings == 1 && ut_asked == 0,
          "another lane: goes on");
    ut_ok(ut_sent[UT_INSURE] == 1, "another lane: with the same entry");

    ut_complete(&next);
    ut_redis();
    ut_ok(ut_told(&next, "KLD") && ut_gen.pending[1] == 0,
          "another lane: to the end");
    ut_end();

    /* an append is in flight, and then carried out or not */

    ut_lead(&lane, 3);
    ut_chunks(&lane, "W.1", 3, 2);
    ut_lose(&lane);
    ut_fill(&next, 0, "W.1", 2);
    ut_chunks(&next, "W.1", 0, 6);
    ut_complete(&next);
    ut_redis();
    ut_ok(ut_told(&next, "KD") && ut_written("W.1", 6),
          "another lane, with an append in flight");
    ut_end();

    /* the last command was to cancel it, for which there is somebody */

    ut_lead(&lane, 3);
    ut_gen.joined = 1;
    ut_idle(&lane);
    ut_lose(&lane);
    ut_redis();
    fake_loop_run(900);
    ut_redis();
    ut_fill(&next, 0, "W.1", 2);
    ut_redis();
    ut_ok(ut_told(&next, "KL") && ut_asked == 0,
          "another lane, after an idle one: goes on");
    ut_failed(&next, NGX_CHAT_E_INTERNAL);
    ut_redis();
    ut_end();

    /* a second too late */

    ut_lead(&lane, 3);
    ut_gen.listeners = 1;
    ut_lose(&lane);
    fake_loop_run(1000);
    ut_redis();
    ut_fill(&next, 0, "W.1", 2);
    ut_redis();
    ut_ok(ut_told(&next, "N") && strcmp(next.why, "busy") == 0 && ut_asked == 1,
          "another lane comes too late: not kept");
    ut_ends();
    ut_redis();
    ut_end();
}


static void
ut_orphan_bequeaths(void)
{
    ut_lane_t  lane, next;

    /* the entry is on its way when the new lane comes */

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    (void) ut_redis_one();
    ut_lose(&lane);
    ut_fill(&next, 0, "W.1", 2);
    ut_ok(ut_running(0) == 2, "an entry on its way is waited for");
    ut_redis();
    ut_ok(ut_running(0) == 1 && ut_gen.pending[1], "the former job ends then");

    ut_gen.listeners = 0;
    ut_chunks(&next, "W.1", 0, 3);
    ut_redis();
    ut_ok(strcmp(ut_gen.task, "l1-0") == 0, "the new job has its entry");

    ut_complete(&next);
    ut_redis();
    ut_ok(ut_gen.cached && ut_gen.pending[1] == 0, "and takes it out");
    ut_end();

    /* with a command of the former job in flight, which is cancelled */

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    (void) ut_redis_one();
    ut_chunks(&lane, "W.1", 2, 1);
    ut_slow = 1;
    ut_lose(&lane);
    ut_fill(&next, 0, "W.1", 2);
    strcpy(ut_gen.token, "another.1");
    ut_redis();
    ut_slow = 0;
    ut_redis();
    ut_ok(ut_sent[UT_CLAIM] == 2 && ut_told(&next, "K"),
          "an entry on its way, and an append");

    ut_failed(&next, NGX_CHAT_E_INTERNAL);
    ut_redis();
    ut_end();

    /* the new job has asked for one of its own */

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    (void) ut_redis_one();
    ut_slow = 1;
    ut_lose(&lane);
    ut_fill(&next, 0, "W.1", 2);
    ut_chunks(&next, "W.1", 0, 3);
    ut_redis();
    ut_slow = 0;
    ut_redis();
    ut_ok(ut_sent[UT_INSURE] == 2 && !ut_gen.pending[1] && ut_gen.pending[2],
          "two entries on their way: the first is taken out");

    ut_complete(&next);
    ut_redis();
    ut_ok(ut_gen.pending[2] == 0, "two entries on their way: and the second");
    ut_end();

    /* nobody needs it */

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    (void) ut_redis_one();
    ut_lose(&lane);
    ut_gen.state = 'f';
    ut_fill(&next, 0, "W.1", 2);
    ut_redis();
    ut_ok(ut_told(&next, "N") && ut_gen.pending[1] == 0,
          "nobody needs the entry: it is taken out");
    ut_end();
}


static void
ut_orphan_nobody_joined(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 2);
    ut_lose(&lane);
    fake_loop_run(1000);
    ut_redis();
    ut_ok(ut_asked == 0 && strcmp(ut_gen.error, "cancelled") == 0,
          "no worker, and nobody else: cancelled");
    ut_end();

    ut_lead(&lane, 2);
    ut_lose(&lane);
    ut_gen.joined = 1;
    fake_loop_run(1000);
    ut_redis();
    ut_ok(ut_asked == 1 && ut_sent[UT_CANCEL] == 1 && ut_gen.pending[1],
          "somebody has come: queued, and asked");
    ut_ends();
    ut_redis();
    ut_end();

    /* somebody was there before, and has left */

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    ut_redis();
    ut_gen.listeners = 0;
    ut_lose(&lane);
    fake_loop_run(1000);
    ut_redis();
    ut_ok(ut_asked == 1 && ut_sent[UT_CANCEL] == 0,
          "no worker, and somebody has joined before: asked");
    ut_ends();
    ut_redis();
    ut_end();

    /* given back and claimed again while it is cancelled */

    ut_lead(&lane, 2);
    ut_lose(&lane);
    fake_loop_run(1000);
    ut_gen.state = 'q';
    strcpy(ut_gen.token, "another.1");
    ut_redis();
    ut_ok(ut_running(0) == 0 && strcmp(ut_gen.error, "cancelled") == 0,
          "no worker, lost and claimed again: cancelled");
    ut_end();

    /* Redis is away when it is to be cancelled */

    ut_lead(&lane, 2);
    ut_lose(&lane);
    ut_down = 1;
    ut_closed = 1;
    fake_loop_run(1000);
    ut_down = 0;
    ut_closed = 0;
    ut_redis();
    ut_ok(ut_asked == 1, "no worker, and Redis is away: asked");
    ut_ends();
    ut_redis();
    ut_end();

    /* the queue does not take it */

    ut_lead(&lane, 2);
    ut_lose(&lane);
    ut_refuses = 1;
    ut_gen.joined = 1;
    fake_loop_run(1000);
    ut_redis();
    ut_ok(ut_asked == 1 && strcmp(ut_gen.task, "-") == 0,
          "the queue refuses: asked all the same");
    ut_says(0);
    ut_redis();
    ut_ends();
    ut_redis();
    ut_ok(ut_gen.cached, "the queue refuses: an answer all the same");
    ut_end();
}


static void
ut_orphan_without_room(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 2);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 2, 1);
    ut_redis();
    ut_jobs[0].conf->concurrency = 0;
    ut_lose(&lane);
    fake_loop_run(1000);
    ut_redis();
    ut_ok(ut_asked == 0 && ut_gen.state == 'q' && ut_gen.tries == 0,
          "no room: given back");
    ut_ok(ut_gen.queued == 1 && ut_gen.pending[1] == 0,
          "no room: its entry goes to the other queue");
    ut_end();

    ut_lead(&lane, 2);
    ut_jobs[0].conf->generations = 0;
    ut_lose(&lane);
    ut_gen.joined = 1;
    fake_loop_run(1000);
    ut_redis();
    ut_ok(ut_gen.state == 'q' && ut_gen.queued == 1,
          "no room in the instance, and no entry: queued");
    ut_end();

    ut_lead(&lane, 2);
    ut_jobs[0].conf->generations = 0;
    ut_oom = 1;
    ut_lose(&lane);
    ut_gen.joined = 1;
    fake_loop_run(1000);
    ut_redis();
    ut_ok(ut_gen.state == 'q' && ut_gen.queued == 1 && ut_gen.pending[1] == 0,
          "no room, and Redis is out of memory: queued");
    ut_end();

    ut_lead(&lane, 2);
    ut_jobs[0].conf->generations = 0;
    ut_refuses = 1;
    ut_lose(&lane);
    ut_gen.joined = 1;
    fake_loop_run(1000);
    ut_redis();
    ut_ok(ut_gen.state == 'q' && ut_gen.queued == 1 && ut_sent[UT_PUSH] == 1,
          "no room, and no entry to be had: pushed");
    ut_end();
}


/* with an entry on its way */

static void
ut_orphan_without_room_and_entry(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    (void) ut_redis_one();
    ut_jobs[0].conf->concurrency = 0;
    ut_lose(&lane);
    fake_loop_run(1000);
    ut_ok(ut_flying() == 1, "no room, an entry on its way: waits");
    ut_redis();
    ut_ok(ut_gen.queued == 1 && ut_gen.pending[1] == 0,
          "no room, an entry on its way: it goes to the other queue");
    ut_end();
}


/* the worker lives, and cannot ask */

static void
ut_orphan_is_handed_over(void)
{
    ut_lane_t  lane, next;

    ut_lead(&lane, 0);
    ut_hand_over(&lane);
    ut_ok(ut_told(&lane, "K") && ut_flying() == 1,
          "handed over: the worker keeps it until there is a task");
    ut_redis();
    ut_ok(ut_told(&lane, "KN") && strcmp(lane.why, "handed over") == 0,
          "handed over: the worker is told that it is not kept");
    ut_ok(ut_asked == 1 && ut_sent[UT_CANCEL] == 0 && ut_gen.pending[1],
          "handed over: queued, and asked at once");
    ut_says(0);
    ut_redis();
    ut_ends();
    ut_redis();
    ut_ok(ut_gen.cached && ut_written("P1", 1), "handed over: an answer");
    ut_end();

    /* before it was claimed */

    ut_begin();
    ut_fill(&lane, 0, "W.1", 1);
    ut_hand_over(&lane);
    ut_redis();
    fake_loop_run(0);
    ut_redis();
    ut_ok(ut_told(&lane, "KN") && ut_asked == 1,
          "handed over before the claim: asked");
    ut_ends();
    ut_redis();
    ut_end();

    /* without room */

    ut_lead(&lane, 0);
    ut_jobs[0].conf->concurrency = 0;
    ut_hand_over(&lane);
    ut_ok(ut_told(&lane, "K") && ut_sent[UT_INSURE] == 1,
          "handed over without room: not before there is a task");
    ut_redis();
    ut_ok(ut_told(&lane, "KN") && ut_gen.queued == 1,
          "handed over without room: queued");
    ut_end();

    /* the lane ends before there is a task */

    ut_lead(&lane, 0);
    ut_hand_over(&lane);
    ut_lose(&lane);
    ut_redis();
    ut_ok(ut_told(&lane, "K") && ut_asked == 1,
          "handed over, and the lane ends: asked");
    ut_ends();
    ut_redis();
    ut_end();

    /* likewise, and the worker comes again, over a lane that is read first */

    ut_lead(&lane, 0);
    ut_hand_over(&lane);
    ut_fill(&next, 0, "W.1", 2);
    ut_ok(ut_told(&lane, "KN"), "handed over again: the former lane is told");
    ut_hand_over(&next);
    ut_redis();
    fake_loop_run(0);
    ut_redis();
    ut_ok(ut_told(&next, "KN") && ut_asked == 1,
          "handed over again: asked once");
    ut_ends();
    ut_redis();
    ut_end();

    /* somebody asks for its end, which is no affair of the worker's any more */

    ut_lead(&lane, 0);
    ut_gen.stop = 1;
    ut_slow = 1;
    ut_hand_over(&lane);
    fake_loop_run(3000);
    ut_redis();
    ut_slow = 0;
    ut_redis();
    ut_ok(strchr(lane.told, 'S') == NULL
          && strcmp(ut_gen.error, "stopped") == 0,
          "handed over, and stopped");
    ut_end();
}


/* a claim of its own and that of the next fill wait, and come in any order */

static void
ut_orphan_comes_late(void)
{
    ut_lane_t  lane, next;

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    ut_redis();
    ut_lose(&lane);
    fake_loop_run(1000);
    ut_ok(ut_sent[UT_CLAIM] == 2, "no worker: to be claimed");

    ut_fill(&next, 0, "W.1", 2);
    (void) ut_redis_last();
    ut_ok(ut_told(&next, "K"), "another lane, claimed before that");

    ut_redis();
    ut_chunks(&next, "W.1", 0, 3);
    ut_redis();
    ut_ok(ut_told(&next, "KL") && ut_asked == 0 && ut_written("W.1", 3),
          "another lane: it is left alone");

    ut_complete(&next);
    ut_redis();
    ut_ok(ut_told(&next, "KLD"), "another lane: to the end");
    ut_end();
}


static void
ut_orphan_has_ended(void)
{
    ut_lane_t  lane;

    ut_lead(&lane, 1);
    ut_chunks(&lane, "W.1", 1, 2);
    ut_complete(&lane);
    ut_lose(&lane);
    ut_redis();
    fake_loop_run(5000);
    ut_redis();
    ut_ok(ut_gen.cached && ut_written("W.1", 3) && ut_asked == 0,
          "no worker after its end: written and cached");
    ut_end();
}


static void
ut_leaves(void)
{
    ut_lane_t  lane;

    /* the filler is to end: the worker finds another one */

    ut_lead(&lane, 2);
    ngx_chat_jobs_give_back(&ut_jobs[0]);
    ut_redis();
    ut_ok(ut_gen.state == 'r' && ut_told(&lane, "K"), "leaving: still led");

    ut_chunks(&lane, "W.1", 2, 1);
    ut_redis();
    ut_ok(ut_written("W.1", 3), "leaving: written");

    ut_gen.joined = 1;
    ut_lose(&lane);
    fake_loop_run(0);
    ut_redis();
    ut_ok(ut_gen.state == 'q' && ut_gen.queued == 1 && ut_asked == 0,
          "leaving, and no worker: given back at once");
    ut_end();

    ut_lead(&lane, 2);
    ut_gen.joined = 1;
    ut_lose(&lane);
    fake_loop_run(1000);
    ut_redis();
    ut_says(0);
    ut_redis();
    ngx_chat_jobs_give_back(&ut_jobs[0]);
    ut_redis();
    ut_ok(ut_gen.state == 'q' && ut_gen.queued == 1 && ut_asking == 0,
          "leaving, while the provider is asked: given back");
    ut_end();
}


static void
ut_scans(void)
{
    ut_lane_t   lane;
    ngx_uint_t  n;

    ut_lead(&lane, 1);
    ut_gen.listeners = 1;
    ut_chunks(&lane, "W.1", 1, 1);
    ut_redis();
    ut_ok(ut_take(0, NGX_CHAT_QUEUE_LED, 1) == NGX_DECLINED,
          "an entry has its job already");
    ut_ok(ut_take(0, NGX_CHAT_QUEUE_TASKS, 1) == NGX_OK,
          "an entry of the same id in the other queue has not");
    ut_redis();

    for (n = 0; n < 2; n++) {
        (void) ut_take(1, NGX_CHAT_QUEUE_LED, 1);
        ut_redis();
        ut_ok(ut_running(1) == 0 && ut_gen.pending[1] && ut_asked == 0,
              n ? "and one that is known" : "an entry of a filler that lives");

        ut_chunks(&lane, "W.1", 2 + n, 1);
        ut_redis();
    }

    /* both die: the successor knows the dead one, and waits all the same */

    ut_kill(0);
    ut_jobs[1].predecessor.data = (u_char *) ut_gen.token;
    ut_jobs[1].predecessor.len = NGX_CHAT_TOKEN_LEN;

    (void) ut_take(1, NGX_CHAT_QUEUE_LED, 1);
    ut_redis();
    ut_ok(ut_running(1) == 0 && ut_gen.pending[1],
          "an entry of a dead one: its worker may live");

    fake_loop_run(10001);
    (void) ut_take(1, NGX_CHAT_QUEUE_LED, 1);
    ut_redis();
    ut_ok(ut_asked == 1 && ut_gen.processings == 2, "then it is asked again");

    ut_ends();
    ut_redis();
    ut_ok(ut_gen.state == 'd' && ut_gen.pending[1] == 0, "and answered");
    ut_end();
}
