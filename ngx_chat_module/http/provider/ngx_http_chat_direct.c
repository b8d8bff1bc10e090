
#include "ngx_http_chat_direct.h"
#include "ngx_http_chat_worker.h"
#include "ngx_http_chat_upstream.h"
#include "../../provider/ngx_chat_conversation.h"


#define NGX_HTTP_CHAT_DIRECT_LOOK  1000    /* ms: does anybody listen? */


typedef struct {
    ngx_pool_t                *pool;
    ngx_chat_channel_t        *channel;
    void                      *unused;

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                  ident;

    ngx_http_chat_asker_t      asker;
    ngx_str_t                  messages;
    ngx_chat_conversation_t    conversation;
    ngx_log_t                  log;        /* for it */

    ngx_event_t                look;       /* while nobody listens */
    ngx_msec_t                 left;       /* when the last one left */
    ngx_msec_t                 grace;

    unsigned                   cancel:1;   /* generation without listeners */
} ngx_http_chat_direct_t;


static ngx_http_chat_direct_t *ngx_http_chat_direct_create(
    ngx_http_request_t *r, ngx_chat_question_t *qn);
static ngx_int_t ngx_http_chat_direct_converse(ngx_http_chat_direct_t *d,
    size_t max_answer);
static ngx_int_t ngx_http_chat_direct_text_handler(void *data,
    ngx_str_t *text);
static ngx_int_t ngx_http_chat_direct_restart_handler(void *data);
static void ngx_http_chat_direct_ended_handler(void *data,
    ngx_chat_provider_result_t *result);
static void ngx_http_chat_direct_look_handler(ngx_event_t *ev);
static void ngx_http_chat_direct_abandoned_handler(void *data);
static void ngx_http_chat_direct_stop_handler(void *data);
static void ngx_http_chat_direct_fail(ngx_http_chat_direct_t *d,
    ngx_chat_error_e e);
static void ngx_http_chat_direct_free(ngx_http_chat_direct_t *d);


static const ngx_chat_source_t  ngx_http_chat_direct_source = {
    ngx_http_chat_direct_abandoned_handler,
    ngx_http_chat_direct_stop_handler,
    NULL
};

static const ngx_chat_conversation_ops_t  ngx_http_chat_direct_ops = {
    ngx_http_chat_direct_text_handler,
    ngx_http_chat_direct_restart_handler,
    ngx_http_chat_direct_ended_handler
};

static ngx_uint_t  ngx_http_chat_direct_n;


ngx_uint_t
ngx_http_chat_is_direct(ngx_http_request_t *r)
{
    ngx_http_chat_ctx_t        *ctx;
    ngx_http_chat_loc_conf_t   *chlcf;
    ngx_http_chat_main_conf_t  *chmcf;

    ctx = ngx_http_get_module_ctx(r, ngx_chat_module);
    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    chmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    /* limited questions need Redis, which keeps the counts */

    return (!chlcf->cache && ctx->asked->limit.interval == 0)
           || chmcf->redis_off;
}


ngx_uint_t
ngx_http_chat_may_direct(ngx_http_request_t *r)
{
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    return chlcf->redis_down == NGX_HTTP_CHAT_REDIS_DOWN_DIRECT;
}


ngx_uint_t
ngx_http_chat_direct_calls(void)
{
    return ngx_http_chat_direct_n;
}


ngx_uint_t
ngx_http_chat_is_own(ngx_chat_channel_t *ch)
{
    return ngx_chat_hub_is_fed_by(ch, &ngx_http_chat_direct_source);
}


ngx_chat_channel_t *
ngx_http_chat_direct_start(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chat_error_e *e)
{
    ngx_chat_channel_t         *ch;
    ngx_chat_question_t        *qn;
    ngx_http_chat_direct_t     *d;
    ngx_http_chat_main_conf_t  *chmcf;

    qn = ctx->asked;

    if (qn->mode == NGX_CHAT_ASK_CACHED) {
        ch = ngx_chat_hub_find(ngx_http_chat_hub, qn->h, qn->fp);

        if (ch) {
            return ch;
        }
    }

    chmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    if (ngx_http_chat_direct_n >= chmcf->direct_limit) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "chat question is refused: %ui questions are asked "
                      "directly already: chat_direct_limit",
                      chmcf->direct_limit);

        *e = ngx_http_chat_is_direct(r) ? NGX_CHAT_E_QUEUE_FULL
                                        : NGX_CHAT_E_REDIS_DOWN;
        return NULL;
    }

    *e = NGX_CHAT_E_INTERNAL;

    d = ngx_http_chat_direct_create(r, qn);
    if (d == NULL) {
        return NULL;
    }

    ch = ngx_chat_hub_feed(ngx_http_chat_hub, qn->h, qn->fp,
                           qn->mode == NGX_CHAT_ASK_CACHED,
                           &ngx_http_chat_direct_source, d);
    if (ch == NULL) {
        ngx_http_chat_direct_free(d);
        return NULL;
    }

    d->channel = ch;

    ngx_http_chat_direct_n++;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat direct start, providers:%ui running:%ui",
                   d->conversation.failover.n, ngx_http_chat_direct_n);

    ngx_chat_conversation_start(&d->conversation);

    return ch;
}


static ngx_http_chat_direct_t *
ngx_http_chat_direct_create(ngx_http_request_t *r, ngx_chat_question_t *qn)
{
    ngx_pool_t              *pool;
    ngx_http_chat_direct_t  *d;

    pool = ngx_create_pool(2048, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    d = ngx_pcalloc(pool, sizeof(ngx_http_chat_direct_t));
    if (d == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    d->pool = pool;
    d->ident = -1;
    d->cancel = qn->cancel ? 1 : 0;
    d->grace = qn->grace;

    d->messages.len = qn->messages.len;
    d->messages.data = ngx_pstrdup(pool, &qn->messages);

    if (d->messages.data == NULL
        || ngx_http_chat_asker_init(&d->asker, r, pool) != NGX_OK
        || ngx_http_chat_direct_converse(d, qn->max_answer) != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    d->look.handler = ngx_http_chat_direct_look_handler;
    d->look.data = d;
    d->look.log = ngx_cycle->log;

    return d;
}


static ngx_int_t
ngx_http_chat_direct_converse(ngx_http_chat_direct_t *d, size_t max_answer)
{
    ngx_uint_t                           i;
    ngx_array_t                         *upstreams;
    ngx_chat_peer_t                     *peer;
    ngx_chat_conversation_t             *cv;
    ngx_http_chat_provider_upstream_t  **pu;

    /* no request is there for the lines of its handler */

    d->log = d->asker.log;
    d->log.handler = NULL;

    upstreams = d->asker.upstreams;

    cv = &d->conversation;

    cv->transport = &ngx_http_chat_upstream_transport;
    cv->ctx = &d->asker;
    cv->ops = &ngx_http_chat_direct_ops;
    cv->data = d;
    cv->messages = &d->messages;
    cv->max_answer = max_answer;
    cv->pool = d->pool;
    cv->log = &d->log;

    if (ngx_chat_conversation_init(cv, upstreams->nelts) != NGX_OK) {
        return NGX_ERROR;
    }

    pu = upstreams->elts;

    for (i = 0; i < upstreams->nelts; i++) {

        peer = ngx_chat_peers_find(ngx_http_chat_peers,
                                   &pu[i]->provider->name);

        if (peer == NULL
            || ngx_chat_failover_add(&cv->failover, peer) == NULL)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_direct_text_handler(void *data, ngx_str_t *text)
{
    ngx_http_chat_direct_t *d = data;

    ngx_chat_event_t  ev;

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_STREAMING;
    ev.text = *text;

    return ngx_chat_hub_append(d->channel, &ev);
}


static ngx_int_t
ngx_http_chat_direct_restart_handler(void *data)
{
    ngx_http_chat_direct_t *d = data;

    ngx_chat_event_t  ev;

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_PROCESSING;

    return ngx_chat_hub_append(d->channel, &ev);
}


static void
ngx_http_chat_direct_ended_handler(void *data,
    ngx_chat_provider_result_t *result)
{
    ngx_http_chat_direct_t *d = data;

    ngx_chat_event_t       ev;
    ngx_chat_origin_t      origin;
    ngx_chat_provider_t   *pv;
    ngx_chat_candidate_t  *candidate;

    if (result->error != NGX_CHAT_E_NONE) {
        ngx_http_chat_direct_fail(d, result->error);
        return;
    }

    candidate = ngx_chat_conversation_candidate(&d->conversation);
    pv = candidate->peer->provider;

    origin.provider = pv->name;
    origin.model = result->model.len ? result->model : pv->model;

    ngx_chat_hub_set_origin(d->channel, &origin);

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_COMPLETED;
    ev.code = result->finish;

    (void) ngx_chat_hub_append(d->channel, &ev);

    ngx_http_chat_direct_free(d);
}


/*
 * The answer is of use to those who ask the same while it comes.  A worker
 * that is to exit has none of them any more.
 */

static void
ngx_http_chat_direct_abandoned_handler(void *data)
{
    ngx_http_chat_direct_t *d = data;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &d->log, 0,
                   "chat direct abandoned, cancel:%d", (int) d->cancel);

    d->left = ngx_current_msec;

    if (ngx_exiting) {
        ngx_http_chat_direct_fail(d, NGX_CHAT_E_INTERRUPTED);
        return;
    }

    if (!d->look.timer_set) {
        ngx_add_timer(&d->look, d->cancel ? ngx_min(d->grace,
                                                    NGX_HTTP_CHAT_DIRECT_LOOK)
                                          : NGX_HTTP_CHAT_DIRECT_LOOK);
    }
}


static void
ngx_http_chat_direct_look_handler(ngx_event_t *ev)
{
    ngx_msec_int_t           wait;
    ngx_http_chat_direct_t  *d;

    d = ev->data;

    if (ngx_chat_hub_has_subscribers(d->channel)) {
        return;
    }

    if (ngx_exiting) {
        ngx_http_chat_direct_fail(d, NGX_CHAT_E_INTERRUPTED);
        return;
    }

    wait = NGX_HTTP_CHAT_DIRECT_LOOK;

    if (d->cancel) {
        wait = (ngx_msec_int_t) (d->left + d->grace - ngx_current_msec);

        if (wait <= 0) {
            ngx_http_chat_direct_fail(d, NGX_CHAT_E_CANCELLED);
            return;
        }
    }

    ngx_add_timer(ev, ngx_min((ngx_msec_t) wait, NGX_HTTP_CHAT_DIRECT_LOOK));
}


static void
ngx_http_chat_direct_stop_handler(void *data)
{
    ngx_http_chat_direct_fail(data, NGX_CHAT_E_INTERRUPTED);
}


static void
ngx_http_chat_direct_fail(ngx_http_chat_direct_t *d, ngx_chat_error_e e)
{
    ngx_chat_event_t  ev;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &d->log, 0,
                   "chat direct failed, error:%ui", (ngx_uint_t) e);

    ngx_chat_error_event(&ev, e);

    (void) ngx_chat_hub_append(d->channel, &ev);

    ngx_http_chat_direct_free(d);
}


static void
ngx_http_chat_direct_free(ngx_http_chat_direct_t *d)
{
    ngx_chat_conversation_stop(&d->conversation);

    if (d->look.timer_set) {
        ngx_del_timer(&d->look);
    }

    if (d->channel) {
        ngx_http_chat_direct_n--;
        ngx_chat_hub_end(d->channel);
    }

    ngx_destroy_pool(d->pool);
}
