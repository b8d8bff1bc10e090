
/*
 * The fault of a call to a provider: the code for the client, whether another
 * try is worth while, and one line for the operator.  Most calls have none:
 * what the provider says of it takes room in the pool when it is read.
 */


#ifndef _NGX_CHAT_PROVIDER_FAULT_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_FAULT_H_INCLUDED_


#include "../codec/ngx_chat_bytes.h"
#include "../codec/ngx_chat_delta.h"
#include "../codec/ngx_chat_error.h"
#include "../codec/ngx_chat_refusal.h"
#include "ngx_chat_provider.h"


#define NGX_CHAT_FAULT_BODY     8192
#define NGX_CHAT_FAULT_MESSAGE  200

/* room for the operator's line, and more than it ever has */
#define NGX_CHAT_FAULT_LINE     1024


/* as a provider has refused, in its own words */
typedef struct {
    ngx_chat_refusal_t     said;         /* types and codes, for the log */
    ngx_str_t              message;      /* not for the log */
    u_char                 room[NGX_CHAT_FAULT_MESSAGE];
} ngx_chat_provider_refusal_t;


typedef struct {
    ngx_chat_error_e       error;        /* NGX_CHAT_E_NONE: no fault */
    ngx_uint_t             retry;        /* worth another try */
    ngx_uint_t             final;        /* the question's: for all providers */
    const char            *what;
    const char            *detail;       /* a transport's, or NULL */
    ngx_uint_t             status;       /* of HTTP; 0: there was none */

    ngx_chat_bytes_t       body;         /* of an error response */
    ngx_chat_provider_refusal_t  *refusal;  /* of the body, or of an error
                                            event; NULL: none was read */

    ngx_chat_provider_t   *provider;
    ngx_pool_t            *pool;
} ngx_chat_provider_fault_t;


void ngx_chat_provider_fault_init(ngx_chat_provider_fault_t *f,
    ngx_chat_provider_t *pv, ngx_pool_t *pool);
void ngx_chat_provider_fault_free(ngx_chat_provider_fault_t *f);

/* the first fault counts, those that follow from it do not */
void ngx_chat_provider_fault_set(ngx_chat_provider_fault_t *f,
    ngx_chat_error_e error, ngx_uint_t retry, const char *what);

/* an HTTP status other than 200, with the body as far as it was read */
void ngx_chat_provider_fault_status(ngx_chat_provider_fault_t *f,
    ngx_uint_t status, ngx_pool_t *temp);

/* an error object in the stream, d being what was read of data */
void ngx_chat_provider_fault_object(ngx_chat_provider_fault_t *f,
    ngx_chat_delta_t *d, ngx_str_t *data, ngx_pool_t *temp);

/*
 * The operator's line, not zero-terminated: what went wrong, with the types
 * and codes that the provider gives, but not its text, which may repeat the
 * question.  buf has room for NGX_CHAT_FAULT_LINE bytes.  Returns the end.
 */
u_char *ngx_chat_provider_fault_line(ngx_chat_provider_fault_t *f,
    u_char *buf);


#endif /* _NGX_CHAT_PROVIDER_FAULT_H_INCLUDED_ */
