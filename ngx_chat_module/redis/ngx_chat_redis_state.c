
#include "ngx_chat_redis_private.h"


static void ngx_chat_redis_free(ngx_chat_redis_t *rd);


static const char  *ngx_chat_redis_state_names[] = {
    "WAIT",
    "RESOLVE",
    "CONNECT",
    "HANDSHAKE",
    "SETUP",
    "UP",
    "CLOSED"
};


static const char  *ngx_chat_redis_state_steps[] = {
    "AUTH",
    "ROLE",
    "SENTINEL get-master-addr-by-name",
    "SELECT",
    "CLIENT SETNAME",
    "CLIENT ID",
    "CLIENT TRACKING",
    "INFO",
    "CLUSTER INFO"
};


const char *
ngx_chat_redis_get_state_name(ngx_chat_redis_state_e state)
{
    return ngx_chat_redis_state_names[state];
}


const char *
ngx_chat_redis_get_step_name(ngx_chat_redis_step_e step)
{
    return ngx_chat_redis_state_steps[step];
}


ngx_uint_t
ngx_chat_redis_is_up(ngx_chat_redis_t *rd)
{
    return rd->state == NGX_CHAT_REDIS_UP;
}


ngx_uint_t
ngx_chat_redis_is_down(ngx_chat_redis_t *rd)
{
    return rd->failed || rd->state == NGX_CHAT_REDIS_CLOSED;
}


ngx_uint_t
ngx_chat_redis_is_partial(ngx_chat_redis_t *rd)
{
    return rd->partial;
}


ngx_uint_t
ngx_chat_redis_is_dropped(ngx_chat_redis_t *rd)
{
    return rd->dropped;
}


ngx_uint_t
ngx_chat_redis_count_left(ngx_chat_redis_t *rd)
{
    return rd->nleft;
}


ngx_str_t *
ngx_chat_redis_get_policy(ngx_chat_redis_t *rd)
{
    return &rd->policy;
}


void
ngx_chat_redis_set_errmsg(ngx_chat_redis_t *rd, ngx_str_t *text)
{
    u_char  ch;
    size_t  i;

    rd->errmsg.len = ngx_min(text->len, NGX_CHAT_REDIS_MAX_ERRMSG);

    for (i = 0; i < rd->errmsg.len; i++) {
        ch = text->data[i];
        rd->errmsg.data[i] = (ch < 0x20 || ch > 0x7e) ? '?' : ch;
    }
}


ngx_uint_t
ngx_chat_redis_starts_with(ngx_str_t *s, const char *text)
{
    size_t  len;

    len = ngx_strlen(text);

    return s->len >= len && ngx_memcmp(s->data, text, len) == 0;
}


void
ngx_chat_redis_enter(ngx_chat_redis_t *rd)
{
    rd->busy++;
}


void
ngx_chat_redis_leave(ngx_chat_redis_t *rd)
{
    rd->busy--;

    if (rd->closed && rd->busy == 0) {
        ngx_chat_redis_free(rd);
    }
}


static void
ngx_chat_redis_free(ngx_chat_redis_t *rd)
{
    if (rd->flush.posted) {
        ngx_delete_posted_event(&rd->flush);
    }

    ngx_chat_bytes_free(&rd->out);

    ngx_free(rd);
}
