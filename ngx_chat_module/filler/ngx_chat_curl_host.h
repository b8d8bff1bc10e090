
/*
 * The names that a provider's calls need the addresses of: of a proxy, of the
 * provider, or both.  They are read from the configuration once, and live as
 * long as the process.
 */


#ifndef _NGX_CHAT_CURL_HOST_H_INCLUDED_
#define _NGX_CHAT_CURL_HOST_H_INCLUDED_


#include "../provider/ngx_chat_provider.h"

#include <curl/curl.h>


typedef struct {
    ngx_str_t            name;     /* with a zero behind it */
    ngx_uint_t           port;
} ngx_chat_curl_host_t;


typedef struct {
    ngx_chat_curl_host_t  host[2];
    ngx_uint_t            n;       /* 0: addresses, or names libcurl knows */

    /* for CURLOPT_RESOLVE: makes libcurl ask for the first name */
    struct curl_slist    *unresolved;

    /* libcurl would not ask: names are looked up before the transfer */
    unsigned              resolve_first:1;
} ngx_chat_curl_hosts_t;


/* hosts is zeroed; NGX_OK; NGX_ERROR: no memory */
ngx_int_t ngx_chat_curl_host_init(ngx_chat_curl_hosts_t *hosts,
    ngx_chat_provider_t *pv, ngx_pool_t *pool);

/* appends a copy of text; NGX_OK; NGX_ERROR: no memory */
ngx_int_t ngx_chat_curl_host_append(struct curl_slist **list, u_char *text);


#endif /* _NGX_CHAT_CURL_HOST_H_INCLUDED_ */
