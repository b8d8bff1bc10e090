
/*
 * A complete answer as it lies in the cache: the text, and the byte length of
 * each chunk in decimal, separated by single spaces ("9 14 3"; the field "cuts"
 * in Redis).
 */


#ifndef _NGX_CHAT_ANSWER_H_INCLUDED_
#define _NGX_CHAT_ANSWER_H_INCLUDED_


#include "ngx_chat_resp.h"


#define NGX_CHAT_ANSWER_NO_TTL  INT64_MAX


typedef struct {
    ngx_str_t        text;
    ngx_str_t        chunk_lens;
    ngx_str_t        finish;
    ngx_str_t        gen;          /* id of its generation */
    ngx_str_t        provider;
    ngx_str_t        model;
    ngx_str_t        usage;        /* the provider's object, or empty */
    int64_t          ttl;          /* ms left, negative: since it was over;
                                      or NGX_CHAT_ANSWER_NO_TTL */
    ngx_chat_reply_t *fields;      /* with the text; NULL: of no reply */
} ngx_chat_answer_t;


/*
 * Checks that each length is positive, that the lengths add up to the text and
 * never cut a character in two, and that the text is valid UTF-8 and not empty.
 * NGX_OK, NGX_DECLINED.
 */
ngx_int_t ngx_chat_answer_check(ngx_chat_answer_t *a);

/*
 * Takes the next length off the front of *chunk_lens.  Only after
 * ngx_chat_answer_check(): nothing is checked again, neither digits nor that
 * the text is as long.
 * NGX_OK, NGX_DONE at the end.
 */
ngx_int_t ngx_chat_answer_next_len(ngx_str_t *chunk_lens, size_t *len);


#endif /* _NGX_CHAT_ANSWER_H_INCLUDED_ */
