
/*
 * A worker's fan-out: one followed generation is a channel, with any number
 * of subscribers.  A channel keeps the events of the generation; frames, what
 * is sent to clients, are rendered once per dialect by a callback from above
 * and shared by all subscribers, each at its own position, so that a slow one
 * falls behind alone and an answer's memory does not grow with its readers.
 * Beyond a bound the oldest answers that Redis has, too, are dropped, and read
 * again for those who are behind.
 *
 * A channel is held by its source while it is fed, by every subscriber, and
 * by an ask under way; with the last of them its memory goes.  The hub's own
 * source follows a generation in Redis; another is whoever calls
 * ngx_chat_hub_feed().  What feeds a channel is all the same to the rest.
 */


#ifndef _NGX_CHAT_HUB_H_INCLUDED_
#define _NGX_CHAT_HUB_H_INCLUDED_


#include "ngx_chat_sub.h"
#include "../codec/ngx_chat_usage.h"


typedef struct {
    ngx_chat_redis_conf_t *redis;
    ngx_chat_redis_conf_t *broker;
    ngx_chat_tier_t       *zone;       /* NULL: none */
    ngx_uint_t             queue_limit;
    ngx_msec_t             queue_timeout;
    ngx_uint_t             fillers;    /* of this instance; 0: none is led */
    size_t                 memory;     /* of channels; beyond it none is led,
                                          and finished ones lose contents */
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


/* the generation's id, NGX_CHAT_ID_LEN */
u_char *ngx_chat_hub_get_id(ngx_chat_channel_t *ch);

/* the origin of the answer; empty until the answer is completed */
ngx_chat_origin_t *ngx_chat_hub_get_origin(ngx_chat_channel_t *ch);

/* the tokens of a cached answer, as far as they are known */
ngx_chat_usage_t *ngx_chat_hub_get_usage(ngx_chat_channel_t *ch);


#endif /* _NGX_CHAT_HUB_H_INCLUDED_ */
