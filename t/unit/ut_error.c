
#include "ngx_chat_error.h"
#include "ngx_chat_utf8.h"

#include "ut.h"


static const char  *ut_codes[] = {
    "", "queue_full", "queue_timeout", "provider_refused",
    "provider_refused", "provider_refused", "provider_rate_limited",
    "provider_timeout", "provider_broken", "answer_too_long", "redis_down",
    "no_key", "interrupted", "cancelled", "stopped", "internal",
    "method_not_allowed", "unsupported_media_type", "body_too_large",
    "bad_request", "invalid_field", "miss_limit", "not_found"
};


int
main(void)
{
    ngx_str_t         *code, *message;
    ngx_uint_t         i;
    ngx_chat_event_t   ev;

    ut_ok(sizeof(ut_codes) / sizeof(ut_codes[0]) == NGX_CHAT_E_MAX,
          "as many errors, with the codes that the contract has");

    for (i = 0; i < NGX_CHAT_E_MAX; i++) {
        code = ngx_chat_error_code(i);
        message = ngx_chat_error_message(i);

        ngx_chat_error_event(&ev, i);

        ut_ok(ut_is(code, ut_codes[i])
              && (i == NGX_CHAT_E_NONE) == (message->len == 0)
              && (message->len == 0
                  || message->data[message->len - 1] == '.')
              && ev.status == NGX_CHAT_ERROR
              && ut_same(&ev.code, code)
              && ut_same(&ev.text, message),
              i ? ut_codes[i] : "none");
    }

    ut_ok(ut_is(ngx_chat_error_code(NGX_CHAT_E_MAX), "internal")
          && ut_is(ngx_chat_error_code((ngx_chat_error_e) 1000), "internal"),
          "an unknown one is internal");

    ngx_chat_error_event(&ev, NGX_CHAT_E_QUEUE_FULL);

    ut_ok(ut_is(&ev.text, "The service is busy: too many questions are "
                          "being asked. Please try again later."),
          "a message");

    return ut_done();
}
