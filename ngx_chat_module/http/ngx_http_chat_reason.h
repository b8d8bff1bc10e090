
/*
 * Statuses that nginx or another of its modules has set, as errors of ours.
 */


#ifndef _NGX_HTTP_CHAT_REASON_H_INCLUDED_
#define _NGX_HTTP_CHAT_REASON_H_INCLUDED_


#include "ngx_http_chat.h"


/* message: empty, if that of the error will do */
ngx_chat_error_e ngx_http_chat_reason_find(ngx_uint_t status,
    ngx_str_t *message);


#endif /* _NGX_HTTP_CHAT_REASON_H_INCLUDED_ */
