
/*
 * A led generation with everything at random: lanes end, fillers die, Redis
 * goes away, replies are lost, attempts start over, readers come and leave.
 * What is in Redis is the beginning of one attempt at any time, as
 * ut_jobs_gen.c sees with each chunk; the answer is a whole one; and nothing is
 * left running.
 */


#include "ut_jobs.h"


#define UT_SEEDS  10000
#define UT_STEPS  120


/* the worker's side */
typedef struct {
    ut_lane_t    lane;
    ngx_uint_t   up;           /* the lane */
    ngx_uint_t   filler;
    ngx_uint_t   fill;
    ngx_uint_t   attempt;
    ngx_uint_t   chunks;       /* of it, so far */
    ngx_uint_t   sent;
    ngx_uint_t   restart;      /* to be sent */
    ngx_uint_t   ended;
    ngx_uint_t   end_sent;
    ngx_uint_t   forgotten;    /* told the last */
    ngx_uint_t   dead;
} ut_worker_t;


static void ut_run(uint32_t seed);
static void ut_step(void);
static void ut_work(void);
static void ut_break(void);
static void ut_refill(void);
static void ut_send(void);
static void ut_label(char *label);
static void ut_finish_all(void);
static void ut_scan(void);
static void ut_check(void);


static ut_worker_t  ut_worker;
static ngx_uint_t   ut_dones;
static ngx_uint_t   ut_resumes;
static ngx_uint_t   ut_own;


int
main(void)
{
    uint32_t  seed;

    ut_chaos = 1;

    for (seed = 1; seed <= UT_SEEDS; seed++) {
        ut_run(seed);

        if (ut_wrong) {
            printf("# seed %u: %s\n", (unsigned) seed, ut_fault);
            break;
        }
    }

    ut_ok(ut_wrong == 0, "no rule was broken");
    ut_ok(ut_dones > 3000, "answers of workers were written");
    ut_ok(ut_resumes > 3000, "others went on where one had stopped");
    ut_ok(ut_own > 500, "providers were asked where there was no worker");

    return ut_done();
}


static void
ut_run(uint32_t seed)
{
    ngx_uint_t  n;

    ut_seed(seed);
    ut_begin();

    ngx_memzero(&ut_worker, sizeof(ut_worker_t));

    ut_worker.attempt = 1;
    ut_refill();

    for (n = 0; n < UT_STEPS && !ut_wrong; n++) {
        ut_step();
    }

    ut_finish_all();
    ut_check();

    ut_own += (ut_asked != 0);

    ut_end();
}


static void
ut_step(void)
{
    ngx_uint_t  n;

    switch (ut_random(5)) {

    case 0:
    case 1:
        ut_work();
        return;

    case 2:

        for (n = ut_random(4); n; n--) {
            (void) ut_redis_one();
        }

        return;

    case 3:
        fake_loop_run(ut_random(6) ? ut_random(200) : ut_random(1500));
        return;

    default:

        if (ut_asking) {
            ut_says(ut_gen.chunks);
            ut_redis();

        } else if (ut_random(4) == 0) {
            ut_break();
        }
    }
}


/* the worker's provider says something, and something goes over the lane */

static void
ut_work(void)
{
    ut_worker_t  *w;

    w = &ut_worker;

    if (w->dead) {
        return;
    }

    if (!w->up && !w->forgotten && ut_random(3) == 0) {
        ut_refill();
    }

    if (!w->ended) {

        if (ut_random(20) == 0 && w->chunks) {
            w->attempt++;
            w->chunks = 0;
            w->sent = 0;
            w->restart = 1;

        } else if (ut_random(60) == 0) {
            w->ended = 1;

        } else {
            w->chunks++;
        }
    }

    if (ut_random(2)) {
        ut_send();
    }
}


static void
ut_break(void)
{
    ut_worker_t  *w;

    w = &ut_worker;

    switch (ut_random(8)) {

    case 0:
    case 1:
        ut_lose(&w->lane);
        w->up = 0;
        return;

    case 2:

        /* the worker sees that at once */

        ut_kill(w->filler);
        w->up = 0;
        w->lane.job = NULL;
        return;

    case 3:
        ut_down = !ut_down;
        ut_closed = ut_down && ut_random(2);
        return;

    case 4:
        ut_gen.listeners = ut_random(2);

        if (ut_gen.listeners) {
            ut_gen.joined = 1;
        }

        return;

    case 5:

        if (ut_random(2)) {
            ut_lose(&w->lane);
            w->up = 0;
            w->dead = 1;
        }

        return;

    case 6:
        ut_refuses = ut_random(2);
        ut_slow = ut_random(2);
        return;

    default:

        if (w->up && ut_random(4) == 0) {
            ut_idle(&w->lane);

        } else if (w->up && w->chunks == 0) {
            ut_hand_over(&w->lane);
        }
    }
}


static void
ut_label(char *label)
{
    sprintf(label, "W.%lu", (unsigned long) ut_worker.attempt);
}


static void
ut_refill(void)
{
    char          label[UT_WORD];
    ut_worker_t  *w;

    w = &ut_worker;

    w->filler = ut_random(UT_FILLERS);
    w->fill++;
    w->sent = 0;
    w->restart = 0;
    w->end_sent = 0;
    w->up = 1;

    if (ut_gen.state == 'r' && ut_gen.chunks) {
        ut_resumes++;
    }

    ut_label(label);
    ut_fill(&w->lane, w->filler, label, w->fill);
}


static void
ut_send(void)
{
    char          label[UT_WORD];
    ut_worker_t  *w;

    w = &ut_worker;

    if (!w->up) {
        return;
    }

    ut_label(label);

    if (w->restart) {
        w->restart = 0;
        ut_restart(&w->lane, label);
    }

    while (w->sent < w->chunks && ut_random(4)) {
        ut_chunk(&w->lane, label, w->sent++);
    }

    if (w->ended && w->sent == w->chunks && !w->end_sent) {
        w->end_sent = 1;
        ut_complete(&w->lane);
    }

    fake_loop_run(0);

    if (w->lane.job == NULL) {
        w->forgotten = 1;
        w->up = 0;
    }
}


/* all faults are over */

static void
ut_finish_all(void)
{
    ngx_uint_t    n;
    ut_worker_t  *w;

    w = &ut_worker;

    ut_down = 0;
    ut_closed = 0;
    ut_refuses = 0;
    ut_slow = 0;
    ut_gen.listeners = 0;

    for (n = 0; n < 200; n++) {

        if (!w->dead && !w->forgotten) {
            w->ended = 1;

            if (!w->up) {
                ut_refill();
            }

            ut_send();
        }

        ut_redis();

        if (ut_asking) {
            ut_says(ut_gen.chunks);
            ut_redis();
            ut_ends();
        }

        ut_redis();
        fake_loop_run(500);

        if (n % 30 == 29) {
            ut_scan();
        }
    }
}


static void
ut_scan(void)
{
    ngx_uint_t  n;

    for (n = 1; n <= ut_gen.entries; n++) {

        if (ut_gen.pending[n]) {
            (void) ut_take(ut_random(UT_FILLERS), NGX_CHAT_QUEUE_LED, n);
            ut_redis();
        }
    }
}


static void
ut_check(void)
{
    char         label[UT_WORD];
    ngx_uint_t   n;

    for (n = 1; n <= ut_gen.entries; n++) {

        if (ut_gen.pending[n]) {
            ut_bad("an entry is left");
        }
    }

    if (strchr(ut_worker.lane.told, 'D')) {
        ut_label(label);
        ut_dones++;

        if (ut_gen.state != 'd' || !ut_written(label, ut_worker.chunks)) {
            ut_bad("done, but not the answer");
        }
    }

    /* a worker that is dead has nobody but those who joined */

    if (ut_gen.state == 'r' || (ut_gen.state == 'q' && ut_gen.queued == 0)) {

        if (!ut_worker.dead && strchr(ut_worker.lane.told, 'N') == NULL) {
            ut_bad("led, and without an end");
        }
    }
}
