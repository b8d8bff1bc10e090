
#include "ngx_chat_call.h"
#include "../codec/ngx_chat_str.h"


/* of an error reply, in the log */
#define NGX_CHAT_CALL_ERROR_LEN  200




/* the first word; NGX_AGAIN: it may serve soon */

static const ngx_chat_word_t  ngx_chat_call_reply_refusals[] = {
    { "LOADING", NGX_AGAIN },
    { "READONLY", NGX_AGAIN },
    { "MASTERDOWN", NGX_AGAIN },
    { "CLUSTERDOWN", NGX_AGAIN },
    { "MISCONF", NGX_AGAIN },
    { "TRYAGAIN", NGX_AGAIN },
    { "BUSY", NGX_AGAIN },
    { "NOREPLICAS", NGX_AGAIN },
    { "NOSCRIPT", NGX_AGAIN },
    { "OOM", NGX_ERROR },
    { "NOAUTH", NGX_ERROR },
    { "NOPERM", NGX_ERROR },
    { "MOVED", NGX_ERROR },
    { "ASK", NGX_ERROR },
    { NULL, NGX_ABORT }
};


ngx_int_t
ngx_chat_call_reply_classify(ngx_chat_reply_t *reply)
{
    ngx_str_t               error;
    const ngx_chat_word_t  *w;

    if (ngx_chat_reply_error(reply, &error) != NGX_OK) {
        return NGX_OK;
    }

    for (w = ngx_chat_call_reply_refusals; w->word; w++) {
        if (ngx_chat_call_reply_is_error(reply, w->word)) {
            break;
        }
    }

    return w->rc;
}


ngx_uint_t
ngx_chat_call_reply_is_error(ngx_chat_reply_t *reply, const char *word)
{
    size_t     len;
    ngx_str_t  error;

    len = ngx_strlen(word);

    return ngx_chat_reply_error(reply, &error) == NGX_OK
           && error.len >= len
           && ngx_memcmp(error.data, word, len) == 0
           && (error.len == len || error.data[len] == ' ');
}


ngx_int_t
ngx_chat_call_reply_check(ngx_chat_call_t *call, ngx_chat_reply_t *reply)
{
    size_t             i;
    u_char             words[NGX_CHAT_CALL_ERROR_LEN];
    ngx_int_t          rc;
    ngx_str_t          error;
    ngx_chat_store_t  *st;

    if (reply == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_chat_call_reply_classify(reply);

    if (rc == NGX_OK || ngx_chat_reply_error(reply, &error) != NGX_OK) {
        return NGX_OK;
    }

    st = call->store;
    error.len = ngx_min(error.len, NGX_CHAT_CALL_ERROR_LEN);

    /* control characters would break up the line of the log */

    for (i = 0; i < error.len; i++) {
        words[i] = (error.data[i] < 0x20 || error.data[i] > 0x7e)
                   ? '?' : error.data[i];
    }

    error.data = words;

    if (rc == NGX_ABORT) {
        ngx_log_error(NGX_LOG_ERR, st->log, 0,
                      "chat: redis answered chat command \"%V\" with error "
                      "\"%V\"",
                      ngx_chat_call_reply_command_name(call), &error);
        return NGX_ABORT;
    }

    /* every request says so while it lasts: a line a second will do */

    if (st->refused != ngx_time()) {
        st->refused = ngx_time();

        ngx_log_error(NGX_LOG_ERR, st->log, 0,
                      "chat: redis cannot serve chat command \"%V\": \"%V\"",
                      ngx_chat_call_reply_command_name(call), &error);
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_chat_call_reply_check_array(ngx_chat_call_t *call, ngx_chat_reply_t *reply)
{
    int64_t    n;
    ngx_int_t  rc;
    ngx_str_t  s;

    rc = ngx_chat_call_reply_check(call, reply);

    if (rc != NGX_OK) {
        return rc;
    }

    /* nil is an empty array */

    if (ngx_chat_reply_str(reply, &s) == NGX_OK
        || ngx_chat_reply_int(reply, &n) == NGX_OK)
    {
        return ngx_chat_call_reply_log_unexpected(call);
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_call_reply_read_word(ngx_chat_call_t *call, ngx_chat_reply_t *reply)
{
    ngx_int_t               rc;
    ngx_str_t               s;
    const ngx_chat_word_t  *w;

    rc = ngx_chat_call_reply_check(call, reply);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_chat_reply_str(ngx_chat_reply_at(reply, 0), &s) == NGX_OK) {

        for (w = call->script->words; w->word; w++) {

            if (ngx_chat_str_is(&s, w->word)) {
                return w->rc;
            }
        }
    }

    return ngx_chat_call_reply_log_unexpected(call);
}


ngx_int_t
ngx_chat_call_reply_read_number(ngx_chat_call_t *call, ngx_chat_reply_t *reply,
    ngx_uint_t i, uint64_t *n)
{
    int64_t  value;

    if (ngx_chat_reply_int(ngx_chat_reply_at(reply, i), &value) != NGX_OK
        || value < 0)
    {
        return ngx_chat_call_reply_log_unexpected(call);
    }

    *n = value;

    return NGX_OK;
}


ngx_int_t
ngx_chat_call_reply_read_entry(ngx_chat_call_t *call, ngx_chat_reply_t *reply,
    ngx_uint_t i, ngx_str_t *entry)
{
    uint64_t  ms, n;

    if (ngx_chat_reply_str(ngx_chat_reply_at(reply, i), entry) != NGX_OK
        || (entry->len
            && ngx_chat_keys_parse_entry(entry, &ms, &n) != NGX_OK))
    {
        return ngx_chat_call_reply_log_unexpected(call);
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_call_reply_log_unexpected(ngx_chat_call_t *call)
{
    ngx_log_error(NGX_LOG_ERR, call->store->log, 0,
                  "chat: redis sent an unexpected reply to chat command \"%V\"",
                  ngx_chat_call_reply_command_name(call));

    return NGX_ABORT;
}


ngx_str_t *
ngx_chat_call_reply_command_name(ngx_chat_call_t *call)
{
    return call->script ? &call->script->name : call->args.elts;
}


void
ngx_chat_call_word_reply_handler(ngx_chat_call_t *call, ngx_chat_reply_t *reply)
{
    ngx_int_t       rc;
    ngx_chat_rc_pt  handler;

    rc = ngx_chat_call_reply_read_word(call, reply);

    handler = (ngx_chat_rc_pt) call->handler;
    handler(call->data, rc);
}
