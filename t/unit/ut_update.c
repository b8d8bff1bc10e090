
/*
 * Stale answers, and what is begun behind them, over a Redis that fails; and
 * what is begun for a client that leaves.
 */


#include "fake_store.h"
#include "../../ngx_chat_module/hub/ngx_chat_ask.h"

#include <stdio.h>


#define UT_SEEDS  500
#define UT_STALE  60000


typedef struct {
    ngx_chat_ask_t        *ask;
    ngx_chat_sub_t        *sub;
    ngx_chat_result_e      result;
    int64_t                ttl;
    ngx_uint_t             verdicts;
    ngx_uint_t             completed;  /* times asked for the rest */
    ngx_chat_question_t    rest;
} ut_client_t;


static void ut_begin(uint32_t seed);
static void ut_end(void);
static void ut_ask(ut_client_t *cl);
static void ut_ask_stale(ut_client_t *cl, ngx_msec_t stale);
static ngx_chat_question_t *ut_complete(void *data);
static void ut_verdict(void *data, ngx_chat_result_t *v);
static void ut_wake(void *data);
static void ut_leave(ut_client_t *cl);
static ngx_chat_status_e ut_last(ut_client_t *cl);
static void ut_redis(void);
static void ut_cache(void);
static void ut_stale(void);
static void ut_stale_joined(void);
static void ut_stale_faults(void);
static void ut_stale_closed(void);
static void ut_left(void);


static const ngx_chat_dialect_t  ut_dialect = {
    0, fake_frame_len, fake_frame, fake_replay
};

static ngx_chat_hub_t      *ut_hub;
static ngx_chat_hub_conf_t  ut_conf;
static ngx_uint_t           ut_wrong;


static void
ut_begin(uint32_t seed)
{
    fake_loop_init();
    fake_seed(seed);

    ut_conf.queue_limit = 10;
    ut_conf.queue_timeout = FAKE_QUEUE_TIMEOUT;
    ut_hub = ngx_chat_hub_create(&ut_conf, ngx_cycle->log);
}


static void
ut_end(void)
{
    ngx_chat_hub_close(ut_hub);

    ut_wrong += (fake.subs || fake.bad || fake_loop_next() != -1
                 || !ngx_queue_empty(&ngx_posted_events));

    fake_free();
}


static void
ut_ask(ut_client_t *cl)
{
    ut_ask_stale(cl, UT_STALE);
}


static void
ut_ask_stale(ut_client_t *cl, ngx_msec_t stale)
{
    ngx_chat_question_t  q;

    memset(cl, 0, sizeof(ut_client_t));
    memset(&q, 0, sizeof(ngx_chat_question_t));

    memset(q.h, 'a', NGX_CHAT_HASH_LEN);
    memset(q.fp, 'f', NGX_CHAT_FP_LEN);

    q.mode = NGX_CHAT_ASK_CACHED;
    q.ttl = 900000;
    q.stale = stale;
    q.complete = ut_complete;
    q.data = cl;

    cl->ask = ngx_chat_hub_ask(ut_hub, &q, ut_verdict, cl);
}


static ngx_chat_question_t *
ut_complete(void *data)
{
    ut_client_t *cl = data;

    cl->completed++;

    if (cl->rest.messages.data == NULL) {
        cl->rest.messages = ut_str("messages");
    }

    return &cl->rest;
}


static void
ut_verdict(void *data, ngx_chat_result_t *v)
{
    ut_client_t *cl = data;

    cl->ask = NULL;
    cl->result = v->kind;
    cl->ttl = v->ttl;
    cl->verdicts++;

    if (v->channel && v->kind != NGX_CHAT_RESULT_ERROR) {
        cl->sub = ngx_chat_hub_attach(v->channel, &ut_dialect, ut_wake, cl);
    }
}


static void
ut_wake(void *data)
{
}


static void
ut_leave(ut_client_t *cl)
{
    if (cl->ask) {
        ngx_chat_hub_forget(cl->ask);
        cl->ask = NULL;
    }

    if (cl->sub) {
        ngx_chat_hub_detach(cl->sub);
        cl->sub = NULL;
    }

    ut_free(&cl->rest.messages);
}


/* takes all there is: how it ended, or that it has not */

static ngx_chat_status_e
ut_last(ut_client_t *cl)
{
    ngx_chat_sse_event_t  frame;
    ngx_chat_status_e     status;

    status = NGX_CHAT_PROCESSING;

    while (ngx_chat_hub_next(cl->sub, &frame) == NGX_OK) {
        status = frame.status;
    }

    return status;
}


/* Redis does all it has to do */

static void
ut_redis(void)
{
    ngx_uint_t  n;

    /* a subscription is confirmed at some time */

    for (n = 0; n < 16; n++) {
        fake_loop_run(0);

        while (fake_execute() || fake_answer(NGX_OK) || fake_deliver()) {
            fake_loop_run(0);
        }
    }
}


/* an answer of key a */

static void
ut_cache(void)
{
    ut_client_t  one;

    do {
        ut_ask(&one);
        ut_redis();
        fake_write(FAKE_RESTART);
        fake_write(FAKE_END);
        ut_redis();
        ut_leave(&one);
        ut_ask(&one);
        ut_redis();
        ut_leave(&one);
    } while (one.result != NGX_CHAT_RESULT_HIT);
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

    ut_ask(&one);
    ut_ask(&other);
    ut_redis();
    ut_ask(&third);
    ut_redis();

    ut_ok(one.result == NGX_CHAT_RESULT_HIT && one.ttl == -UT_STALE
          && other.result == NGX_CHAT_RESULT_HIT
          && third.result == NGX_CHAT_RESULT_HIT
          && ut_last(&one) == NGX_CHAT_COMPLETED,
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
    ut_ask(&one);
    ut_redis();
    ut_leave(&one);
    updates = fake.updates;

    fake_loop_run(200);
    ut_ask(&one);
    ut_redis();
    ut_ok(updates == 1 && fake.updates == 2 && fake.tasks == tasks + 1,
          "stale: asked again after a second alone");
    ut_leave(&one);

    /* a moment beyond its time */

    fake.ttl = -UT_STALE - 1;
    fake_loop_run(1100);
    ut_ask(&one);
    ut_redis();
    ut_ok(one.result == NGX_CHAT_RESULT_JOIN && fake.updates == 2
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

    ut_ask(&one);
    ut_redis();
    ut_ask_stale(&none, 0);
    ut_redis();

    ut_ok(one.result == NGX_CHAT_RESULT_HIT
          && none.result == NGX_CHAT_RESULT_JOIN && fake.tasks == tasks + 1,
          "an update: joined by who may not have the stale answer");

    ut_ask(&later);
    ut_redis();
    ut_ok(later.result == NGX_CHAT_RESULT_HIT && later.ttl == -1000,
          "an update: who may have the stale answer gets that, at once");

    sent = fake.sent;
    ut_ask_stale(&same, 0);
    fake_loop_run(0);
    ut_ok(same.result == NGX_CHAT_RESULT_JOIN && fake.sent == sent,
          "an update: joined once more, which costs Redis nothing");

    fake_write(FAKE_RESTART);
    fake_write(FAKE_END);
    ut_redis();
    end = ut_last(&none);
    ut_ok((end == NGX_CHAT_COMPLETED || end == NGX_CHAT_ERROR)
          && ut_last(&same) == end && fake.tasks == tasks + 1,
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
    ut_ask(&one);
    fake_loop_run(0);
    ut_ok(none.result == NGX_CHAT_RESULT_MISS
          && one.result == NGX_CHAT_RESULT_JOIN && fake.sent == sent,
          "a miss beside nothing: joined without a look into Redis");

    fake_write(FAKE_RESTART);
    fake_write(FAKE_END);
    ut_redis();
    ut_leave(&none);
    ut_leave(&one);
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

        ut_ask(&one);

        for (n = 2 + fake_random(6); n; n--) {
            fake_execute();

            if (n > 1) {
                fake_answer(NGX_OK);
            }

            fake_loop_run(0);
        }

        wrong += (one.result != NGX_CHAT_RESULT_HIT || one.verdicts != 1);

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

        ut_ask(&one);

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
    ut_ask(&one);

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
    ut_stale_faults();
    ut_stale_closed();
    ut_left();

    return ut_done();
}
