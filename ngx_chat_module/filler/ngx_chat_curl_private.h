
/*
 * libcurl on nginx's loop as its parts see it: ngx_chat_curl.c knows the
 * transfers, ngx_chat_curl_pool.c their sockets and timers, and
 * ngx_chat_curl_host.c the names that they need.
 */


#ifndef _NGX_CHAT_CURL_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_CURL_PRIVATE_H_INCLUDED_


#include "ngx_chat_curl.h"
#include "ngx_chat_lookup.h"


typedef struct ngx_chat_curl_pool_s  ngx_chat_curl_pool_t;


typedef struct {
    ngx_str_t                 name;    /* and a zero */
    ngx_uint_t                port;
} ngx_chat_curl_host_t;


/* a provider as its connections see it */

typedef struct {
    ngx_chat_provider_t      *provider;
    ngx_chat_curl_pool_t     *pool;    /* for new transfers; NULL: none yet */

    /* names that have to be looked up: of a proxy, of the provider */
    ngx_chat_curl_host_t      hosts[2];
    ngx_uint_t                nhosts;

    /* for CURLOPT_RESOLVE: libcurl is to ask for the first name */
    struct curl_slist        *unknown;

    unsigned                  early:1; /* looked up before libcurl asks */
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
    ngx_connection_t          dummy;   /* data of the timers */
};


typedef struct {
    ngx_queue_t               queue;
    ngx_chat_curl_t          *curl;
    ngx_chat_curl_origin_t   *origin;
    ngx_chat_curl_pool_t     *pool;    /* NULL: libcurl does not have it */
    CURL                     *easy;
    char                     *words;
    ngx_msec_t                deadline;  /* for being connected */
    ngx_chat_curl_done_pt     done;
    void                     *data;

    ngx_chat_lookup_t         lookup;
    ngx_uint_t                lookups;
    ngx_uint_t                host;    /* of origin->hosts, looked up */
    ngx_pool_t               *temp;
    struct curl_slist        *known;   /* for CURLOPT_RESOLVE */

    CURLcode                  rc;      /* of one that failed */
    unsigned                  failed:1;
    unsigned                  asks:1;  /* for an address */
} ngx_chat_curl_transfer_t;


struct ngx_chat_curl_s {
    ngx_chat_curl_origin_t   *origins;
    ngx_uint_t                norigins;
    ngx_resolver_t           *resolver;  /* of http{}, or NULL */
    ngx_queue_t               retired;
    ngx_uint_t                max;     /* connections kept for each */

    ngx_queue_t               transfers;
    ngx_event_t               later;   /* work outside of callbacks */
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

/* libcurl is done with it; calls back: any transfer may be gone afterwards */
void ngx_chat_curl_end(ngx_chat_curl_t *cu, ngx_chat_curl_transfer_t *t,
    CURLcode rc);

/* ms, at least 1 */
ngx_msec_t ngx_chat_curl_left(ngx_chat_curl_transfer_t *t);


/* ngx_chat_curl_host.c: for the life of the process; NGX_ERROR: no memory */
ngx_int_t ngx_chat_curl_hosts(ngx_chat_curl_origin_t *origin,
    ngx_pool_t *pool);

/* CURLOPT_RESOLVER_START_FUNCTION */
int ngx_chat_curl_asks(void *resolver, void *reserved, void *data);

/*
 * NGX_OK: t->known; NGX_AGAIN: ngx_chat_curl_looked_up() will be called with
 * one of the others; NGX_DECLINED: not found; NGX_ERROR: no memory
 */
ngx_int_t ngx_chat_curl_look_up(ngx_chat_curl_transfer_t *t);

/* gives up a look-up that is under way, and frees what was found */
void ngx_chat_curl_forget(ngx_chat_curl_transfer_t *t);

/* ngx_chat_curl.c: calls back, or lets libcurl begin */
void ngx_chat_curl_looked_up(ngx_chat_curl_transfer_t *t, ngx_int_t rc);


#endif /* _NGX_CHAT_CURL_PRIVATE_H_INCLUDED_ */
