
#include "ngx_chat_sse_event.h"
#include "ngx_chat_json.h"

#include "ut.h"


static ngx_uint_t ut_frame(ngx_chat_status_e status, ngx_str_t text,
    ngx_str_t code, const char *want);
static ngx_str_t ut_static(const char *s);


static ngx_uint_t
ut_frame(ngx_chat_status_e status, ngx_str_t text, ngx_str_t code,
    const char *want)
{
    ngx_str_t          frame, json;
    ngx_uint_t         ok;
    ngx_chat_event_t   ev;

    ev.status = status;
    ev.text = text;
    ev.code = code;

    frame = ut_repeat("#", ngx_chat_sse_event_len(&ev));
    json = ut_repeat("#", ngx_chat_sse_event_json_len(&ev));

    ok = ngx_chat_sse_event_write(frame.data, &ev) == frame.data + frame.len;
    ok &= ngx_chat_sse_event_json_write(json.data, &ev) == json.data + json.len;

    ok &= ut_is(&frame, want);
    ok &= frame.len == json.len + 8
          && memcmp(frame.data + 6, json.data, json.len) == 0
          && ngx_chat_json_check_value(json.data, json.len) == NGX_OK;

    ut_free(&frame);
    ut_free(&json);

    return ok;
}


static ngx_str_t
ut_static(const char *s)
{
    ngx_str_t  r;

    r.len = strlen(s);
    r.data = r.len ? (u_char *) s : NULL;

    return r;
}


int
main(void)
{
    ngx_str_t  none;

    ngx_str_null(&none);

    ut_ok(ut_frame(NGX_CHAT_PROCESSING, none, none,
                   "data: {\"status\": \"processing\"}\n\n"),
          "processing");

    ut_ok(ut_frame(NGX_CHAT_STREAMING, ut_static("Python is"), none,
                   "data: {\"status\": \"streaming\", "
                   "\"chunk\": \"Python is\"}\n\n"),
          "streaming");

    ut_ok(ut_frame(NGX_CHAT_STREAMING, ut_static("a\n\"\\\t\x01\r\xc3\xa9"),
                   none,
                   "data: {\"status\": \"streaming\", "
                   "\"chunk\": \"a\\n\\\"\\\\\\t\\u0001\\r\xc3\xa9\"}\n\n"),
          "streaming with escapes");

    ut_ok(ut_frame(NGX_CHAT_COMPLETED, ut_static("Python is a"), none,
                   "data: {\"status\": \"completed\", "
                   "\"chunk\": \"Python is a\"}\n\n"),
          "completed");

    ut_ok(ut_frame(NGX_CHAT_COMPLETED, ut_static("x"), ut_static("stop"),
                   "data: {\"status\": \"completed\", "
                   "\"chunk\": \"x\"}\n\n"),
          "completed with stop");

    ut_ok(ut_frame(NGX_CHAT_COMPLETED, none, none,
                   "data: {\"status\": \"completed\", "
                   "\"chunk\": \"\"}\n\n"),
          "completed and empty");

    ut_ok(ut_frame(NGX_CHAT_COMPLETED, ut_static("x"), ut_static("length"),
                   "data: {\"status\": \"completed\", \"chunk\": \"x\", "
                   "\"finish_reason\": \"length\"}\n\n"),
          "completed with length");

    ut_ok(ut_frame(NGX_CHAT_COMPLETED, ut_static("x"), ut_static("step"),
                   "data: {\"status\": \"completed\", \"chunk\": \"x\", "
                   "\"finish_reason\": \"step\"}\n\n"),
          "completed with something as long as stop");

    ut_ok(ut_frame(NGX_CHAT_COMPLETED, ut_static("x"), ut_static("a\"b"),
                   "data: {\"status\": \"completed\", \"chunk\": \"x\", "
                   "\"finish_reason\": \"a\\\"b\"}\n\n"),
          "a finish reason is escaped");

    ut_ok(ut_frame(NGX_CHAT_ERROR, ut_static("It \"failed\"."),
                   ut_static("internal"),
                   "data: {\"status\": \"error\", "
                   "\"message\": \"It \\\"failed\\\".\", "
                   "\"code\": \"internal\"}\n\n"),
          "error");

    return ut_done();
}
