
#include "ngx_chat_provider_reason.h"
#include "ngx_chat_str.h"


#define NGX_CHAT_REASON_MAX  32


typedef struct {
    const char  *word;
    const char  *means;            /* NULL: a failure */
} ngx_chat_reason_t;


static ngx_chat_reason_t  ngx_chat_reasons[] = {
    { "null", "" },
    { "none", "" },

    { "eos", "stop" },
    { "eos_token", "stop" },
    { "end", "stop" },
    { "end_turn", "stop" },
    { "complete", "stop" },
    { "completed", "stop" },
    { "stop_sequence", "stop" },

    { "max_tokens", "length" },
    { "max_new_tokens", "length" },
    { "max_output_tokens", "length" },
    { "model_length", "length" },
    { "error_limit", "length" },

    { "content_filtered", "content_filter" },
    { "safety", "content_filter" },
    { "recitation", "content_filter" },
    { "blocklist", "content_filter" },
    { "prohibited_content", "content_filter" },
    { "spii", "content_filter" },
    { "sensitive", "content_filter" },
    { "error_toxic", "content_filter" },
    { "refusal", "content_filter" },

    { "error", NULL },
    { "abort", NULL },
    { "aborted", NULL },
    { "cancel", NULL },
    { "cancelled", NULL },
    { "canceled", NULL },
    { "user_cancel", NULL },
    { "timeout", NULL },
    { "network_error", NULL },
    { "function_call_filter", NULL },
    { "insufficient_system_resource", NULL },
    { "rate_limit_exceeded", NULL }
};


ngx_int_t
ngx_chat_provider_reason(ngx_str_t *reason, ngx_str_t *word, ngx_pool_t *pool)
{
    u_char      ch, *colon;
    size_t      i, len;
    ngx_uint_t  n;

    ngx_str_null(reason);

    if (word->len == 0) {
        return NGX_OK;
    }

    /* a detail may follow: "content_filter: RECITATION" */

    colon = ngx_strlchr(word->data, word->data + word->len, ':');
    len = colon ? (size_t) (colon - word->data) : word->len;

    if (len == 0 || len > NGX_CHAT_REASON_MAX) {
        ngx_str_set(reason, "other");
        return NGX_OK;
    }

    reason->data = ngx_pnalloc(pool, len);
    if (reason->data == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < len; i++) {
        ch = ngx_tolower(word->data[i]);

        if (ch != '_' && (ch < 'a' || ch > 'z')) {
            ngx_str_set(reason, "other");
            return NGX_OK;
        }

        reason->data[i] = ch;
    }

    reason->len = len;

    for (n = 0; n < sizeof(ngx_chat_reasons) / sizeof(ngx_chat_reason_t); n++)
    {
        if (!ngx_chat_str_is(reason, ngx_chat_reasons[n].word)) {
            continue;
        }

        if (ngx_chat_reasons[n].means == NULL) {
            ngx_str_null(reason);
            return NGX_DECLINED;
        }

        reason->data = (u_char *) ngx_chat_reasons[n].means;
        reason->len = ngx_strlen(ngx_chat_reasons[n].means);
        break;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_chat_provider_is_reasoning(ngx_str_t *name)
{
    ngx_uint_t         i;
    static ngx_str_t   starts[] = {
        ngx_string("reasoning"),
        ngx_string("think"),
        ngx_string("thought")
    };

    for (i = 0; i < sizeof(starts) / sizeof(ngx_str_t); i++) {

        if (name->len >= starts[i].len
            && ngx_memcmp(name->data, starts[i].data, starts[i].len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
