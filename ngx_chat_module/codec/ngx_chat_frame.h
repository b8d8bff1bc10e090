
/*
 * Server-Sent Events as POST /chat sends them, and the JSON body of an error
 * before the stream.  The caller asks for the length first and gives room.
 *
 *     data: {"status": "streaming", "chunk": "Python is"}\n\n
 */


#ifndef _NGX_CHAT_FRAME_H_INCLUDED_
#define _NGX_CHAT_FRAME_H_INCLUDED_


#include "../ngx_chat.h"


/*
 * The event in the contract's exact form.  "finish_reason" follows the chunk
 * of a completed event whose code is neither empty nor "stop".
 */
size_t ngx_chat_frame_len(ngx_chat_event_t *ev);
u_char *ngx_chat_frame_write(u_char *p, ngx_chat_event_t *ev);

/* the same JSON object alone, as the body of an error response */
size_t ngx_chat_frame_json_len(ngx_chat_event_t *ev);
u_char *ngx_chat_frame_json_write(u_char *p, ngx_chat_event_t *ev);


#endif /* _NGX_CHAT_FRAME_H_INCLUDED_ */
