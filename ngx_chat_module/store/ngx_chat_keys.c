
#include "ngx_chat_keys.h"
#include "../codec/ngx_chat_str.h"


void
ngx_chat_keys_init(ngx_chat_keys_t *keys, ngx_chat_gen_t *gen)
{
    u_char  *p;

    p = keys->room;

    keys->stream.data = p;
    p = ngx_sprintf(p, NGX_CHAT_KEY_STREAM "%*s",
                    (size_t) NGX_CHAT_HASH_LEN, gen->h);
    keys->stream.len = p - keys->stream.data;

    keys->live.data = p;
    p = ngx_sprintf(p, "{%V}:1:live:%*s", &keys->stream,
                    (size_t) NGX_CHAT_FP_LEN, gen->fp);
    keys->live.len = p - keys->live.data;

    keys->gen.data = p;
    p = ngx_sprintf(p, "{%V}:1:gen:%*s", &keys->stream,
                    (size_t) NGX_CHAT_ID_LEN, gen->id);
    keys->gen.len = p - keys->gen.data;

    keys->own.data = p;
    p = ngx_sprintf(p, "%V:own", &keys->gen);
    keys->own.len = p - keys->own.data;

    keys->update.data = p;
    p = ngx_sprintf(p, "{%V}:1:update:%*s", &keys->stream,
                    (size_t) NGX_CHAT_FP_LEN, gen->fp);
    keys->update.len = p - keys->update.data;
}


ngx_int_t
ngx_chat_keys_parse_entry(ngx_str_t *id, uint64_t *ms, uint64_t *n)
{
    u_char  *p, *last;

    p = id->data;
    last = p + id->len;

    if (ngx_chat_str_read_number(&p, last, UINT64_MAX, ms) != NGX_OK
        || p == last
        || *p++ != '-'
        || ngx_chat_str_read_number(&p, last, UINT64_MAX, n) != NGX_OK
        || p != last)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_keys_check_hex(ngx_str_t *s, size_t len)
{
    u_char  ch;
    size_t  i;

    if (s->len != len) {
        return NGX_DECLINED;
    }

    for (i = 0; i < len; i++) {
        ch = s->data[i];

        if ((ch < '0' || ch > '9') && (ch < 'a' || ch > 'f')) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}
