
/*
 * Looks up the hosts that a transfer needs, one after the other, and makes of
 * their addresses what CURLOPT_RESOLVE takes.
 */


#ifndef _NGX_CHAT_CURL_RESOLVE_H_INCLUDED_
#define _NGX_CHAT_CURL_RESOLVE_H_INCLUDED_


#include "ngx_chat_curl_host.h"
#include "ngx_chat_lookup.h"


/* zeroed by the owner, who sets the first five */

typedef struct {
    void                   *data;
    void                  (*handler)(void *data, ngx_int_t rc);
    ngx_chat_curl_hosts_t  *hosts;
    ngx_resolver_t         *resolver;  /* of http{}, or NULL */
    ngx_log_t              *log;

    struct curl_slist      *list;      /* "host:port:address,address" */

    ngx_msec_t              deadline;
    ngx_chat_lookup_t       lookup;
    ngx_uint_t              next;      /* of hosts, being looked up */
    ngx_uint_t              rounds;
    ngx_pool_t             *pool;
} ngx_chat_curl_resolve_t;


/*
 * Cancels an earlier start, and frees its list.
 *
 * NGX_OK        rs->list
 * NGX_AGAIN     handler() is called once with one of the others, unless the
 *               look-up is cancelled
 * NGX_DECLINED  not found; rs->lookup.reason, if it is not NULL
 * NGX_ERROR     no memory
 */
ngx_int_t ngx_chat_curl_resolve_start(ngx_chat_curl_resolve_t *rs,
    ngx_msec_t deadline);

/* frees the list too: libcurl must not have it any more */
void ngx_chat_curl_resolve_cancel(ngx_chat_curl_resolve_t *rs);

/* ms until the deadline, at least 1: 0 means a default to libcurl */
ngx_msec_t ngx_chat_curl_resolve_time_left(ngx_msec_t deadline);


#endif /* _NGX_CHAT_CURL_RESOLVE_H_INCLUDED_ */
