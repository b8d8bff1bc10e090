
/*
 * Stale answers, and what is begun behind them, over a Redis that fails; and
 * what is begun for a client that leaves.
 */


#include "ut_client.h"


#define UT_SEEDS  500
#define UT_STALE  60000


static void ut_begin(uint32_t seed);
static void ut_end(void);
static void ut_ask_stale(ut_client_t *cl, ngx_msec_t stale);
static void ut_cache(void);
static void ut_stale(void);
static void ut_stale_joined(void);
static void ut_stale_dropped(void);
static void ut_stale_faults(void);
static void ut_stale_closed(void);
static void ut_left(void);


static ngx_uint_t  ut_wrong;


static void
ut_begin(uint32_t seed)
{
    ut_conf.queue_limit = 10;
    ut_hub_begin(seed);
}


static void
ut_end(void)
{
    ut_wrong += !ut_hub_end();
}


static void
ut_ask_stale(ut_client_t *cl, ngx_msec_t stale)
{
    ngx_chat_question_t  q;

    ut_question(&q, 'a', 'f', NGX_CHAT_ASK_CACHED);

    q.stale = stale;

    ut_ask_question(cl, &q);
}


/* an answer of key a */

static void
ut_cache(void)
{
    ut_client_t  one;

    do {
        ut_ask_stale(&one, UT_STALE);
        ut_redis();
        fake_write(FAKE_RESTART);
        fake_write(FAKE_END);
        ut_redis();
        ut_leave(&one);
        ut_ask_stale(&one, UT_STALE);
        ut_redis();
        ut_leave(&one);
    } while (one.result.kind != NGX_CHAT_RESULT_HIT);
}


/* a stale answer is a hit, and a task for it is queued once */

static void
ut_stale(void)
{
    ngx_uint_t   tasks, updates;
    ut_client_t  one, other, third;

    ut_begin(1);
    ut_cache();

    fake.ttl = -UT_STALE;
    tasks = fake.tasks;

    ut_ask_stale(&one, UT_STALE);
    ut_ask_stale(&other, UT_STALE);
    ut_redis();
    ut_ask_stale(&third, UT_STALE);
    ut_redis();

    ut_ok(one.result.kind == NGX_CHAT_RESULT_HIT && one.result.ttl == -UT_STALE
          && other.result.kind == NGX_CHAT_RESULT_HIT
          && third.result.kind == NGX_CHAT_RESULT_HIT
          && ut_read(&one) == NGX_CHAT_COMPLETED,
          "stale: all get it at once");
    ut_ok(fake.tasks == tasks + 1 && fake.updates == 1
          && one.completed + other.completed + third.completed == 1,
          "stale: one of them has it replaced");

    ut_leave(&one);
    ut_leave(&other);
    ut_leave(&third);

    /* Redis is asked once more a second later, and says no */

    fake.updating = 1;
    fake_loop_run(900);
    ut_ask_stale(&one, UT_STALE);
    ut_redis();
    ut_leave(&one);
    updates = fake.updates;

    fake_loop_run(200);
    ut_ask_stale(&one, UT_STALE);
    ut_redis();
    ut_ok(updates == 1 && fake.updates == 2 && fake.tasks == tasks + 1,
          "stale: asked again after a second alone");
    ut_leave(&one);

    /* a moment beyond its time */

    fake.ttl = -UT_STALE - 1;
    fake_loop_run(1100);
    ut_ask_stale(&one, UT_STALE);
    ut_redis();
    ut_ok(one.result.kind == NGX_CHAT_RESULT_JOIN && fake.updates == 2
          && fake.tasks == tasks + 1,
          "stale: too old, and its update is joined");
    ut_leave(&one);

    fake_loop_run(2000);
    ut_end();
}


/* an update has joiners, but nobody who may have the stale answer */

static void
ut_stale_joined(void)
{
    ngx_uint_t         tasks, sent;
    ut_client_t        one, none, later, same;
    ngx_chat_status_e  end;

    ut_begin(1);
    ut_cache();

    fake.ttl = -1000;
    tasks = fake.tasks;

    ut_ask_stale(&one, UT_STALE);
    ut_redis();
    ut_ask_stale(&none, 0);
    ut_redis();

    ut_ok(one.result.kind == NGX_CHAT_RESULT_HIT
          && none.result.kind == NGX_CHAT_RESULT_JOIN
          && fake.tasks == tasks + 1,
          "an update: joined by who may not have the stale answer");

    ut_ask_stale(&later, UT_STALE);
    ut_redis();
    ut_ok(later.result.kind == NGX_CHAT_RESULT_HIT && later.result.ttl == -1000,
          "an update: who may have the stale answer gets that, at once");

    sent = fake.sent;
    ut_ask_stale(&same, 0);
    fake_loop_run(0);
    ut_ok(same.result.kind == NGX_CHAT_RESULT_JOIN && fake.sent == sent,
          "an update: joined once more, which costs Redis nothing");

    fake_write(FAKE_RESTART);
    fake_write(FAKE_END);
    ut_redis();
    end = ut_read(&none);
    ut_ok((end == NGX_CHAT_COMPLETED || end == NGX_CHAT_ERROR)
          && ut_read(&same) == end && fake.tasks == tasks + 1,
          "an update: its end is that of all who have joined");

    ut_leave(&one);
    ut_leave(&none);
    ut_leave(&later);
    ut_leave(&same);

    /* without a stale answer beside it all are the same */

    fake_lose(2);
    fake_loop_run(2000);

    ut_ask_stale(&none, 0);
    ut_redis();
    sent = fake.sent;
    ut_ask_stale(&one, UT_STALE);
    fake_loop_run(0);
    ut_ok(none.result.kind == NGX_CHAT_RESULT_MISS
          && one.result.kind == NGX_CHAT_RESULT_JOIN && fake.sent == sent,
          "a miss beside nothing: joined without a look into Redis");

    fake_write(FAKE_RESTART);
    fake_write(FAKE_END);
    ut_redis();
    ut_leave(&none);
    ut_leave(&one);
    fake_loop_run(2000);
    ut_end();
}


/* an update that gets no task is dropped: who has joined it asks again */

static void
ut_stale_dropped(void)
{
    ngx_uint_t   n, opened, refused;
    ut_client_t  one, none;

    ut_begin(1);
    ut_cache();

    fake.ttl = -1000;
    fake.queue_full = 1;
    opened = fake.opened;
    refused = fake.refused;

    ut_ask_stale(&one, UT_STALE);

    for (n = 0; n < 64 && fake.opened == opened; n++) {
        fake_execute();

        if (fake.opened == opened) {
            fake_answer(NGX_OK);
        }

        fake_loop_run(0);
    }

    ut_ask_stale(&none, 0);

    for (n = 0; n < 64 && fake.refused == refused; n++) {
        fake_answer(NGX_OK);
        fake_loop_run(0);
        fake_execute();
    }

    fake.queue_full = 0;
    ut_redis();

    n = ut_read(&none);
    ut_redis();

    ut_ok(n == NGX_CHAT_PROCESSING
          && none.result.kind == NGX_CHAT_RESULT_JOIN
          && fake.opened == opened + 2
          && fake_traps() == 0,
          "an update without a task: whoever has joined it has another one");

    fake_write(FAKE_RESTART);
    fake_write(FAKE_END);
    ut_redis();
    ut_ok(ut_read(&none) >= NGX_CHAT_COMPLETED && none.results == 1,
          "an update without a task: and gets to its end");

    ut_leave(&one);
    ut_leave(&none);
    fake_loop_run(2000);
    ut_end();
}


/* a generation that gets no task is dropped, whatever fails */

static void
ut_stale_faults(void)
{
    uint32_t     seed;
    ngx_uint_t   n, erased, traps, wrong;
    ut_client_t  one;

    erased = 0;
    traps = 0;
    wrong = 0;

    for (seed = 1; seed < UT_SEEDS; seed++) {
        ut_begin(seed);
        ut_cache();

        fake.ttl = -1;
        fake.queue_full = (seed % 2);
        fake.erased = 0;

        ut_ask_stale(&one, UT_STALE);

        for (n = 2 + fake_random(6); n; n--) {
            fake_execute();

            if (n > 1) {
                fake_answer(NGX_OK);
            }

            fake_loop_run(0);
        }

        wrong += (one.result.kind != NGX_CHAT_RESULT_HIT || one.results != 1);

        if (fake_random(2)) {
            fake_cut_commands();
            fake.redis_down = 1;
        }

        traps += fake_traps();

        fake_loop_run(1000 + fake_random(8000));
        fake.redis_down = 0;

        for (n = 0; n < 20; n++) {
            ut_redis();
            fake_loop_run(100);
        }

        wrong += (fake_traps() != 0);
        erased += fake.erased;

        ut_leave(&one);
        ut_redis();
        fake_loop_run(2000);
        ut_end();
    }

    ut_ok(wrong == 0 && erased > 50 && traps > 50,
          "stale: what gets no task is dropped");
}


/* the worker ends in the middle of it: nothing is left behind in it */

static void
ut_stale_closed(void)
{
    uint32_t     seed;
    ngx_uint_t   n;
    ut_client_t  one;

    ut_wrong = 0;

    for (seed = 1; seed < UT_SEEDS; seed++) {
        ut_begin(seed);
        ut_cache();

        fake.ttl = -1;
        fake.queue_full = (seed % 3 == 0);

        ut_ask_stale(&one, UT_STALE);

        for (n = fake_random(16); n; n--) {
            fake_execute();
            fake_loop_run(0);
            fake_answer(NGX_OK);
            fake_loop_run(0);
        }

        ut_leave(&one);
        ut_end();
    }

    ut_ok(ut_wrong == 0, "stale: a worker that ends leaves nothing behind");
}


/* a question is gone with its client, and the task is not */

static void
ut_left(void)
{
    ngx_uint_t   n, opened;
    ut_client_t  one;

    ut_begin(1);
    ut_ask_stale(&one, UT_STALE);

    for (n = 0; n < 16 && fake.opened == 0; n++) {
        fake_execute();

        if (fake.opened == 0) {
            fake_answer(NGX_OK);
        }

        fake_loop_run(0);
    }

    opened = (fake.opened == 1 && fake.tasks == 0 && one.completed == 1);

    ut_leave(&one);
    ut_redis();

    ut_ok(opened && fake.tasks == 1 && fake.bad == 0,
          "who leaves before the push takes no strings of the task along");

    fake_write(FAKE_RESTART);
    fake_write(FAKE_END);
    ut_redis();
    ut_end();
}


int
main(void)
{
    ut_stale();
    ut_stale_joined();
    ut_stale_dropped();
    ut_stale_faults();
    ut_stale_closed();
    ut_left();

    return ut_done();
}
