
/*
 * Transfers of libcurl on nginx's event loop: a pool of connections for each
 * provider, names looked up by nginx's resolver or in a thread.
 *
 * The owner of a transfer keeps the easy handle; handler() fires exactly once
 * for a transfer that was added and not removed, never inside add, and may
 * remove, clean up and add others.
 */


#ifndef _NGX_CHAT_CURL_H_INCLUDED_
#define _NGX_CHAT_CURL_H_INCLUDED_


#include "../provider/ngx_chat_provider.h"
#include <curl/curl.h>


typedef struct ngx_chat_curl_s  ngx_chat_curl_t;

typedef void (*ngx_chat_curl_handler_pt)(void *data, CURLcode rc);


/*
 * Once a process, and to its end; providers: of ngx_chat_provider_t *, each
 * with connections of its own; max: transfers at once; resolver: of http{}, or
 * NULL, then names are looked up as the system does it.  NULL: no memory.
 */
ngx_chat_curl_t *ngx_chat_curl_create(ngx_array_t *providers, ngx_uint_t max,
    ngx_resolver_t *resolver, ngx_pool_t *pool, ngx_log_t *log);

/*
 * Takes CURLOPT_PRIVATE, and sets what is about names and the time to connect.
 * errbuf: CURL_ERROR_SIZE bytes for the reason of a failure.
 * NGX_OK; NGX_ERROR: no memory, or libcurl refuses.
 */
ngx_int_t ngx_chat_curl_add(ngx_chat_curl_t *cu, ngx_chat_provider_t *pv,
    CURL *easy, char *errbuf, ngx_chat_curl_handler_pt handler, void *data);

/* aborts the transfer; not from inside libcurl's own callbacks */
void ngx_chat_curl_remove(ngx_chat_curl_t *cu, CURL *easy);

/*
 * Is a connection to the i-th provider there that transfers share (HTTP/2), so
 * that one more costs no time to connect?
 */
ngx_uint_t ngx_chat_curl_is_shared(ngx_chat_curl_t *cu, ngx_uint_t i);

/*
 * The transfer's connection may be dead: no transfer added from now on uses
 * any connection that its provider has.  Transfers on them go on undisturbed.
 * Not from inside libcurl's own callbacks either.
 */
void ngx_chat_curl_retire_connections(ngx_chat_curl_t *cu, CURL *easy);


#endif /* _NGX_CHAT_CURL_H_INCLUDED_ */
