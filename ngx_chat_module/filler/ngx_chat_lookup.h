
/*
 * Addresses of a host, for the filler's calls: found by nginx's resolver
 * where http{} has one, else as the system does, in a thread.  A name server
 * that does not answer holds up look-ups of its names alone.
 */


#ifndef _NGX_CHAT_LOOKUP_H_INCLUDED_
#define _NGX_CHAT_LOOKUP_H_INCLUDED_


#include "../ngx_chat.h"

#include <ngx_event.h>


typedef struct ngx_chat_lookup_s  ngx_chat_lookup_t;

typedef void (*ngx_chat_lookup_handler_pt)(ngx_chat_lookup_t *lk,
    ngx_int_t rc);


/* the owner zeroes it, and sets the first five */

struct ngx_chat_lookup_s {
    void                        *data;
    ngx_chat_lookup_handler_pt   handler;
    ngx_pool_t                  *pool;    /* for addrs */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                    ident;   /* -1 */

    ngx_str_t                    name;    /* with a zero behind it */

    ngx_str_t                    addrs;   /* "192.0.2.1,2001:db8::1" */
    const char                  *reason;  /* of NGX_DECLINED */

    ngx_resolver_ctx_t          *ctx;     /* with nginx's resolver */

    ngx_queue_t                  queue;   /* with the system's */
    ngx_event_t                  timer;

    ngx_int_t                    rc;      /* if it ended inside start */

    unsigned                     waiting:1;
    unsigned                     starting:1;
};


/*
 * like: the resolver of http{}, or NULL; timeout: ms, above 0.
 *
 * NGX_OK        lk->addrs
 * NGX_AGAIN     handler() is called once, with one of the others, unless the
 *               look-up is cancelled
 * NGX_DECLINED  not found, lk->reason
 * NGX_ERROR     no memory
 */
ngx_int_t ngx_chat_lookup_start(ngx_chat_lookup_t *lk, ngx_resolver_t *like,
    ngx_msec_t timeout, ngx_log_t *log);

/* does nothing where no look-up is under way */
void ngx_chat_lookup_cancel(ngx_chat_lookup_t *lk);


#endif /* _NGX_CHAT_LOOKUP_H_INCLUDED_ */
