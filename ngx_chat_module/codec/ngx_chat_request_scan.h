
/*
 * The body of POST /chat in its usual form, an object with "question" and
 * perhaps "use_cache" and nothing else, read in one pass.
 */


#ifndef _NGX_CHAT_REQUEST_SCAN_H_INCLUDED_
#define _NGX_CHAT_REQUEST_SCAN_H_INCLUDED_


#include "../ngx_chat.h"


/*
 * NGX_OK        question is decoded, in pool; use_cache is changed if it is
 *               there
 * NGX_DECLINED  of another form, if that is one: it takes a real parser
 * NGX_ERROR     no memory
 */
ngx_int_t ngx_chat_request_scan(ngx_str_t *body, ngx_str_t *question,
    ngx_uint_t *use_cache, ngx_pool_t *pool);


#endif /* _NGX_CHAT_REQUEST_SCAN_H_INCLUDED_ */
