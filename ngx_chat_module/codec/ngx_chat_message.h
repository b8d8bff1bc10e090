
/*
 * The message published when a generation grows: text lengths are decimal,
 * texts are raw bytes.
 *
 *     1 <tries> <n0> <ms> <k> LF                header, version first
 *     p LF                                      processing
 *     s <length> LF <chunk> LF                  streaming
 *     c <length> LF <finish reason> LF          completed
 *     e <length> <length> LF <message><code> LF error
 *
 * or, where the origin of the answer is known,
 *
 *     c <length> <length> <length> LF <finish reason><provider><model> LF
 *
 * followed by k events numbered n0, n0+1, ..., all written at ms.
 *
 * A later release may put more numbers into the header, and more lengths with
 * their texts into an event: both are skipped.
 */


#ifndef _NGX_CHAT_MESSAGE_H_INCLUDED_
#define _NGX_CHAT_MESSAGE_H_INCLUDED_


#include "../ngx_chat.h"


typedef struct {
    uint64_t         tries;
    uint64_t         n0;
    uint64_t         ms;
    ngx_uint_t       count;        /* events in all */

    u_char          *pos;          /* the next event */
    u_char          *last;
    ngx_uint_t       left;         /* events not taken yet */

    ngx_chat_origin_t  origin;     /* of a completed event that was taken */
} ngx_chat_message_t;


/*
 * Reads the header; data must stay where it is while events are taken.
 * NGX_OK, NGX_ERROR: not a message of this version.
 */
ngx_int_t ngx_chat_message_parse(ngx_chat_message_t *m, ngx_str_t *data);

/*
 * Takes the next event, whose texts point into the message.
 * NGX_OK, NGX_DONE after the last, NGX_ERROR: malformed.
 */
ngx_int_t ngx_chat_message_next(ngx_chat_message_t *m, ngx_chat_event_t *ev);


#endif /* _NGX_CHAT_MESSAGE_H_INCLUDED_ */
