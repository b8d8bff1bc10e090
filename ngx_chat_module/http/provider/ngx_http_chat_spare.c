
#include "ngx_http_chat_spare_private.h"


#define NGX_HTTP_CHAT_SPARE_ASKED  600000   /* ms: wanted since a question */
#define NGX_HTTP_CHAT_SPARE_MIN    1000     /* ms: back-off */
#define NGX_HTTP_CHAT_SPARE_MAX    60000


static ngx_int_t ngx_http_chat_spare_create(
    ngx_http_chat_provider_upstream_t *pu, ngx_cycle_t *cycle);
static void ngx_http_chat_spare_check_handler(ngx_event_t *ev);
static void ngx_http_chat_spare_retry_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_chat_spare_is_wanted(ngx_http_chat_spare_t *spare);
static void ngx_http_chat_spare_handler(ngx_http_chat_spare_t *spare,
    ngx_int_t rc);
static void ngx_http_chat_spare_back_off(ngx_http_chat_spare_t *spare);


static ngx_array_t  *ngx_http_chat_spare_upstreams;


ngx_int_t
ngx_http_chat_spares_init(ngx_http_chat_main_conf_t *chmcf, ngx_cycle_t *cycle)
{
    ngx_uint_t                           i;
    ngx_http_chat_provider_upstream_t  **pu;

    pu = chmcf->upstreams.elts;

    for (i = 0; i < chmcf->upstreams.nelts; i++) {

        if (pu[i]->kept && ngx_http_chat_spare_create(pu[i], cycle) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_http_chat_spare_upstreams = &chmcf->upstreams;

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_spare_create(ngx_http_chat_provider_upstream_t *pu,
    ngx_cycle_t *cycle)
{
    ngx_http_chat_spare_t  *spare;

    spare = ngx_pcalloc(cycle->pool, sizeof(ngx_http_chat_spare_t));
    if (spare == NULL) {
        return NGX_ERROR;
    }

    spare->kept = pu->kept;
    spare->provider_upstream = pu;
    spare->ident = -1;
    spare->handler = ngx_http_chat_spare_handler;

    spare->retry.handler = ngx_http_chat_spare_retry_handler;
    spare->retry.data = spare;
    spare->retry.log = cycle->log;
    spare->retry.cancelable = 1;

    pu->kept->spare = spare;

    pu->kept->check.handler = ngx_http_chat_spare_check_handler;
    pu->kept->check.data = spare;
    pu->kept->check.log = cycle->log;

    return ngx_http_chat_spare_connect_init(spare, cycle->pool);
}


void
ngx_http_chat_spares_close(void)
{
    ngx_uint_t                           i;
    ngx_http_chat_spare_t               *spare;
    ngx_http_chat_provider_upstream_t  **pu;

    if (ngx_http_chat_spare_upstreams == NULL) {
        return;
    }

    pu = ngx_http_chat_spare_upstreams->elts;

    for (i = 0; i < ngx_http_chat_spare_upstreams->nelts; i++) {

        if (pu[i]->kept == NULL) {
            continue;
        }

        spare = pu[i]->kept->spare;

        if (spare->retry.timer_set) {
            ngx_del_timer(&spare->retry);
        }

        ngx_http_chat_spare_cancel(spare);
        ngx_http_chat_kept_close(pu[i]->kept);
    }

    ngx_http_chat_spare_upstreams = NULL;
}


void
ngx_http_chat_spare_ask(ngx_http_chat_provider_upstream_t *pu,
    ngx_resolver_t *resolver)
{
    ngx_http_chat_kept_t   *kept;
    ngx_http_chat_spare_t  *spare;

    kept = pu->kept;

    if (kept == NULL || pu->provider->keepalive == 0) {
        return;
    }

    spare = kept->spare;

    spare->asked = ngx_current_msec;

    if (resolver) {
        spare->resolver = resolver;
    }

    /* behind the call, which may take the last connection */

    if (kept->n <= 1) {
        ngx_post_event(&kept->check, &ngx_posted_events);
    }
}


void
ngx_http_chat_spare_answer(ngx_http_chat_provider_upstream_t *pu,
    ngx_uint_t lasting)
{
    ngx_http_chat_kept_t  *kept;

    kept = pu->kept;

    if (kept == NULL || pu->provider->keepalive == 0
        || kept->lasting == lasting)
    {
        return;
    }

    kept->lasting = lasting;

    ngx_post_event(&kept->check, &ngx_posted_events);
}


static void
ngx_http_chat_spare_check_handler(ngx_event_t *ev)
{
    ngx_http_chat_kept_t   *kept;
    ngx_http_chat_spare_t  *spare;

    spare = ev->data;
    kept = spare->kept;

    if (kept->used) {
        kept->used = 0;
        spare->delay = 0;

        if (spare->retry.timer_set) {
            ngx_del_timer(&spare->retry);
        }
    }

    if (spare->retry.timer_set || !ngx_http_chat_spare_is_wanted(spare)) {
        return;
    }

    if (kept->wasted) {
        kept->wasted = 0;
        ngx_http_chat_spare_back_off(spare);
        return;
    }

    ngx_http_chat_spare_connect(spare);
}


static void
ngx_http_chat_spare_retry_handler(ngx_event_t *ev)
{
    ngx_http_chat_spare_t  *spare;

    spare = ev->data;

    if (ngx_http_chat_spare_is_wanted(spare)) {
        ngx_http_chat_spare_connect(spare);
    }
}


static ngx_uint_t
ngx_http_chat_spare_is_wanted(ngx_http_chat_spare_t *spare)
{
    return spare->kept->n == 0
           && spare->kept->lasting
           && !ngx_http_chat_spare_is_connecting(spare)
           && !ngx_exiting && !ngx_terminate
           && ngx_current_msec - spare->asked < NGX_HTTP_CHAT_SPARE_ASKED;
}


static void
ngx_http_chat_spare_handler(ngx_http_chat_spare_t *spare, ngx_int_t rc)
{
    if (rc == NGX_OK) {

        /* the timers of calls are waited for */

        spare->peer.connection->write->cancelable = 0;

        rc = ngx_http_chat_kept_put(spare->kept, &spare->peer, NULL);

        if (rc == NGX_OK) {
            return;
        }

        ngx_http_chat_spare_cancel(spare);
    }

    if (ngx_http_chat_spare_is_wanted(spare)) {
        ngx_http_chat_spare_back_off(spare);
    }
}


/* the first time at once */

static void
ngx_http_chat_spare_back_off(ngx_http_chat_spare_t *spare)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "chat provider \"%V\": the next spare connection in %M ms",
                   &spare->provider_upstream->provider->name, spare->delay);

    ngx_add_timer(&spare->retry, spare->delay);

    spare->delay = spare->delay ? ngx_min(2 * spare->delay,
                                          NGX_HTTP_CHAT_SPARE_MAX)
                                : NGX_HTTP_CHAT_SPARE_MIN;
}
