
#include "../../ngx_chat_module/provider/ngx_chat_provider_stream.h"
#include "ut.h"


#define D(x)  "data: {\"choices\":[{\"index\":0,\"delta\":" x "}]}\n\n"
#define C(x)  D("{\"content\":" x "}")
#define F(x)  "data: {\"choices\":[{\"delta\":{},\"finish_reason\":" x \
              "}]}\n\n"
#define S(x)  "data: {\"choices\":[{\"delta\":{\"content\":" x \
              "},\"finish_reason\":\"stop\"}]}\n\n"
#define M(x)  "{\"choices\":[{\"message\":{\"content\":" x "}}]}"
#define STOP  F("\"stop\"")
#define DONE  "data: [DONE]\n\n"

#define NONE    NGX_CHAT_E_NONE
#define BROKEN  NGX_CHAT_E_PROVIDER_BROKEN
#define LIMIT   NGX_CHAT_E_PROVIDER_RATE_LIMITED


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


static const char  *ut_content_type;
static ngx_uint_t   ut_retry;


/*
 * In pieces of every size: which texts come out, with which finish reason, and
 * whether the answer would be complete without the end of the body.
 */

static void
ut_read(const char *body, const char *texts, const char *finish,
    ngx_uint_t complete, ngx_chat_error_e error, const char *name)
{
    size_t                       piece;
    ngx_log_t                    log;
    ngx_str_t                    type;
    ngx_pool_t                  *pool;
    ngx_uint_t                   ok;
    ngx_chat_provider_t          pv;
    ngx_chat_provider_fault_t    fault;
    ngx_chat_provider_stream_t   st;

    ngx_memzero(&log, sizeof(ngx_log_t));
    ngx_memzero(&pv, sizeof(ngx_chat_provider_t));

    ok = 1;
    ut_retry = 0;

    for (piece = 1; piece <= ngx_strlen(body) + 1; piece++) {

        ngx_memzero(&st, sizeof(ngx_chat_provider_stream_t));

        ut_len = 0;
        ut_texts[0] = '\0';

        pool = ngx_create_pool(1024, &log);

        ngx_chat_provider_fault_init(&fault, &pv, pool);

        st.delta = ut_delta;

        ngx_chat_provider_stream_init(&st, &fault, pool);

        if (ut_content_type) {
            type.data = (u_char *) ut_content_type;
            type.len = ngx_strlen(ut_content_type);

            ngx_chat_provider_stream_set_type(&st, &type);
        }

        ut_feed(&st, body, piece);

        if ((st.done || st.finished) != complete) {
            ok = 0;
        }

        if (!st.done && fault.error == NGX_CHAT_E_NONE) {
            ngx_chat_provider_stream_end(&st);
        }

        if (ngx_strcmp(ut_texts, texts) != 0 || fault.error != error
            || !ut_is(&st.finish, finish))
        {
            ok = 0;
        }

        ut_retry = fault.retry;

        ngx_chat_provider_stream_free(&st);
        ngx_chat_provider_fault_free(&fault);
        ngx_destroy_pool(pool);
    }

    ut_ok(ok, name);
}


static void
ut_answer(const char *body, const char *texts, const char *finish,
    const char *name)
{
    ut_read(body, texts, finish, 1, NONE, name);
}


/* an error whose text may be there in part */

static void
ut_fails(const char *body, const char *texts, ngx_chat_error_e error,
    ngx_uint_t complete, const char *name)
{
    ut_read(body, texts, "", complete, error, name);
}


static void
ut_type(const char *value, ngx_uint_t expected)
{
    ngx_str_t                    type;
    ngx_chat_provider_stream_t   st;

    ngx_memzero(&st, sizeof(ngx_chat_provider_stream_t));

    type.data = (u_char *) value;
    type.len = value ? ngx_strlen(value) : 0;

    ngx_chat_provider_stream_set_type(&st, &type);

    ut_ok(st.not_sse != expected, value ? value : "no type at all");
}


static void
ut_ends(void)
{
    ut_answer(C("\"a\"") C("\"b\"") DONE C("\"c\""), "a|b|", "",
              "a stream to its end");
    ut_answer(C("\"a\"") STOP "data: {\"choices\":[],\"usage\":{}}\n\n", "a|",
              "stop", "a reason without [DONE]");
    ut_answer("data: {\"choices\":[{\"delta\":{\"content\":\"a\"},"
              "\"finish_reason\":\"stop\"}]}\n\n:", "a|", "stop",
              "a reason with text");
    ut_read("data: {\"choices\":[{\"delta\":{\"content\":\"a\"},"
            "\"finish_reason\":\"stop\"}]}", "a|", "stop", 0, NONE,
            "a reason and no empty line");
    ut_answer(F("\"STOP\""), "", "stop", "a reason and no text");

    ut_fails(C("\"a\""), "a|", BROKEN, 0, "an end in the middle");
    ut_ok(ut_retry, "which is worth a retry");

    ut_answer(S("\"a\""), "a|", "stop", "a reason in a chunk");
    ut_read(S("\"a\"") S("\"b\""), "a|b|", "stop", 0, NONE,
            "a reason in each proves nothing before the end");
    ut_answer(S("\"a\"") S("\"b\"") DONE, "a|b|", "stop", "or [DONE]");
    ut_read(S("\"a\"") C("\"b\"") STOP, "a|b|", "stop", 0, NONE,
            "even if the last one comes alone");
    ut_read(S("\"a\"") C("\"b\""), "a|b|", "", 0, NONE,
            "a reason that text followed is none");
    ut_answer(STOP STOP F("\"length\""), "", "length", "the last one counts");

    ut_fails(DONE, "", BROKEN, 1, "[DONE] alone");
    ut_ok(ut_retry, "which is worth a retry, too");
    ut_fails(D("{\"role\":\"assistant\"}") D("{\"reasoning\":\"x\"}") DONE, "",
             BROKEN, 1, "[DONE] without text or reason");
    ut_fails("", "", BROKEN, 0, "nothing");
}


static void
ut_texts_of(void)
{
    ut_answer(C("[{\"type\":\"text\",\"text\":\"7\"}]") C("\"21\"") DONE,
              "7|21|", "", "an array of parts");
    ut_fails(C("\"a\"") C("true") DONE, "a|", BROKEN, 0,
             "content that cannot be text");

    ut_answer(C("\"ok \\ud83d\"") D("{}") C("\"\\ude00 end\"") DONE,
              "ok |\xf0\x9f\x98\x80 end|", "", "a surrogate pair cut in two");
    ut_answer(S("\"ok \\ud83d\"") S("\"\\ude00 end\"") DONE,
              "ok |\xf0\x9f\x98\x80 end|", "stop",
              "a surrogate pair cut in two, each half with a reason");
    ut_answer(C("\"ok \\ud83d\"") DONE, "ok |\xef\xbf\xbd|", "",
              "a lone half at the end");
    ut_answer(C("\"\\ud83d\"") STOP, "\xef\xbf\xbd|", "stop",
              "a lone half and a reason");
    ut_read(S("\"a\"") C("\"\\ud83d\""), "a|\xef\xbf\xbd|", "", 0, NONE,
            "a lone half behind a reason");

    ut_answer("data: " M("\"whole\"") "\n\n" DONE, "whole|", "", "a message");
    ut_answer(C("\"a\"") C("\"b\"") "data: " M("\"ab\"") "\n\n" STOP, "a|b|",
              "stop", "a message that repeats all");
    ut_answer(C("\"a\"") STOP "data: " M("\"a\"") "\n\n", "a|", "stop",
              "a message that repeats all behind the reason");
    ut_answer(C("\"a\"") "data: " M("\"abc\"") "\n\n" DONE, "a|bc|", "",
              "a message that has more");
    ut_answer(C("\" a\"") C("\" b\"") "data: " M("\"a b\"") "\n\n" STOP,
              " a| b|", "stop", "a message that says it otherwise");
    ut_answer("data: " M("\"b\"") "\n\n" "data: " M("\"cd\"") "\n\n" DONE,
              "b|cd|", "", "messages that go on");
    ut_answer("data: " M("\"a\\ud83d\"") "\n\n" "data: " M("\"\\ude00b\"")
              "\n\n" DONE, "a|\xf0\x9f\x98\x80" "b|", "",
              "in the middle of a pair, too");
}


static void
ut_errors(void)
{
    ut_fails("data: {\"choices\":\n\n", "", BROKEN, 0, "broken JSON");
    ut_fails("data: {\"error\":{\"message\":\"x\",\"code\":429}}\n\n", "",
             LIMIT, 0, "an error object");

    ut_fails(C("\"a\"") "error: {\"code\":500,\"message\":\"x\"}\n\n" DONE,
             "a|", BROKEN, 0, "a line that is an error");
    ut_ok(ut_retry, "which is worth a retry");
    ut_fails("error: {\"code\":429}\n\n" DONE, "", LIMIT, 0,
             "too many requests");
    ut_fails("event: error\ndata: {\"message\":\"x\"}\n\n" DONE, "", BROKEN, 0,
             "an event that is an error");
    ut_fails("data: x\nevent:error\n\n" DONE, "", BROKEN, 0,
             "whatever its data");
    ut_fails("event: error\r\n\r\n" DONE, "", BROKEN, 0, "or without any");
    ut_fails("event: error\ndata: Rate limit reached\n\n", "", LIMIT, 0,
             "or plain text");
    ut_answer("event: error\nevent: message\n" C("\"a\"") "event: errors\n"
              C("\"b\"") "event: erro\n\n" DONE, "a|b|", "",
              "events of other names");

    ut_fails(C("\"a\"") "data: {\"error_code\":336003}\n\n" DONE, "a|", BROKEN,
             0, "an error_code");
    ut_fails("data: {\"error_type\":\"generation\"}\n\n" DONE, "", BROKEN, 0,
             "an error_type");
    ut_fails("data: {\"error_type\":\"rate_limit\"}\n\n" DONE, "", LIMIT, 0,
             "an error_type that is a limit");
    ut_fails("data: {\"error\":{\"type\":\"RateLimitError\"}}\n\n", "", LIMIT,
             0, "a type that is a limit");
    ut_fails("data: {\"error\":{\"code\":\"1302\",\"message\":"
             "\"Too many requests\"}}\n\n", "", LIMIT, 0,
             "a message that tells a limit");
    ut_fails("data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"error\":"
             "{\"type\":\"rate_limit_error\"}}]}\n\n", "", LIMIT, 0,
             "an error of the choice that is a limit");
    ut_fails("data: {\"choices\":[{\"error\":{\"code\":400,\"message\":"
             "\"over the context length\"}}]}\n\n", "",
             NGX_CHAT_E_QUESTION_REFUSED, 0, "or the question's");
    ut_fails("data: {\"x_groq\":{\"error\":\"rate_limit_exceeded\"}}\n\n", "",
             LIMIT, 0, "an error where one provider has it");
    ut_fails("data: {\"error\":{\"code\":500,\"message\":\"rate limit\"}}"
             "\n\n", "", BROKEN, 0, "a code that is another");
    ut_fails(C("\"a\"") F("\"insufficient_system_resource\"") DONE, "a|",
             BROKEN, 0, "a reason that is a failure");
    ut_fails(F("\"error\""), "", BROKEN, 0, "error as a reason");
    ut_read(C("\"a\"") STOP "data: {\"error\":{}}\n\n" DONE, "a|", "stop", 1,
            BROKEN, "an error behind the reason");
}


static void
ut_forms(void)
{
    static const char  whole[] = "{\"object\":\"chat.completion\",\"choices\":"
        "[{\"index\":0,\"message\":{\"content\":\"whole\"},"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"a\":1}}";

    ut_read(whole, "whole|", "stop", 0, NONE, "an answer that is JSON");
    ut_read(M("\"whole\""), "whole|", "", 0, NONE, "without a reason");
    ut_fails("{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}", "a|", BROKEN, 0,
             "a delta is no answer");
    ut_fails("{}", "", BROKEN, 0, "nor is nothing");

    ut_content_type = "application/json";

    ut_read(whole, "whole|", "stop", 0, NONE, "of the type of JSON");
    ut_fails("{\"error\":{\"code\":429}}", "", LIMIT, 0, "an error");
    ut_fails("\r\n [{\"error\":{\"code\":500}}]", "", BROKEN, 0,
             "an error in an array");
    ut_fails("{\"choices\":[{\"message\":{\"content\":\"a", "", BROKEN, 0,
             "cut off");
    ut_answer(C("\"a\"") DONE, "a|", "", "an event stream all the same");

    ut_content_type = "text/plain";

    ut_answer(": comment\n\n" C("\"a\"") DONE, "a|", "", "behind a comment");
    ut_answer("\xef\xbb\xbf\r\nevent: x\n" C("\"a\"") DONE, "a|", "",
              "behind a byte order mark");
    ut_fails("<html>\n\n" C("\"a\"") DONE, "", BROKEN, 0, "HTML");
    ut_ok(!ut_retry, "which comes again");
    ut_fails("internal error", "", BROKEN, 0, "other text");
    ut_ok(!ut_retry, "the same");
    ut_fails("", "", BROKEN, 0, "nothing at all");

    ut_content_type = NULL;
}


static void
ut_patience(void)
{
    size_t                       i;
    ngx_log_t                    log;
    ngx_pool_t                  *pool;
    ngx_uint_t                   ok;
    ngx_chat_provider_t          pv;
    ngx_chat_provider_fault_t    fault;
    ngx_chat_provider_stream_t   st;
    static struct {
        const char  *event;
        ngx_msec_t   patience;
        ngx_msec_t   small;        /* with an idle_timeout of 50 ms */
    } steps[] = {
        { C("\"a\""), 60000, 50 },
        { S("\"b\""), 60000, 50 },
        { STOP, 2000, 50 },
        { "data: {\"choices\":[],\"usage\":{}}\n\n", 2000, 50 },
        { DONE, 100, 100 },
        { NULL, 0, 0 }
    };

    ngx_memzero(&log, sizeof(ngx_log_t));
    ngx_memzero(&pv, sizeof(ngx_chat_provider_t));
    ngx_memzero(&st, sizeof(ngx_chat_provider_stream_t));

    ut_len = 0;

    pool = ngx_create_pool(1024, &log);

    ngx_chat_provider_fault_init(&fault, &pv, pool);

    st.delta = ut_delta;

    ngx_chat_provider_stream_init(&st, &fault, pool);

    for (i = 0, ok = 1; ok && steps[i].event; i++) {
        ut_feed(&st, steps[i].event, 1000);

        ok = ngx_chat_provider_stream_idle_timeout(&st,
                                                   60000) == steps[i].patience
             && ngx_chat_provider_stream_idle_timeout(&st,
                                                      50) == steps[i].small;
    }

    ut_ok(ok, "how long a silence is borne");

    ngx_chat_provider_stream_free(&st);
    ngx_chat_provider_fault_free(&fault);
    ngx_destroy_pool(pool);
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

    ngx_chat_provider_fault_init(&f, &pv, NULL);
    ngx_chat_provider_fault_set(&f, NGX_CHAT_E_PROVIDER_REFUSED, 1, "is shut");
    ngx_chat_provider_fault_set(&f, NGX_CHAT_E_INTERNAL, 0, "is open");

    f.status = 503;
    f.detail = "why";

    p = ngx_chat_provider_fault_line(&f, line);

    *p = '\0';

    ut_ok(ngx_strcmp(line, "chat provider \"one\" at \"host:81\" is shut, "
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

    ut_ends();
    ut_texts_of();
    ut_errors();
    ut_forms();
    ut_patience();

    return ut_done();
}
