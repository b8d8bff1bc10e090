
/*
 * RESP2: commands to bytes, bytes to reply trees by hiredis' reader, and
 * careful access to these, since what comes from Redis is untrusted input.
 */


#ifndef _NGX_CHAT_RESP_H_INCLUDED_
#define _NGX_CHAT_RESP_H_INCLUDED_


#include "ngx_chat_bytes.h"


typedef struct redisReply       ngx_chat_reply_t;
typedef struct ngx_chat_resp_s  ngx_chat_resp_t;


/* appends one command; NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_resp_format(ngx_chat_bytes_t *out, ngx_str_t *argv,
    ngx_uint_t argc);

/*
 * max: the most bytes one reply may have on the wire.  Besides, a reply has at
 * most 262144 elements, in arrays at most 7 deep, and no line of more than
 * 64 KB.  NULL: no memory.
 */
ngx_chat_resp_t *ngx_chat_resp_create(size_t max);
void ngx_chat_resp_free(ngx_chat_resp_t *rp);

/* NGX_OK, NGX_ERROR: no memory or over the limit */
ngx_int_t ngx_chat_resp_feed(ngx_chat_resp_t *rp, u_char *p, size_t len);

/*
 * NGX_OK: *reply is the next whole reply, freed by ngx_chat_reply_free;
 * NGX_AGAIN; NGX_ERROR: a violation of the protocol, for good.
 */
ngx_int_t ngx_chat_resp_next(ngx_chat_resp_t *rp, ngx_chat_reply_t **reply);

void ngx_chat_reply_free(ngx_chat_reply_t *reply);


/*
 * Access to a reply of any type, or NULL: a wrong type is NGX_DECLINED, NULL or
 * 0.  Strings point into the reply.
 */

/* a bulk or simple string */
ngx_int_t ngx_chat_reply_str(ngx_chat_reply_t *reply, ngx_str_t *s);

/* an integer, or a string of decimal digits that fits */
ngx_int_t ngx_chat_reply_int(ngx_chat_reply_t *reply, int64_t *n);

/* an error: the text, "NOSCRIPT No matching script..." */
ngx_int_t ngx_chat_reply_error(ngx_chat_reply_t *reply, ngx_str_t *s);

/* elements of an array: how many (0 if none), and one of them */
ngx_uint_t ngx_chat_reply_count(ngx_chat_reply_t *reply);
ngx_chat_reply_t *ngx_chat_reply_at(ngx_chat_reply_t *reply, ngx_uint_t i);

/*
 * Takes a string out of the array that it is an element of; it lasts until what
 * is returned is freed.  NULL: it is none of them.
 */
ngx_chat_reply_t *ngx_chat_reply_take(ngx_chat_reply_t *reply, ngx_str_t *s);

/* the value of a field in an array of field, value, field, value, ... */
ngx_int_t ngx_chat_reply_field(ngx_chat_reply_t *reply, const char *name,
    ngx_str_t *value);


#endif /* _NGX_CHAT_RESP_H_INCLUDED_ */
