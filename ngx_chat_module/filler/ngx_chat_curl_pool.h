
/*
 * A pool of connections to one provider: a multi handle of libcurl on nginx's
 * event loop, level-triggered.  Transfers share its connections, or leave them
 * to one another.  The pool that new transfers of a provider go to is its
 * current one; a retired pool takes no more, and is destroyed after its last
 * transfer, a current one when it was idle for a while.
 *
 * The handlers fire inside libcurl's functions or from the event loop, with the
 * data of creation:
 *
 *   done    the transfer has ended; it may be removed, and others added
 *   failed  a socket of the transfer cannot be watched, and it would hang: to
 *           be removed later, as this is inside a callback of libcurl
 */


#ifndef _NGX_CHAT_CURL_POOL_H_INCLUDED_
#define _NGX_CHAT_CURL_POOL_H_INCLUDED_


#include "../ngx_chat.h"

#include <curl/curl.h>


typedef struct ngx_chat_curl_pool_s  ngx_chat_curl_pool_t;


typedef struct {
    ngx_str_t     *name;                /* of the provider, for log lines */
    ngx_uint_t     max;                 /* connections kept */
    void         (*done)(void *data, CURL *easy, CURLcode rc);
    void         (*failed)(void *data, CURL *easy);
    void          *data;
    ngx_log_t     *log;
} ngx_chat_curl_pool_conf_t;


/*
 * *current is the new pool, and NULL when it is retired or gone.  conf is
 * copied.  NGX_OK; NGX_ERROR: no memory, or libcurl refuses.
 */
ngx_int_t ngx_chat_curl_pool_create(ngx_chat_curl_pool_t **current,
    ngx_chat_curl_pool_conf_t *conf);

/* calls no handler; NGX_OK; NGX_ERROR: libcurl refuses, logged */
ngx_int_t ngx_chat_curl_pool_add(ngx_chat_curl_pool_t *pool, CURL *easy);

/* not from inside libcurl's callbacks; the pool may go with the last one */
void ngx_chat_curl_pool_remove(ngx_chat_curl_pool_t *pool, CURL *easy);

/* is there a connection that transfers share: was HTTP/2 spoken last? */
ngx_uint_t ngx_chat_curl_pool_is_shared(ngx_chat_curl_pool_t *pool);

/* transfers of the pool go on undisturbed; at least one there must be */
void ngx_chat_curl_pool_retire(ngx_chat_curl_pool_t *pool);


#endif /* _NGX_CHAT_CURL_POOL_H_INCLUDED_ */
