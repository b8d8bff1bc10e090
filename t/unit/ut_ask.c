
/*
 * A question at a time, over a Redis that is lost while it is asked.
 */


#include "ut_client.h"
#include "../../ngx_chat_module/hub/ngx_chat_sub_private.h"

#include <malloc.h>
#include <stdio.h>


#define UT_SEEDS    500
#define UT_READERS  32


static void ut_begin(uint32_t seed);
static void ut_end(void);
static ngx_chat_question_t *ut_complete(ut_client_t *cl);
static void ut_told(ut_client_t *cl);
static void ut_bad(const char *what);
static void ut_trap(void);
static void ut_late(void);
static void ut_hasty(void);
static void ut_small(void);
static void ut_full(void);
static ngx_uint_t ut_refused(ut_client_t *cl);
static void ut_full_joined(void);
static void ut_full_over(void);
static void ut_unheard(void);
static void ut_completed(void);


static ngx_uint_t    ut_wrong;
static ngx_uint_t    ut_incomplete;
static ut_client_t  *ut_hasty_one;     /* takes all there is at once */


static void
ut_bad(const char *what)
{
    if (ut_wrong++ < 10) {
        printf("# %s\n", what);
    }
}


static void
ut_begin(uint32_t seed)
{
    ut_ops.complete = ut_complete;
    ut_ops.told = ut_told;

    ut_hub_begin(seed);
}


static void
ut_end(void)
{
    if (!ut_hub_end()) {
        ut_bad("something is left behind");
    }
}


static ngx_chat_question_t *
ut_complete(ut_client_t *cl)
{
    return ut_incomplete ? NULL : &cl->rest;
}


static void
ut_told(ut_client_t *cl)
{
    if (ngx_current_msec - cl->asked > 1000) {
        ut_bad("a late result");
    }

    if (cl->sub && cl == ut_hasty_one) {
        (void) ut_read(cl);
    }
}


/*
 * Redis is lost while something is opened.  When it is back nothing waits
 * there for a task that will not come, and nobody joins it before that.
 */

static void
ut_trap(void)
{
    uint32_t     seed;
    ngx_uint_t   n, traps;
    ut_client_t  one, other;

    traps = 0;

    for (seed = 1; seed < UT_SEEDS; seed++) {
        ut_begin(seed);

        ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);

        for (n = fake_random(6); n; n--) {
            fake_execute();

            if (n > 1) {
                fake_answer(NGX_OK);
            }

            fake_loop_run(0);
        }

        if (one.ask && fake_random(8) == 0) {
            ut_leave(&one);
        }

        if (fake_random(2)) {
            fake_cut_commands();
            fake.redis_down = 1;
        }

        traps += fake_traps();

        fake_loop_run(1000 + fake_random(8000));

        if (one.ask) {
            ut_bad("no result");
        }

        fake.redis_down = 0;

        if (fake_random(2) && one.results && fake_traps()) {
            ut_ask(&other, 'a', NGX_CHAT_ASK_CACHED);
            ut_redis();

            if (other.results != 1
                || other.result.kind != NGX_CHAT_RESULT_MISS)
            {
                ut_bad("the next one did not open another");
            }

            ut_leave(&other);
        }

        for (n = 0; n < 20; n++) {
            ut_redis();
            fake_loop_run(100);
        }

        if (fake_traps()) {
            ut_bad("a generation without a task");
        }

        ut_leave(&one);
        ut_redis();
        ut_end();
    }

    ut_ok(ut_wrong == 0 && traps > 50,
          "what got no task is dropped when Redis is back");
}


/* a client joins a generation that is cancelled before its first event */

static void
ut_late(void)
{
    uint32_t     seed;
    ngx_uint_t   wrong;
    ut_client_t  one, other;

    wrong = 0;

    for (seed = 1; seed < UT_SEEDS; seed++) {
        ut_begin(seed);

        ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
        ut_redis();
        ut_ask(&other, 'a', NGX_CHAT_ASK_CACHED);
        ut_redis();

        if (seed % 2) {
            fake_write(FAKE_RESTART);
            ut_redis();
        }

        fake_write(FAKE_CANCEL);
        ut_redis();

        /* the opener gets the error, the joiner asks again */

        wrong += (other.result.kind != NGX_CHAT_RESULT_JOIN
                  || ut_read(&one) != NGX_CHAT_ERROR
                  || ut_read(&other) != NGX_CHAT_PROCESSING || other.frames);

        if (seed % 5 == 0) {
            fake_loop_run(fake_random(2) * 1500);
            ut_leave(&other);
        }

        if (seed % 7 == 0) {
            ut_leave(&one);
            ngx_chat_hub_close(ut_hub);
            ut_leave(&other);
            fake_free();
            continue;
        }

        ut_redis();

        if (other.sub) {

            /* but once */

            fake_write(seed % 3 ? FAKE_RESTART : FAKE_CANCEL);
            fake_write(FAKE_END);
            ut_redis();

            wrong += ((seed % 3 == 0) != (ut_read(&other) == NGX_CHAT_ERROR
                                          && other.frames == 1)
                      || fake.opened != 2);
        }

        ut_leave(&one);
        ut_leave(&other);
        ut_redis();
        ut_end();
    }

    ut_ok(wrong == 0 && ut_wrong == 0,
          "who joins what is cancelled asks again, once");
}


/* cancelled before the result, inside which the first frame is taken */

static void
ut_hasty(void)
{
    ngx_uint_t   wrong;
    ut_client_t  one, other;

    ut_begin(1);

    ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ask(&other, 'a', NGX_CHAT_ASK_CACHED);
    ut_hasty_one = &other;

    fake_write(FAKE_CANCEL);

    while (fake_deliver()) {
        /* void */
    }

    ut_redis();

    wrong = (other.result.kind != NGX_CHAT_RESULT_JOIN || other.frames);

    (void) ut_read(&other);
    ut_redis();

    fake_write(FAKE_RESTART);
    fake_write(FAKE_END);
    ut_redis();

    wrong += (ut_read(&other) != NGX_CHAT_COMPLETED || fake.opened != 2);

    ut_leave(&one);
    ut_leave(&other);
    ut_redis();
    ut_end();

    ut_ok(wrong == 0 && ut_wrong == 0, "also while told of the first one");
}


/* an ask, which is large, is gone when its asker reads */

static void
ut_small(void)
{
    size_t       before, grown;
    ngx_uint_t   i, wrong;
    ut_client_t  one, others[UT_READERS];

    ut_begin(3);

    ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();

    before = mallinfo2().uordblks;
    wrong = 0;

    for (i = 0; i < UT_READERS; i++) {
        ut_ask(&others[i], 'a', NGX_CHAT_ASK_CACHED);
        ut_redis();

        wrong += (others[i].result.kind != NGX_CHAT_RESULT_JOIN
                  || others[i].sub == NULL);
    }

    /* malloc() of the sanitizers tells nothing */

    grown = (mallinfo2().uordblks - before) / UT_READERS;

    ut_ok(wrong == 0 && grown <= 2 * sizeof(ngx_chat_sub_t),
          "a reader costs what its subscription does");

    fake_write(FAKE_END);
    ut_redis();

    for (i = 0; i < UT_READERS; i++) {
        ut_leave(&others[i]);
    }

    ut_leave(&one);
    ut_redis();
    ut_end();
}


/* a queue that is full: the first one finds out, those behind it are refused */

static void
ut_full(void)
{
    ngx_uint_t   n, calls, wrong;
    ut_client_t  one, other;

    ut_begin(2);

    /* a generation runs, and an answer is cached */

    ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();
    fake_write(FAKE_RESTART);
    fake_write(FAKE_END);
    ut_redis();
    ut_leave(&one);

    ut_ask(&one, 'b', NGX_CHAT_ASK_CACHED);
    ut_redis();
    fake_write(FAKE_RESTART);
    ut_leave(&one);

    fake.queue_full = 1;
    fake.subscribed = 0;

    ut_ask(&other, 'c', NGX_CHAT_ASK_CACHED);
    ut_redis();

    ut_ok(ut_refused(&other) && fake.opened == 3 && fake.erased == 1
          && fake_kept() == 2,
          "what was opened in vain is gone");
    ut_ok(fake.subscribed == 0, "nothing was subscribed");

    wrong = 0;
    calls = fake.sent;

    for (n = 0; n < 20; n++) {
        ut_ask(&other, 'c', NGX_CHAT_ASK_CACHED);
        ut_redis();
        wrong += !ut_refused(&other);
    }

    ut_ok(wrong == 0 && fake.opened == 3 && fake.sent - calls == 40,
          "those behind are refused without opening anything");

    calls = fake.sent;

    for (n = 0; n < 20; n++) {
        ut_ask(&other, n % 3 + 'a', NGX_CHAT_ASK_REFRESH + n % 2);
        ut_redis();
        wrong += !ut_refused(&other);
    }

    ut_ok(wrong == 0 && fake.sent == calls,
          "a refresh is refused without a command");

    ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
    ut_ask(&other, 'b', NGX_CHAT_ASK_CACHED);
    ut_redis();

    ut_ok(one.result.kind == NGX_CHAT_RESULT_HIT && one.results == 1,
          "what is cached is a hit");
    ut_ok(other.result.kind == NGX_CHAT_RESULT_JOIN && other.sub
          && fake.opened == 3,
          "what runs is joined");

    ut_leave(&one);
    ut_leave(&other);
    ut_redis();
    ut_end();
}


static ngx_uint_t
ut_refused(ut_client_t *cl)
{
    return cl->results == 1
           && cl->result.kind == NGX_CHAT_RESULT_ERROR
           && cl->result.error == NGX_CHAT_E_QUEUE_FULL;
}


/* a joiner in this worker, of a generation that gets no task */

static void
ut_full_joined(void)
{
    uint32_t     seed;
    ngx_uint_t   n, wrong;
    ut_client_t  one, other;

    wrong = 0;

    for (seed = 1; seed < UT_SEEDS; seed++) {
        ut_begin(seed);
        fake.queue_full = 1;

        ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);

        /* the replies to the lookup and to open, and push is sent */

        for (n = 0; n < 2; n++) {
            fake_execute();
            fake_answer(NGX_OK);
            fake_loop_run(0);
        }

        ut_ask(&other, 'a', NGX_CHAT_ASK_CACHED);

        if (seed % 2) {
            fake_cut_commands();
            fake.redis_down = (seed % 4 == 1);
        }

        fake_loop_run(0);
        wrong += (other.result.kind != NGX_CHAT_RESULT_JOIN || !other.sub);

        if (seed % 3 == 0) {
            ut_leave(&one);
        }

        ut_redis();
        fake_loop_run(1500);
        fake.redis_down = 0;

        for (n = 0; n < 60 && ut_read(&other) == NGX_CHAT_PROCESSING; n++) {
            ut_redis();
            fake_loop_run(n ? 1000 : 0);
        }

        /* at once, and why, if nothing fails */

        wrong += (other.frames != 1
                  || (seed % 2 == 0
                      && (n > 1 || !ut_is(&other.code, "dropped"))));

        ut_leave(&one);
        ut_leave(&other);
        ut_redis();
        fake_loop_run(60000);
        ut_redis();
        ut_end();
    }

    ut_ok(wrong == 0 && ut_wrong == 0, "who has joined is told");
}


/* asks find out one at a time whether there is room again */

static void
ut_full_over(void)
{
    ut_client_t  one, other;

    ut_begin(1);
    fake.queue_full = 1;

    ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();

    fake_loop_run(1000);
    ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();

    ut_ok(ut_refused(&one) && fake.opened == 2, "it is tried again");

    fake_loop_run(1000);
    ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
    ut_ask(&other, 'b', NGX_CHAT_ASK_CACHED);
    ut_redis();

    ut_ok(ut_refused(&one) && ut_refused(&other) && fake.opened == 3,
          "by one alone");

    fake.queue_full = 0;
    ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ok(ut_refused(&one) && fake.opened == 3, "but not for a moment");

    /* an ask that fails leaves it to the next one to find out */

    fake_loop_run(1000);
    ut_ask(&one, 'a', NGX_CHAT_ASK_REFRESH);
    fake_cut_commands();
    fake_loop_run(0);
    ut_ok(one.result.kind == NGX_CHAT_RESULT_ERROR && !ut_refused(&one),
          "one fails");

    ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();

    ut_ok(one.result.kind == NGX_CHAT_RESULT_MISS && one.sub, "there is room");

    ut_ask(&other, 'b', NGX_CHAT_ASK_CACHED);
    ut_redis();

    ut_ok(other.result.kind == NGX_CHAT_RESULT_MISS, "for all");

    ut_leave(&one);
    ut_leave(&other);
    ut_redis();
    ut_end();
}


/* the asker leaves before the task is accepted */

static void
ut_unheard(void)
{
    ut_client_t  one;

    ut_begin(1);

    ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
    fake_execute();
    fake_answer(NGX_OK);
    fake_loop_run(0);
    ut_leave(&one);
    ut_redis();

    ut_ok(fake.tasks == 1 && fake.subscribed == 0,
          "what nobody listens to is not subscribed");

    ut_end();
}


/* the rest of a question is for what is opened alone */

static void
ut_completed(void)
{
    ut_client_t  one, other, third;

    ut_begin(1);
    ut_incomplete = 1;

    ut_ask(&one, 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ok(one.results == 1 && one.result.error == NGX_CHAT_E_INTERNAL
          && fake.tasks == 0, "without the rest: an error, nothing is opened");

    ut_incomplete = 0;
    ut_ask(&other, 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ask(&third, 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ok(other.result.kind == NGX_CHAT_RESULT_MISS && other.completed == 1
          && third.result.kind == NGX_CHAT_RESULT_JOIN && third.completed == 0,
          "a miss needs it once, and a join does not");

    ut_leave(&other);
    ut_leave(&third);
    ut_end();
}


int
main(void)
{
    ut_trap();
    ut_late();
    ut_hasty();
    ut_small();
    ut_full();
    ut_full_joined();
    ut_full_over();
    ut_unheard();
    ut_completed();

    return ut_done();
}
