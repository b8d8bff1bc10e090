
/*
 * A worker's fan-out: one followed generation is a channel, with any number
 * of subscribers.  A channel keeps the events of the generation; frames, what
 * is sent to clients, are rendered once per dialect by a callback from above
 * and shared by all subscribers, each at its own position, so that a slow one
 * falls behind alone and an answer's memory does not grow with its readers.
 *
 * A channel is held by its source while it is fed, by every subscriber, and
 * by an ask under way; with the last of them its memory goes.  When the last
 * subscriber leaves, the source stops following; the generation goes on.
 */


#ifndef _NGX_CHAT_HUB_H_INCLUDED_
#define _NGX_CHAT_HUB_H_INCLUDED_


#include "../ngx_chat.h"


#define NGX_CHAT_DIALECTS  2


typedef struct ngx_chat_sub_s  ngx_chat_sub_t;


/*
 * How events become bytes.  render() puts the frame of ev into *frame,
 * allocated in pool; an empty frame is skipped.  A completed event has the
 * whole answer as text.
 */
typedef struct {
    ngx_uint_t             index;  /* below NGX_CHAT_DIALECTS */
    ngx_int_t            (*render)(ngx_chat_event_t *ev, ngx_pool_t *pool,
                                   ngx_str_t *frame);
} ngx_chat_dialect_t;


typedef struct {
    ngx_str_t              bytes;  /* as long as the subscription lasts */
    ngx_chat_status_e      status;
    ngx_str_t              code;   /* error: the code; completed: the reason */
} ngx_chat_frame_t;


/* called through a posted event, never from inside another floor's call */
typedef void (*ngx_chat_wake_pt)(void *data);


typedef struct {
    ngx_chat_redis_conf_t *redis;
    ngx_chat_redis_conf_t *broker;
    ngx_uint_t             queue_limit;
    ngx_msec_t             queue_timeout;
} ngx_chat_hub_conf_t;


/* one a worker, from init_process to exit_process; NULL: no memory */
ngx_chat_hub_t *ngx_chat_hub_create(ngx_chat_hub_conf_t *hcf, ngx_log_t *log);
void ngx_chat_hub_close(ngx_chat_hub_t *hub);


typedef struct {
    unsigned               redis:1;    /* commands connection is up */
    unsigned               broker:1;
    unsigned               pubsub:1;
    unsigned               redis_down:1;   /* known to be down: breaker open */
    ngx_uint_t             channels;   /* generations followed here */
    ngx_str_t             *policy;     /* of eviction; empty: not known */
} ngx_chat_hub_state_t;

void ngx_chat_hub_state(ngx_chat_hub_t *hub, ngx_chat_hub_state_t *state);


/*
 * Starts at the first chunk since the last "processing"; wake() follows
 * whenever there is something to take, also for what is there already.
 * NULL: no memory.
 */
ngx_chat_sub_t *ngx_chat_hub_attach(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_wake_pt wake, void *data);

/* frames stay valid until then; callable at any time, also inside wake() */
void ngx_chat_hub_detach(ngx_chat_sub_t *sub);

/*
 * NGX_OK     the next frame
 * NGX_AGAIN  none now; wake() will tell
 * NGX_DONE   the terminal frame was taken
 * NGX_ERROR  no memory
 */
ngx_int_t ngx_chat_hub_next(ngx_chat_sub_t *sub, ngx_chat_frame_t *frame);

/* the generation's id, NGX_CHAT_ID_LEN */
u_char *ngx_chat_hub_id(ngx_chat_channel_t *ch);


#endif /* _NGX_CHAT_HUB_H_INCLUDED_ */
