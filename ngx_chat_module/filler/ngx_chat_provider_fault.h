
/*
 * What went wrong with a call to a provider: the code for the client, whether
 * another try is worth while, and one line for the operator.
 */


#ifndef _NGX_CHAT_PROVIDER_FAULT_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_FAULT_H_INCLUDED_


#include "../codec/ngx_chat_bytes.h"
#include "../codec/ngx_chat_error.h"
#include "../codec/ngx_chat_provider_json.h"
#include <curl/curl.h>


#define NGX_CHAT_FAULT_BODY     8192
#define NGX_CHAT_FAULT_MESSAGE  200


typedef struct {
    ngx_chat_error_e       error;        /* NGX_CHAT_E_NONE: no fault */
    ngx_uint_t             retry;        /* worth another try */
    const char            *what;
    const char            *detail;       /* libcurl's, or NULL */
    ngx_uint_t             status;       /* of HTTP; 0: there was none */

    ngx_chat_bytes_t       body;         /* of an error response */
    ngx_str_t              message;      /* the provider's own words */

    ngx_chat_provider_t   *provider;
    ngx_log_t             *log;

    u_char                 room[NGX_CHAT_FAULT_MESSAGE];
    char                   curl[CURL_ERROR_SIZE];  /* its error buffer */
} ngx_chat_provider_fault_t;


void ngx_chat_provider_fault_init(ngx_chat_provider_fault_t *f,
    ngx_chat_provider_t *pv, ngx_log_t *log);
void ngx_chat_provider_fault_free(ngx_chat_provider_fault_t *f);

/* the first fault counts, those that follow from it do not */
void ngx_chat_provider_fault(ngx_chat_provider_fault_t *f,
    ngx_chat_error_e error, ngx_uint_t retry, const char *what);

/* an HTTP status other than 200, with the body as far as it was read */
void ngx_chat_provider_fault_status(ngx_chat_provider_fault_t *f,
    ngx_uint_t status, ngx_pool_t *temp);

/* libcurl gave up before there was a status, or in the stream */
void ngx_chat_provider_fault_curl(ngx_chat_provider_fault_t *f, CURLcode rc);

/* an error object in the stream */
void ngx_chat_provider_fault_object(ngx_chat_provider_fault_t *f,
    ngx_chat_delta_t *d);

void ngx_chat_provider_fault_log(ngx_chat_provider_fault_t *f);


#endif /* _NGX_CHAT_PROVIDER_FAULT_H_INCLUDED_ */
