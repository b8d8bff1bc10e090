
/*
 * When a spare connection is made, on a clock that the test moves: the test
 * makes it, or fails to, and keeps it.
 */


#include "../../ngx_chat_module/http/provider/ngx_http_chat_spare_private.h"

#include "fake_loop.h"


static void ut_start(void);
static void ut_stop(void);
static void ut_ask(void);
static void ut_made(void);
static void ut_taken(void);
static void ut_gone(ngx_uint_t wasted);
static ngx_uint_t ut_next_is(ngx_msec_t ms);
static void ut_asked(void);
static void ut_closed(void);
static void ut_failing(void);
static void ut_time(void);
static void ut_off(void);
static void ut_lasting(void);
static void ut_ends(void);


static ngx_http_chat_main_conf_t           ut_conf;
static ngx_http_chat_provider_upstream_t   ut_pu, *ut_pup;
static ngx_http_chat_kept_t                ut_kept;
static ngx_chat_provider_t                 ut_pv;
static ngx_cycle_t                         ut_cycle;
static ngx_connection_t                    ut_connection;
static ngx_event_t                         ut_write;

static ngx_uint_t  ut_tries;
static ngx_uint_t  ut_connecting;
static ngx_uint_t  ut_full;       /* no room to keep one */
static ngx_uint_t  ut_fails;      /* at once */
static ngx_uint_t  ut_cancelled;
static ngx_uint_t  ut_kept_closed;

sig_atomic_t  ngx_terminate;


ngx_int_t
ngx_http_chat_spare_connect_init(ngx_http_chat_spare_t *spare,
    ngx_pool_t *pool)
{
    return NGX_OK;
}


void
ngx_http_chat_spare_connect(ngx_http_chat_spare_t *spare)
{
    ut_tries++;

    if (ut_fails) {
        spare->handler(spare, NGX_ERROR);
        return;
    }

    ut_connecting = 1;
}


ngx_uint_t
ngx_http_chat_spare_is_connecting(ngx_http_chat_spare_t *spare)
{
    return ut_connecting;
}


void
ngx_http_chat_spare_cancel(ngx_http_chat_spare_t *spare)
{
    ut_cancelled++;
    ut_connecting = 0;
}


ngx_int_t
ngx_http_chat_kept_put(ngx_http_chat_kept_t *kept, ngx_peer_connection_t *pc,
    ngx_http_chat_kept_item_t *item)
{
    if (ut_full) {
        return NGX_DECLINED;
    }

    kept->n++;

    return NGX_OK;
}


void
ngx_http_chat_kept_close(ngx_http_chat_kept_t *kept)
{
    ut_kept_closed++;
}


static void
ut_start(void)
{
    fake_loop_init();

    ngx_memzero(&ut_conf, sizeof(ngx_http_chat_main_conf_t));
    ngx_memzero(&ut_pu, sizeof(ngx_http_chat_provider_upstream_t));
    ngx_memzero(&ut_kept, sizeof(ngx_http_chat_kept_t));

    ut_cycle.pool = ut_pool();
    ut_cycle.log = ngx_cycle->log;

    ngx_str_set(&ut_pv.name, "p");
    ut_pv.keepalive = 256;

    ut_kept.lasting = 1;

    ut_pu.provider = &ut_pv;
    ut_pu.kept = &ut_kept;
    ut_pup = &ut_pu;

    ut_conf.upstreams.elts = &ut_pup;
    ut_conf.upstreams.nelts = 1;

    ut_connection.write = &ut_write;

    ut_tries = 0;
    ut_connecting = 0;
    ut_full = 0;
    ut_fails = 0;
    ut_cancelled = 0;
    ut_kept_closed = 0;

    ngx_exiting = 0;

    (void) ngx_http_chat_spares_init(&ut_conf, &ut_cycle);

    ut_kept.spare->peer.connection = &ut_connection;
}


static void
ut_stop(void)
{
    ngx_http_chat_spares_close();
    ngx_destroy_pool(ut_cycle.pool);
}


/* a question: takes a connection if there is one */

static void
ut_ask(void)
{
    ngx_http_chat_spare_ask(&ut_pu, NULL);
    ut_taken();
    fake_loop_run(0);
}


static void
ut_taken(void)
{
    if (ut_kept.n) {
        ut_kept.n--;
        ut_kept.used = 1;
        ut_kept.wasted = 0;
    }
}


static void
ut_made(void)
{
    ut_connecting = 0;
    ut_kept.spare->handler(ut_kept.spare, NGX_OK);
}


static void
ut_gone(ngx_uint_t wasted)
{
    ut_kept.n--;
    ut_kept.wasted |= wasted;

    ngx_post_event(&ut_kept.check, &ngx_posted_events);

    fake_loop_run(0);
}


/* does the next try begin after so many ms, and not before? */

static ngx_uint_t
ut_next_is(ngx_msec_t ms)
{
    ngx_uint_t  tries;

    tries = ut_tries;

    if (ms) {
        fake_loop_run(ms - 1);

        if (ut_tries != tries) {
            return 0;
        }

        fake_loop_run(1);
    }

    return ut_tries == tries + 1;
}


static void
ut_asked(void)
{
    ut_start();

    fake_loop_run(1000);
    ut_ok(ut_tries == 0, "nobody has asked: none is made");

    ut_ask();
    ut_ok(ut_tries == 1, "a question: one is made");

    ut_ask();
    ut_ok(ut_tries == 1, "another question meanwhile: not a second one");

    ut_write.cancelable = 1;
    ut_made();
    ut_ok(ut_kept.n == 1 && !ut_write.cancelable, "made: it is kept");

    fake_loop_run(1000);
    ut_ok(ut_tries == 1, "as long as it is there: no other is made");

    ut_ask();
    ut_ok(ut_kept.n == 0 && ut_tries == 2, "used: the next one is made");
    ut_made();

    ut_kept.n = 3;
    ut_ask();
    ut_ok(ut_tries == 2, "others are there: none is made");

    ut_stop();
}


static void
ut_closed(void)
{
    ngx_uint_t  i, ok;
    ngx_msec_t  ms;

    ut_start();

    ut_ask();
    ut_made();
    ut_gone(1);
    ut_ok(ut_tries == 2, "closed soon: made again at once");

    for (ok = 1, ms = 1000; ms <= 32000; ms *= 2) {
        ut_made();
        ut_gone(1);
        ok &= ut_next_is(ms);
    }

    ut_ok(ok, "closed soon again: after 1 s, then twice as long each time");

    for (ok = 1, i = 0; i < 2; i++) {
        ut_made();
        ut_gone(1);
        ok &= ut_next_is(60000);
    }

    ut_ok(ok, "closed soon again and again: a minute at most");

    ut_made();
    ut_gone(1);
    ut_ask();
    ut_ok(fake_loop_next() == 60000, "a question does not shorten the pause");

    fake_loop_run(60000);
    ut_made();
    ut_ask();
    ut_made();
    ut_gone(1);
    ut_ok(ut_connecting, "one that was used: the next one at once");

    ut_made();
    ut_gone(0);
    ut_ok(ut_connecting, "one that has lasted: the next one at once");

    ut_made();
    ut_gone(1);
    fake_loop_run(1000);
    ut_made();
    ut_kept.n++;
    ut_gone(1);
    ut_gone(0);
    ut_ok(!ut_connecting, "closed soon, before another one: a pause, too");

    ut_stop();
}


static void
ut_failing(void)
{
    ut_start();

    ut_fails = 1;
    ut_ask();
    ut_ok(ut_tries == 2, "failed: once more at once");
    ut_ok(ut_next_is(1000), "failed again: after a second");
    ut_ok(ut_next_is(2000), "failed once more: after two");
    ut_ask();
    ut_ask();
    ut_ok(ut_tries == 4, "questions do not make it try more often");
    ut_ok(ut_next_is(4000), "failed a fourth time: after four");

    ut_fails = 0;
    ut_full = 1;
    ut_ok(ut_next_is(8000), "failed a fifth time: after eight");
    ut_made();
    ut_ok(ut_cancelled == 1 && ut_kept.n == 0, "no room: it is closed");
    ut_full = 0;
    ut_ok(ut_next_is(16000), "no room: tried again later");

    ut_stop();
}


static void
ut_time(void)
{
    ut_start();

    ut_ask();
    ut_made();

    fake_loop_run(300000);
    ut_gone(0);
    ut_ok(ut_tries == 2, "5 min after the last question: made again");
    ut_made();

    fake_loop_run(299999);
    ut_gone(0);
    ut_ok(ut_tries == 3, "just before 10 min are over: made again");
    ut_made();

    fake_loop_run(1);
    ut_gone(0);
    ut_ok(ut_tries == 3, "after 10 min: not any more");

    ut_ask();
    ut_ok(ut_tries == 4, "the next question: again");
    ut_connecting = 0;
    ut_fails = 1;
    ut_kept.spare->handler(ut_kept.spare, NGX_ERROR);
    fake_loop_run(700000);
    ut_ok(fake_loop_next() == -1, "failing for 10 min: not tried for ever");

    ut_stop();
}


static void
ut_off(void)
{
    ut_start();
    ut_pv.keepalive = 0;
    ut_ask();
    ut_ok(ut_tries == 0, "nothing is to be kept: none is made");
    ut_stop();

    ut_start();
    ut_pu.kept = NULL;
    ngx_http_chat_spares_close();
    (void) ngx_http_chat_spares_init(&ut_conf, &ut_cycle);
    ngx_http_chat_spare_ask(&ut_pu, NULL);
    fake_loop_run(0);
    ut_ok(ut_tries == 0, "a group: none is made");
    ut_stop();
}


static void
ut_lasting(void)
{
    ut_start();
    ut_kept.lasting = 0;
    ut_ask();
    ut_ok(ut_tries == 0, "nothing is known of a provider: none is made");

    ngx_http_chat_spare_answer(&ut_pu, 1);
    fake_loop_run(0);
    ut_ok(ut_tries == 1, "it keeps connections: one is made");

    ut_made();
    ngx_http_chat_spare_answer(&ut_pu, 0);
    ut_ask();
    ut_ok(ut_tries == 1, "it closes them: none is made");

    ut_ask();
    ngx_http_chat_spare_answer(&ut_pu, 1);
    fake_loop_run(0);
    ut_ok(ut_tries == 2, "it keeps them again: one is made");
    ut_stop();

    ut_start();
    ut_pv.keepalive = 0;
    ut_kept.lasting = 0;
    ngx_http_chat_spare_answer(&ut_pu, 1);
    fake_loop_run(0);
    ut_ok(ut_tries == 0, "it keeps them, and we do not: none is made");
    ut_stop();
}


static void
ut_ends(void)
{
    ut_start();
    ut_ask();
    ut_made();
    ngx_exiting = 1;
    ut_gone(0);
    ut_ok(ut_tries == 1, "a worker that is to exit: none is made");
    ut_stop();

    ut_start();
    ut_fails = 1;
    ut_ask();
    ngx_exiting = 1;
    fake_loop_run(2000);
    ut_ok(ut_tries == 2, "a worker that is to exit: none is tried again");
    ut_stop();

    ut_start();
    ut_fails = 1;
    ut_ask();
    ngx_http_chat_spares_close();
    ut_ok(fake_loop_next() == -1 && ut_cancelled == 1 && ut_kept_closed == 1,
          "the end: no timer is left, nor what was kept");
    ngx_destroy_pool(ut_cycle.pool);
}


int
main(void)
{
    ut_asked();
    ut_closed();
    ut_failing();
    ut_time();
    ut_off();
    ut_lasting();
    ut_ends();

    return ut_done();
}
