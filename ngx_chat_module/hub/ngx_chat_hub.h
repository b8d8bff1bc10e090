
/*
 * A worker's fan-out: one followed generation is a channel, with any number
 * of subscribers.  A channel keeps the events of the generation; frames, what
 * is sent to clients, are rendered once per dialect by a callback from above
 * and shared by all subscribers, each at its own position, so that a slow one
 * falls behind alone and an answer's memory does not grow with its readers.
 *
 * A channel is held by its source while it is fed, by every subscriber, and
 * by an ask under way; with the last of them its memory goes.  The hub's own
 * source follows a generation in Redis; another is whoever calls
 * ngx_chat_hub_feed().  What feeds a channel is all the same to the rest.
 */


#ifndef _NGX_CHAT_HUB_H_INCLUDED_
#define _NGX_CHAT_HUB_H_INCLUDED_


#include "../ngx_chat.h"
#include "../codec/ngx_chat_hit_body.h"
#include "../codec/ngx_chat_usage.h"


#define NGX_CHAT_DIALECTS  2


typedef struct ngx_chat_sub_s  ngx_chat_sub_t;


/*
 * How events become bytes.  len() is that of the frame of ev, which write()
 * puts at p; an empty frame is skipped.  A completed event has the whole answer
 * as text.  render_hit() writes on at p, to last at most, what rp replays,
 * counts the chunks, and says when it is done.  Both return where they end.
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
    ngx_str_t              bytes;  /* as long as the subscription lasts */
    ngx_chat_status_e      status;
    ngx_uint_t             chunks;  /* number that end in it */
    ngx_str_t              code;   /* error: the code; completed: the reason */
    ngx_chat_origin_t     *origin;  /* completed: as long as bytes; else NULL */
} ngx_chat_sse_event_t;


/*
 * Called through a posted event, never from inside another floor's call; with
 * very many subscribers some are called in the next turns of the event loop.
 */
typedef void (*ngx_chat_wake_pt)(void *data);


typedef struct {
    ngx_chat_redis_conf_t *redis;
    ngx_chat_redis_conf_t *broker;
    ngx_chat_tier_t       *zone;       /* NULL: none */
    ngx_uint_t             queue_limit;
    ngx_msec_t             queue_timeout;
    ngx_uint_t             fillers;    /* of this instance; 0: none is led */
    size_t                 memory;     /* of channels; beyond it none is led */
} ngx_chat_hub_conf_t;


/*
 * A worker's hub, from init_process to exit_process; without redis in hcf no
 * question is asked, and channels are fed from above alone.  NULL: no memory.
 */
ngx_chat_hub_t *ngx_chat_hub_create(ngx_chat_hub_conf_t *hcf, ngx_log_t *log);
void ngx_chat_hub_close(ngx_chat_hub_t *hub);

typedef struct {
    unsigned               redis:1;    /* commands connection is up */
    unsigned               partial:1;  /* of a Cluster: Redis or broker */
    unsigned               broker:1;
    unsigned               pubsub:1;
    unsigned               redis_down:1;   /* known to be down: breaker open */
    unsigned               off:1;      /* no Redis is configured */
    ngx_uint_t             channels;   /* generations followed here */
    ngx_uint_t             leads;      /* generations led, or not written yet */
    ngx_uint_t             updates;    /* stale answers seen a moment ago */
    ngx_str_t             *policy;     /* of eviction; empty: not known */

    /* how Redis has last refused it, in a word; empty: it has not; or NULL */
    ngx_str_t             *no_reads;
    ngx_str_t             *no_writes;
    ngx_str_t             *no_tasks;
} ngx_chat_hub_state_t;

/*
 * As it was found last.  Where nothing was asked of Redis lately, something
 * is now, and the next one will be told.
 */
void ngx_chat_hub_get_state(ngx_chat_hub_t *hub, ngx_chat_hub_state_t *state);


typedef struct {
    /* the last subscriber has left; another may come, as long as it goes on */
    void                 (*abandoned)(void *data);

    /* the hub closes: no more events, and the feed is to end */
    void                 (*stop)(void *data);

    /* nothing can come at the moment, for want of Redis; NULL: never */
    ngx_uint_t           (*lost)(void *data);
} ngx_chat_source_t;

/* the way by which a channel is fed, or was */
typedef enum {
    NGX_CHAT_CHANNEL_QUEUED = 0,   /* a filler asks and writes */
    NGX_CHAT_CHANNEL_LED,          /* the worker asks, a filler writes */
    NGX_CHAT_CHANNEL_DIRECT,       /* the worker asks, nobody writes */
    NGX_CHAT_CHANNEL_HIT           /* a cached answer */
} ngx_chat_channel_kind_e;

/*
 * A channel of a new generation with an id of its own, fed by the caller until
 * ngx_chat_hub_end().  joinable: by whoever asks for h and fp.  NULL: no
 * memory.
 */
ngx_chat_channel_t *ngx_chat_hub_feed(ngx_chat_hub_t *hub, u_char *h,
    u_char *fp, ngx_uint_t joinable, const ngx_chat_source_t *source,
    void *data);

/*
 * The next event, its texts copied; "processing" comes first by itself.
 * NGX_ERROR: no memory, or more than a channel may hold; the subscribers got
 * an internal error in its place.
 */
ngx_int_t ngx_chat_hub_append(ngx_chat_channel_t *ch, ngx_chat_event_t *ev);

/* the origin of the answer, copied; before the completed event */
void ngx_chat_hub_set_origin(ngx_chat_channel_t *ch, ngx_chat_origin_t *origin);

/*
 * The feed is over; without a terminal event before, the subscribers get an
 * error.  The channel may be gone afterwards.
 */
void ngx_chat_hub_end(ngx_chat_channel_t *ch);

ngx_chat_channel_kind_e ngx_chat_hub_get_kind(ngx_chat_channel_t *ch);

/* does the channel have subscribers? */
ngx_uint_t ngx_chat_hub_has_subscribers(ngx_chat_channel_t *ch);

/* the joinable channel of h and fp, unless its source is lost; NULL: none */
ngx_chat_channel_t *ngx_chat_hub_find(ngx_chat_hub_t *hub, u_char *h,
    u_char *fp);


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
ngx_int_t ngx_chat_hub_next(ngx_chat_sub_t *sub, ngx_chat_sse_event_t *frame);

/* is the subscriber's source lost sight of?  It may come back */
ngx_uint_t ngx_chat_hub_is_lost(ngx_chat_sub_t *sub);

/* the generation's id, NGX_CHAT_ID_LEN */
u_char *ngx_chat_hub_get_id(ngx_chat_channel_t *ch);

/* the origin of the answer; empty until the answer is completed */
ngx_chat_origin_t *ngx_chat_hub_get_origin(ngx_chat_channel_t *ch);

/* the tokens of a cached answer, as far as they are known */
ngx_chat_usage_t *ngx_chat_hub_get_usage(ngx_chat_channel_t *ch);

/* the channel of sub; another one if the first was cancelled without events */
ngx_chat_channel_t *ngx_chat_hub_get_channel(ngx_chat_sub_t *sub);


#endif /* _NGX_CHAT_HUB_H_INCLUDED_ */
