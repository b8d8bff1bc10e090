
/*
 * Which provider is asked next, of those that fail: a and b, each with a
 * timeout for the whole of a question, a number of retries, max_fails and
 * fail_timeout.
 */


#include "../../ngx_chat_module/provider/ngx_chat_failover.h"

#include "fake_loop.h"


#define UT_HOUR  (60 * 60 * 1000)


static void ut_start(void);
static void ut_stop(void);
static void ut_ask(ngx_chat_failover_t *c);
static ngx_uint_t ut_next(ngx_chat_failover_t *c, const char *name);
static ngx_uint_t ut_wait(ngx_chat_failover_t *c, ngx_msec_t ms);
static ngx_uint_t ut_none(ngx_chat_failover_t *c);
static ngx_uint_t ut_asked(const char *name);
static void ut_failed(ngx_chat_failover_t *c, ngx_msec_t retry_after);
static void ut_answered(ngx_chat_failover_t *c);
static void ut_health(void);
static void ut_window(void);
static void ut_probe(void);
static void ut_retry_after(void);
static void ut_rounds(void);
static void ut_ends(void);
static void ut_outcomes(void);
static void ut_memory(void);


static ngx_chat_provider_t  ut_a, ut_b;
static ngx_pool_t          *ut_peers_pool;
static ngx_array_t         *ut_peers;


/* the page does not matter here */

ngx_atomic_uint_t
ngx_chat_scoreboard_provider_key(ngx_str_t *name)
{
    return name->len;
}


static void
ut_start(void)
{
    ngx_array_t          *providers;
    ngx_chat_provider_t  *pv, **pvp;

    fake_loop_init();

    ut_peers_pool = ut_pool();
    providers = ngx_array_create(ut_peers_pool, 2,
                                 sizeof(ngx_chat_provider_t *));

    ngx_str_set(&ut_a.name, "a");
    ngx_str_set(&ut_b.name, "b");

    for (pv = &ut_a; pv; pv = (pv == &ut_a) ? &ut_b : NULL) {
        pv->total_timeout = 100000;
        pv->retries = 0;
        pv->max_fails = 1;
        pv->fail_timeout = 10000;

        pvp = ngx_array_push(providers);
        *pvp = pv;
    }

    ut_peers = ngx_chat_peers_create(providers, ut_peers_pool);
}


static void
ut_stop(void)
{
    ngx_destroy_pool(ut_peers_pool);
}


/* a question that may ask both, a rather than b */

static void
ut_ask(ngx_chat_failover_t *c)
{
    ngx_chat_peer_t  *peer;

    peer = ut_peers->elts;

    (void) ngx_chat_failover_init(c, 2, ut_peers_pool, ngx_cycle->log);
    (void) ngx_chat_failover_add(c, &peer[0]);
    (void) ngx_chat_failover_add(c, &peer[1]);

    ngx_chat_failover_reset(c);
}


static ngx_uint_t
ut_next(ngx_chat_failover_t *c, const char *name)
{
    ngx_msec_t  delay;

    return ngx_chat_failover_next(c, &delay) == NGX_OK
           && ut_is(&c->candidate->peer->provider->name, name);
}


static ngx_uint_t
ut_wait(ngx_chat_failover_t *c, ngx_msec_t ms)
{
    ngx_msec_t  delay;

    return ngx_chat_failover_next(c, &delay) == NGX_AGAIN && delay == ms;
}


static ngx_uint_t
ut_none(ngx_chat_failover_t *c)
{
    ngx_msec_t  delay;

    return ngx_chat_failover_next(c, &delay) == NGX_DECLINED;
}


/* the provider that a new question asks first */

static ngx_uint_t
ut_asked(const char *name)
{
    ngx_chat_failover_t  c;

    ut_ask(&c);

    return ut_next(&c, name);
}


static void
ut_failed(ngx_chat_failover_t *c, ngx_msec_t retry_after)
{
    ngx_chat_outcome_t  outcome;

    ngx_memzero(&outcome, sizeof(ngx_chat_outcome_t));

    outcome.retry = 1;
    outcome.retry_after = retry_after;

    ngx_chat_failover_report(c, &outcome);
}


static void
ut_answered(ngx_chat_failover_t *c)
{
    ngx_chat_outcome_t  outcome;

    ngx_memzero(&outcome, sizeof(ngx_chat_outcome_t));

    outcome.answered = 1;

    ngx_chat_failover_report(c, &outcome);
}


static void
ut_health(void)
{
    ngx_chat_failover_t  c, early;

    ut_start();

    ut_ask(&early);
    ut_ask(&c);

    ut_ok(ut_next(&c, "a"), "the first is asked first");

    ut_failed(&c, 0);
    ut_ok(ut_next(&c, "b"), "the second when it has failed");

    ut_ok(ut_next(&early, "b"), "another question asks the second at once");

    ut_failed(&c, 0);
    ut_ok(ut_asked("a"), "all are down: in their order");

    fake_loop_run(9999);
    ut_failed(&early, 0);
    ut_ok(ut_next(&early, "a"), "better one that is down than none");

    ut_answered(&early);
    ut_ok(ut_asked("a"), "an answer clears what was before it");

    ut_stop();
}


static void
ut_window(void)
{
    ngx_chat_failover_t  c, late;

    ut_start();

    ut_a.max_fails = 2;

    ut_ask(&c);
    (void) ut_next(&c, "a");
    ut_failed(&c, 0);
    ut_ok(ut_asked("a"), "one failure of two");

    fake_loop_run(10001);
    ut_ask(&late);
    (void) ut_next(&late, "a");
    ut_failed(&late, 0);
    ut_ok(ut_asked("a"), "the other one long after it");

    fake_loop_run(10000);
    ut_ask(&c);
    (void) ut_next(&c, "a");
    ut_failed(&c, 0);
    ut_ok(ut_asked("b"), "and one within fail_timeout");

    ut_stop();
    ut_start();

    ut_a.max_fails = 0;

    ut_ask(&c);
    (void) ut_next(&c, "a");
    ut_failed(&c, 0);
    ut_ok(ut_asked("a"), "max_fails 0: never down");

    ut_stop();
}


static void
ut_probe(void)
{
    ngx_chat_failover_t  c, first, old;

    ut_start();

    ut_ask(&old);
    ut_ask(&c);
    (void) ut_next(&old, "a");

    fake_loop_run(1);
    (void) ut_next(&c, "a");
    ut_failed(&c, 0);

    fake_loop_run(9999);
    ut_ok(ut_asked("b"), "down until fail_timeout is over");

    fake_loop_run(1);
    ut_ask(&first);
    ut_ok(ut_next(&first, "a"), "then one question tries it");
    ut_ok(ut_asked("b"), "and the others wait for what comes of it");

    ut_answered(&old);
    ut_ok(ut_asked("b"), "a call begun before the failure tells nothing");

    ut_answered(&first);
    ut_ok(ut_asked("a"), "it works again");

    ut_stop();
}


static void
ut_retry_after(void)
{
    ngx_chat_failover_t  c;

    ut_start();

    ut_a.max_fails = 0;
    ut_b.max_fails = 0;

    ut_ask(&c);
    (void) ut_next(&c, "a");
    ut_failed(&c, 3000);

    fake_loop_run(2999);
    ut_ok(ut_asked("b"), "Retry-After: left alone");
    fake_loop_run(1);
    ut_ok(ut_asked("a"), "until it is over");

    ut_ask(&c);
    (void) ut_next(&c, "a");
    ut_failed(&c, 48 * UT_HOUR);

    fake_loop_run(UT_HOUR - 1);
    ut_ok(ut_asked("b"), "a long one");
    fake_loop_run(1);
    ut_ok(ut_asked("a"), "for an hour at most");

    ut_a.retries = 2;
    ut_ask(&c);
    (void) ut_next(&c, "a");
    ut_failed(&c, 3000);
    (void) ut_next(&c, "b");
    ut_failed(&c, 0);
    ut_ok(ut_wait(&c, 3000), "a retry waits for it");
    fake_loop_run(3000);
    ut_ok(ut_next(&c, "a"), "and no longer");
    ut_failed(&c, 10001);
    ut_ok(ut_none(&c), "but 10 s at most");

    ut_stop();
}


static void
ut_rounds(void)
{
    ngx_chat_failover_t  c;

    ut_start();

    ut_a.retries = 1;
    ut_b.retries = 2;

    ut_ask(&c);
    ut_ok(ut_next(&c, "a"), "the first round");
    ut_failed(&c, 0);
    ut_ok(ut_next(&c, "b"), "at once");
    ut_failed(&c, 0);
    ut_ok(ut_wait(&c, 200), "all have failed");
    fake_loop_run(200);
    ut_ok(ut_next(&c, "a"), "the second round");
    ut_failed(&c, 0);
    ut_ok(ut_next(&c, "b"), "at once, too");
    ut_failed(&c, 0);
    ut_ok(ut_wait(&c, 400), "twice as long");
    fake_loop_run(400);
    ut_ok(ut_next(&c, "b"), "the third round: its own retries");
    ut_failed(&c, 0);
    ut_ok(ut_none(&c), "no more than those");

    ut_stop();
}


static void
ut_ends(void)
{
    ngx_chat_failover_t  c;

    ut_start();

    ut_a.total_timeout = 1000;
    ut_a.retries = 9;

    ut_ask(&c);
    (void) ut_next(&c, "a");
    ut_ok(ngx_chat_failover_left(&c) == 1000, "its own total_timeout");
    fake_loop_run(1000);
    ut_failed(&c, 0);
    ut_ok(ut_next(&c, "b"), "the largest holds for all");
    ut_ok(ngx_chat_failover_left(&c) == 99000, "what is left of it");
    fake_loop_run(98900);
    ut_failed(&c, 0);
    ut_ok(ut_none(&c), "no time for a back-off");
    fake_loop_run(200);
    ut_ok(ut_none(&c), "no time at all");
    ut_ok(ngx_chat_failover_left(&c) == 1, "never less than 1 ms");

    ut_stop();
}


static void
ut_outcomes(void)
{
    ngx_chat_failover_t  c;
    ngx_chat_outcome_t   outcome;

    ut_start();

    ngx_memzero(&outcome, sizeof(ngx_chat_outcome_t));

    ut_ask(&c);
    (void) ut_next(&c, "a");
    outcome.local_fault = 1;
    ngx_chat_failover_report(&c, &outcome);
    ut_ok(ut_asked("a"), "what is wrong here does not count");

    ut_ask(&c);
    (void) ut_next(&c, "a");
    ngx_chat_failover_report(&c, &outcome);
    (void) ut_next(&c, "b");
    ngx_chat_failover_report(&c, &outcome);
    ut_ok(ut_none(&c), "not worth another try");

    outcome.local_fault = 0;
    outcome.final = 1;
    outcome.retry = 1;

    ut_ask(&c);
    (void) ut_next(&c, "a");
    ngx_chat_failover_report(&c, &outcome);
    ut_ok(ut_none(&c), "the question's fault: nobody else is asked");
    ut_ok(ut_asked("a"), "and it does not count");

    ut_stop();
}


static void
ut_memory(void)
{
    ngx_chat_peer_t     *peer;
    ngx_chat_failover_t  c;

    ut_start();

    ut_fail_alloc = 1;
    ut_ok(ngx_chat_failover_init(&c, 2, ut_peers_pool, ngx_cycle->log)
          == NGX_ERROR, "no memory");
    ut_fail_alloc = 0;

    ut_ask(&c);
    peer = ut_peers->elts;
    ut_ok(ngx_chat_failover_add(&c, peer) == NULL && c.n == 2,
          "nobody is named twice");

    (void) ngx_chat_failover_init(&c, 0, ut_peers_pool, ngx_cycle->log);
    ngx_chat_failover_reset(&c);
    ut_ok(ut_none(&c), "nobody is named");

    ut_stop();
}


int
main(void)
{
    ut_health();
    ut_window();
    ut_probe();
    ut_retry_after();
    ut_rounds();
    ut_ends();
    ut_outcomes();
    ut_memory();

    return ut_done();
}
