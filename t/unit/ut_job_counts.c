
/*
 * Jobs that take room, those that are shown to other processes, and entries
 * that are kept in the queue.
 */


#include "ut_jobs.h"


static void ut_counts(void);
static void ut_counts_ends(void);


int
main(void)
{
    ut_counts();
    ut_counts_ends();

    ut_ok(ut_wrong == 0, ut_fault ? ut_fault : "no rule was broken");

    return ut_done();
}


static void
ut_counts(void)
{
    ut_lane_t         lane;
    ngx_str_t         entries[4];
    ngx_uint_t        n;
    ngx_chat_jobs_t  *jobs;

    ut_begin();
    ut_gen.joined = 1;
    ut_fill(&lane, 0, "W.1", 1);
    ut_redis();
    jobs = &ut_jobs[0];

    n = ngx_chat_jobs_get_entries(jobs, NGX_CHAT_QUEUE_LED, entries, 4);
    ut_ok(n == 1 && ut_is(&entries[0], "1-0"), "its entry is kept");

    n = ngx_chat_jobs_get_entries(jobs, NGX_CHAT_QUEUE_TASKS, entries, 4);
    ut_ok(n == 0, "not in the other queue");

    ut_ok(ngx_chat_jobs_get_room(jobs) == 2, "it takes no room");

    (void) ut_take(0, NGX_CHAT_QUEUE_TASKS, 7);
    ut_ok(ut_alone, "whoever asks is alone beside it");

    n = ngx_chat_jobs_get_entries(jobs, NGX_CHAT_QUEUE_TASKS, entries, 4);
    ut_ok(n == 0, "no entry is kept before it is claimed");
    ut_ok(ngx_chat_jobs_get_room(jobs) == 1, "whoever asks takes room");

    (void) ut_take(0, NGX_CHAT_QUEUE_TASKS, 8);
    ut_ok(!ut_alone, "a second one is not alone");
    ut_ok(ngx_chat_jobs_get_room(jobs) == 0, "no room is left");

    ut_redis();
    ut_failed(&lane, NGX_CHAT_E_INTERNAL);
    ut_redis();
    ut_end();
}


/* an entry is all that is left, which may take long where the broker is down */

static void
ut_counts_ends(void)
{
    ut_begin();
    (void) ut_take(0, NGX_CHAT_QUEUE_TASKS, 7);
    ut_redis();
    ut_says(0);
    ut_redis();
    ut_ok(ut_shown == 1, "a job that asks is shown");

    ut_ends();
    ut_ok(ut_shown == 1, "and one whose end is not written yet");

    (void) ut_redis_one();
    ut_ok(ut_gen.state == 'd' && ut_running(0) == 1 && ut_shown == 0,
          "not one that is there for its entry alone");

    ut_ok(ut_jobs[0].running == 1, "the filler stays for that");

    ut_redis();
    ut_ok(ut_running(0) == 0 && ut_shown == 0, "then it has ended");
    ut_end();

    /* given back, likewise */

    ut_begin();
    (void) ut_take(0, NGX_CHAT_QUEUE_TASKS, 7);
    ut_redis();
    ngx_chat_jobs_give_back(&ut_jobs[0]);
    (void) ut_redis_one();
    ut_ok(ut_gen.state == 'q' && ut_running(0) == 1 && ut_shown == 0,
          "nor one that is given back");
    ut_redis();
    ut_end();
}
