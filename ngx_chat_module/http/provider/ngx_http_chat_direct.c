
#include "ngx_http_chat_direct.h"
#include "ngx_http_chat_upstream.h"
#include "../../provider/ngx_chat_failover.h"


#define NGX_HTTP_CHAT_DIRECT_LOOK  1000    /* ms: does anybody listen? */


typedef struct {
    ngx_pool_t                *pool;
    ngx_chat_channel_t        *channel;
    ngx_http_chat_upstream_t  *upstream;   /* NULL: nobody is asked now */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                  ident;

    ngx_event_t                event;      /* posted: it fails by itself */
    ngx_event_t                again;      /* for the next attempt */
    ngx_event_t                look;       /* while nobody listens */

    ngx_http_chat_origin_t     origin;
    ngx_str_t                  messages;
    ngx_array_t               *upstreams;
    ngx_chat_failover_t        choice;     /* of them, in the same order */
    ngx_log_t                  log;        /* for it */

    ngx_msec_t                 left;       /* when the last one left */
    ngx_msec_t                 grace;
    size_t                     length;
    size_t                     max;
    ngx_chat_error_e           error;
    ngx_chat_error_e           last;       /* error of the last call */

    unsigned                   cancel:1;   /* generation without listeners */
    unsigned                   begun:1;    /* a chunk was appended */
} ngx_http_chat_direct_t;


static ngx_http_chat_direct_t *ngx_http_chat_direct_create(
    ngx_http_request_t *r, ngx_chat_question_t *qn);
static ngx_int_t ngx_http_chat_direct_options(ngx_http_chat_direct_t *d);
static ngx_int_t ngx_http_chat_direct_ask(ngx_http_chat_direct_t *d);
static ngx_http_chat_provider_upstream_t *ngx_http_chat_direct_target(
    ngx_http_chat_direct_t *d);
static void ngx_http_chat_direct_delta(void *data, ngx_str_t *text);
static void ngx_http_chat_direct_answer(void *data, ngx_http_chat_end_t *end);
static void ngx_http_chat_direct_judge(ngx_http_chat_direct_t *d,
    ngx_http_chat_end_t *end);
static void ngx_http_chat_direct_start_over(ngx_http_chat_direct_t *d);
static void ngx_http_chat_direct_event_handler(ngx_event_t *ev);
static void ngx_http_chat_direct_again_handler(ngx_event_t *ev);
static void ngx_http_chat_direct_look_handler(ngx_event_t *ev);
static void ngx_http_chat_direct_deserted(void *data);
static void ngx_http_chat_direct_stop(void *data);
static void ngx_http_chat_direct_fail(ngx_http_chat_direct_t *d,
    ngx_chat_error_e e);
static void ngx_http_chat_direct_free(ngx_http_chat_direct_t *d);


static const ngx_chat_source_t  ngx_http_chat_direct_source = {
    ngx_http_chat_direct_deserted,
    ngx_http_chat_direct_stop,
    NULL
};

static const ngx_http_chat_upstream_ops_t  ngx_http_chat_direct_ops = {
    ngx_http_chat_direct_delta,
    ngx_http_chat_direct_answer
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
ngx_http_chat_direct(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
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
                      "%ui questions are asked directly already: "
                      "chat_direct_limit", chmcf->direct_limit);

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

    /* an error becomes an event of the channel, when somebody listens */

    if (ngx_http_chat_direct_ask(d) != NGX_OK) {
        d->error = d->last;
        ngx_post_event(&d->event, &ngx_posted_events);
    }

    return ch;
}


static ngx_http_chat_direct_t *
ngx_http_chat_direct_create(ngx_http_request_t *r, ngx_chat_question_t *qn)
{
    ngx_pool_t                *pool;
    ngx_http_chat_direct_t    *d;
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

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
    d->upstreams = chlcf->upstreams;
    d->cancel = qn->cancel ? 1 : 0;
    d->grace = qn->grace;
    d->max = qn->max_answer;
    d->last = NGX_CHAT_E_INTERNAL;

    d->messages.len = qn->messages.len;
    d->messages.data = ngx_pstrdup(pool, &qn->messages);

    if (d->messages.data == NULL
        || ngx_http_chat_origin(&d->origin, r, pool) != NGX_OK
        || ngx_http_chat_direct_options(d) != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    d->event.handler = ngx_http_chat_direct_event_handler;
    d->event.data = d;
    d->event.log = ngx_cycle->log;

    d->again.handler = ngx_http_chat_direct_again_handler;
    d->again.data = d;
    d->again.log = ngx_cycle->log;

    d->look.handler = ngx_http_chat_direct_look_handler;
    d->look.data = d;
    d->look.log = ngx_cycle->log;

    return d;
}


static ngx_int_t
ngx_http_chat_direct_options(ngx_http_chat_direct_t *d)
{
    ngx_uint_t                           i;
    ngx_chat_peer_t                     *peer;
    ngx_http_chat_provider_upstream_t  **target;

    /* no request is there for the lines of its handler */

    d->log = d->origin.log;
    d->log.handler = NULL;

    if (ngx_chat_failover_init(&d->choice, d->upstreams->nelts, d->pool,
                               &d->log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    target = d->upstreams->elts;

    for (i = 0; i < d->upstreams->nelts; i++) {

        peer = ngx_chat_peers_find(ngx_http_chat_peers,
                                   &target[i]->provider->name);

        if (peer == NULL || ngx_chat_failover_add(&d->choice, peer) == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_chat_failover_anew(&d->choice);

    return NGX_OK;
}


/* whichever is next, now or in a while; NGX_ERROR: none, and the last error */

static ngx_int_t
ngx_http_chat_direct_ask(ngx_http_chat_direct_t *d)
{
    ngx_int_t   rc;
    ngx_msec_t  delay;

    rc = ngx_chat_failover_next(&d->choice, &delay);

    if (rc == NGX_DECLINED) {
        return NGX_ERROR;
    }

    ngx_http_chat_direct_start_over(d);

    if (rc == NGX_AGAIN) {
        ngx_add_timer(&d->again, delay);
        return NGX_OK;
    }

    d->upstream = ngx_http_chat_upstream(&d->origin,
                                         ngx_http_chat_direct_target(d),
                                         &d->messages,
                                         ngx_chat_failover_left(&d->choice),
                                         &ngx_http_chat_direct_ops, d);
    if (d->upstream == NULL) {
        d->last = NGX_CHAT_E_INTERNAL;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_http_chat_provider_upstream_t *
ngx_http_chat_direct_target(ngx_http_chat_direct_t *d)
{
    ngx_http_chat_provider_upstream_t  **target;

    target = d->upstreams->elts;

    return target[d->choice.option - d->choice.options];
}


static void
ngx_http_chat_direct_delta(void *data, ngx_str_t *text)
{
    ngx_http_chat_direct_t *d = data;

    ngx_chat_event_t  ev;

    if (d->error != NGX_CHAT_E_NONE) {
        return;
    }

    if (text->len > d->max - d->length) {
        d->error = NGX_CHAT_E_ANSWER_TOO_LONG;
        ngx_post_event(&d->event, &ngx_posted_events);
        return;
    }

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_STREAMING;
    ev.text = *text;

    d->length += text->len;
    d->begun = 1;

    if (ngx_chat_hub_append(d->channel, &ev) != NGX_OK) {
        d->error = NGX_CHAT_E_INTERNAL;
        ngx_post_event(&d->event, &ngx_posted_events);
    }
}


static void
ngx_http_chat_direct_answer(void *data, ngx_http_chat_end_t *end)
{
    ngx_http_chat_direct_t *d = data;

    ngx_chat_event_t      ev;
    ngx_chat_origin_t     origin;
    ngx_chat_provider_t  *pv;

    d->upstream = NULL;

    if (d->error != NGX_CHAT_E_NONE) {

        /* the posted event sees to it */

        return;
    }

    ngx_http_chat_direct_judge(d, end);

    if (end->error == NGX_CHAT_E_NONE) {
        pv = d->choice.option->peer->provider;

        origin.provider = pv->name;
        origin.model = end->model.len ? end->model : pv->model;

        ngx_chat_hub_set_origin(d->channel, &origin);

        ngx_memzero(&ev, sizeof(ngx_chat_event_t));

        ev.status = NGX_CHAT_COMPLETED;
        ev.code = end->finish;

        (void) ngx_chat_hub_append(d->channel, &ev);

        ngx_http_chat_direct_free(d);
        return;
    }

    d->last = end->error;

    if (ngx_http_chat_direct_ask(d) != NGX_OK) {
        ngx_http_chat_direct_fail(d, d->last);
    }
}


static void
ngx_http_chat_direct_judge(ngx_http_chat_direct_t *d, ngx_http_chat_end_t *end)
{
    ngx_chat_outcome_t  outcome;

    outcome.retry_after = end->retry_after;
    outcome.answered = (end->error == NGX_CHAT_E_NONE);
    outcome.final = end->final;
    outcome.innocent = (end->error == NGX_CHAT_E_INTERNAL);
    outcome.retry = end->retry;

    ngx_chat_failover_judge(&d->choice, &outcome);
}


static void
ngx_http_chat_direct_start_over(ngx_http_chat_direct_t *d)
{
    ngx_chat_event_t  ev;

    if (!d->begun) {
        return;
    }

    d->begun = 0;
    d->length = 0;

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_PROCESSING;

    if (ngx_chat_hub_append(d->channel, &ev) != NGX_OK) {
        d->error = NGX_CHAT_E_INTERNAL;
        ngx_post_event(&d->event, &ngx_posted_events);
    }
}


static void
ngx_http_chat_direct_event_handler(ngx_event_t *ev)
{
    ngx_http_chat_direct_t  *d;

    d = ev->data;

    if (d->error == NGX_CHAT_E_ANSWER_TOO_LONG) {
        ngx_log_error(NGX_LOG_ERR, ev->log, 0,
                      "provider \"%V\" sent an answer longer than "
                      "chat_max_answer",
                      &d->choice.option->peer->provider->name);
    }

    ngx_http_chat_direct_fail(d, d->error);
}


static void
ngx_http_chat_direct_again_handler(ngx_event_t *ev)
{
    ngx_http_chat_direct_t  *d;

    d = ev->data;

    if (ngx_http_chat_direct_ask(d) != NGX_OK) {
        ngx_http_chat_direct_fail(d, d->last);
    }
}


/*
 * The answer is of use to those who ask the same while it comes.  A worker
 * that is to exit has none of them any more.
 */

static void
ngx_http_chat_direct_deserted(void *data)
{
    ngx_http_chat_direct_t *d = data;

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
ngx_http_chat_direct_stop(void *data)
{
    ngx_http_chat_direct_fail(data, NGX_CHAT_E_INTERRUPTED);
}


static void
ngx_http_chat_direct_fail(ngx_http_chat_direct_t *d, ngx_chat_error_e e)
{
    ngx_chat_event_t  ev;

    ngx_chat_error_event(&ev, e);

    (void) ngx_chat_hub_append(d->channel, &ev);

    ngx_http_chat_direct_free(d);
}


static void
ngx_http_chat_direct_free(ngx_http_chat_direct_t *d)
{
    if (d->upstream) {
        ngx_http_chat_upstream_cancel(d->upstream);
    }

    if (d->event.posted) {
        ngx_delete_posted_event(&d->event);
    }

    if (d->again.timer_set) {
        ngx_del_timer(&d->again);
    }

    if (d->look.timer_set) {
        ngx_del_timer(&d->look);
    }

    if (d->channel) {
        ngx_http_chat_direct_n--;
        ngx_chat_hub_end(d->channel);
    }

    ngx_destroy_pool(d->pool);
}
