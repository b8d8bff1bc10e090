
/*
 * Addresses of a host, for the filler's calls: found by nginx's resolver
 * where http{} has one, else as the system does, in a thread.  Nobody waits for
 * a name server but who asked for that name.
 */


#ifndef _NGX_CHAT_LOOKUP_H_INCLUDED_
#define _NGX_CHAT_LOOKUP_H_INCLUDED_


#include "../ngx_chat.h"

#include <ngx_event.h>


typedef struct ngx_chat_lookup_s  ngx_chat_lookup_t;

typedef void (*ngx_chat_lookup_pt)(ngx_chat_lookup_t *lk, ngx_int_t rc);


/* to be zeroed, and the first five to be set, by who asks */

struct ngx_chat_lookup_s {
    void                  *data;
    ngx_chat_lookup_pt     handler;
    ngx_pool_t            *pool;      /* for what is found */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t              ident;     /* -1 */

    ngx_str_t              name;      /* with a zero behind it */

    ngx_str_t              addrs;     /* found: "192.0.2.1,2001:db8::1" */
    const char            *why;       /* not found */

    ngx_resolver_ctx_t    *ctx;       /* under way, of nginx */
    ngx_queue_t            queue;     /* and of the system */
    ngx_event_t            timer;
    ngx_int_t              rc;        /* of one that ended at once */

    unsigned               waiting:1;
    unsigned               starting:1;
};


/*
 * like: the resolver of http{}, or NULL; timeout: ms, above 0.
 *
 * NGX_OK        lk->addrs
 * NGX_AGAIN     handler() is called once, with one of the others, unless the
 *               look-up is given up
 * NGX_DECLINED  lk->why
 * NGX_ERROR     no memory
 */
ngx_int_t ngx_chat_lookup(ngx_chat_lookup_t *lk, ngx_resolver_t *like,
    ngx_msec_t timeout, ngx_log_t *log);

/* nothing happens where none is under way */
void ngx_chat_lookup_give_up(ngx_chat_lookup_t *lk);

/* ngx_chat_lookup_system.c: the same as the system does it */
ngx_int_t ngx_chat_lookup_system(ngx_chat_lookup_t *lk, ngx_msec_t timeout,
    ngx_log_t *log);

/* room in lk->addrs for n of them, then one after the other */
ngx_int_t ngx_chat_lookup_room(ngx_chat_lookup_t *lk, ngx_uint_t n);
void ngx_chat_lookup_found(ngx_chat_lookup_t *lk, struct sockaddr *sockaddr,
    socklen_t socklen);


#endif /* _NGX_CHAT_LOOKUP_H_INCLUDED_ */
