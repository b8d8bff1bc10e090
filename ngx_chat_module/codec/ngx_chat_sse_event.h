
/*
 * Server-Sent Events as POST /chat sends them, and the JSON body of an error
 * before the stream.  The caller asks for the length first and gives room.
 *
 *     data: {"status": "streaming", "chunk": "Python is"}\n\n
 */


#ifndef _NGX_CHAT_SSE_EVENT_H_INCLUDED_
#define _NGX_CHAT_SSE_EVENT_H_INCLUDED_


#include "../ngx_chat.h"


/*
 * The event in the exact form of the README.  "finish_reason" follows the chunk
 * of a completed event whose code is neither empty nor "stop".
 */
size_t ngx_chat_sse_event_len(ngx_chat_event_t *ev);
u_char *ngx_chat_sse_event_write(u_char *p, ngx_chat_event_t *ev);

/*
 * The same in parts that follow each other, for a caller that writes a long
 * event piece by piece; what is marked is to be escaped.  Returns their number.
 */
typedef struct {
    ngx_str_t        bytes;
    ngx_uint_t       escape;
} ngx_chat_sse_event_part_t;

#define NGX_CHAT_SSE_EVENT_PARTS  5

ngx_uint_t ngx_chat_sse_event_parts(ngx_chat_sse_event_part_t *parts,
    ngx_chat_event_t *ev);

/* the same JSON object alone, as the body of an error response */
size_t ngx_chat_sse_event_json_len(ngx_chat_event_t *ev);
u_char *ngx_chat_sse_event_json_write(u_char *p, ngx_chat_event_t *ev);


#endif /* _NGX_CHAT_SSE_EVENT_H_INCLUDED_ */
