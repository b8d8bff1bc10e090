
#include "ngx_chat_redis_endpoint.h"


ngx_addr_t *
ngx_chat_redis_addr_copy(ngx_pool_t *pool, ngx_addr_t *addr)
{
    ngx_addr_t  *copy;

    copy = ngx_palloc(pool, sizeof(ngx_addr_t));
    if (copy == NULL) {
        return NULL;
    }

    copy->socklen = addr->socklen;
    copy->sockaddr = ngx_palloc(pool, addr->socklen);
    copy->name.len = addr->name.len;
    copy->name.data = ngx_pstrdup(pool, &addr->name);

    if (copy->sockaddr == NULL || copy->name.data == NULL) {
        return NULL;
    }

    ngx_memcpy(copy->sockaddr, addr->sockaddr, addr->socklen);

    return copy;
}


ngx_int_t
ngx_chat_redis_addr_init(ngx_addr_t *addr, ngx_resolver_addr_t *found,
    in_port_t port, ngx_pool_t *pool)
{
    u_char  *p;

    addr->socklen = found->socklen;
    addr->sockaddr = ngx_palloc(pool, found->socklen);

    p = ngx_pnalloc(pool, NGX_SOCKADDR_STRLEN);

    if (addr->sockaddr == NULL || p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(addr->sockaddr, found->sockaddr, found->socklen);
    ngx_inet_set_port(addr->sockaddr, port);

    addr->name.data = p;
    addr->name.len = ngx_sock_ntop(addr->sockaddr, addr->socklen, p,
                                   NGX_SOCKADDR_STRLEN, 1);

    return NGX_OK;
}
