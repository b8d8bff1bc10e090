
/*
 * A generation whose provider this worker asks itself: the conversation feeds a
 * channel of the hub, and belongs to all who listen alike.  It is led, and
 * written by a filler (see ngx_chat_lead.h), or direct, and written nowhere.
 */


#ifndef _NGX_HTTP_CHAT_MAKER_H_INCLUDED_
#define _NGX_HTTP_CHAT_MAKER_H_INCLUDED_


#include "../ngx_http_chat.h"


typedef struct ngx_http_chat_maker_s  ngx_http_chat_maker_t;


/* for the question of r, not begun; copies what it needs.  NULL: no memory */
ngx_http_chat_maker_t *ngx_http_chat_maker_create(ngx_http_request_t *r,
    ngx_chat_question_t *qn);

/* counted in *count until the conversation has ended, or m is free */
void ngx_http_chat_maker_count(ngx_http_chat_maker_t *m, ngx_atomic_t *count);

/* an idle connection is meant for it: counted until it begins, or is free */
void ngx_http_chat_maker_reserve(ngx_http_chat_maker_t *m, ngx_uint_t *count);

/* of one that was not begun */
void ngx_http_chat_maker_free(ngx_http_chat_maker_t *m);

/*
 * Begins: counts, and asks the first provider.  The channel, to be attached to
 * at once; NULL: no memory, and m is free.
 */
ngx_chat_channel_t *ngx_http_chat_maker_start(ngx_http_chat_maker_t *m,
    u_char *h, u_char *fp, ngx_uint_t joinable, ngx_atomic_t *count);

/* the same for an open generation, counted before; NGX_OK */
ngx_int_t ngx_http_chat_maker_lead(ngx_http_chat_maker_t *m,
    ngx_chat_lead_t *lead);


#endif /* _NGX_HTTP_CHAT_MAKER_H_INCLUDED_ */
