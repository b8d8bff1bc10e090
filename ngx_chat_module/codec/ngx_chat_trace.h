
/*
 * By what the logs of several servers are matched: the id of the request that
 * a generation was opened for, and the traceparent that came with it (W3C
 * Trace Context).  Both may be empty, and become values of headers and parts
 * of log lines.
 */


#ifndef _NGX_CHAT_TRACE_H_INCLUDED_
#define _NGX_CHAT_TRACE_H_INCLUDED_


#include "../ngx_chat.h"


typedef struct {
    ngx_str_t              request_id;
    ngx_str_t              traceparent;
} ngx_chat_trace_t;


/* printable ASCII, no blanks, of bounded length, or empty; NGX_OK, NGX_ERROR */
ngx_int_t ngx_chat_trace_check_id(ngx_str_t *id);

/*
 * A traceparent of version 00, or of a later one whose beginning has the same
 * form, of bounded length; NGX_OK, NGX_ERROR: also if it is empty
 */
ngx_int_t ngx_chat_trace_check_parent(ngx_str_t *parent);


#endif /* _NGX_CHAT_TRACE_H_INCLUDED_ */
