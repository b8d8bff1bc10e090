
/*
 * A look-up as its files see it, from bottom to top: ngx_chat_lookup_addrs.c
 * writes addresses, ngx_chat_lookup_system.c finds them with getaddrinfo(),
 * ngx_chat_lookup.c with nginx's resolver, or the former.
 */


#ifndef _NGX_CHAT_LOOKUP_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_LOOKUP_PRIVATE_H_INCLUDED_


#include "ngx_chat_lookup.h"


/* room in lk->addrs for n addresses; NGX_OK; NGX_ERROR: no memory */
ngx_int_t ngx_chat_lookup_addrs_init(ngx_chat_lookup_t *lk, ngx_uint_t n);

/* appends one of them */
void ngx_chat_lookup_addrs_add(ngx_chat_lookup_t *lk,
    struct sockaddr *sockaddr, socklen_t socklen);


/* as ngx_chat_lookup_start() and ngx_chat_lookup_cancel() */
ngx_int_t ngx_chat_lookup_system_start(ngx_chat_lookup_t *lk,
    ngx_msec_t timeout, ngx_log_t *log);
void ngx_chat_lookup_system_cancel(ngx_chat_lookup_t *lk);


#endif /* _NGX_CHAT_LOOKUP_PRIVATE_H_INCLUDED_ */
