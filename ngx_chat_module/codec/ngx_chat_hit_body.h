
/*
 * The body of a hit: a cached answer as the events that made it, behind the
 * first "processing", in pieces of any size: an event may begin in one piece
 * and end in another.
 */


#ifndef _NGX_CHAT_HIT_BODY_H_INCLUDED_
#define _NGX_CHAT_HIT_BODY_H_INCLUDED_


#include "../ngx_chat.h"
#include "ngx_chat_answer.h"
#include "ngx_chat_sse_event.h"


/* the least room that lets a write get on: one byte, escaped */
#define NGX_CHAT_HIT_BODY_ROOM  6


typedef struct {
    ngx_chat_answer_t         *answer;
    ngx_str_t                  chunk_lens;  /* of the chunks to come */
    u_char                    *text;   /* and where these begin */
    ngx_uint_t                 chunks;  /* written to the end */

    /* the event that is being written: parts[part] and what follows it */
    ngx_chat_sse_event_part_t  parts[NGX_CHAT_SSE_EVENT_PARTS];
    ngx_uint_t                 part;
    ngx_uint_t                 nparts;
    ngx_chat_status_e          status;

    unsigned                   done:1;  /* the last event has ended */
} ngx_chat_hit_body_t;


/* the answer was checked, and must last */
void ngx_chat_hit_body_init(ngx_chat_hit_body_t *hb, ngx_chat_answer_t *answer);

/* writes on from where it was, to last at most; returns where it ends */
u_char *ngx_chat_hit_body_write(ngx_chat_hit_body_t *hb, u_char *p,
    u_char *last);


#endif /* _NGX_CHAT_HIT_BODY_H_INCLUDED_ */
