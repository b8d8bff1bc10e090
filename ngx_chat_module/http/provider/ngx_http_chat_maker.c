
#include "ngx_http_chat_maker.h"
#include "ngx_http_chat_worker.h"
#include "ngx_http_chat_upstream.h"
#include "../../hub/ngx_chat_stow.h"
#include "../../provider/ngx_chat_conversation.h"


/* bytes of alignment, and of what is kept of an answer at its end */
#define NGX_HTTP_CHAT_MAKER_MORE  96

#define NGX_HTTP_CHAT_MAKER_LOOK  1000    /* ms: does anybody listen? */


struct ngx_http_chat_maker_s {
    ngx_pool_t                *pool;
    ngx_chat_channel_t        *channel;
    ngx_chat_lead_t           *lead;       /* NULL: it is direct */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                  ident;

    ngx_http_chat_asker_t      asker;
    ngx_str_t                  messages;
    ngx_chat_trace_t           trace;
    ngx_chat_conversation_t    conversation;
    ngx_log_t                  log;        /* for it */
    ngx_atomic_t              *count;
    ngx_uint_t                *reserved;   /* NULL: nothing is */

    ngx_event_t                look;       /* while nobody listens */
    ngx_msec_t                 left;       /* when the last one left */
    ngx_msec_t                 grace;

    unsigned                   cancel:1;   /* generation without listeners */
};


static size_t ngx_http_chat_maker_size(ngx_http_request_t *r,
    ngx_chat_question_t *qn);
static ngx_int_t ngx_http_chat_maker_copy(ngx_http_chat_maker_t *m,
    ngx_str_t *s);
static ngx_int_t ngx_http_chat_maker_converse(ngx_http_chat_maker_t *m,
    size_t max_answer);
static void ngx_http_chat_maker_release(ngx_http_chat_maker_t *m);
static void ngx_http_chat_maker_uncount(ngx_http_chat_maker_t *m);
static void ngx_http_chat_maker_begin(ngx_http_chat_maker_t *m);
static void ngx_http_chat_maker_report(ngx_http_chat_maker_t *m,
    ngx_chat_metrics_generation_e what);
static ngx_int_t ngx_http_chat_maker_text_handler(void *data,
    ngx_str_t *text);
static ngx_int_t ngx_http_chat_maker_restart_handler(void *data);
static void ngx_http_chat_maker_ended_handler(void *data,
    ngx_chat_provider_result_t *result);
static ngx_int_t ngx_http_chat_maker_hand_over(ngx_http_chat_maker_t *m,
    ngx_chat_error_e e);
static ngx_uint_t ngx_http_chat_maker_may_be_stale(ngx_http_chat_maker_t *m);
static ngx_uint_t ngx_http_chat_maker_is_useless(ngx_http_chat_maker_t *m);
static void ngx_http_chat_maker_look_handler(ngx_event_t *ev);
static void ngx_http_chat_maker_abandoned_handler(void *data);
static void ngx_http_chat_maker_stop_handler(void *data);
static void ngx_http_chat_maker_stopped_handler(void *data);
static void ngx_http_chat_maker_cancelled_handler(void *data);
static void ngx_http_chat_maker_fail(ngx_http_chat_maker_t *m,
    ngx_chat_error_e e);
static void ngx_http_chat_maker_stop(ngx_http_chat_maker_t *m);


static const ngx_chat_source_t  ngx_http_chat_maker_source = {
    ngx_http_chat_maker_abandoned_handler,
    ngx_http_chat_maker_stop_handler,
    NULL
};

static const ngx_chat_lead_ops_t  ngx_http_chat_maker_lead_ops = {
    ngx_http_chat_maker_stopped_handler,
    ngx_http_chat_maker_cancelled_handler
};

static const ngx_chat_conversation_ops_t  ngx_http_chat_maker_ops = {
    ngx_http_chat_maker_text_handler,
    ngx_http_chat_maker_restart_handler,
    ngx_http_chat_maker_ended_handler
};


ngx_http_chat_maker_t *
ngx_http_chat_maker_create(ngx_http_request_t *r, ngx_chat_question_t *qn)
{
    ngx_pool_t             *pool;
    ngx_http_chat_maker_t  *m;

    pool = ngx_create_pool(ngx_http_chat_maker_size(r, qn), ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    m = ngx_pcalloc(pool, sizeof(ngx_http_chat_maker_t));
    if (m == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    m->pool = pool;
    m->ident = -1;
    m->cancel = qn->cancel ? 1 : 0;
    m->grace = qn->grace;

    m->messages = qn->messages;
    m->trace = qn->trace;

    if (ngx_http_chat_maker_copy(m, &m->messages) != NGX_OK
        || ngx_http_chat_maker_copy(m, &m->trace.request_id) != NGX_OK
        || ngx_http_chat_maker_copy(m, &m->trace.traceparent) != NGX_OK
        || ngx_http_chat_asker_init(&m->asker, r, pool) != NGX_OK
        || ngx_http_chat_maker_converse(m, qn->max_answer) != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    m->look.handler = ngx_http_chat_maker_look_handler;
    m->look.data = m;
    m->look.log = ngx_cycle->log;

    return m;
}


/* a pool of the size that is needed, as there may be very many */

static size_t
ngx_http_chat_maker_size(ngx_http_request_t *r, ngx_chat_question_t *qn)
{
    size_t                     size;
    ngx_connection_t          *c;
    ngx_http_chat_loc_conf_t  *chlcf;

    c = r->connection;
    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    size = sizeof(ngx_pool_t) + sizeof(ngx_http_chat_maker_t)
           + chlcf->upstreams->nelts * sizeof(ngx_chat_candidate_t)
           + r->uri.len + r->request_line.len + c->addr_text.len
           + qn->trace.request_id.len + qn->trace.traceparent.len
           + c->socklen + c->local_socklen + NGX_HTTP_CHAT_MAKER_MORE;

    /* a long question is in no pool, but beside it */

    if (qn->messages.len <= NGX_MAX_ALLOC_FROM_POOL) {
        size += qn->messages.len;
    }

    return ngx_align(size, NGX_POOL_ALIGNMENT);
}


static ngx_int_t
ngx_http_chat_maker_copy(ngx_http_chat_maker_t *m, ngx_str_t *s)
{
    if (s->len == 0) {
        return NGX_OK;
    }

    s->data = ngx_pstrdup(m->pool, s);

    return s->data ? NGX_OK : NGX_ERROR;
}


void
ngx_http_chat_maker_reserve(ngx_http_chat_maker_t *m, ngx_uint_t *count)
{
    m->reserved = count;
    (*count)++;
}


void
ngx_http_chat_maker_count(ngx_http_chat_maker_t *m, ngx_atomic_t *count)
{
    m->count = count;

    ngx_chat_metrics_move(NGX_CHAT_GAUGE_GENERATIONS, 1);
}


void
ngx_http_chat_maker_free(ngx_http_chat_maker_t *m)
{
    ngx_http_chat_maker_release(m);
    ngx_http_chat_maker_uncount(m);

    ngx_destroy_pool(m->pool);
}


static void
ngx_http_chat_maker_release(ngx_http_chat_maker_t *m)
{
    if (m->reserved) {
        (*m->reserved)--;
        m->reserved = NULL;
    }
}


static void
ngx_http_chat_maker_uncount(ngx_http_chat_maker_t *m)
{
    if (m->count) {
        (*m->count)--;
        m->count = NULL;

        ngx_chat_metrics_move(NGX_CHAT_GAUGE_GENERATIONS, -1);
    }
}


ngx_chat_channel_t *
ngx_http_chat_maker_start(ngx_http_chat_maker_t *m, u_char *h, u_char *fp,
    ngx_uint_t joinable, ngx_atomic_t *count)
{
    ngx_chat_channel_t  *ch;

    ch = ngx_chat_hub_feed(ngx_http_chat_hub, h, fp, joinable,
                           &ngx_http_chat_maker_source, m);
    if (ch == NULL) {
        ngx_http_chat_maker_free(m);
        return NULL;
    }

    m->channel = ch;

    (*count)++;
    ngx_http_chat_maker_count(m, count);
    ngx_http_chat_maker_begin(m);

    return ch;
}


ngx_int_t
ngx_http_chat_maker_lead(ngx_http_chat_maker_t *m, ngx_chat_lead_t *lead)
{
    m->lead = lead;
    m->channel = ngx_chat_lead_feed(lead, &ngx_http_chat_maker_source,
                                    &ngx_http_chat_maker_lead_ops, m);

    ngx_http_chat_maker_begin(m);

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_maker_converse(ngx_http_chat_maker_t *m, size_t max_answer)
{
    ngx_uint_t                           i;
    ngx_array_t                         *upstreams;
    ngx_chat_peer_t                     *peer;
    ngx_chat_conversation_t             *cv;
    ngx_http_chat_provider_upstream_t  **pu;

    /* no request is there for the lines of its handler */

    m->log = m->asker.log;
    m->log.handler = NULL;

    upstreams = m->asker.upstreams;

    cv = &m->conversation;

    cv->transport = &ngx_http_chat_upstream_transport;
    cv->ctx = &m->asker;
    cv->ops = &ngx_http_chat_maker_ops;
    cv->data = m;
    cv->messages = &m->messages;
    cv->trace = &m->trace;
    cv->max_answer = max_answer;
    cv->pool = m->pool;
    cv->log = &m->log;

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


static void
ngx_http_chat_maker_begin(ngx_http_chat_maker_t *m)
{
    ngx_http_chat_maker_release(m);
    ngx_http_chat_maker_report(m, NGX_CHAT_GENERATION_STARTED);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, &m->log, 0,
                   "chat maker start, led:%d providers:%ui running:%uA",
                   m->lead != NULL, m->conversation.failover.n, *m->count);

    ngx_chat_conversation_start(&m->conversation);
}


static void
ngx_http_chat_maker_report(ngx_http_chat_maker_t *m,
    ngx_chat_metrics_generation_e what)
{
    ngx_chat_metrics_count_generation(m->lead ? NGX_CHAT_PATH_LED
                                              : NGX_CHAT_PATH_DIRECT, what);
}


static ngx_int_t
ngx_http_chat_maker_text_handler(void *data, ngx_str_t *text)
{
    ngx_http_chat_maker_t *m = data;

    ngx_chat_event_t  ev;

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_STREAMING;
    ev.text = *text;

    return ngx_chat_hub_append(m->channel, &ev);
}


static ngx_int_t
ngx_http_chat_maker_restart_handler(void *data)
{
    ngx_http_chat_maker_t *m = data;

    ngx_chat_event_t  ev;

    ngx_http_chat_maker_report(m, NGX_CHAT_GENERATION_RESTARTED);

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_PROCESSING;

    return ngx_chat_hub_append(m->channel, &ev);
}


static void
ngx_http_chat_maker_ended_handler(void *data,
    ngx_chat_provider_result_t *result)
{
    ngx_http_chat_maker_t *m = data;

    ngx_chat_event_t       ev;
    ngx_chat_origin_t      origin;
    ngx_chat_provider_t   *pv;
    ngx_chat_candidate_t  *candidate;

    if (result->error != NGX_CHAT_E_NONE) {

        if (ngx_http_chat_maker_hand_over(m, result->error) != NGX_OK) {
            ngx_http_chat_maker_fail(m, result->error);
        }

        return;
    }

    candidate = ngx_chat_conversation_candidate(&m->conversation);
    pv = candidate->peer->provider;

    origin.provider = pv->name;
    origin.model = result->model.len ? result->model : pv->model;

    ngx_chat_hub_set_origin(m->channel, &origin);

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_COMPLETED;
    ev.code = result->finish;

    ngx_http_chat_maker_report(m, NGX_CHAT_GENERATION_FINISHED);
    ngx_http_chat_maker_stop(m);

    if (m->lead) {
        ngx_chat_lead_complete(m->lead, &ev, &result->usage);

    } else {
        (void) ngx_chat_hub_append(m->channel, &ev);
        ngx_chat_hub_stow_direct(m->channel, &result->usage);
        ngx_chat_hub_end(m->channel);
    }

    ngx_http_chat_maker_free(m);
}


/*
 * A filler may have what this worker is short of, and looks names up anew.
 * NGX_OK: m is free; NGX_DECLINED: it is the provider's fault, or too late.
 */

static ngx_int_t
ngx_http_chat_maker_hand_over(ngx_http_chat_maker_t *m, ngx_chat_error_e e)
{
    if (m->lead == NULL
        || (e != NGX_CHAT_E_INTERNAL
            && (e != NGX_CHAT_E_PROVIDER_UNREACHABLE
                || !ngx_http_chat_maker_may_be_stale(m)))
        || ngx_chat_lead_hand_over(m->lead) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_http_chat_maker_report(m, NGX_CHAT_GENERATION_HANDED_OVER);
    ngx_http_chat_maker_stop(m);
    ngx_http_chat_maker_free(m);

    return NGX_OK;
}


/* was the provider's name looked up when the configuration was read? */

static ngx_uint_t
ngx_http_chat_maker_may_be_stale(ngx_http_chat_maker_t *m)
{
    ngx_uint_t                           i;
    ngx_chat_candidate_t                *candidate;
    ngx_http_core_loc_conf_t            *clcf;
    ngx_http_chat_provider_upstream_t  **pu;

    clcf = m->asker.loc_conf[ngx_http_core_module.ctx_index];

    if (clcf->resolver && clcf->resolver->connections.nelts) {
        return 0;
    }

    candidate = ngx_chat_conversation_candidate(&m->conversation);
    pu = m->asker.upstreams->elts;

    for (i = 0; i < m->asker.upstreams->nelts; i++) {

        if (pu[i]->provider == candidate->peer->provider) {
            return !pu[i]->group && !pu[i]->literal;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_chat_maker_is_useless(ngx_http_chat_maker_t *m)
{
    return ngx_exiting
           && (m->lead == NULL || ngx_chat_lead_is_forgotten(m->lead));
}


/*
 * The answer is of use to those who ask the same while it comes, and one that
 * is led to all who ask later.  A worker that is to exit has no such askers any
 * more.
 */

static void
ngx_http_chat_maker_abandoned_handler(void *data)
{
    ngx_http_chat_maker_t *m = data;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &m->log, 0,
                   "chat maker abandoned, cancel:%d", (int) m->cancel);

    m->left = ngx_current_msec;

    if (ngx_http_chat_maker_is_useless(m)) {
        ngx_http_chat_maker_fail(m, NGX_CHAT_E_INTERRUPTED);
        return;
    }

    if (!m->look.timer_set) {
        ngx_add_timer(&m->look, m->cancel ? ngx_min(m->grace,
                                                    NGX_HTTP_CHAT_MAKER_LOOK)
                                          : NGX_HTTP_CHAT_MAKER_LOOK);
    }
}


static void
ngx_http_chat_maker_look_handler(ngx_event_t *ev)
{
    ngx_msec_int_t          wait;
    ngx_http_chat_maker_t  *m;

    m = ev->data;

    if (ngx_chat_hub_has_subscribers(m->channel)) {
        return;
    }

    if (ngx_http_chat_maker_is_useless(m)) {
        ngx_http_chat_maker_fail(m, NGX_CHAT_E_INTERRUPTED);
        return;
    }

    wait = NGX_HTTP_CHAT_MAKER_LOOK;

    if (m->cancel) {
        wait = (ngx_msec_int_t) (m->left + m->grace - ngx_current_msec);

        if (wait <= 0) {

            if (m->lead == NULL || ngx_chat_lead_idle(m->lead) != NGX_OK) {
                ngx_http_chat_maker_fail(m, NGX_CHAT_E_CANCELLED);
                return;
            }

            /* listeners elsewhere may leave, too */

            m->left = ngx_current_msec;
            wait = NGX_HTTP_CHAT_MAKER_LOOK;
        }
    }

    ngx_add_timer(ev, ngx_min((ngx_msec_t) wait, NGX_HTTP_CHAT_MAKER_LOOK));
}


static void
ngx_http_chat_maker_stop_handler(void *data)
{
    ngx_http_chat_maker_fail(data, NGX_CHAT_E_INTERRUPTED);
}


static void
ngx_http_chat_maker_stopped_handler(void *data)
{
    ngx_http_chat_maker_fail(data, NGX_CHAT_E_STOPPED);
}


static void
ngx_http_chat_maker_cancelled_handler(void *data)
{
    ngx_http_chat_maker_t *m = data;

    ngx_log_error(NGX_LOG_INFO, &m->log, 0,
                  "chat generation is cancelled: nobody listens");

    ngx_http_chat_maker_fail(m, NGX_CHAT_E_CANCELLED);
}


static void
ngx_http_chat_maker_fail(ngx_http_chat_maker_t *m, ngx_chat_error_e e)
{
    ngx_chat_event_t  ev;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &m->log, 0,
                   "chat maker failed, error:%ui", (ngx_uint_t) e);

    ngx_http_chat_maker_report(m, (e == NGX_CHAT_E_CANCELLED)
                                  ? NGX_CHAT_GENERATION_CANCELLED
                                  : NGX_CHAT_GENERATION_FAILED);
    ngx_http_chat_maker_stop(m);

    if (m->lead) {
        ngx_chat_lead_fail(m->lead, e);

    } else {
        ngx_chat_error_event(&ev, e);

        (void) ngx_chat_hub_append(m->channel, &ev);
        ngx_chat_hub_end(m->channel);
    }

    ngx_http_chat_maker_free(m);
}


static void
ngx_http_chat_maker_stop(ngx_http_chat_maker_t *m)
{
    ngx_chat_conversation_stop(&m->conversation);

    if (m->look.timer_set) {
        ngx_del_timer(&m->look);
    }

    ngx_http_chat_maker_uncount(m);
}
