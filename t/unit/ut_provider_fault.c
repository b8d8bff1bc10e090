
#include "../../ngx_chat_module/provider/ngx_chat_provider_fault.h"
#include "ut.h"


#define UT_CONTEXT                                                           \
    "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"secret\","  \
    "\"code\":\"context_length_exceeded\"}}"

#define UT_KEY                                                               \
    "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"bad_key\"}}"


static ngx_pool_t                 *ut_temp;
static ngx_chat_provider_t         ut_pv;
static ngx_chat_provider_fault_t   ut_f;


static void
ut_status(ngx_uint_t status, const char *body)
{
    ngx_chat_provider_fault_free(&ut_f);
    ngx_chat_provider_fault_init(&ut_f, &ut_pv, ut_temp);

    (void) ngx_chat_bytes_append(&ut_f.body, body, ngx_strlen(body));

    ngx_chat_provider_fault_status(&ut_f, status, ut_temp);
}


static void
ut_object(const char *data)
{
    ngx_str_t         s;
    ngx_chat_delta_t  d;

    ngx_chat_provider_fault_free(&ut_f);
    ngx_chat_provider_fault_init(&ut_f, &ut_pv, ut_temp);

    s = ut_str(data);

    ngx_memzero(&d, sizeof(ngx_chat_delta_t));

    if (ngx_chat_delta_parse(&d, &s, ut_temp) == NGX_OK && d.is_error) {
        ngx_chat_provider_fault_object(&ut_f, &d, &s, ut_temp);
    }

    ut_free(&s);
}


static ngx_uint_t
ut_final(ngx_uint_t status, const char *body)
{
    ut_status(status, body);

    return ut_f.error == NGX_CHAT_E_QUESTION_REFUSED && ut_f.final
           && !ut_f.retry;
}


static ngx_uint_t
ut_next(ngx_uint_t status, const char *body)
{
    ut_status(status, body);

    return ut_f.error != NGX_CHAT_E_NONE && !ut_f.final;
}


static ngx_uint_t
ut_line(const char *text)
{
    u_char  *p, line[NGX_CHAT_FAULT_LINE];

    p = ngx_chat_provider_fault_line(&ut_f, line);

    return (size_t) (p - line) == ngx_strlen(text)
           && ngx_memcmp(line, text, p - line) == 0;
}


int
main(void)
{
    ut_temp = ut_pool();

    ngx_str_set(&ut_pv.name, "p");
    ngx_str_set(&ut_pv.url, "http://h/v1");
    ngx_str_set(&ut_pv.key, "some_key");

    ut_ok(ut_final(400, UT_CONTEXT), "400: the context");
    ut_ok(ut_line("chat provider \"p\" at \"h\" refused the request, HTTP "
                  "status 400 (invalid_request_error "
                  "context_length_exceeded), the question is at fault"),
          "and its line");
    ut_ok(ut_final(422, UT_CONTEXT), "422: the context");
    ut_ok(ut_final(500, UT_CONTEXT), "500: the context");
    ut_ok(ut_final(413, ""), "413");
    ut_ok(ut_final(413, UT_KEY), "413, for whatever reason");

    ut_ok(ut_next(400, UT_KEY), "400: the key");
    ut_ok(ut_line("chat provider \"p\" at \"h\" refused the request, HTTP "
                  "status 400 (invalid_request_error bad_key)"),
          "and its line");
    ut_ok(!ut_f.retry, "not asked again");
    ut_ok(ut_next(400, ""), "400 without a body");
    ut_ok(ut_line("chat provider \"p\" at \"h\" refused the request, HTTP "
                  "status 400"), "and its line");
    ut_ok(ut_next(422, "<html>"), "422 with another body");
    ut_ok(ut_next(413, "{\"error\":{\"code\":\"rate_limit_exceeded\"}}"),
          "413: a limit of the account");
    ut_ok(ut_next(414, UT_KEY) && ut_next(431, UT_KEY),
          "414 and 431: the question is in neither");
    ut_ok(ut_next(401, UT_CONTEXT) && ut_next(403, UT_CONTEXT)
          && ut_next(429, UT_CONTEXT) && ut_next(503, UT_CONTEXT),
          "other statuses speak for themselves");
    ut_ok(ut_next(500, UT_KEY) && ut_f.retry, "500: again");

    ut_status(400, "{\"code\":\"some_key\",\"message\":\"some_key\"}");
    ut_ok(ut_line("chat provider \"p\" at \"h\" refused the request, HTTP "
                  "status 400"), "no line with the key");
    ut_ok(ut_f.refusal->message.len == 0, "and no message");

    ut_object("{\"error\":{\"code\":\"context_length_exceeded\"}}");
    ut_ok(ut_f.error == NGX_CHAT_E_QUESTION_REFUSED && ut_f.final
          && !ut_f.retry, "in the stream: the context");
    ut_object("{\"error\":{\"code\":400,\"message\":\"no context here\"}}");
    ut_ok(ut_f.error == NGX_CHAT_E_PROVIDER_BROKEN && !ut_f.final
          && !ut_f.retry, "in the stream: another 400");
    ut_object("{\"error\":{\"code\":429,\"message\":\"context length\"}}");
    ut_ok(ut_f.error == NGX_CHAT_E_PROVIDER_RATE_LIMITED && !ut_f.final
          && ut_f.retry, "in the stream: a 429");
    ut_object("{\"error\":{\"type\":\"overloaded_error\"}}");
    ut_ok(ut_f.error == NGX_CHAT_E_PROVIDER_BROKEN && !ut_f.final
          && ut_f.retry, "in the stream: something else");
    ut_ok(ut_line("chat provider \"p\" at \"h\" sent an error instead of "
                  "an answer (overloaded_error)"), "and its line");

    ngx_chat_provider_fault_init(&ut_f, &ut_pv, ut_temp);
    ngx_chat_provider_fault_set(&ut_f, NGX_CHAT_E_PROVIDER_TIMEOUT, 1,
                                "is slow");
    (void) ngx_chat_bytes_append(&ut_f.body, UT_CONTEXT,
                                 sizeof(UT_CONTEXT) - 1);
    ngx_chat_provider_fault_status(&ut_f, 400, ut_temp);
    ut_ok(ut_f.error == NGX_CHAT_E_PROVIDER_TIMEOUT && !ut_f.final,
          "the first fault counts");

    ngx_chat_provider_fault_free(&ut_f);
    ngx_destroy_pool(ut_temp);

    return ut_done();
}
