
/*
 * A request's context, from its making to its end, and the one way out.
 *
 * What a request leaves behind goes in two steps, each once.  As soon as it
 * is finalized, or nginx ends it, stop(): it asks, waits and times no more.
 * With the request's pool the subscription: the bytes of its events live as
 * long as any buffer that points to them.
 */


#ifndef _NGX_HTTP_CHAT_CTX_H_INCLUDED_
#define _NGX_HTTP_CHAT_CTX_H_INCLUDED_


#include "ngx_http_chat.h"


/* a new context becomes the request's; NULL: no memory */
ngx_http_chat_ctx_t *ngx_http_chat_ctx_create(ngx_http_request_t *r);

/*
 * The context of the request that r belongs to, also after an error page has
 * taken over; NULL: none
 */
ngx_http_chat_ctx_t *ngx_http_chat_ctx_find(ngx_http_request_t *r);

/*
 * Notes what went wrong, for the response and for the log; returns the status
 * of the response.
 */
ngx_int_t ngx_http_chat_ctx_set_error(ngx_http_chat_ctx_t *ctx,
    ngx_chat_error_e e);

/* the same, of a status that nginx or another of its modules has set */
void ngx_http_chat_ctx_set_status(ngx_http_chat_ctx_t *ctx, ngx_uint_t status);

/*
 * A status, of which nginx makes a page, is on its way: it tells how the
 * request ended, unless that is known, or the client has left.
 */
void ngx_http_chat_ctx_note_status(ngx_http_chat_ctx_t *ctx, ngx_int_t rc);

/*
 * From now on the request ends when its client leaves.  NGX_OK, NGX_ERROR.
 */
ngx_int_t ngx_http_chat_ctx_watch(ngx_http_request_t *r);

/* stops, and finalizes the request, which may be gone afterwards */
void ngx_http_chat_ctx_finalize(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_int_t rc);


#endif /* _NGX_HTTP_CHAT_CTX_H_INCLUDED_ */
