
/*
 * A call to a provider on a clock that the test moves: the test is the
 * transport, which says what came of the response.
 */


#include "../../ngx_chat_module/provider/ngx_chat_provider_call.h"

#include "fake_loop.h"


#define UT_HELLO  "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n"
#define UT_STOP   "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n"
#define UT_DONE   "data: [DONE]\n\n"


static void ut_text_handler(void *data, ngx_str_t *text);
static void ut_ended_handler(void *data, ngx_chat_provider_result_t *result);
static void ut_expired_handler(ngx_chat_provider_call_t *call,
    ngx_uint_t silent);
static void ut_start(void);
static void ut_stop(void);
static void ut_header(ngx_uint_t status);
static ngx_int_t ut_read(const char *s);
static ngx_uint_t ut_end(ngx_chat_error_e error);
static void ut_answers(void);
static void ut_refusals(void);
static void ut_faults(void);
static void ut_silence(void);
static void ut_total(void);


static const ngx_chat_provider_call_ops_t  ut_ops = {
    ut_text_handler,
    ut_ended_handler
};

static ngx_chat_provider_t          ut_pv;
static ngx_chat_provider_call_t     ut_call;
static ngx_chat_provider_result_t   ut_result;
static ngx_pool_t                  *ut_mem;

static char        ut_said[64];
static ngx_uint_t  ut_told;
static ngx_uint_t  ut_expired;
static ngx_uint_t  ut_silent;


static void
ut_text_handler(void *data, ngx_str_t *text)
{
    ngx_memcpy(ut_said + ngx_strlen(ut_said), text->data, text->len);
}


static void
ut_ended_handler(void *data, ngx_chat_provider_result_t *result)
{
    ut_told++;
}


static void
ut_expired_handler(ngx_chat_provider_call_t *call, ngx_uint_t silent)
{
    ut_expired++;
    ut_silent = silent;
}


static void
ut_start(void)
{
    ngx_chat_provider_request_t  rq;

    fake_loop_init();

    ut_mem = ut_pool();

    ngx_str_set(&ut_pv.name, "p");
    ngx_str_set(&ut_pv.url, "http://h/v1");
    ngx_str_set(&ut_pv.key, "some_key");

    ut_pv.first_token_timeout = 5000;
    ut_pv.idle_timeout = 3000;

    ngx_memzero(&rq, sizeof(ngx_chat_provider_request_t));
    ngx_memzero(&ut_call, sizeof(ngx_chat_provider_call_t));
    ngx_memzero(ut_said, sizeof(ut_said));

    ut_told = 0;
    ut_expired = 0;

    rq.provider = &ut_pv;
    rq.total = 10000;
    rq.ops = &ut_ops;

    ngx_chat_provider_call_init(&ut_call, &rq, ut_expired_handler, ut_mem,
                                ngx_cycle->log);
}


static void
ut_stop(void)
{
    ngx_chat_provider_call_free(&ut_call);
    ngx_destroy_pool(ut_mem);
}


static void
ut_header(ngx_uint_t status)
{
    ngx_str_t  type;

    ngx_str_set(&type, "text/event-stream");
    ngx_chat_provider_call_header(&ut_call, status, &type);
}


static ngx_int_t
ut_read(const char *s)
{
    ngx_int_t  rc;
    ngx_str_t  bytes;

    bytes = ut_str(s);
    rc = ngx_chat_provider_call_read(&ut_call, bytes.data, bytes.len);
    ut_free(&bytes);

    return rc;
}


/* the end as the owner is told, once */

static ngx_uint_t
ut_end(ngx_chat_error_e error)
{
    if (ngx_chat_provider_call_conclude(&ut_call, &ut_result) != NGX_OK) {
        return 0;
    }

    ngx_chat_provider_call_tell(&ut_call, &ut_result);

    return ut_told == 1 && ut_result.error == error
           && ngx_chat_provider_call_conclude(&ut_call, &ut_result)
              == NGX_DECLINED;
}


static void
ut_answers(void)
{
    ut_start();

    ut_header(200);
    ut_ok(ut_read(UT_HELLO) == NGX_OK && ngx_strcmp(ut_said, "hi") == 0,
          "text: handed on");
    ut_ok(!ngx_chat_provider_call_complete(&ut_call), "not complete yet");
    ut_read(UT_STOP);
    ut_read(UT_DONE);
    ut_ok(ngx_chat_provider_call_complete(&ut_call), "[DONE]: complete");
    ngx_chat_provider_call_fail(&ut_call, NGX_CHAT_CALL_BROKEN_OFF);
    ut_ok(ut_end(NGX_CHAT_E_NONE) && ut_is(&ut_result.finish, "stop"),
          "complete: no fault behind it, told once");

    ut_stop();
    ut_start();

    ut_header(200);
    ut_read(UT_HELLO);
    ngx_chat_provider_call_eof(&ut_call);
    ut_ok(ut_end(NGX_CHAT_E_PROVIDER_BROKEN), "end in the middle: a fault");

    ut_stop();
}


static void
ut_refusals(void)
{
    ngx_str_t  body;

    ut_start();

    ut_header(429);
    ut_ok(fake_loop_next() == 1000, "refusal: a second for its body");
    ut_call.retry_after = 7000;
    ngx_chat_provider_call_fail(&ut_call, NGX_CHAT_CALL_BAD_CHUNKED);
    ut_ok(ut_end(NGX_CHAT_E_PROVIDER_RATE_LIMITED) && ut_result.retry
          && ut_result.retry_after == 7000 && ut_result.status == 429,
          "refusal that breaks off: a refusal");

    ut_stop();
    ut_start();

    ut_header(400);
    fake_loop_run(1000);
    ut_ok(ut_expired == 1 && !ut_silent, "refusal without an end: expires");
    ut_ok(ut_end(NGX_CHAT_E_PROVIDER_REFUSED) && !ut_result.retry,
          "and is a refusal");

    ut_stop();
    ut_start();

    ut_header(503);
    body = ut_repeat("x", NGX_CHAT_FAULT_BODY);
    ut_ok(ngx_chat_provider_call_read(&ut_call, body.data, body.len)
          == NGX_OK, "body of a refusal: as much as is read");
    ut_ok(ngx_chat_provider_call_read(&ut_call, body.data, 1)
          == NGX_DECLINED, "no more than that");
    ut_ok(ut_end(NGX_CHAT_E_PROVIDER_REFUSED) && ut_result.retry,
          "a refusal all the same");
    ut_free(&body);

    ut_stop();
}


static void
ut_faults(void)
{
    ut_start();

    ngx_chat_provider_call_fail(&ut_call, NGX_CHAT_CALL_UNREACHABLE);
    ngx_chat_provider_call_fail(&ut_call, NGX_CHAT_CALL_LOCAL);
    ut_ok(ut_end(NGX_CHAT_E_PROVIDER_UNREACHABLE) && ut_result.retry
          && ut_result.status == 0, "fault: the first one counts");

    ut_stop();
    ut_start();

    ngx_chat_provider_call_fail(&ut_call, NGX_CHAT_CALL_UNSAFE);
    ut_ok(ut_end(NGX_CHAT_E_PROVIDER_UNREACHABLE) && !ut_result.retry,
          "certificate: no other try");

    ut_stop();
    ut_start();

    ngx_chat_provider_call_fail(&ut_call, NGX_CHAT_CALL_LOCAL);
    ut_ok(ut_end(NGX_CHAT_E_INTERNAL) && ut_result.retry,
          "resources: an internal error");

    ut_stop();
}


static void
ut_silence(void)
{
    ut_start();

    fake_loop_run(4999);
    ut_ok(ut_expired == 0, "first_token_timeout: not before");
    fake_loop_run(1);
    ut_ok(ut_expired == 1 && ut_silent, "first_token_timeout: silent");
    ut_ok(ut_end(NGX_CHAT_E_PROVIDER_TIMEOUT) && !ut_result.retry,
          "first_token_timeout: a timeout");

    ut_stop();
    ut_start();

    ut_header(200);
    ut_read(UT_HELLO);
    fake_loop_run(2000);
    ut_read(UT_HELLO);
    fake_loop_run(2999);
    ut_ok(ut_expired == 0, "idle_timeout: from the last token");
    fake_loop_run(1);
    ut_ok(ut_expired == 1 && ut_end(NGX_CHAT_E_PROVIDER_TIMEOUT),
          "idle_timeout: a timeout");

    ut_stop();
    ut_start();

    ut_header(200);
    ut_read(UT_HELLO);
    ut_read(UT_STOP);
    fake_loop_run(5000);
    ut_ok(ut_expired == 1 && !ut_silent && ut_end(NGX_CHAT_E_NONE),
          "finish reason, then silence: complete");

    ut_stop();
}


static void
ut_total(void)
{
    ngx_uint_t  i;

    ut_start();
    ut_header(200);

    for (i = 0; i < 9; i++) {
        ut_read(UT_HELLO);
        fake_loop_run(1000);
    }

    ut_ok(ut_expired == 0, "total_timeout: not before");
    ut_read(UT_HELLO);
    fake_loop_run(1000);
    ut_ok(ut_expired == 1 && !ut_silent
          && ut_end(NGX_CHAT_E_PROVIDER_TIMEOUT),
          "total_timeout: a timeout though tokens come");

    ut_stop();
}


int
main(void)
{
    ut_answers();
    ut_refusals();
    ut_faults();
    ut_silence();
    ut_total();

    return ut_done();
}
