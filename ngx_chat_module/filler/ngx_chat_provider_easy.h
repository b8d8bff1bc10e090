
/*
 * The request to a provider as a libcurl easy handle: URL, headers, body, and
 * every option that is not about what becomes of the answer.
 */


#ifndef _NGX_CHAT_PROVIDER_EASY_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_EASY_H_INCLUDED_


#include "../provider/ngx_chat_provider_call.h"
#include <curl/curl.h>


typedef struct {
    CURL               *easy;
    struct curl_slist  *headers;
    char                errbuf[CURL_ERROR_SIZE];  /* why it failed */
} ngx_chat_provider_easy_t;


/*
 * The pool must outlive the handle.  NGX_ERROR: no memory; to be freed all
 * the same.
 */
ngx_int_t ngx_chat_provider_easy_create(ngx_chat_provider_easy_t *pe,
    ngx_chat_provider_request_t *rq, ngx_pool_t *pool);

void ngx_chat_provider_easy_free(ngx_chat_provider_easy_t *pe);

/* libcurl gave up before there was a status, or in the stream */
void ngx_chat_provider_easy_fail(ngx_chat_provider_easy_t *pe,
    ngx_chat_provider_call_t *call, CURLcode rc);


#endif /* _NGX_CHAT_PROVIDER_EASY_H_INCLUDED_ */
