
/*
 * A complete answer as it lies in the cache: the text, and "cuts", the byte
 * length of each chunk in decimal, separated by single spaces ("9 14 3").
 */


#ifndef _NGX_CHAT_ANSWER_H_INCLUDED_
#define _NGX_CHAT_ANSWER_H_INCLUDED_


#include "../ngx_chat.h"


typedef struct {
    ngx_str_t        text;
    ngx_str_t        cuts;
    ngx_str_t        finish;
    ngx_str_t        gen;          /* id of the generation that made it */
    ngx_str_t        provider;
    ngx_str_t        model;
    int64_t          ttl;          /* ms left, negative: none known */
} ngx_chat_answer_t;


/*
 * Checks that each cut is positive, that they add up to the text exactly and
 * never cut a character in two, and that the text is valid UTF-8 and not empty.
 * NGX_OK, NGX_DECLINED.
 */
ngx_int_t ngx_chat_answer_check(ngx_chat_answer_t *a);

/*
 * Takes the next cut off the front of *cuts, which answer_check has seen.
 * NGX_OK, NGX_DONE at the end.
 */
ngx_int_t ngx_chat_answer_cut(ngx_str_t *cuts, size_t *len);


#endif /* _NGX_CHAT_ANSWER_H_INCLUDED_ */
