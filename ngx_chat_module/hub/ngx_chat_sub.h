
/*
 * A subscription to a channel: a position among its frames.  The position is
 * in bytes behind the last "processing", as contents come and go: of an answer
 * that was dropped and is read again a subscriber gets what it has not had.
 */


#ifndef _NGX_CHAT_SUB_H_INCLUDED_
#define _NGX_CHAT_SUB_H_INCLUDED_


#include "../ngx_chat.h"
#include "../codec/ngx_chat_hit_body.h"


#define NGX_CHAT_DIALECTS  2


typedef struct ngx_chat_sub_s  ngx_chat_sub_t;


/*
 * How events become bytes.  len() is that of the frame of ev, which write()
 * puts at p; an empty frame is skipped.  A completed event has the whole answer
 * as text.  render_hit() writes on at p, to last at most, what rp replays,
 * counts the chunks, and says when it is done.  Both return where they end, and
 * both make the same bytes of the same chunks and end.
 */
typedef struct {
    ngx_uint_t             index;  /* below NGX_CHAT_DIALECTS */
    size_t               (*len)(ngx_chat_event_t *ev);
    u_char              *(*write)(u_char *p, ngx_chat_event_t *ev);
    u_char              *(*render_hit)(ngx_chat_hit_body_t *rp, u_char *p,
                                   u_char *last);
} ngx_chat_dialect_t;


/*
 * A frame, or of a cached answer a piece of its frames, which may begin and
 * end within one; status is that of the last one.
 */
typedef struct {
    ngx_str_t              bytes;  /* until ngx_chat_hub_sent() */
    ngx_chat_status_e      status;
    ngx_uint_t             chunks;  /* number that end in it */
    ngx_str_t              code;   /* error: the code; completed: the reason */
    ngx_chat_origin_t     *origin;  /* completed: until detach; else NULL */
} ngx_chat_sse_event_t;


/*
 * Called through a posted event, never from inside another floor's call; with
 * very many subscribers some are called in the next turns of the event loop.
 */
typedef void (*ngx_chat_wake_pt)(void *data);


/*
 * Starts at the first chunk since the last "processing"; wake() follows
 * whenever there is something to take, also for what is there already.
 * NULL: no memory.
 */
ngx_chat_sub_t *ngx_chat_hub_attach(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_wake_pt wake, void *data);

/* callable at any time, also inside wake() */
void ngx_chat_hub_detach(ngx_chat_sub_t *sub);

/*
 * NGX_OK     the next frame
 * NGX_AGAIN  none now; wake() will tell, unless so much was taken already that
 *            it is to be sent first
 * NGX_DONE   the terminal frame was taken
 * NGX_ABORT  Redis has the rest no more, or cannot say; code tells which
 * NGX_ERROR  no memory
 */
ngx_int_t ngx_chat_hub_next(ngx_chat_sub_t *sub, ngx_chat_sse_event_t *frame);

/* no byte that was taken is needed any more */
void ngx_chat_hub_sent(ngx_chat_sub_t *sub);

/* others have their turn first: wake() follows, whatever there is */
void ngx_chat_hub_again(ngx_chat_sub_t *sub);

/* has the last piece ended within an event, so that nothing may come between */
ngx_uint_t ngx_chat_hub_is_within(ngx_chat_sub_t *sub);

/* is the subscriber's source lost sight of?  It may come back */
ngx_uint_t ngx_chat_hub_is_lost(ngx_chat_sub_t *sub);

/* the channel of sub; another one if the first was cancelled without events */
ngx_chat_channel_t *ngx_chat_hub_get_channel(ngx_chat_sub_t *sub);


#endif /* _NGX_CHAT_SUB_H_INCLUDED_ */
