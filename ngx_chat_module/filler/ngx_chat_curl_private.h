
/*
 * libcurl on nginx's loop as its two parts see it: ngx_chat_curl.c knows the
 * transfers, ngx_chat_curl_pool.c their sockets and timers.
 */


#ifndef _NGX_CHAT_CURL_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_CURL_PRIVATE_H_INCLUDED_


#include "ngx_chat_curl.h"

#include <ngx_event.h>


typedef struct ngx_chat_curl_pool_s  ngx_chat_curl_pool_t;


/* a provider as its connections see it */

typedef struct {
    ngx_chat_provider_t      *provider;
    ngx_chat_curl_pool_t     *pool;    /* for new transfers; NULL: none yet */
} ngx_chat_curl_origin_t;


/*
 * Transfers of one provider, and the connections that they share or leave to
 * one another.  One that is not its origin's any more is retired, and gone
 * with its last transfer.
 */

struct ngx_chat_curl_pool_s {
    ngx_queue_t               queue;   /* retired ones */
    ngx_chat_curl_t          *curl;
    ngx_chat_curl_origin_t   *origin;
    CURLM                    *multi;
    ngx_queue_t               sockets; /* of ngx_connection_t */
    ngx_uint_t                transfers;
    ngx_event_t               timer;
    ngx_event_t               idle;    /* without transfers */
    ngx_connection_t          dummy;   /* what the timers point to */
};


typedef struct {
    ngx_queue_t               queue;
    ngx_chat_curl_pool_t     *pool;
    CURL                     *easy;
    ngx_chat_curl_done_pt     done;
    void                     *data;
    unsigned                  failed:1;
} ngx_chat_curl_transfer_t;


struct ngx_chat_curl_s {
    ngx_chat_curl_origin_t   *origins;
    ngx_uint_t                norigins;
    ngx_queue_t               retired;
    ngx_uint_t                max;     /* connections kept for each */

    ngx_queue_t               transfers;
    ngx_event_t               later;   /* what libcurl must not call */
    ngx_connection_t          dummy;
    ngx_log_t                *log;
};


/* NULL: no memory */
ngx_chat_curl_pool_t *ngx_chat_curl_create_pool(ngx_chat_curl_t *cu,
    ngx_chat_curl_origin_t *origin);

/* without transfers, and not from inside libcurl's callbacks */
void ngx_chat_curl_destroy_pool(ngx_chat_curl_pool_t *pool);

/* NULL: it is not, or no more, under way */
ngx_chat_curl_transfer_t *ngx_chat_curl_transfer(CURL *easy);

/* the transfer ends in a while */
void ngx_chat_curl_fail(ngx_chat_curl_t *cu, CURL *easy);

/* calls back: any transfer may be gone afterwards */
void ngx_chat_curl_end(ngx_chat_curl_t *cu, ngx_chat_curl_transfer_t *t,
    CURLcode rc);


#endif /* _NGX_CHAT_CURL_PRIVATE_H_INCLUDED_ */
