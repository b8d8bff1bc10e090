
/*
 * libcurl's multi interface on nginx's event loop, level-triggered.
 *
 * The owner of a transfer keeps the easy handle; done() fires exactly once
 * for a transfer that was added and not removed, never inside add, and may
 * remove, clean up and add others.
 */


#ifndef _NGX_CHAT_CURL_H_INCLUDED_
#define _NGX_CHAT_CURL_H_INCLUDED_


#include "../provider/ngx_chat_provider.h"
#include <curl/curl.h>


typedef struct ngx_chat_curl_s  ngx_chat_curl_t;

typedef void (*ngx_chat_curl_done_pt)(void *data, CURLcode rc);


/*
 * Once a process, and to its end; providers: of ngx_chat_provider_t *, each
 * with connections of its own; max: transfers at once; resolver: of http{}, or
 * NULL, then names are looked up as the system does it.  NULL: no memory.
 */
ngx_chat_curl_t *ngx_chat_curl_create(ngx_array_t *providers, ngx_uint_t max,
    ngx_resolver_t *resolver, ngx_pool_t *pool, ngx_log_t *log);

/*
 * Takes CURLOPT_PRIVATE, and sets what is about names and the time to connect.
 * words: CURL_ERROR_SIZE bytes for why it failed.  NGX_OK, NGX_ERROR
 */
ngx_int_t ngx_chat_curl_add(ngx_chat_curl_t *cu, ngx_chat_provider_t *pv,
    CURL *easy, char *words, ngx_chat_curl_done_pt done, void *data);

/* aborts the transfer; not from inside libcurl's own callbacks */
void ngx_chat_curl_remove(ngx_chat_curl_t *cu, CURL *easy);

/*
 * The transfer's connection may lead nowhere: no transfer that is added from
 * now on goes over any that its provider has.  Those on them go on
 * undisturbed.  Not from inside libcurl's own callbacks either.
 */
void ngx_chat_curl_renew(ngx_chat_curl_t *cu, CURL *easy);


#endif /* _NGX_CHAT_CURL_H_INCLUDED_ */
