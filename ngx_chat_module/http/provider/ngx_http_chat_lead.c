
#include "ngx_http_chat_lead.h"
#include "ngx_http_chat_maker.h"
#include "ngx_http_chat_kept.h"
#include "ngx_http_chat_worker.h"


/* connections for clients that are still to come: one in so many */
#define NGX_HTTP_CHAT_LEAD_SPARE  16


static void *ngx_http_chat_lead_prepare_handler(void *data);
static ngx_http_chat_provider_upstream_t *ngx_http_chat_lead_first(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_chat_lead_may(ngx_http_request_t *r);
static ngx_int_t ngx_http_chat_lead_take_place(ngx_http_request_t *r);
static ngx_uint_t ngx_http_chat_lead_is_located(ngx_http_request_t *r);
static ngx_uint_t ngx_http_chat_lead_is_far(ngx_http_request_t *r);
static ngx_int_t ngx_http_chat_lead_start_handler(void *maker,
    ngx_chat_lead_t *lead);
static void ngx_http_chat_lead_discard_handler(void *maker);


const ngx_chat_maker_t  ngx_http_chat_lead_maker = {
    ngx_http_chat_lead_prepare_handler,
    ngx_http_chat_lead_start_handler,
    ngx_http_chat_lead_discard_handler
};


static void *
ngx_http_chat_lead_prepare_handler(void *data)
{
    ngx_http_chat_ctx_t *ctx = data;

    ngx_uint_t              warm;
    ngx_http_request_t     *r;
    ngx_http_chat_kept_t   *kept;
    ngx_http_chat_maker_t  *m;

    r = ctx->request;

    kept = ngx_http_chat_lead_first(r)->kept;
    warm = kept && kept->n > kept->reserved;

    if (!ngx_http_chat_lead_may(r)
        || (!warm && ngx_http_chat_lead_is_far(r)))
    {
        return NULL;
    }

    m = ngx_http_chat_maker_create(r, ctx->asked);
    if (m == NULL) {
        return NULL;
    }

    /* many may be on their way to Redis before the first one begins */

    if (ngx_http_chat_lead_take_place(r) != NGX_OK) {
        ngx_http_chat_maker_free(m);
        return NULL;
    }

    ngx_http_chat_maker_count(m, &ngx_http_chat_counts->led);

    if (warm) {
        ngx_http_chat_maker_reserve(m, &kept->reserved);
    }

    return m;
}


/* the provider that is asked first */

static ngx_http_chat_provider_upstream_t *
ngx_http_chat_lead_first(ngx_http_request_t *r)
{
    ngx_http_chat_loc_conf_t            *chlcf;
    ngx_http_chat_provider_upstream_t  **pu;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    pu = chlcf->upstreams->elts;

    return pu[0];
}


/* questions do not overtake those that wait for a filler */

static ngx_uint_t
ngx_http_chat_lead_may(ngx_http_request_t *r)
{
    ngx_uint_t                  n;
    ngx_chat_scoreboard_t      *sb;
    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);
    sb = chmcf->scoreboard;

    n = ngx_chat_scoreboard_count_generations(sb);

    if (n >= chmcf->processes * chmcf->concurrency
        || ngx_chat_scoreboard_get_queued(sb))
    {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "chat question goes through the queue, "
                       "generations:%ui", n);
        return 0;
    }

    if (!ngx_http_chat_lead_is_located(r)) {
        return 0;
    }

    if (ngx_cycle->free_connection_n
        < ngx_cycle->connection_n / NGX_HTTP_CHAT_LEAD_SPARE)
    {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "chat question goes through the queue, "
                       "free connections:%ui", ngx_cycle->free_connection_n);
        return 0;
    }

    return 1;
}


static ngx_int_t
ngx_http_chat_lead_take_place(ngx_http_request_t *r)
{
    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    return ngx_chat_scoreboard_take_place(chmcf->scoreboard,
                                          &ngx_http_chat_counts->led,
                                          chmcf->processes
                                          * chmcf->concurrency);
}


/* is it known where to find the provider? */

static ngx_uint_t
ngx_http_chat_lead_is_located(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t           *clcf;
    ngx_http_chat_provider_upstream_t  *pu;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    pu = ngx_http_chat_lead_first(r);

    return pu->group || pu->naddrs
           || (clcf->resolver && clcf->resolver->connections.nelts);
}


/*
 * Is a filler connected to the provider, or does this worker, which is not,
 * connect already?  That takes longer than the way through the queue.
 */

static ngx_uint_t
ngx_http_chat_lead_is_far(ngx_http_request_t *r)
{
    ngx_atomic_uint_t                   key;
    ngx_http_chat_main_conf_t          *chmcf;
    ngx_http_chat_provider_upstream_t  *pu;

    chmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);
    pu = ngx_http_chat_lead_first(r);

    if (!pu->ssl || pu->group) {
        return 0;
    }

    key = ngx_chat_scoreboard_provider_key(&pu->provider->name);

    return ngx_chat_scoreboard_has_shared(chmcf->scoreboard, key)
           || !ngx_http_chat_kept_may_connect(pu->kept);
}


static ngx_int_t
ngx_http_chat_lead_start_handler(void *maker, ngx_chat_lead_t *lead)
{
    return ngx_http_chat_maker_lead(maker, lead);
}


static void
ngx_http_chat_lead_discard_handler(void *maker)
{
    ngx_http_chat_maker_free(maker);
}
