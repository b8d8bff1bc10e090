
#include "ngx_chat_refusal.h"
#include "ut.h"


static ngx_pool_t          *ut_temp;
static ngx_chat_refusal_t   ut_rf;


static void
ut_parse(const char *body)
{
    ngx_str_t  s;

    s = ut_str(body);

    ngx_reset_pool(ut_temp);
    ngx_chat_refusal_parse(&ut_rf, &s, ut_temp);

    ut_free(&s);
}


static ngx_uint_t
ut_words(const char *body, const char *words)
{
    ut_parse(body);

    return ut_rf.len == ngx_strlen(words)
           && ngx_memcmp(ut_rf.words, words, ut_rf.len) == 0;
}


static void
ut_question(const char *body, const char *name)
{
    ut_parse(body);
    ut_ok(ut_rf.question && !ut_rf.limit, name);
}


static void
ut_other(const char *body, const char *name)
{
    ut_parse(body);
    ut_ok(!ut_rf.question || ut_rf.limit, name);
}


/* as sent by real services, with names and numbers of ours */

static void
ut_real(void)
{
    ut_question("{\"error\":{\"message\":\"This model's maximum context length "
                "is 8192 tokens. However, your messages resulted in 9000 "
                "tokens.\",\"type\":\"invalid_request_error\",\"param\":"
                "\"messages\",\"code\":\"context_length_exceeded\"}}",
                "OpenAI: the context");
    ut_question("{\"error\":{\"message\":\"Invalid prompt: it was flagged.\","
                "\"type\":\"invalid_request_error\",\"param\":null,"
                "\"code\":\"invalid_prompt\"}}",
                "OpenAI: the policy");
    ut_question("{\"error\":{\"message\":\"x\",\"code\":"
                "\"image_parse_error\"}}",
                "OpenAI: an image");
    ut_question("{\"error\":{\"message\":\"The response was filtered\","
                "\"type\":null,\"param\":\"prompt\",\"code\":"
                "\"content_filter\",\"status\":400,\"innererror\":{\"code\":"
                "\"ResponsibleAIPolicyViolation\",\"content_filter_result\":"
                "{\"hate\":{\"filtered\":true}}}}}",
                "Azure: the policy");
    ut_question("{\"error\":{\"code\":\"400\",\"innererror\":{\"code\":"
                "\"ResponsibleAIPolicyViolation\"}}}",
                "Azure: the inner code alone");
    ut_question("{\"type\":\"error\",\"error\":{\"type\":"
                "\"invalid_request_error\",\"message\":\"prompt is too long: "
                "209353 tokens > 199999 maximum\"}}",
                "Anthropic: the context");
    ut_question("[{\"error\":{\"code\":400,\"message\":\"The input token count "
                "(1200000) exceeds the maximum number of tokens allowed "
                "(1048576).\",\"status\":\"INVALID_ARGUMENT\"}}]",
                "Gemini: the context, in an array");
    ut_question("{\"object\":\"error\",\"message\":\"Prompt contains 40000 "
                "tokens, too large for model with 32768 maximum context "
                "length\",\"type\":\"invalid_request_error\",\"code\":"
                "\"3051\"}",
                "Mistral: the context");
    ut_question("{\"object\":\"error\",\"message\":\"This model's maximum "
                "context length is 4096 tokens.\",\"type\":"
                "\"BadRequestError\",\"param\":null,\"code\":400}",
                "vLLM: the context");
    ut_question("{\"error\":{\"code\":400,\"message\":\"the request exceeds "
                "the available context size\",\"type\":"
                "\"exceed_context_size_error\",\"n_ctx\":256}}",
                "llama.cpp: the context");
    ut_question("{\"error\":{\"message\":\"Content Exists Risk\",\"type\":"
                "\"invalid_request_error\",\"param\":null,\"code\":"
                "\"invalid_request_error\"}}",
                "DeepSeek: the policy");
    ut_question("{\"code\":\"Client specified an invalid argument\","
                "\"error\":\"This model's maximum prompt length is 131072 "
                "but the request contains 135001 tokens.\"}",
                "xAI: the context");
    ut_question("{\"error\":{\"message\":\"Please reduce the length of the "
                "messages or completion.\",\"type\":"
                "\"invalid_request_error\",\"param\":\"messages\",\"code\":"
                "\"context_length_exceeded\"}}",
                "Groq: the context");
    ut_question("{\"error\":{\"message\":\"Provider returned error\",\"code\":"
                "400,\"metadata\":{\"raw\":\"{\\\"error\\\":{\\\"code\\\":"
                "\\\"context_length_exceeded\\\"}}\"}}}",
                "OpenRouter: the context, of another");
    ut_question("{\"code\":\"data_inspection_failed\",\"message\":\"x\"}",
                "DashScope: the policy");

    ut_other("{\"code\":\"Client specified an invalid argument\",\"error\":"
             "\"Incorrect API key provided: na***ys.\"}",
             "xAI: the key");
    ut_other("[{\"error\":{\"code\":400,\"message\":\"API key not valid.\","
             "\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"@type\":"
             "\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":"
             "\"API_KEY_INVALID\"}]}}]",
             "Gemini: the key");
    ut_other("{\"type\":\"error\",\"error\":{\"type\":"
             "\"invalid_request_error\",\"message\":\"Your credit balance is "
             "too low to access the Anthropic API.\"}}",
             "Anthropic: no credit");
    ut_other("{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens' is "
             "not supported with this model.\",\"type\":"
             "\"invalid_request_error\",\"param\":\"max_tokens\",\"code\":"
             "\"unsupported_parameter\"}}",
             "OpenAI: a param");
    ut_other("{\"object\":\"error\",\"message\":{\"detail\":[{\"type\":"
             "\"extra_forbidden\",\"loc\":[\"body\",\"stream_options\"],"
             "\"msg\":\"Extra inputs are not permitted\",\"input\":"
             "{\"include_usage\":true}}]},\"type\":\"invalid_request_error\","
             "\"param\":null,\"code\":null}",
             "Mistral: a param");
    ut_other("{\"object\":\"error\",\"message\":\"'max_tokens' is too large: "
             "5000. This model's maximum context length is 4096 tokens.\","
             "\"type\":\"BadRequestError\",\"code\":400}",
             "vLLM: a param that is too large");
    ut_other("{\"error\":{\"message\":\"Request too large for model on tokens "
             "per minute (TPM): Limit 6000, please reduce the length of the "
             "messages\",\"type\":\"tokens\",\"code\":"
             "\"rate_limit_exceeded\"}}",
             "Groq: a limit of the account");
    ut_other("{\"detail\":[{\"type\":\"string_type\",\"loc\":[\"body\"],"
             "\"input\":\"what is a context length\"}]}",
             "the question, repeated");
}


static void
ut_word(void)
{
    ut_ok(ut_words("{\"error\":{\"message\":\"m\",\"type\":"
                   "\"invalid_request_error\",\"code\":\"invalid_api_key\"}}",
                   "invalid_request_error invalid_api_key"),
          "type and code");
    ut_ok(ut_is(&ut_rf.message, "m"), "the message");
    ut_ok(ut_words("{\"error\":{\"type\":\"a\",\"code\":\"a\",\"status\":"
                   "\"b\"},\"code\":\"a\"}", "a b"), "each of them once");
    ut_ok(ut_words("{\"code\":400,\"error\":{\"code\":3001}}", "3001"),
          "numbers, but for HTTP statuses");
    ut_ok(ut_words("[{\"error\":{\"status\":\"INVALID_ARGUMENT\",\"details\":"
                   "[{\"@type\":\"t\",\"reason\":\"API_KEY_INVALID\"}]}}]",
                   "INVALID_ARGUMENT API_KEY_INVALID"),
          "in an array, and in details");
    ut_ok(ut_words("{\"detail\":[{\"type\":\"extra_forbidden\",\"input\":"
                   "{\"type\":\"secret\",\"x\":[{\"code\":\"secret\"}]},"
                   "\"loc\":[\"secret\"]},{\"type\":\"missing\"}]}",
                   "extra_forbidden missing"),
          "nothing of what is repeated");
    ut_ok(ut_words("{\"code\":\"two words\",\"type\":\"caf\xc3\xa9\","
                   "\"status\":\"a\\nb\",\"reason\":\"\"}", ""),
          "no text");
    ut_ok(ut_words("{\"code\":\"abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLM\"}",
                   "abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLM"),
          "a word of 40 bytes");
    ut_ok(ut_words("{\"code\":\"abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLMN\"}",
                   ""), "one of 41");
    ut_ok(ut_words("{\"code\":\"sk-12345678901\",\"type\":\"v2-12345-678\"}",
                   "v2-12345-678"),
          "what is long with digits in it is none");
    ut_ok(ut_words("{\"code\":[\"a\"],\"type\":{\"code\":\"b\"}}", ""),
          "words are no lists");
    ut_ok(ut_words("{\"a\":1,\"errors\":[\"m\",{\"code\":\"b\"}]}", "b")
          && ut_is(&ut_rf.message, "m"), "a list of errors");
    ut_ok(ut_words("[1,[{\"code\":\"b\"}]]", "b"), "lists in lists");
}


static void
ut_broken(void)
{
    char               s[256];
    size_t             i;
    ngx_str_t          many;
    ngx_uint_t         ok;

    static const char  whole[] =
        "[{\"error\":{\"code\":\"abc\",\"message\":\"a \\ud83d\\ude00 m\","
        "\"details\":[{\"type\":\"context_length_exceeded\"}]}}]";

    ok = 1;

    for (i = 0; i < sizeof(whole) - 1; i++) {
        ngx_memcpy(s, whole, i);
        s[i] = '\0';
        ut_parse(s);

        ok &= (ut_rf.question == (i >= sizeof(whole) - 1 - 5));
        ok &= (ut_rf.len >= 3 || i < sizeof("[{\"error\":{\"code\":\"abc\"")
                                     - 1);
    }

    ut_ok(ok, "cut anywhere: what stands before that");

    ut_ok(ut_words("", "") && !ut_rf.question, "nothing");
    ut_ok(ut_words("<html>context length</html>", "") && !ut_rf.question,
          "no JSON");
    ut_ok(ut_words("\"context length\"", "") && !ut_rf.question,
          "a string alone");
    ut_ok(ut_words("{\"code\":\"a\",\"message\":\"\\ud800\",\"type\":\"b\"}",
                   "a b"), "a lone surrogate");
    ut_ok(ut_words("{\"code\":\"a\"} trailing", "a"), "bytes behind it");

    many = ut_repeat("[", 5000);
    ngx_chat_refusal_parse(&ut_rf, &many, ut_temp);
    ut_free(&many);

    ut_ok(ut_rf.len == 0, "deeply nested");

    many = ut_repeat("{\"error\":", 200);
    ngx_chat_refusal_parse(&ut_rf, &many, ut_temp);
    ut_free(&many);

    ut_ok(ut_rf.len == 0, "errors in errors");

    ut_ok(ut_words("{\"error\":[{\"code\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},"
                   "{\"code\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"},"
                   "{\"code\":\"cccccccccccccccccccccccccccccc\"},"
                   "{\"code\":\"dddddddddddddddddddddddddddddddddddd\"},"
                   "{\"code\":\"e\"}]}",
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
                   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb "
                   "cccccccccccccccccccccccccccccc e"),
          "no word is cut");
}


int
main(void)
{
    ut_temp = ut_pool();

    ut_real();
    ut_word();
    ut_broken();

    ngx_destroy_pool(ut_temp);

    return ut_done();
}
