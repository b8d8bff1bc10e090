
/*
 * A cached answer: the whole stream in one buffer, sent at once.
 */


#ifndef _NGX_HTTP_CHAT_REPLAY_H_INCLUDED_
#define _NGX_HTTP_CHAT_REPLAY_H_INCLUDED_


#include "ngx_http_chat.h"


/* ends the request, also when the answer cannot be sent */
void ngx_http_chat_send_answer(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_answer_t *answer);


#endif /* _NGX_HTTP_CHAT_REPLAY_H_INCLUDED_ */
