
#include "ngx_chat_json.h"
#include "ngx_chat_delta.h"
#include "../../ngx_chat_module/provider/ngx_chat_provider_json.h"

#include "ut.h"


static void ut_param(ngx_chat_provider_t *pv, const char *name,
    const char *value);
static ngx_chat_provider_t *ut_provider(const char *model,
    const char *system);
static ngx_uint_t ut_body(ngx_chat_provider_t *pv, const char *question,
    const char *want);
static void ut_prepare(void);
static void ut_fingerprint(void);
static ngx_int_t ut_parse(const char *s, size_t len);
static ngx_int_t ut_delta(const char *s);
static ngx_uint_t ut_text(const char *s, const char *want);
static ngx_uint_t ut_finish(const char *value, const char *want);
static ngx_uint_t ut_error(const char *s, ngx_uint_t code);
static void ut_deltas(void);
static void ut_errors(void);
static void ut_broken(void);


static ngx_pool_t        *ut_p;
static ngx_str_t          ut_input;
static ngx_chat_delta_t   ut_d;


static ngx_chat_provider_t *
ut_provider(const char *model, const char *system)
{
    ngx_chat_provider_t  *pv;

    pv = ngx_pcalloc(ut_p, sizeof(ngx_chat_provider_t));

    ngx_str_set(&pv->url, "http://localhost/v1");

    pv->model.data = (u_char *) model;
    pv->model.len = strlen(model);

    pv->system.data = system ? (u_char *) system : NULL;
    pv->system.len = system ? strlen(system) : 0;

    return pv;
}


static void
ut_param(ngx_chat_provider_t *pv, const char *name, const char *value)
{
    ngx_keyval_t  *kv;

    if (pv->params == NULL) {
        pv->params = ngx_array_create(ut_p, 1, sizeof(ngx_keyval_t));
    }

    kv = ngx_array_push(pv->params);

    kv->key.data = (u_char *) name;
    kv->key.len = strlen(name);

    kv->value.data = (u_char *) value;
    kv->value.len = strlen(value);
}


static ngx_uint_t
ut_body(ngx_chat_provider_t *pv, const char *question, const char *want)
{
    u_char     *p;
    ngx_str_t   q, m, body;
    ngx_uint_t  ok;

    if (ngx_chat_provider_prepare(pv, ut_p) != NGX_OK) {
        return 0;
    }

    q = ut_str(question);
    m = ngx_chat_user_message(&q, ut_p);

    body = ut_repeat("#", pv->prefix.len + m.len + pv->suffix.len);

    p = body.data;
    p = ngx_cpymem(p, pv->prefix.data, pv->prefix.len);
    p = ngx_cpymem(p, m.data, m.len);
    memcpy(p, pv->suffix.data, pv->suffix.len);

    ok = ut_is(&body, want)
         && ngx_chat_json_check_value(body.data, body.len) == NGX_OK;

    ut_free(&q);
    ut_free(&body);

    return ok;
}


static void
ut_prepare(void)
{
    ngx_str_t             q, m;
    ngx_int_t             rc;
    ngx_uint_t            i, ok;
    ngx_chat_provider_t  *pv;

    pv = ut_provider("gpt-4o-mini", NULL);

    ut_ok(ut_body(pv, "What is \"Python\"?",
                  "{\"model\": \"gpt-4o-mini\", \"messages\": ["
                  "{\"role\": \"user\", "
                  "\"content\": \"What is \\\"Python\\\"?\"}"
                  "], \"stream\": true, "
                  "\"stream_options\": {\"include_usage\": true}}"),
          "the smallest body");

    pv = ut_provider("a\"b", "Be\nshort.");
    ut_param(pv, "temperature", "0.2");
    ut_param(pv, "stop", "[\"x\", \"y\"]");

    ut_ok(ut_body(pv, "",
                  "{\"model\": \"a\\\"b\", \"messages\": ["
                  "{\"role\": \"system\", \"content\": \"Be\\nshort.\"}, "
                  "{\"role\": \"user\", \"content\": \"\"}"
                  "], \"temperature\": 0.2, \"stop\": [\"x\", \"y\"], "
                  "\"stream\": true, "
                  "\"stream_options\": {\"include_usage\": true}}"),
          "a body with a system message and parameters");

    pv = ut_provider("a", NULL);
    ut_param(pv, "stream", "false");
    ut_param(pv, "stream_options", "null");
    ut_param(pv, "messages", "[]");
    ut_param(pv, "model", "\"b\"");
    ut_param(pv, "models", "\"c\"");

    ut_ok(ut_body(pv, "q",
                  "{\"model\": \"b\", \"messages\": ["
                  "{\"role\": \"user\", \"content\": \"q\"}"
                  "], \"stream_options\": null, \"models\": \"c\", "
                  "\"stream\": true}"),
          "parameters that replace members, and those that may not");

    pv = ut_provider("a", NULL);
    pv->no_usage = 1;

    ut_ok(ut_body(pv, "q",
                  "{\"model\": \"a\", \"messages\": ["
                  "{\"role\": \"user\", \"content\": \"q\"}"
                  "], \"stream\": true}"),
          "a body without usage");

    ok = 1;

    for (i = 1; ; i++) {
        ut_fail_alloc = i;
        rc = ngx_chat_provider_prepare(pv, ut_p);

        if (ut_fail_alloc) {
            break;
        }

        ok &= rc == NGX_ERROR;
    }

    ut_fail_alloc = 0;

    ut_ok(ok && i > 3 && rc == NGX_OK, "no memory at any place");

    ngx_str_set(&q, "q");

    ut_fail_alloc = 1;
    m = ngx_chat_user_message(&q, ut_p);
    ut_fail_alloc = 0;

    ut_ok(m.data == NULL && m.len == 0, "no memory for a message");
}


static void
ut_fingerprint(void)
{
    ngx_uint_t            i, k, ok;
    ngx_chat_provider_t  *pv[8], *same;

    for (i = 0; i < 8; i++) {
        pv[i] = ut_provider("m", "s");
    }

    ngx_str_set(&pv[1]->url, "http://other/v1");
    ngx_str_set(&pv[2]->model, "n");
    ngx_str_set(&pv[3]->system, "t");
    ngx_str_set(&pv[4]->model, "ms");
    ngx_str_null(&pv[4]->system);
    ut_param(pv[5], "a", "1");
    ut_param(pv[6], "a", "2");
    ut_param(pv[7], "b", "1");

    same = ut_provider("m", "s");
    ngx_str_set(&same->name, "other");
    ngx_str_set(&same->key, "secret");
    same->retries = 7;
    same->no_usage = 1;

    ok = ngx_chat_provider_prepare(same, ut_p) == NGX_OK;

    for (i = 0; i < 8; i++) {
        ok &= ngx_chat_provider_prepare(pv[i], ut_p) == NGX_OK;

        for (k = 0; k < i; k++) {
            ok &= memcmp(pv[i]->fp, pv[k]->fp, NGX_CHAT_FP_LEN) != 0;
        }
    }

    ut_ok(ok, "url, model, system and parameters make the fingerprint");
    ut_ok(memcmp(pv[0]->fp, same->fp, NGX_CHAT_FP_LEN) == 0,
          "name, key, retries and usage do not");
}


static ngx_int_t
ut_parse(const char *s, size_t len)
{
    ngx_destroy_pool(ut_p);
    ut_p = ut_pool();

    ut_free(&ut_input);
    ut_input = ut_bytes(s, len);

    ngx_memzero(&ut_d, sizeof(ngx_chat_delta_t));

    return ngx_chat_delta_parse(&ut_d, &ut_input, ut_p);
}


static ngx_int_t
ut_delta(const char *s)
{
    return ut_parse(s, strlen(s));
}


static ngx_uint_t
ut_text(const char *s, const char *want)
{
    return ut_delta(s) == NGX_OK && ut_is(&ut_d.text, want)
           && !ut_d.is_error && !ut_d.reasoning;
}


static ngx_uint_t
ut_finish(const char *value, const char *want)
{
    char  s[256];

    strcpy(s, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":");
    strcat(s, value);
    strcat(s, "}]}");

    return ut_delta(s) == NGX_OK && ut_is(&ut_d.finish, want);
}


static ngx_uint_t
ut_error(const char *s, ngx_uint_t code)
{
    return ut_delta(s) == NGX_OK && ut_d.is_error
           && ut_d.error_code == code;
}


static void
ut_deltas(void)
{
    ut_ok(ut_text("{\"id\":\"x\",\"object\":\"chat.completion.chunk\","
                  "\"created\":1,\"model\":\"gpt\",\"choices\":[{\"index\":0,"
                  "\"delta\":{\"content\":\"Python\"},\"logprobs\":null,"
                  "\"finish_reason\":null}],\"usage\":null}", "Python")
          && ut_is(&ut_d.model, "gpt")
          && ut_d.finish.len == 0 && ut_d.usage.len == 0,
          "a chunk");

    ut_ok(ut_d.text.data > ut_input.data
          && ut_d.text.data < ut_input.data + ut_input.len,
          "text without escapes is not copied");

    ut_ok(ut_text("{\"choices\":[{\"delta\":{\"content\":"
                  "\"a\\n\\u00e9\\ud83d\\udc0d\\\"\"}}]}",
                  "a\n\xc3\xa9\xf0\x9f\x90\x8d\""),
          "escapes are decoded");

    ut_ok(ut_delta("{\"choices\":[{\"delta\":{\"content\":\"a\\u0000b\"}}]}")
          == NGX_OK && ut_d.text.len == 3,
          "a zero byte");

    ut_ok(ut_text("{\"choices\":[{\"delta\":{\"content\":null}}]}", ""),
          "content null");
    ut_ok(ut_text("{\"choices\":[{\"delta\":{\"content\":\"\"}}]}", ""),
          "content empty");
    ut_ok(ut_text("{\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}", ""),
          "a role");
    ut_ok(ut_text("{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,"
                  "\"function\":{\"content\":\"x\"}}]}}]}", ""),
          "tool calls");
    ut_ok(ut_text("{\"choices\":[{\"delta\":null}]}", ""), "delta null");
    ut_ok(ut_text("{\"choices\":null}", ""), "choices null");
    ut_ok(ut_text("{\"choices\":{\"delta\":{\"content\":\"x\"}}}", ""),
          "choices that are an object");
    ut_ok(ut_text("{\"choices\":[[{\"delta\":{\"content\":\"x\"}}]]}", ""),
          "choices in one more array");
    ut_ok(ut_text("{\"x\":{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}}",
                  ""),
          "choices further inside");
    ut_ok(ut_text("{\"delta\":{\"content\":\"x\"},\"content\":\"y\"}", ""),
          "a delta without choices");
    ut_ok(ut_text("{}", ""), "an empty object");
    ut_ok(ut_text("{\"choices\":[{\"delta\":{\"content\":\"a\"},\"index\":1},"
                  "{\"delta\":{\"content\":\"b\"},\"index\":0}]}", "b"),
          "choice 0 is not the first, and its index comes last");
    ut_ok(ut_text("{\"choices\":[{\"index\":2,\"delta\":{\"content\":\"a\"},"
                  "\"finish_reason\":\"stop\"}]}", "")
          && ut_d.finish.len == 0,
          "another choice alone");
    ut_ok(ut_text("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}},"
                  "{\"index\":1,\"delta\":{\"content\":\"b\"}}]}", "a"),
          "another choice behind");
    ut_ok(ut_text("{\"choices\":[{\"delta\":{\"content\":\"a\"}},"
                  "{\"delta\":{}}]}", "a"),
          "two choices without an index");
    ut_ok(ut_text("{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\","
                  "\"reasoning\":\"r\"},\"finish_reason\":\"stop\"},"
                  "{\"delta\":{}}]}", "") && ut_d.finish.len == 0,
          "a choice takes nothing over from another");
    ut_ok(ut_text("{\"choices\":[{\"index\":1},"
                  "{\"delta\":{\"content\":\"b\"}}]}", "b"),
          "a choice without an index behind another");
    ut_ok(ut_text("\n {\"choices\":[]} \r\n", ""), "white space around");

    ut_ok(ut_delta("{\"choices\":[],\"usage\":{\"a\":1,\"b\":{\"c\":2}},"
                   "\"x\":{\"usage\":{}}}") == NGX_OK
          && ut_is(&ut_d.usage, "{\"a\":1,\"b\":{\"c\":2}}"),
          "usage");

    ut_ok(ut_delta(" {\"usage\" : { } , \"choices\":[]}") == NGX_OK
          && ut_is(&ut_d.usage, "{ }"), "an empty usage");

    ut_ok(ut_finish("\"stop\"", "stop"), "finish stop");
    ut_ok(ut_finish("\"content_filter\"", "content_filter"),
          "finish content_filter");
    ut_ok(ut_finish("null", ""), "finish null");
    ut_ok(ut_finish("\"\"", ""), "finish empty");
    ut_ok(ut_finish("1", ""), "a number for finish");
    ut_ok(ut_finish("\"a\\nb\"", "other"), "finish with a line feed");
    ut_ok(ut_finish("\"st\\u006fp\"", "stop"), "finish with an escape");
    ut_ok(ut_finish("\"abcdefghijklmnopqrstuvwxyz_abcde\"",
                    "abcdefghijklmnopqrstuvwxyz_abcde"),
          "finish of 32 bytes");
    ut_ok(ut_finish("\"abcdefghijklmnopqrstuvwxyz_abcdef\"", "other"),
          "finish of 33 bytes");

    ut_ok(ut_delta("{\"choices\":[{\"delta\":{\"reasoning_content\":\"x\"}}]}")
          == NGX_OK && ut_d.reasoning && ut_d.text.len == 0,
          "reasoning_content");
    ut_ok(ut_delta("{\"choices\":[{\"delta\":{\"reasoning\":\"x\","
                   "\"content\":\"\"}}]}")
          == NGX_OK && ut_d.reasoning && ut_d.text.len == 0,
          "reasoning");
    ut_ok(ut_text("{\"choices\":[{\"delta\":{\"reasoning_content\":null,"
                  "\"reasoning\":\"\",\"content\":\"a\"}}]}", "a"),
          "no reasoning");
}


static void
ut_errors(void)
{
    ut_ok(ut_error("{\"error\":{\"message\":\"Slow \\\"down\\\"\","
                   "\"type\":\"x\",\"code\":429}}", 429),
          "an error object");
    ut_ok(ut_error("{\"error\":{\"message\":\"m\",\"status\":503,"
                   "\"code\":\"overloaded\"}}", 503),
          "an error with a status");
    ut_ok(ut_error("{\"error\":{\"status\":1,\"message\":\"m\","
                   "\"code\":400}}", 400),
          "the code goes before the status");
    ut_ok(ut_error("{\"error\":{\"message\":\"m\",\"code\":null}}", 0),
          "an error without a code");
    ut_ok(ut_error("{\"error\":{\"code\":-5}}", 0), "a negative code");
    ut_ok(ut_error("{\"error\":{\"code\":4e2}}", 0),
          "a code with an exponent");
    ut_ok(ut_error("{\"error\":{\"code\":99999999999999999999999}}", 0),
          "a huge code");
    ut_ok(ut_error("{\"error\":{}}", 0), "an empty error");
    ut_ok(ut_error("{\"error\":\"m\"}", 0), "an error that is a string");
    ut_ok(ut_error("{\"code\":500,\"error\":{\"status\":503}}", 503),
          "the inner code goes first");
    ut_ok(ut_error("{\"object\":\"error\",\"message\":\"m\",\"code\":400}",
                   400),
          "an object that is an error");
    ut_ok(ut_error("{\"choices\":[],\"error\":{\"message\":\"m\"}}", 0),
          "an error beside choices");
    ut_ok(ut_text("{\"error\":null,\"choices\":[{\"delta\":{\"content\":"
                  "\"a\"}}]}", "a"),
          "error null");
    ut_ok(ut_text("{\"x\":{\"error\":{}},\"choices\":[]}", ""),
          "an error further inside");
    ut_ok(ut_text("{\"message\":\"m\",\"code\":0,\"status\":200}", "")
          && ut_d.error_code == 0,
          "a message alone");
}


static void
ut_broken(void)
{
    size_t      i;
    ngx_int_t   rc;
    ngx_uint_t  ok;

    static const char  whole[] =
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\ud83d\\udc0d\"}"
        ",\"finish_reason\":\"stop\"}],\"usage\":{\"a\":[1]}}";

    ut_ok(ut_delta("[DONE]") == NGX_DONE, "[DONE]");
    ut_ok(ut_delta(" \t[DONE] \r\n") == NGX_DONE, "[DONE] in space");
    ut_ok(ut_delta("[DONE]x") == NGX_ERROR, "[DONE] and a letter");
    ut_ok(ut_delta("[done]") == NGX_ERROR, "[done]");
    ut_ok(ut_delta("") == NGX_OK && ut_d.text.len == 0, "nothing");
    ut_ok(ut_delta(" ") == NGX_OK && ut_d.text.len == 0, "space");
    ut_ok(ut_delta("[]") == NGX_ERROR, "an array");
    ut_ok(ut_delta("[{}]") == NGX_ERROR, "an object in an array");
    ut_ok(ut_delta("null") == NGX_ERROR, "null");
    ut_ok(ut_delta("\"x\"") == NGX_ERROR, "a string");
    ut_ok(ut_delta("hello") == NGX_ERROR, "text");
    ut_ok(ut_delta("{} {}") == NGX_ERROR, "two objects");
    ut_ok(ut_delta("{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}")
          == NGX_ERROR, "bad UTF-8");
    ut_ok(ut_parse("{}\0", 3) == NGX_ERROR, "a zero byte behind");

    ok = 1;

    for (i = 1; i < sizeof(whole) - 1; i++) {
        ok &= ut_parse(whole, i) == NGX_ERROR;
    }

    ut_ok(ok, "cut off anywhere it is refused");
    ut_ok(ut_text(whole, "\xf0\x9f\x90\x8d") && ut_is(&ut_d.finish, "stop")
          && ut_is(&ut_d.usage, "{\"a\":[1]}"), "but not whole");

    ut_free(&ut_input);
    ut_input = ut_str("{\"choices\":[{\"delta\":{\"content\":\"\\n\"}}]}");

    ut_fail_alloc = 1;
    rc = ngx_chat_delta_parse(&ut_d, &ut_input, ut_p);
    ut_fail_alloc = 0;

    ut_ok(rc == NGX_ERROR, "no memory");
}


int
main(void)
{
    ut_p = ut_pool();

    ut_prepare();
    ut_fingerprint();
    ut_deltas();
    ut_errors();
    ut_broken();

    ut_free(&ut_input);
    ngx_destroy_pool(ut_p);

    return ut_done();
}
