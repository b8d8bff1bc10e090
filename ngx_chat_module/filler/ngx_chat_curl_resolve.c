
#include "ngx_chat_curl_resolve.h"


#define NGX_CHAT_CURL_RESOLVE_ROUNDS  3     /* of one transfer */
#define NGX_CHAT_CURL_RESOLVE_POOL    1024


static ngx_int_t ngx_chat_curl_resolve_next(ngx_chat_curl_resolve_t *rs);
static void ngx_chat_curl_resolve_handler(ngx_chat_lookup_t *lk, ngx_int_t rc);
static ngx_int_t ngx_chat_curl_resolve_add(ngx_chat_curl_resolve_t *rs);


ngx_int_t
ngx_chat_curl_resolve_start(ngx_chat_curl_resolve_t *rs, ngx_msec_t deadline)
{
    ngx_chat_curl_resolve_cancel(rs);

    if (rs->rounds++ == NGX_CHAT_CURL_RESOLVE_ROUNDS) {
        return NGX_DECLINED;
    }

    rs->pool = ngx_create_pool(NGX_CHAT_CURL_RESOLVE_POOL, rs->log);
    if (rs->pool == NULL) {
        return NGX_ERROR;
    }

    rs->deadline = deadline;
    rs->next = 0;

    return ngx_chat_curl_resolve_next(rs);
}


static ngx_int_t
ngx_chat_curl_resolve_next(ngx_chat_curl_resolve_t *rs)
{
    ngx_int_t           rc;
    ngx_chat_lookup_t  *lk;

    lk = &rs->lookup;

    while (rs->next < rs->hosts->n) {

        ngx_memzero(lk, sizeof(ngx_chat_lookup_t));

        lk->data = rs;
        lk->handler = ngx_chat_curl_resolve_handler;
        lk->pool = rs->pool;
        lk->ident = -1;
        lk->name = rs->hosts->host[rs->next].name;

        rc = ngx_chat_lookup_start(lk, rs->resolver,
                                   ngx_chat_curl_resolve_time_left(
                                       rs->deadline),
                                   rs->log);

        if (rc == NGX_OK) {
            rc = ngx_chat_curl_resolve_add(rs);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        rs->next++;
    }

    return NGX_OK;
}


static void
ngx_chat_curl_resolve_handler(ngx_chat_lookup_t *lk, ngx_int_t rc)
{
    ngx_chat_curl_resolve_t  *rs;

    rs = lk->data;

    if (rc == NGX_OK) {
        rc = ngx_chat_curl_resolve_add(rs);
    }

    if (rc == NGX_OK) {
        rs->next++;
        rc = ngx_chat_curl_resolve_next(rs);
    }

    if (rc != NGX_AGAIN) {
        rs->handler(rs->data, rc);
    }
}


/* "host:port:address,address": libcurl keeps it until it is replaced */

static ngx_int_t
ngx_chat_curl_resolve_add(ngx_chat_curl_resolve_t *rs)
{
    u_char                *p;
    ngx_chat_curl_host_t  *host;

    host = &rs->hosts->host[rs->next];

    p = ngx_pnalloc(rs->pool, host->name.len + NGX_INT_T_LEN
                              + rs->lookup.addrs.len + sizeof("::"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(p, "%V:%ui:%V%Z", &host->name, host->port,
                       &rs->lookup.addrs);

    return ngx_chat_curl_host_append(&rs->list, p);
}


void
ngx_chat_curl_resolve_cancel(ngx_chat_curl_resolve_t *rs)
{
    ngx_chat_lookup_cancel(&rs->lookup);

    if (rs->list) {
        curl_slist_free_all(rs->list);
        rs->list = NULL;
    }

    if (rs->pool) {
        ngx_destroy_pool(rs->pool);
        rs->pool = NULL;
    }
}


ngx_msec_t
ngx_chat_curl_resolve_time_left(ngx_msec_t deadline)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (deadline - ngx_current_msec);

    return (ngx_msec_t) ngx_max(left, 1);
}
