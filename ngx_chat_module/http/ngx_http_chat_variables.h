
/*
 * $chat_question and the others.  They are not found until the body has been
 * read, or until what they tell is known.
 */


#ifndef _NGX_HTTP_CHAT_VARIABLES_H_INCLUDED_
#define _NGX_HTTP_CHAT_VARIABLES_H_INCLUDED_


#include "ngx_http_chat.h"


/* at preconfiguration */
ngx_int_t ngx_http_chat_variables_add(ngx_conf_t *cf);

/*
 * Forgets the values that nginx keeps of $chat_... from an early look; values
 * of other modules that were made from them stay as they are
 */
void ngx_http_chat_variables_reset(ngx_http_request_t *r);


#endif /* _NGX_HTTP_CHAT_VARIABLES_H_INCLUDED_ */
