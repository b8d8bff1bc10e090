
/*
 * A conversation with providers a and b over a transport that is a fake: the
 * test says what comes of each call.
 */


#include "../../ngx_chat_module/provider/ngx_chat_conversation.h"

#include "fake_loop.h"


#define UT_MAX  10


static ngx_chat_provider_call_t *ut_transport_start(void *ctx,
    ngx_chat_provider_request_t *rq);
static void ut_transport_cancel(ngx_chat_provider_call_t *call);
static ngx_int_t ut_text_handler(void *data, ngx_str_t *text);
static ngx_int_t ut_restart_handler(void *data);
static void ut_ended_handler(void *data, ngx_chat_provider_result_t *result);
static void ut_start(void);
static void ut_stop(void);
static void ut_say(const char *s);
static void ut_end(ngx_chat_error_e error, ngx_uint_t retry);
static ngx_uint_t ut_calls(const char *names);
static ngx_uint_t ut_ended_with(ngx_chat_error_e error);
static void ut_answers(void);
static void ut_restarts(void);
static void ut_retries(void);
static void ut_limits(void);
static void ut_no_memory(void);
static void ut_stops(void);


static const ngx_chat_transport_t  ut_transport = {
    ut_transport_start,
    ut_transport_cancel
};

static const ngx_chat_conversation_ops_t  ut_ops = {
    ut_text_handler,
    ut_restart_handler,
    ut_ended_handler
};

static ngx_chat_provider_t           ut_pv[2];
static ngx_chat_provider_call_t      ut_call;
static ngx_chat_provider_request_t   ut_rq;
static ngx_chat_conversation_t       ut_cv;
static ngx_chat_provider_result_t    ut_result;
static ngx_pool_t                   *ut_mem;
static ngx_str_t                     ut_messages;

static char        ut_called[16];    /* names of all calls */
static char        ut_said[64];      /* texts since the last restart */
static ngx_uint_t  ut_cancels;
static ngx_uint_t  ut_voids;         /* restarts */
static ngx_uint_t  ut_ends;
static ngx_uint_t  ut_fail_start;
static ngx_int_t   ut_text_rc;


/* the health page does not matter here */

ngx_atomic_uint_t
ngx_chat_scoreboard_provider_key(ngx_str_t *name)
{
    return name->len;
}


static ngx_chat_provider_call_t *
ut_transport_start(void *ctx, ngx_chat_provider_request_t *rq)
{
    if (ut_fail_start) {
        return NULL;
    }

    ut_rq = *rq;
    ut_called[ngx_strlen(ut_called)] = (char) rq->provider->name.data[0];

    return &ut_call;
}


static void
ut_transport_cancel(ngx_chat_provider_call_t *call)
{
    ut_cancels++;
}


static ngx_int_t
ut_text_handler(void *data, ngx_str_t *text)
{
    ngx_memcpy(ut_said + ngx_strlen(ut_said), text->data, text->len);

    return ut_text_rc;
}


static ngx_int_t
ut_restart_handler(void *data)
{
    ut_voids++;
    ngx_memzero(ut_said, sizeof(ut_said));

    return NGX_OK;
}


static void
ut_ended_handler(void *data, ngx_chat_provider_result_t *result)
{
    ut_ends++;
    ut_result = *result;
}


static void
ut_start(void)
{
    ngx_uint_t            i;
    ngx_array_t          *providers, *peers;
    ngx_chat_peer_t      *peer;
    ngx_chat_provider_t **pvp;

    fake_loop_init();

    ut_mem = ut_pool();
    providers = ngx_array_create(ut_mem, 2, sizeof(ngx_chat_provider_t *));

    ngx_str_set(&ut_pv[0].name, "a");
    ngx_str_set(&ut_pv[1].name, "b");

    for (i = 0; i < 2; i++) {
        ut_pv[i].total_timeout = 100000;
        ut_pv[i].retries = 1;
        ut_pv[i].max_fails = 0;
        ut_pv[i].fail_timeout = 10000;

        pvp = ngx_array_push(providers);
        *pvp = &ut_pv[i];
    }

    peers = ngx_chat_peers_create(providers, ut_mem);
    peer = peers->elts;

    ngx_memzero(&ut_cv, sizeof(ngx_chat_conversation_t));
    ngx_memzero(ut_called, sizeof(ut_called));
    ngx_memzero(ut_said, sizeof(ut_said));

    ut_cancels = 0;
    ut_voids = 0;
    ut_ends = 0;
    ut_fail_start = 0;
    ut_text_rc = NGX_OK;

    ut_cv.transport = &ut_transport;
    ut_cv.ops = &ut_ops;
    ut_cv.messages = &ut_messages;
    ut_cv.max_answer = UT_MAX;
    ut_cv.pool = ut_mem;
    ut_cv.log = ngx_cycle->log;

    (void) ngx_chat_conversation_init(&ut_cv, 2);
    (void) ngx_chat_failover_add(&ut_cv.failover, &peer[0]);
    (void) ngx_chat_failover_add(&ut_cv.failover, &peer[1]);

    ngx_chat_conversation_start(&ut_cv);
}


static void
ut_stop(void)
{
    ngx_chat_conversation_stop(&ut_cv);
    ngx_destroy_pool(ut_mem);
}


static void
ut_say(const char *s)
{
    ngx_str_t  text;

    text = ut_str(s);
    ut_rq.ops->text(ut_rq.data, &text);
    ut_free(&text);
}


/* the call ends; its strings are gone when ended() returns */

static void
ut_end(ngx_chat_error_e error, ngx_uint_t retry)
{
    ngx_chat_provider_result_t  result;

    ngx_memzero(&result, sizeof(ngx_chat_provider_result_t));

    result.error = error;
    result.retry = retry ? 1 : 0;
    result.finish = ut_str("stop");

    ut_rq.ops->ended(ut_rq.data, &result);

    ut_free(&result.finish);
    fake_loop_run(0);
}


static ngx_uint_t
ut_calls(const char *names)
{
    return ngx_strcmp(ut_called, names) == 0;
}


static ngx_uint_t
ut_ended_with(ngx_chat_error_e error)
{
    return ut_ends == 1 && ut_result.error == error && fake_loop_next() == -1;
}


static void
ut_answers(void)
{
    ut_start();

    ut_ok(ut_calls("a") && ut_rq.total == 100000, "start: a is asked at once");
    ut_say("one ");
    ut_say("two");
    ut_ok(ngx_strcmp(ut_said, "one two") == 0, "texts: handed on");
    ut_ok(ut_ends == 0, "no end before the call's");
    ut_end(NGX_CHAT_E_NONE, 0);
    ut_ok(ut_ended_with(NGX_CHAT_E_NONE), "whole answer: the end");
    ut_ok(ut_is(&ut_result.finish, "stop"), "strings outlast the call");
    ut_ok(ut_cancels == 0 && ut_voids == 0, "nothing else");
    ut_ok(ngx_chat_conversation_candidate(&ut_cv)->peer->provider
          == &ut_pv[0], "candidate: who has answered");

    ut_stop();
}


static void
ut_restarts(void)
{
    ut_start();

    ut_end(NGX_CHAT_E_PROVIDER_REFUSED, 0);
    ut_ok(ut_calls("ab") && ut_voids == 0, "failure without text: no restart");
    ut_say("half");
    ut_end(NGX_CHAT_E_PROVIDER_BROKEN, 0);
    ut_ok(ut_ended_with(NGX_CHAT_E_PROVIDER_BROKEN),
          "no candidate is left: the last error");
    ut_ok(ut_voids == 0, "the last texts: no restart behind them");

    ut_stop();
    ut_start();

    ut_say("0123456789");
    ut_end(NGX_CHAT_E_PROVIDER_BROKEN, 0);
    ut_ok(ut_calls("ab") && ut_voids == 1 && ut_said[0] == '\0',
          "failure behind text: restart");
    ut_say("0123456789");
    ut_end(NGX_CHAT_E_NONE, 0);
    ut_ok(ut_ended_with(NGX_CHAT_E_NONE), "limit: of each attempt anew");

    ut_stop();
}


static void
ut_retries(void)
{
    ut_start();

    ut_say("x");
    ut_end(NGX_CHAT_E_PROVIDER_UNREACHABLE, 1);
    ut_say("y");
    ut_end(NGX_CHAT_E_PROVIDER_UNREACHABLE, 1);
    ut_ok(ut_calls("ab") && ut_ends == 0, "both failed: wait");
    ut_ok(ut_voids == 2, "restart: before the wait");
    ut_ok(fake_loop_next() == 200, "wait: 200 ms");
    fake_loop_run(200);
    ut_ok(ut_calls("aba") && ut_rq.total == 100000 - 200,
          "retry: with the time that is left");
    ut_end(NGX_CHAT_E_NONE, 0);
    ut_ok(ut_ended_with(NGX_CHAT_E_NONE), "retry: answered");

    ut_stop();
}


static void
ut_limits(void)
{
    ut_start();

    ut_say("0123456789");
    ut_say("x");
    ut_say("y");
    ut_ok(ngx_strcmp(ut_said, "0123456789") == 0,
          "max_answer: no text beyond it");
    ut_ok(ut_ends == 0 && ut_cancels == 0, "max_answer: not inside text");
    fake_loop_run(0);
    ut_ok(ut_ended_with(NGX_CHAT_E_ANSWER_TOO_LONG) && ut_cancels == 1,
          "max_answer: cancelled, and no other is asked");

    ut_stop();
    ut_start();

    ut_text_rc = NGX_DECLINED;
    ut_say("x");
    ut_end(NGX_CHAT_E_NONE, 0);
    ut_ok(ut_ended_with(NGX_CHAT_E_ANSWER_TOO_LONG) && ut_cancels == 0,
          "too much for the owner: also if the call ended first");

    ut_stop();
    ut_start();

    ut_text_rc = NGX_ERROR;
    ut_say("x");
    fake_loop_run(0);
    ut_ok(ut_ended_with(NGX_CHAT_E_INTERNAL), "owner without memory: its end");

    ut_stop();
}


static void
ut_no_memory(void)
{
    ut_start();

    ut_fail_start = 1;
    ut_end(NGX_CHAT_E_PROVIDER_REFUSED, 0);
    fake_loop_run(0);
    ut_ok(ut_ended_with(NGX_CHAT_E_INTERNAL), "no call for b: internal error");

    ut_stop();
}


static void
ut_stops(void)
{
    ut_start();

    ngx_chat_conversation_stop(&ut_cv);
    ut_ok(ut_cancels == 1, "stop: the call is cancelled");
    fake_loop_run(200000);
    ut_ok(ut_ends == 0, "stop: nothing is told");

    ngx_chat_conversation_start(&ut_cv);
    ut_ok(ut_calls("aa") && ut_rq.total == 100000, "start: anew");
    ut_end(NGX_CHAT_E_PROVIDER_UNREACHABLE, 1);
    ut_end(NGX_CHAT_E_PROVIDER_UNREACHABLE, 1);
    ngx_chat_conversation_stop(&ut_cv);
    ut_ok(fake_loop_next() == -1, "stop: no retry");

    ut_stop();
}


int
main(void)
{
    ut_answers();
    ut_restarts();
    ut_retries();
    ut_limits();
    ut_no_memory();
    ut_stops();

    return ut_done();
}
