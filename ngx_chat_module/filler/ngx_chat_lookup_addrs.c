
#include "ngx_chat_lookup_private.h"


ngx_int_t
ngx_chat_lookup_addrs_init(ngx_chat_lookup_t *lk, ngx_uint_t n)
{
    lk->addrs.len = 0;
    lk->addrs.data = ngx_pnalloc(lk->pool, n * (NGX_SOCKADDR_STRLEN + 1) + 1);

    return lk->addrs.data ? NGX_OK : NGX_ERROR;
}


void
ngx_chat_lookup_addrs_add(ngx_chat_lookup_t *lk, struct sockaddr *sockaddr,
    socklen_t socklen)
{
    u_char  *p;

    p = lk->addrs.data + lk->addrs.len;

    if (lk->addrs.len) {
        *p++ = ',';
    }

    p += ngx_sock_ntop(sockaddr, socklen, p, NGX_SOCKADDR_STRLEN, 0);

    lk->addrs.len = p - lk->addrs.data;
}
