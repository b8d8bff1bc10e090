
/*
 * The body of POST /chat, {"question": "...", "use_cache": true}, and that of
 * a purge, {"question": "..."} or {"key": "..."}.  Other members are ignored,
 * whatever they hold.
 */


#ifndef _NGX_CHAT_REQUEST_H_INCLUDED_
#define _NGX_CHAT_REQUEST_H_INCLUDED_


#include "../ngx_chat.h"


typedef struct {
    ngx_str_t        question;     /* decoded, as sent, untrimmed */
    ngx_uint_t       use_cache;
    ngx_str_t        key;          /* of a purge: h; empty: a question */

    /* why not, for the client; static text */
    ngx_str_t        error;
} ngx_chat_request_t;


/*
 * NGX_OK        rq is filled in; question is allocated in pool
 * NGX_DECLINED  JSON, but a field is missing or wrong (422): error names it
 * NGX_ABORT     not JSON as the README wants it (400): error says why
 * NGX_ERROR     no memory
 *
 * max_question counts decoded bytes.  What is wrong with the JSON goes before
 * what is wrong with a field, wherever it stands.
 */
ngx_int_t ngx_chat_request_parse(ngx_chat_request_t *rq, ngx_str_t *body,
    size_t max_question, ngx_pool_t *pool);

/* the same without the short way for the usual form */
ngx_int_t ngx_chat_request_parse_any(ngx_chat_request_t *rq, ngx_str_t *body,
    size_t max_question, ngx_pool_t *pool);

/*
 * The same of a purge, which has a question or a key: h, or the name of a
 * generation, <id>.<h>.
 */
ngx_int_t ngx_chat_request_parse_purge(ngx_chat_request_t *rq, ngx_str_t *body,
    size_t max_question, ngx_pool_t *pool);


#endif /* _NGX_CHAT_REQUEST_H_INCLUDED_ */
