
/*
 * The id of a request, and the traceparent that came with it, for the logs of
 * others.
 */


#ifndef _NGX_HTTP_CHAT_TRACE_H_INCLUDED_
#define _NGX_HTTP_CHAT_TRACE_H_INCLUDED_


#include "ngx_http_chat.h"
#include "../codec/ngx_chat_trace.h"


/* in the request's pool; what is missing or not valid is empty */
void ngx_http_chat_trace_get(ngx_http_request_t *r, ngx_chat_trace_t *trace);


#endif /* _NGX_HTTP_CHAT_TRACE_H_INCLUDED_ */
