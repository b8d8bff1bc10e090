
#include "ngx_chat_call.h"


/* words of Redis for NOPERM of a command in a script: old, and since 7.2 */
#define NGX_CHAT_CALL_NOPERM_OLD  "ERR The user executing the script"
#define NGX_CHAT_CALL_NOPERM      "ERR ACL failure in script:"

/* drops that rule out a coincidence; s for which the answer is left alone */
#define NGX_CHAT_OVERSIZE_DROPS  4
#define NGX_CHAT_OVERSIZE_TIME   60


static size_t ngx_chat_store_service_copy_word(u_char *buf, ngx_str_t *error);
static ngx_uint_t ngx_chat_store_service_is_served(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static ngx_chat_oversize_t *ngx_chat_store_oversize_find(ngx_chat_store_t *st,
    u_char *h);
static ngx_chat_oversize_t *ngx_chat_store_oversize_get_free(
    ngx_chat_store_t *st);
static void ngx_chat_store_service_follow_server(ngx_chat_call_t *call);


ngx_str_t *
ngx_chat_store_get_refusal(ngx_chat_store_t *st, ngx_chat_service_e service)
{
    return &st->services[service].word;
}


void
ngx_chat_store_service_update(ngx_chat_call_t *call, ngx_chat_reply_t *reply)
{
    ngx_str_t            error;
    ngx_chat_service_t  *service;

    if (ngx_chat_reply_error(reply, &error) != NGX_OK) {
        ngx_chat_store_service_follow_server(call);
        error.len = 0;
    }

    if (call->service == NGX_CHAT_SERVICES) {
        return;
    }

    service = &call->store->services[call->service];

    service->known = 1;
    service->at = ngx_current_msec;

    if (error.len == 0 || ngx_chat_store_service_is_served(call, reply)) {
        service->word.len = 0;
        return;
    }

    if (ngx_chat_call_reply_is_error(reply, NGX_CHAT_CALL_NOPERM_OLD)
        || ngx_chat_call_reply_is_error(reply, NGX_CHAT_CALL_NOPERM))
    {
        ngx_str_set(&error, "NOPERM");
    }

    service->word.data = service->buf;
    service->word.len = ngx_chat_store_service_copy_word(service->buf, &error);
}


/* the first word, if it is one */

static size_t
ngx_chat_store_service_copy_word(u_char *buf, ngx_str_t *error)
{
    size_t  i;

    for (i = 0; i < error->len && error->data[i] != ' '; i++) {

        if (i == NGX_CHAT_SERVICE_WORD
            || error->data[i] < 'A' || error->data[i] > 'Z')
        {
            i = 0;
            break;
        }

        buf[i] = error->data[i];
    }

    return i ? i : (size_t) (ngx_cpymem(buf, "ERR", 3) - buf);
}


/* an answer like any other to such a command */

static ngx_uint_t
ngx_chat_store_service_is_served(ngx_chat_call_t *call, ngx_chat_reply_t *reply)
{
    /* to the next key it may say otherwise */

    if (ngx_chat_redis_is_partial(call->rd)) {
        return ngx_chat_call_reply_is_error(reply, "MOVED")
               || ngx_chat_call_reply_is_error(reply, "CLUSTERDOWN");
    }

    switch (call->service) {

    case NGX_CHAT_SERVICE_READ:
        return ngx_chat_call_reply_is_error(reply, "WRONGTYPE");

    case NGX_CHAT_SERVICE_QUEUE:
        return ngx_chat_call_reply_is_error(reply, "NOGROUP")
               || ngx_chat_call_reply_is_error(reply, "UNBLOCKED");

    default:
        return 0;
    }
}


/*
 * Redis says nothing to a client that it drops for the size of its replies,
 * and drops with it whatever else was asked on that connection: so it is not
 * asked again and again.
 */

void
ngx_chat_store_oversize_add_drops(ngx_chat_call_t *call)
{
    ngx_chat_oversize_t  *oversize;

    if (call->drops == 0 || call->store->closed) {
        return;
    }

    oversize = ngx_chat_store_oversize_find(call->store, call->gen.h);

    if (oversize == NULL) {
        oversize = ngx_chat_store_oversize_get_free(call->store);

        oversize->times = 0;
        ngx_memcpy(oversize->h, call->gen.h, NGX_CHAT_HASH_LEN);
    }

    oversize->times += call->drops;
    oversize->last = ngx_time();

    ngx_log_error(NGX_LOG_ERR, call->store->log, 0,
                  "chat: redis closed the connection, %ui times in a row, as "
                  "it was asked for the answer at \"chat:stream:%*s\"%s",
                  oversize->times, (size_t) NGX_CHAT_HASH_LEN, call->gen.h,
                  (oversize->times < NGX_CHAT_OVERSIZE_DROPS)
                  ? "" : ", which is not asked for any more for 60 s: is its "
                         "\"client-output-buffer-limit normal\" less than "
                         "that answer?");
}


void
ngx_chat_store_oversize_clear(ngx_chat_call_t *call)
{
    ngx_chat_oversize_t  *oversize;

    oversize = ngx_chat_store_oversize_find(call->store, call->gen.h);

    if (oversize) {
        oversize->times = 0;
    }
}


ngx_uint_t
ngx_chat_store_oversize_is_suspected(ngx_chat_store_t *st, ngx_chat_gen_t *gen)
{
    ngx_chat_oversize_t  *oversize;

    oversize = ngx_chat_store_oversize_find(st, gen->h);

    return oversize && oversize->times >= NGX_CHAT_OVERSIZE_DROPS
           && ngx_time() - oversize->last < NGX_CHAT_OVERSIZE_TIME;
}


static ngx_chat_oversize_t *
ngx_chat_store_oversize_find(ngx_chat_store_t *st, u_char *h)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_OVERSIZE_MAX; i++) {

        if (st->oversize[i].times
            && ngx_memcmp(st->oversize[i].h, h, NGX_CHAT_HASH_LEN) == 0)
        {
            return &st->oversize[i];
        }
    }

    return NULL;
}


/* an unused one, or the oldest */

static ngx_chat_oversize_t *
ngx_chat_store_oversize_get_free(ngx_chat_store_t *st)
{
    ngx_uint_t            i;
    ngx_chat_oversize_t  *oldest;

    oldest = st->oversize;

    for (i = 0; i < NGX_CHAT_OVERSIZE_MAX && oldest->times; i++) {

        if (st->oversize[i].times == 0 || st->oversize[i].last < oldest->last) {
            oldest = &st->oversize[i];
        }
    }

    return oldest;
}


/*
 * Where commands have left a server that could not serve, what is published
 * is published where they are carried out now.
 */

static void
ngx_chat_store_service_follow_server(ngx_chat_call_t *call)
{
    ngx_uint_t         left;
    ngx_chat_store_t  *st;

    st = call->store;

    if (st->pubsub == NULL || call->script == NULL || call->rd != st->redis) {
        return;
    }

    left = ngx_chat_redis_count_left(st->redis);

    if (left != st->left) {
        st->left = left;
        ngx_chat_pubsub_reconnect(st->pubsub);
    }
}
