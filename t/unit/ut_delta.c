
#include "ngx_chat_json.h"
#include "ngx_chat_delta.h"

#include "ut.h"

#include <stdio.h>


#define D(x)  "{\"choices\":[{\"index\":0,\"delta\":" x "}]}"
#define C(x)  D("{\"content\":" x "}")
#define F(x)  "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":" x \
              "}]}"


static ngx_pool_t        *ut_p;
static ngx_str_t          ut_input;
static ngx_chat_delta_t   ut_d;


/* half is what an earlier delta left */

static ngx_int_t
ut_parse(const char *s, ngx_uint_t half)
{
    ngx_destroy_pool(ut_p);
    ut_p = ut_pool();

    ut_free(&ut_input);
    ut_input = ut_str(s);

    ut_d.half = half;
    ut_d.is_error = 0;

    return ngx_chat_delta_parse(&ut_d, &ut_input, ut_p);
}


static ngx_uint_t
ut_text(const char *s, const char *want)
{
    return ut_parse(s, 0) == NGX_OK && ut_is(&ut_d.text, want)
           && !ut_d.is_error && !ut_d.reasoning && ut_d.half == 0;
}


static ngx_uint_t
ut_thinks(const char *s, const char *text)
{
    return ut_parse(s, 0) == NGX_OK && ut_is(&ut_d.text, text)
           && !ut_d.is_error && ut_d.reasoning;
}


static ngx_uint_t
ut_half(ngx_uint_t before, const char *s, const char *text, ngx_uint_t after)
{
    return ut_parse(s, before) == NGX_OK && ut_is(&ut_d.text, text)
           && ut_d.half == after;
}


static ngx_uint_t
ut_finish(const char *value, const char *want)
{
    return ut_parse(value, 0) == NGX_OK && !ut_d.is_error
           && ut_is(&ut_d.finish, want);
}


static ngx_uint_t
ut_error(const char *s, ngx_uint_t code)
{
    return ut_parse(s, 0) == NGX_OK && ut_d.is_error
           && ut_d.error_code == code;
}


static void
ut_shapes(void)
{
    ut_ok(ut_text(C("[{\"type\":\"text\",\"text\":\"7\"}]"), "7"),
          "one part");
    ut_ok(ut_text(C("[{\"text\":\"a\\n\",\"type\":\"text\"} , "
                    "{\"type\":\"text\",\"text\":\"\\u00e9\",\"x\":[{}]}]"),
                  "a\n\xc3\xa9"),
          "parts are joined");
    ut_ok(ut_text(C("[\"a\",null,1,{\"text\":\"b\"}]"), "a1b"),
          "parts without a type");
    ut_ok(ut_text(C("[]"), "") && ut_text(C("[null]"), ""), "no parts");
    ut_ok(ut_text(C("[{\"type\":\"text\"},{\"type\":\"text\",\"text\":null}]"),
                  ""),
          "parts without a text");
    ut_ok(ut_text(C("6"), "6") && ut_text(C("0"), "0")
          && ut_text(C("-1.50E+2"), "-1.50E+2")
          && ut_text(C("[{\"type\":\"text\",\"text\":1e2}]"), "1e2"),
          "numbers as written");
    ut_ok(ut_text(C("null"), "") && ut_text(C("\"\""), ""), "no content");

    ut_ok(ut_parse(C("true"), 0) == NGX_DECLINED
          && ut_parse(C("false"), 0) == NGX_DECLINED
          && ut_parse(C("{}"), 0) == NGX_DECLINED
          && ut_parse(C("{\"type\":\"text\",\"text\":\"a\"}"), 0)
             == NGX_DECLINED
          && ut_parse(C("NaN"), 0) == NGX_DECLINED
          && ut_parse(C("-Infinity"), 0) == NGX_DECLINED,
          "content of any other type");
    ut_ok(ut_parse(C("[true]"), 0) == NGX_DECLINED
          && ut_parse(C("[[\"a\"]]"), 0) == NGX_DECLINED
          && ut_parse(C("[{\"type\":\"text\",\"text\":{}}]"), 0)
             == NGX_DECLINED
          && ut_parse(C("[\"a\",{\"type\":\"text\",\"text\":[\"b\"]}]"), 0)
             == NGX_DECLINED,
          "a part of any other type");
    ut_ok(ut_text("{\"choices\":[{\"index\":1,\"delta\":{\"content\":true}},"
                  "{\"index\":0,\"delta\":{\"content\":\"a\"}}]}", "a"),
          "another choice may have any content");
    ut_ok(ut_text("{\"choices\":[{\"d\\u0065lta\":{\"\\u0063ontent\":\"a\"}}]}",
                  "a"),
          "a name with escapes");

    ut_ok(ut_text("{\"choices\":[{\"message\":{\"content\":\"x\"}}]}", "x")
          && ut_d.is_message,
          "a message in place of a delta");
    ut_ok(ut_text("{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,"
                  "\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":"
                  "\"text\",\"text\":\"x\"}]},\"finish_reason\":\"stop\"}],"
                  "\"usage\":{\"a\":1}}", "x")
          && ut_d.is_message && ut_is(&ut_d.finish, "stop")
          && ut_is(&ut_d.usage, "{\"a\":1}"),
          "a whole answer");
    ut_ok(ut_text("{\"choices\":[{\"message\":{\"content\":\"x y\"},"
                  "\"delta\":{\"content\":\" y\"}}]}", " y")
          && !ut_d.is_message,
          "a message beside a delta");
    ut_ok(ut_text("{\"choices\":[{\"message\":{\"content\":\"x\"},"
                  "\"delta\":{\"content\":\"\"}}]}", "x") && ut_d.is_message,
          "a message beside an empty delta");
    ut_ok(ut_parse("{\"choices\":[{\"message\":{\"content\":{}}}]}", 0)
          == NGX_DECLINED,
          "a message of any other type");
}


static void
ut_reasoning(void)
{
    ut_ok(ut_thinks(C("[{\"type\":\"thinking\",\"thinking\":[{\"type\":"
                      "\"text\",\"text\":\"hm\"}]}]"), ""),
          "a part of type thinking");
    ut_ok(ut_thinks(C("[{\"type\":\"reasoning\",\"summary\":[]},"
                      "{\"type\":\"text\",\"text\":\"a\"}]"), "a"),
          "reasoning and text");
    ut_ok(ut_thinks(C("[{\"type\":1,\"text\":\"a\"}]"), "")
          && ut_thinks(C("[{}]"), "")
          && ut_thinks(C("[{\"content\":\"x\"}]"), ""),
          "parts of unknown types");
    ut_ok(ut_thinks(D("{\"reasoning_content\":{\"text\":\"x\"}}"), "")
          && ut_thinks(D("{\"reasoning_content\":[\"x\"]}"), "")
          && ut_thinks(D("{\"reasoning_content\":\"\\ud83d\"}"), ""),
          "reasoning_content of any type");
    ut_ok(ut_thinks(D("{\"reasoning_details\":[{\"type\":"
                      "\"reasoning.encrypted\",\"data\":\"x\"}]}"), ""),
          "reasoning_details alone");
    ut_ok(ut_thinks(D("{\"thinking\":\"x\",\"content\":\"\"}"), "")
          && ut_thinks(D("{\"thinking_blocks\":[{}]}"), ""),
          "thinking");
    ut_ok(ut_text(D("{\"reasoning_details\":[],\"reasoning_content\":{},"
                    "\"reasoning\":null,\"thinking\":\"\"}"), ""),
          "empty ones");
}


static ngx_uint_t
ut_refuses(const char *s, const char *text)
{
    return ut_text(s, text) && ut_d.refused;
}


static void
ut_refusal(void)
{
    ut_ok(ut_refuses(D("{\"content\":null,\"refusal\":\"I'm\"}"), "I'm")
          && ut_refuses(D("{\"refusal\":\"\\u0061\",\"content\":\"\"}"),
                        "a"),
          "a refusal beside content that is empty");
    ut_ok(ut_text(D("{\"content\":\"a\",\"refusal\":\"b\"}"), "a")
          && !ut_d.refused,
          "none beside content that is not");
    ut_ok(ut_text(D("{\"content\":\"\",\"refusal\":null}"), "")
          && !ut_d.refused
          && ut_text(D("{\"content\":null,\"refusal\":\"\"}"), "")
          && !ut_d.refused
          && ut_text(D("{\"content\":null,\"refusal\":false}"), "")
          && !ut_d.refused
          && ut_text(D("{\"content\":null,\"refusal\":{\"a\":1}}"), "")
          && !ut_d.refused,
          "none that is empty, or no text");
}


static void
ut_surrogates(void)
{
    ut_ok(ut_half(0, C("\"ok \\ud83d\""), "ok ", 0xd83d)
          && ut_half(0xd83d, C("\"\\ude00 end\""), "\xf0\x9f\x98\x80 end", 0),
          "a pair cut in two");
    ut_ok(ut_half(0, C("\"\\ud83d\""), "", 0xd83d)
          && ut_half(0xd83d, D("{\"role\":\"assistant\"}"), "", 0xd83d)
          && ut_half(0xd83d, C("\"\""), "", 0xd83d)
          && ut_half(0xd83d, "", "", 0xd83d)
          && ut_half(0xd83d, C("null"), "", 0xd83d)
          && ut_half(0xd83d, C("\"\\ude00\""), "\xf0\x9f\x98\x80", 0),
          "with nothing in between");
    ut_ok(ut_half(0xd83d, C("\"end\""), "\xef\xbf\xbd" "end", 0)
          && ut_half(0xd83d, C("\"\\n\""), "\xef\xbf\xbd\n", 0)
          && ut_half(0xd83d, C("7"), "\xef\xbf\xbd" "7", 0),
          "a first half and something else");
    ut_ok(ut_half(0xd83d, C("\"\\ud83d\\ude00\""),
                  "\xef\xbf\xbd\xf0\x9f\x98\x80", 0)
          && ut_half(0xd83d, C("\"\\ud83d\""), "\xef\xbf\xbd", 0xd83d),
          "a first half and another one");
    ut_ok(ut_half(0, C("\"\\ude00 a\""), "\xef\xbf\xbd a", 0)
          && ut_half(0, C("\"a \\ud83d b\""), "a \xef\xbf\xbd b", 0)
          && ut_half(0, C("\"\\ude00\\ud83d\""), "\xef\xbf\xbd", 0xd83d)
          && ut_half(0, C("\"\\uD83D\\uDE00\\uDE00\""),
                     "\xf0\x9f\x98\x80\xef\xbf\xbd", 0),
          "lone halves");
    ut_ok(ut_half(0, C("[\"\\ud83d\",{\"type\":\"text\",\"text\":"
                       "\"\\ude00\"}]"), "\xf0\x9f\x98\x80", 0),
          "a pair cut between parts");
    ut_ok(ut_half(0, "{\"choices\":[{\"delta\":{\"content\":\"a\\ud83d\"},"
                  "\"finish_reason\":\"stop\"}]}", "a", 0xd83d)
          && ut_half(0xd83d, F("\"stop\""), "", 0xd83d)
          && ut_half(0xd83d, F("null"), "", 0xd83d),
          "a half stays one behind a finish reason");
    ut_ok(ut_half(0, C("\"\\ud83d\\\\ude00\""), "\xef\xbf\xbd\\ude00", 0),
          "an escaped backslash is no half");
    ut_ok(ut_text("{\"model\":\"m\\ud800\",\"id\":\"\\udc00\",\"choices\":"
                  "[{\"delta\":{\"reasoning\":null,\"content\":\"a\"},"
                  "\"logprobs\":{\"token\":\"\\ud83d\"}}]}", "a")
          && ut_is(&ut_d.model, "m\xef\xbf\xbd"),
          "lone halves elsewhere");
}


static void
ut_unused(void)
{
    size_t     n;
    ngx_str_t  open, close, s;

    ut_ok(ut_text("{\"x\":NaN,\"y\":[Infinity,-Infinity],\"choices\":[{"
                  "\"logprobs\":{\"p\":-Infinity},\"delta\":{\"content\":"
                  "\"a\",\"x\":NaN}}]}", "a"),
          "a NaN where nothing is wanted");
    ut_ok(ut_text("{\"usage\":{\"cost\":NaN},\"choices\":[]}", "")
          && ut_d.usage.len == 0
          && ut_text("{\"usage\":{\"x\":\"\\ud800\"},\"choices\":[]}", "")
          && ut_d.usage.len == 0,
          "usage that is not JSON is not kept");
    ut_ok(ut_parse("{\"x\":nan}", 0) == NGX_ERROR
          && ut_parse("{\"x\":-NaN}", 0) == NGX_ERROR
          && ut_parse("{\"x\":+Infinity}", 0) == NGX_ERROR
          && ut_parse("NaN", 0) == NGX_ERROR,
          "nor are other words");

    for (n = 31; n < 100000; n *= 40) {
        open = ut_repeat("{\"a\":[", n);
        close = ut_repeat("]}", n);

        s = ut_repeat(".", open.len + close.len + 100);

        s.len = snprintf((char *) s.data, s.len, "{\"x\":%.*s%.*s,"
                         "\"choices\":[{\"delta\":{\"content\":\"deep\"}}]}",
                         (int) open.len, open.data,
                         (int) close.len, close.data);

        ngx_destroy_pool(ut_p);
        ut_p = ut_pool();

        ngx_memzero(&ut_d, sizeof(ngx_chat_delta_t));

        ut_ok(ngx_chat_delta_parse(&ut_d, &s, ut_p) == NGX_OK
              && ut_is(&ut_d.text, "deep"),
              "depth where nothing is wanted");

        ut_free(&open);
        ut_free(&close);
        ut_free(&s);
    }
}


static void
ut_reasons(void)
{
    ngx_uint_t          i, ok;
    static const char  *stop[] = { F("\"eos\""), F("\"end_turn\""),
        F("\"STOP\""), F("\"complete\""), F("\"COMPLETE\""), F("\"Stop\""),
        F("\"stop_sequence\""), F("\"eos_token\""), F("\"end\""), NULL };
    static const char  *fault[] = { F("\"error\""), F("\"abort\""),
        F("\"insufficient_system_resource\""), F("\"ERROR\""),
        F("\"network_error\""), F("\"cancelled\""),
        F("\"function_call_filter: MALFORMED_FUNCTION_CALL\""), NULL };

    ok = 1;

    for (i = 0; stop[i]; i++) {
        ok &= ut_finish(stop[i], "stop");
    }

    ut_ok(ok, "words for stop");

    ut_ok(ut_finish(F("\"MAX_TOKENS\""), "length")
          && ut_finish(F("\"model_length\""), "length")
          && ut_finish(F("\"SAFETY\""), "content_filter")
          && ut_finish(F("\"sensitive\""), "content_filter")
          && ut_finish(F("\"tool_calls\""), "tool_calls")
          && ut_finish(F("\"Some_Thing\""), "some_thing"),
          "words for others");
    ut_ok(ut_finish(F("\"content_filter: PROHIBITED_CONTENT\""),
                    "content_filter")
          && ut_finish(F("\"stop:\""), "stop")
          && ut_finish(F("\": stop\""), "other"),
          "words with a detail");

    ut_ok(ut_finish(F("\"null\""), "") && ut_finish(F("\"none\""), "")
          && ut_finish(F("null"), "") && ut_finish(F("\"\""), ""),
          "words for none");

    ok = 1;

    for (i = 0; fault[i]; i++) {
        ok &= ut_error(fault[i], 0);
    }

    ut_ok(ok, "words for failures");
    ut_ok(ut_error(F("\"rate_limit_exceeded\""), 429),
          "a word for too many requests");
    ut_ok(ut_error("{\"choices\":[{\"delta\":{\"content\":\"\"},"
                   "\"finish_reason\":\"error\"}],\"error\":{\"message\":"
                   "\"m\",\"code\":429}}", 429),
          "a failure with its error");
}


static void
ut_errors(void)
{
    ut_ok(ut_error("{\"error_code\":336003,\"error_msg\":\"m\"}", 336003)
          && ut_error("{\"error_type\":\"t\",\"message\":\"m\"}", 0)
          && ut_error("{\"choices\":[],\"error_type\":\"t\"}", 0),
          "an error_code, and an error_type");
    ut_ok(ut_error("{\"success\":false,\"errors\":[{\"code\":7000}]}", 0)
          && ut_text("{\"errors\":[]}", ""),
          "errors, and that there are none");
    ut_ok(ut_error("{\"x_groq\":{\"error\":\"e\"},\"choices\":[]}", 0)
          && ut_text("{\"x_groq\":{\"id\":\"e\"},\"choices\":[]}", "")
          && ut_error("{\"x_groq\":{\"error\":\"e\"},\"error\":"
                      "{\"code\":429}}", 429),
          "an error where one provider has it");
    ut_ok(ut_error("{\"type\":\"error\",\"status_code\":529}", 529),
          "a type that is an error");
    ut_ok(ut_error("{\"message\":\"m\",\"code\":\"503\"}", 503)
          && ut_error("{\"choices\":[],\"message\":\"m\",\"status\":500}", 500),
          "a message with a code");
    ut_ok(ut_error("{\"error\":true}", 0)
          && ut_error("{\"error\":500}", 0)
          && ut_error("{\"error\":[\"m\"]}", 0),
          "errors of any type");
    ut_ok(ut_error("{\"choices\":[{\"error\":{\"code\":502,\"message\":"
                   "\"m\"},\"delta\":{}}]}", 502),
          "an error of the choice");
    ut_ok(ut_error("[{\"error\":{\"code\":400,\"status\":\"INVALID\"}}]", 400)
          && ut_parse("[{\"choices\":[]}]", 0) == NGX_ERROR
          && ut_parse("[[{\"error\":{}}]]", 0) == NGX_ERROR,
          "an error in an array");
    ut_ok(ut_text("{\"error\":false,\"error_code\":0,\"error_type\":\"\","
                  "\"choices\":[]}", "")
          && ut_text("{\"error\":\"\",\"error_code\":7,\"choices\":[{\"delta\":"
                     "{\"content\":\"a\"}}]}", "a"),
          "no errors");
    ut_ok(ut_error("{\"choices\":[{\"delta\":{\"content\":true}}],\"error\":"
                   "{\"code\":429}}", 429),
          "an error beside a delta of any kind");
    ut_ok(ut_error("{\"error\":{\"message\":\"m\",\"code\":\"429\"}}", 429),
          "a code in quotes");
}


/* an event whose name says that it is an error */

static ngx_uint_t
ut_named(const char *s, ngx_uint_t code)
{
    ngx_memzero(&ut_d, sizeof(ngx_chat_delta_t));

    ut_d.is_error = 1;

    ut_free(&ut_input);
    ut_input = ut_str(s);

    return ngx_chat_delta_parse(&ut_d, &ut_input, ut_p) == NGX_OK
           && ut_d.is_error && ut_d.error_code == code;
}


static void
ut_names(void)
{
    ut_ok(ut_named("{\"code\":503,\"message\":\"m\"}", 503)
          && ut_named("{\"error\":{\"code\":429}}", 429)
          && ut_named("[{\"code\":503}]", 503),
          "an event that has the name of an error");
    ut_ok(ut_named("", 0) && ut_named("[DONE]", 0) && ut_named("oops", 0)
          && ut_named("[]", 0) && ut_named("{\"a\":", 0),
          "whatever its data");
    ut_ok(ut_named("429 Too Many Requests", 429), "plain text");
}


static void
ut_memory(void)
{
    ngx_int_t   rc;
    ngx_uint_t  i, ok;

    ok = 1;
    rc = NGX_ERROR;

    for (i = 1; i < 100; i++) {
        ngx_destroy_pool(ut_p);
        ut_p = ut_pool();

        ut_free(&ut_input);
        ut_input = ut_str("{\"mod\\u0065l\":\"\\n\",\"choices\":[{\"delta\":"
                          "{\"content\":[\"\\n\"]},\"finish_reason\":"
                          "\"\\u0061\"}]}");

        ngx_memzero(&ut_d, sizeof(ngx_chat_delta_t));

        ut_fail_alloc = i;
        rc = ngx_chat_delta_parse(&ut_d, &ut_input, ut_p);

        if (ut_fail_alloc) {
            break;
        }

        ok &= rc == NGX_ERROR;
    }

    ut_fail_alloc = 0;

    ut_ok(ok && i > 5 && rc == NGX_OK, "no memory at any place");
}


int
main(void)
{
    ut_p = ut_pool();

    ut_shapes();
    ut_reasoning();
    ut_refusal();
    ut_surrogates();
    ut_unused();
    ut_reasons();
    ut_errors();
    ut_names();
    ut_memory();

    ut_free(&ut_input);
    ngx_destroy_pool(ut_p);

    return ut_done();
}
