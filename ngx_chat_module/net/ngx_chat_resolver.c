
#include "ngx_chat_resolver.h"


#define NGX_CHAT_RESOLVER_POOL  1024


static ngx_resolver_t *ngx_chat_resolver_create(ngx_resolver_t *like,
    ngx_pool_t *pool, ngx_log_t *log);


/* the resolver shared by all name lookups of this process */
static ngx_resolver_t  *ngx_chat_resolver_own;


ngx_resolver_t *
ngx_chat_resolver_get(ngx_resolver_t *like, ngx_log_t *log)
{
    ngx_pool_t  *pool;

    if (ngx_chat_resolver_own) {
        return ngx_chat_resolver_own;
    }

    pool = ngx_create_pool(NGX_CHAT_RESOLVER_POOL, log);
    if (pool == NULL) {
        return NULL;
    }

    ngx_chat_resolver_own = ngx_chat_resolver_create(like, pool, log);

    if (ngx_chat_resolver_own == NULL) {
        ngx_destroy_pool(pool);
    }

    return ngx_chat_resolver_own;
}


static ngx_resolver_t *
ngx_chat_resolver_create(ngx_resolver_t *like, ngx_pool_t *pool,
    ngx_log_t *log)
{
    ngx_str_t                  *names;
    ngx_conf_t                  cf;
    ngx_uint_t                  i, n;
    ngx_resolver_t             *resolver;
    ngx_resolver_connection_t  *rec;

    n = like->connections.nelts;
    rec = like->connections.elts;

    names = ngx_palloc(pool, n * sizeof(ngx_str_t));
    if (names == NULL) {
        return NULL;
    }

    for (i = 0; i < n; i++) {
        names[i] = rec[i].server;
    }

    ngx_memzero(&cf, sizeof(ngx_conf_t));

    cf.cycle = (ngx_cycle_t *) ngx_cycle;
    cf.pool = pool;
    cf.log = log;

    resolver = ngx_resolver_create(&cf, names, n);
    if (resolver == NULL) {
        return NULL;
    }

    resolver->valid = like->valid;

#if (NGX_HAVE_INET6)
    resolver->ipv6 = like->ipv6;
#endif

#if (nginx_version >= 1023001)
    resolver->ipv4 = like->ipv4;
#endif

    return resolver;
}


void
ngx_chat_resolver_forget_parent(void)
{
    ngx_chat_resolver_own = NULL;
}
