
#include "ngx_chat_provider_stream.h"
#include "ut.h"


#define D(x)  "data: {\"choices\":[{\"index\":0,\"delta\":" x "}]}\n\n"
#define C(x)  D("{\"content\":" x "}")
#define DONE  "data: [DONE]\n\n"


static char    ut_texts[256];
static size_t  ut_len;


static void
ut_delta(void *data, ngx_str_t *text)
{
    ngx_memcpy(ut_texts + ut_len, text->data, text->len);
    ut_len += text->len;

    ut_texts[ut_len++] = '|';
    ut_texts[ut_len] = '\0';
}


/* the whole of it, cut into pieces of so many bytes */

static void
ut_feed(ngx_chat_provider_stream_t *st, const char *s, size_t piece)
{
    size_t  n, left;

    for (left = ngx_strlen(s); left; left -= n) {
        n = ngx_min(piece, left);

        ngx_chat_provider_stream_read(st, (u_char *) s, n);
        s += n;
    }
}


static void
ut_stream(const char *body, const char *texts, ngx_uint_t done,
    ngx_chat_error_e error, const char *name)
{
    size_t                       piece;
    ngx_log_t                    log;
    ngx_pool_t                  *pool;
    ngx_uint_t                   ok;
    ngx_chat_provider_t          pv;
    ngx_chat_provider_fault_t    fault;
    ngx_chat_provider_stream_t   st;

    ngx_memzero(&log, sizeof(ngx_log_t));
    ngx_memzero(&pv, sizeof(ngx_chat_provider_t));

    ok = 1;

    for (piece = 1; piece <= ngx_strlen(body) + 1; piece++) {

        ngx_memzero(&st, sizeof(ngx_chat_provider_stream_t));

        ut_len = 0;
        ut_texts[0] = '\0';

        pool = ngx_create_pool(1024, &log);

        ngx_chat_provider_fault_init(&fault, &pv);

        st.delta = ut_delta;

        if (ngx_chat_provider_stream_init(&st, &fault, pool, &log) != NGX_OK)
        {
            ok = 0;

        } else {
            ut_feed(&st, body, piece);

            if (!st.done && fault.error == NGX_CHAT_E_NONE) {
                ngx_chat_provider_stream_end(&st);
            }

            if (ngx_strcmp(ut_texts, texts) != 0 || st.done != done
                || fault.error != error)
            {
                ok = 0;
            }
        }

        ngx_chat_provider_stream_free(&st);
        ngx_chat_provider_fault_free(&fault);
        ngx_destroy_pool(pool);
    }

    ut_ok(ok, name);
}


static void
ut_type(const char *value, ngx_uint_t expected)
{
    ngx_str_t  type;

    type.data = (u_char *) value;
    type.len = value ? ngx_strlen(value) : 0;

    ut_ok(ngx_chat_provider_is_stream(&type) == expected,
          value ? value : "no type at all");
}


static void
ut_line(void)
{
    u_char                     *p, line[NGX_CHAT_FAULT_LINE];
    ngx_chat_provider_t         pv;
    ngx_chat_provider_fault_t   f;

    ngx_memzero(&pv, sizeof(ngx_chat_provider_t));

    ngx_str_set(&pv.name, "one");
    ngx_str_set(&pv.url, "http://host:81/secret/path");

    ngx_chat_provider_fault_init(&f, &pv);
    ngx_chat_provider_fault(&f, NGX_CHAT_E_PROVIDER_REFUSED, 1, "is shut");
    ngx_chat_provider_fault(&f, NGX_CHAT_E_INTERNAL, 0, "is open");

    f.status = 503;
    f.detail = "why";

    p = ngx_chat_provider_fault_line(&f, line);

    *p = '\0';

    ut_ok(ngx_strcmp(line, "provider \"one\" at \"host:81\" is shut, "
                           "HTTP status 503, \"why\"") == 0,
          "the line for the operator");
}


int
main(void)
{
    ut_type(NULL, 1);
    ut_type("text/event-stream", 1);
    ut_type("Text/Event-Stream; charset=utf-8", 1);
    ut_type("text/event-streams", 0);
    ut_type("text/event", 0);
    ut_type("", 0);

    ut_line();

    ut_stream("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
              "data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n"
              "data: [DONE]\n\n"
              "data: {\"choices\":[{\"delta\":{\"content\":\"c\"}}]}\n\n",
              "a|b|", 1, NGX_CHAT_E_NONE, "a stream to its end");

    ut_stream("data: {\"choices\":[{\"delta\":{\"content\":\"a\"},"
              "\"finish_reason\":\"stop\"}]}",
              "a|", 0, NGX_CHAT_E_NONE, "a reason and no empty line");

    ut_stream("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
              "a|", 0, NGX_CHAT_E_PROVIDER_BROKEN, "an end in the middle");

    ut_stream(C("[{\"type\":\"text\",\"text\":\"7\"}]") C("\"21\"") DONE,
              "7|21|", 1, NGX_CHAT_E_NONE, "an array of parts");

    ut_stream(C("\"a\"") C("true") DONE, "a|", 0,
              NGX_CHAT_E_PROVIDER_BROKEN, "content that cannot be text");

    ut_stream(C("\"ok \\ud83d\"") D("{}") C("\"\\ude00 end\"") DONE,
              "ok |\xf0\x9f\x98\x80 end|", 1, NGX_CHAT_E_NONE,
              "a surrogate pair cut in two");

    ut_stream("data: {\"choices\":\n\n", "", 0, NGX_CHAT_E_PROVIDER_BROKEN,
              "broken JSON");

    ut_stream("data: {\"error\":{\"message\":\"x\",\"code\":429}}\n\n", "", 0,
              NGX_CHAT_E_PROVIDER_RATE_LIMITED, "an error object");

    return ut_done();
}
