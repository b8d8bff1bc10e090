
/*
 * Led generations as this worker makes them: when it may, and with what.
 */


#ifndef _NGX_HTTP_CHAT_LEAD_H_INCLUDED_
#define _NGX_HTTP_CHAT_LEAD_H_INCLUDED_


#include "../ngx_http_chat.h"


/* data is the context of the asker's request */
extern const ngx_chat_maker_t  ngx_http_chat_lead_maker;


#endif /* _NGX_HTTP_CHAT_LEAD_H_INCLUDED_ */
