
/*
 * Very many who ask the same at once: one reply of Redis answers them all, and
 * they are told in several turns of the event loop, which have so much time
 * each, on a clock of the test.
 */


#include "ut_client.h"
#include "../../ngx_chat_module/hub/ngx_chat_wakes.h"

#include <stdlib.h>


#define UT_CLIENTS  1000
#define UT_COST     10                 /* us that a client takes to be told */
#define UT_TURN     (NGX_CHAT_WAKES_TIME / UT_COST)


static void ut_told(ut_client_t *cl);
static ngx_chat_question_t *ut_complete(ut_client_t *cl);
static void ut_begin(void);
static void ut_end(const char *name);
static void ut_ask_all(void);
static ngx_uint_t ut_turn(void);
static ngx_uint_t ut_all_turns(void);
static void ut_look(void);
static ngx_uint_t ut_count(ngx_chat_result_e kind, ngx_chat_error_e error);
static void ut_answer(void);
static void ut_hit(void);
static void ut_miss(void);
static void ut_opened_hit(void);
static void ut_refused(void);
static void ut_refused_soon(void);
static void ut_full(void);
static void ut_lost(void);
static void ut_late(void);
static void ut_busy(ut_client_t *cl);
static void ut_late_busy(void);
static void ut_leaving(void);
static void ut_closing(void);


static ut_client_t  *ut_clients;
static ngx_uint_t    ut_most;          /* told in one turn */
static ngx_uint_t    ut_now;           /* in this one */
static ngx_uint_t    ut_turns;
static ngx_uint_t    ut_leave_next;    /* with each that is told */


static void
ut_told(ut_client_t *cl)
{
    fake_clock += UT_COST;
    ut_now++;

    if (ut_leave_next && ++cl < ut_clients + UT_CLIENTS) {
        ut_leave(cl);
    }
}


/* to open, or to look whether one may, takes as much time */

static ngx_chat_question_t *
ut_complete(ut_client_t *cl)
{
    fake_clock += UT_COST;

    return &cl->rest;
}


static void
ut_begin(void)
{
    ut_clients = calloc(UT_CLIENTS, sizeof(ut_client_t));

    ut_ops.told = ut_told;
    ut_ops.woken = NULL;
    ut_ops.complete = ut_complete;

    ut_leave_next = 0;
    ut_hub_begin(1);
}


static void
ut_end(const char *name)
{
    ngx_uint_t  i;

    for (i = 0; i < UT_CLIENTS; i++) {
        ut_leave(&ut_clients[i]);
    }

    ut_redis();
    fake_loop_run(5000);
    ut_redis();

    ut_ok(ut_hub_end(), name);

    free(ut_clients);
}


static void
ut_ask_all(void)
{
    ngx_uint_t  i;

    for (i = 0; i < UT_CLIENTS; i++) {
        ut_ask(&ut_clients[i], 'a', NGX_CHAT_ASK_CACHED);
    }

    ut_most = 0;
    ut_turns = 0;
}


/* the number of those that were told */

static ngx_uint_t
ut_turn(void)
{
    ut_now = 0;

    fake_loop_run(0);

    ut_most = ngx_max(ut_most, ut_now);
    ut_turns += (ut_now != 0);

    return ut_now;
}


/* as long as there is something to do: were there many turns, of few each? */

static ngx_uint_t
ut_all_turns(void)
{
    ngx_uint_t  n;

    do {
        n = ut_turn();
    } while (n || !ngx_queue_empty(&ngx_posted_next_events)
             || fake_execute() || fake_answer(NGX_OK) || fake_deliver());

    return ut_most <= UT_TURN + 1 && ut_turns >= UT_CLIENTS / (UT_TURN + 1);
}


/* a hit test that finds nothing: one opens, and the others wait for that one */

static void
ut_look(void)
{
    fake_execute();
    fake_answer(NGX_OK);

    do {
        fake_loop_run(0);
    } while (!ngx_queue_empty(&ngx_posted_next_events));
}


static ngx_uint_t
ut_count(ngx_chat_result_e kind, ngx_chat_error_e error)
{
    ngx_uint_t    i, n;
    ut_client_t  *cl;

    n = 0;

    for (i = 0; i < UT_CLIENTS; i++) {
        cl = &ut_clients[i];

        n += (cl->results == 1 && cl->result.kind == kind
              && cl->result.error == error);
    }

    return n;
}


/* an answer of key a is cached; some fail, as providers do */

static void
ut_answer(void)
{
    ngx_uint_t          answered;
    static ut_client_t  cl;

    do {
        ut_ask(&cl, 'a', NGX_CHAT_ASK_REFRESH);
        ut_redis();

        fake_write(FAKE_RESTART);
        fake_write(FAKE_END);
        ut_redis();

        answered = (ut_read(&cl) == NGX_CHAT_COMPLETED);

        ut_leave(&cl);
        ut_redis();

    } while (!answered);
}


static void
ut_hit(void)
{
    ngx_uint_t  i, n, sent;

    ut_begin();
    ut_answer();

    sent = fake.sent;
    ut_ask_all();

    ut_ok(ut_all_turns() && ut_count(NGX_CHAT_RESULT_HIT, 0) == UT_CLIENTS
          && fake.sent == sent + 1, "a hit of very many: in several turns");

    n = 0;

    for (i = 0; i < UT_CLIENTS; i++) {
        n += (ut_read(&ut_clients[i]) == NGX_CHAT_COMPLETED
              && ut_clients[i].first == ut_clients[0].first);
    }

    ut_ok(n == UT_CLIENTS, "and it is one answer");
    ut_end("nothing is left of that");
}


static void
ut_miss(void)
{
    ngx_uint_t  i, n;

    ut_begin();
    ut_ask_all();

    ut_ok(ut_all_turns() && ut_count(NGX_CHAT_RESULT_MISS, 0) == 1
          && ut_count(NGX_CHAT_RESULT_JOIN, 0) == UT_CLIENTS - 1
          && fake.opened == 1 && fake.tasks == 1 && fake.sent == 3,
          "a miss of very many: one opens, and all others join");

    fake_write(FAKE_RESTART);
    fake_write(FAKE_END);
    ut_redis();

    n = 0;

    for (i = 0; i < UT_CLIENTS; i++) {
        n += (ut_read(&ut_clients[i]) != NGX_CHAT_PROCESSING);
    }

    ut_ok(n == UT_CLIENTS, "and it ends for all of them");
    ut_end("nothing is left of a miss");
}


/* an answer, of a refresh, comes between the hit test and the opening */

static void
ut_opened_hit(void)
{
    static ut_client_t  cl;

    ut_begin();

    ut_ask(&cl, 'a', NGX_CHAT_ASK_REFRESH);
    ut_redis();
    fake_write(FAKE_RESTART);

    ut_ask_all();
    ut_look();

    /* with a seed whose answer does not fail, as those of providers do */

    fake_seed(2);
    fake_write(FAKE_END);

    ut_ok(ut_all_turns() && ut_count(NGX_CHAT_RESULT_HIT, 0) == UT_CLIENTS
          && fake.opened == 1,
          "an opening that finds a hit: in several turns");

    ut_leave(&cl);
    ut_end("nothing is left of that one");
}


/* the opener is refused, and whoever has joined it hears of that */

static void
ut_refused(void)
{
    ngx_uint_t  i, n;

    ut_begin();
    fake.queue_full = 1;
    ut_ask_all();

    n = ut_all_turns();

    ut_ok(n && ut_count(NGX_CHAT_RESULT_ERROR, NGX_CHAT_E_QUEUE_FULL) == 1
          && ut_count(NGX_CHAT_RESULT_JOIN, 0) == UT_CLIENTS - 1
          && fake.opened == 1,
          "a queue that is full: one finds out, for all");

    fake_loop_run(1000);
    ut_redis();

    n = 0;

    for (i = 0; i < UT_CLIENTS; i++) {
        n += (ut_clients[i].sub
              && ut_read(&ut_clients[i]) == NGX_CHAT_ERROR);
    }

    ut_ok(n == UT_CLIENTS - 1, "and all are told");
    ut_end("nothing is left of the refused");
}


/* likewise, before most of those who wait for the opening have their turn */

static void
ut_refused_soon(void)
{
    ngx_uint_t  i, n, told;

    ut_begin();
    fake.queue_full = 1;
    ut_ask_all();
    ut_look();

    /* open, push, and what is dropped */

    for (i = 0; i < 3; i++) {
        fake_execute();
        fake_answer(NGX_OK);
        (void) ut_turn();
    }

    told = ut_count(NGX_CHAT_RESULT_JOIN, 0);

    ut_ok(told > 0 && told < UT_CLIENTS / 2 && ut_all_turns()
          && ut_count(NGX_CHAT_RESULT_JOIN, 0) == UT_CLIENTS - 1
          && fake.opened == 1,
          "a refusal before they are told: all have joined nevertheless");

    fake_loop_run(1000);
    ut_redis();

    n = 0;

    for (i = 0; i < UT_CLIENTS; i++) {
        n += (ut_clients[i].sub
              && ut_read(&ut_clients[i]) == NGX_CHAT_ERROR);
    }

    ut_ok(n == UT_CLIENTS - 1, "and hear of it");
    ut_end("nothing is left of them either");
}


/* a queue that is known to be full: each has to look itself */

static void
ut_full(void)
{
    ngx_uint_t  n;

    ut_begin();
    fake.queue_full = 1;

    ut_ask(&ut_clients[0], 'b', NGX_CHAT_ASK_CACHED);
    ut_redis();

    ut_ask_all();
    fake_execute();
    fake_answer(NGX_OK);

    n = fake.calls;
    ut_turn();

    ut_ok(n == 0 && fake.calls <= UT_TURN + 1,
          "a queue that was full: some look, in each turn");
    ut_ok(ut_all_turns()
          && ut_count(NGX_CHAT_RESULT_ERROR, NGX_CHAT_E_QUEUE_FULL)
             == UT_CLIENTS, "and all are refused");
    ut_end("nothing is left of these");
}


static void
ut_lost(void)
{
    ut_begin();
    ut_ask_all();

    fake_cut_commands();

    ut_ok(ut_all_turns()
          && ut_count(NGX_CHAT_RESULT_ERROR, NGX_CHAT_E_REDIS_DOWN)
             == UT_CLIENTS, "Redis is lost: all are told, in several turns");
    ut_end("nothing is left of a loss");
}


/* Redis says nothing for too long */

static void
ut_late(void)
{
    ngx_uint_t  calls;

    ut_begin();
    ut_ask_all();

    ut_now = 0;
    fake_loop_run(1000);
    ut_turns = 0;

    calls = fake.calls;

    /* a turn for each timer that has fired, all of them in one of nginx */

    ut_ok(ut_count(NGX_CHAT_RESULT_ERROR, NGX_CHAT_E_REDIS_DOWN) == ut_now
          && calls == 0, "no reply: nobody waits for it any more");

    (void) ut_all_turns();

    ut_ok(ut_count(NGX_CHAT_RESULT_ERROR, NGX_CHAT_E_REDIS_DOWN)
          == UT_CLIENTS, "and all are told");
    ut_end("nothing is left of no reply");
}


static void
ut_busy(ut_client_t *cl)
{
    fake_clock += NGX_CHAT_WAKES_TIME;
}


/* the same for one who cannot be told at once, since others have their turn */

static void
ut_late_busy(void)
{
    ngx_uint_t    i;
    ut_client_t  *cl;

    ut_begin();

    for (i = 0; i < 20; i++) {
        ut_ask(&ut_clients[i], 'b', NGX_CHAT_ASK_CACHED);
    }

    ut_redis();

    ut_ops.woken = ut_busy;

    cl = &ut_clients[20];

    ut_ask(cl, 'a', NGX_CHAT_ASK_CACHED);
    fake_loop_run(999);

    fake_write(FAKE_RESTART);

    while (fake_deliver()) { /* void */ }

    fake_loop_run(1);

    ut_ok(cl->results == 0 && fake.calls == 0,
          "no reply, and others have their turn: it is not waited for either");

    (void) ut_all_turns();

    ut_ok(cl->results == 1 && cl->result.error == NGX_CHAT_E_REDIS_DOWN,
          "and this one is told, too");
    ut_end("nothing is left of both");
}


static void
ut_leaving(void)
{
    ngx_uint_t  i, told;

    ut_begin();
    ut_answer();
    ut_ask_all();

    ut_leave_next = 1;

    ut_all_turns();
    told = 0;

    for (i = 0; i < UT_CLIENTS; i++) {
        told += ut_clients[i].results;
    }

    ut_ok(told == UT_CLIENTS / 2, "who has left is not told");
    ut_end("nothing is left of those who have");

    /* all of them, while they are due */

    ut_begin();
    ut_answer();
    ut_ask_all();

    fake_execute();
    fake_answer(NGX_OK);
    ut_turn();

    for (i = 0; i < UT_CLIENTS; i++) {
        ut_leave(&ut_clients[i]);
    }

    ut_ok(ut_turn() == 0, "all have left");
    ut_end("nothing is left of all");
}


/* the worker ends: whoever is due is not told any more, and forgets */

static void
ut_closing(void)
{
    ngx_uint_t  i, phase, told, ok;

    for (phase = 0; phase < 4; phase++) {
        ut_begin();

        if (phase % 2) {
            ut_answer();
        }

        ut_ask_all();

        for (i = 0; i < 1 + phase / 2; i++) {
            fake_execute();
            fake_answer(NGX_OK);
            ut_turn();
        }

        ngx_chat_hub_close(ut_hub);

        told = ut_count(NGX_CHAT_RESULT_HIT, 0)
               + ut_count(NGX_CHAT_RESULT_JOIN, 0);

        ok = (told < UT_CLIENTS);

        while (!ngx_queue_empty(&ngx_posted_next_events)) {
            fake_loop_run(0);
        }

        ok = ok && told == ut_count(NGX_CHAT_RESULT_HIT, 0)
                           + ut_count(NGX_CHAT_RESULT_JOIN, 0);

        for (i = 0; i < UT_CLIENTS; i++) {
            ut_leave(&ut_clients[i]);
        }

        ok = ok && ngx_queue_empty(&ngx_posted_events)
             && fake_loop_next() == -1 && ut_pool_bytes == 0;

        ut_ok(ok, "the hub closes while results are due");

        fake_free();
        free(ut_clients);
    }
}


int
main(void)
{
    ut_hit();
    ut_miss();
    ut_opened_hit();
    ut_refused();
    ut_refused_soon();
    ut_full();
    ut_lost();
    ut_late();
    ut_late_busy();
    ut_leaving();
    ut_closing();

    return ut_done();
}
