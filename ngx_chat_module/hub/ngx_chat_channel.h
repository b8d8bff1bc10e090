
/*
 * Inside the hub: a channel's events, its place in the indexes, its
 * subscribers, and its source.  A source (ngx_chat_follow.h is the one that
 * reads Redis) has a hold on the channel while it is its feeder, appends
 * events, and is told when nobody listens any more.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_CHANNEL_H_INCLUDED_
#define _NGX_CHAT_CHANNEL_H_INCLUDED_


#include "ngx_chat_hub_private.h"
#include "../codec/ngx_chat_answer.h"
#include "../codec/ngx_chat_error.h"


#define NGX_CHAT_CHANNEL_KEY  (NGX_CHAT_HASH_LEN + NGX_CHAT_FP_LEN)

typedef struct ngx_chat_entry_s   ngx_chat_entry_t;
typedef struct ngx_chat_hit_s     ngx_chat_hit_t;
typedef struct ngx_chat_stow_s    ngx_chat_stow_t;
typedef struct ngx_chat_sheet_s   ngx_chat_sheet_t;
typedef struct ngx_chat_refill_s  ngx_chat_refill_t;


/* room for frames to come */
typedef struct {
    ngx_chat_sheet_t      *sheet;
    u_char                *pos;
    u_char                *end;
    size_t                 size;       /* of it, and all before */
} ngx_chat_frames_t;


struct ngx_chat_entry_s {
    ngx_chat_entry_t      *next;
    ngx_chat_event_t       event;
    ngx_uint_t             chunks;     /* number that end here */
    ngx_uint_t             within;     /* an event goes on behind it */
    ngx_str_t              frame[NGX_CHAT_DIALECTS];  /* data NULL: not yet */
    ngx_chat_sheet_t      *sheet[NGX_CHAT_DIALECTS];
};


struct ngx_chat_channel_s {
    ngx_str_node_t         by_id;
    ngx_str_node_t         by_key;     /* h and fp */
    u_char                 key[NGX_CHAT_CHANNEL_KEY];
    ngx_queue_t            queue;      /* in hub->all */

    ngx_chat_gen_t         gen;
    ngx_chat_hub_t        *hub;        /* NULL: closed */
    ngx_log_t             *log;
    ngx_uint_t             holds;

    ngx_pool_t            *pool;       /* of contents; NULL: dropped */
    ngx_chat_sheet_t      *sheets;
    ngx_uint_t             fills;      /* times that there were others */
    ngx_uint_t             pins;       /* other readers of them */
    ngx_queue_t            finished;   /* in hub->finished, with is_finished */
    ngx_chat_refill_t     *refill;     /* under way, or used; NULL: none */
    void                 (*unread)(ngx_chat_refill_t *rf);  /* nobody uses it */
    ngx_chat_error_e       lost;       /* why there will be none */
    ngx_msec_t             taken;      /* when something was, the last time */

    ngx_chat_entry_t      *first;
    ngx_chat_entry_t      *last;
    ngx_chat_entry_t      *base;       /* last "processing", NULL: implied */
    ngx_uint_t             restarts;   /* number of these */
    size_t                 length;     /* of the text since base */
    size_t                 size;       /* of all entries with their texts */
    size_t                 own;        /* memory of itself */
    size_t                 memory;     /* of the pool, as it is allocated */
    size_t                 room;       /* in the pool's block */
    ngx_str_t              text;       /* whole answer, once completed */
    ngx_chat_origin_t      origin;     /* likewise */
    ngx_chat_usage_t       usage;      /* of a hit */
    ngx_chat_entry_t       failed;     /* the last resort: internal error */
    ngx_chat_frames_t      frames[NGX_CHAT_DIALECTS];
    ngx_chat_hit_t        *hit;        /* a cached answer; NULL: it is fed */
    ngx_chat_reply_t      *reply;      /* with its text; NULL: that is a copy */
    ngx_chat_stow_t       *stow;       /* into the zone; NULL: not to go */

    ngx_chat_wakes_t       wakes;      /* of subscribers, and of asks */
    ngx_chat_channel_kind_e  kind;     /* of source, even if ended */
    const ngx_chat_source_t  *source;
    void                  *feeder;     /* NULL: not fed (any more) */
    ngx_uint_t             idle_holds;  /* of feeder and lead: these do not
                                           listen */

    void                 (*appended)(void *data, ngx_chat_event_t *ev);
    void                  *lead;       /* data of that; NULL: none (any more) */

    unsigned               indexed:1;  /* in ids */
    unsigned               joinable:1;  /* in keys too */
    unsigned               outdates:1;  /* a stale answer: some have that */
    unsigned               cached:1;   /* in hits */
    unsigned               ended:1;    /* has its terminal event */
    unsigned               is_finished:1;  /* and could be read again */
    unsigned               stored:1;   /* seen in Redis */
};


/* by id, or the joinable one by h and fp; NULL: none */
ngx_chat_channel_t *ngx_chat_channel_find_by_id(ngx_chat_hub_t *hub,
    u_char *id);
ngx_chat_channel_t *ngx_chat_channel_find_by_key(ngx_chat_hub_t *hub, u_char *h,
    u_char *fp);

/*
 * An index by h and fp: names a node by key, which is its room; finds one, or
 * NULL.
 */
void ngx_chat_channel_set_node(ngx_str_node_t *node, u_char *key, u_char *h,
    u_char *fp);
ngx_str_node_t *ngx_chat_channel_find_node(ngx_rbtree_t *index, u_char *h,
    u_char *fp);

/*
 * A new channel with one hold, of the caller; that of alloc is in no index.
 * NULL: no memory.
 */
ngx_chat_channel_t *ngx_chat_channel_alloc(ngx_chat_hub_t *hub,
    ngx_chat_gen_t *gen);
ngx_chat_channel_t *ngx_chat_channel_create(ngx_chat_hub_t *hub,
    ngx_chat_gen_t *gen, ngx_uint_t joinable);

/* when nobody but its source and lead holds it any more, the source is told */
void ngx_chat_channel_hold(ngx_chat_channel_t *ch);
void ngx_chat_channel_release(ngx_chat_channel_t *ch);

/*
 * The channel is fed: a hold of the caller becomes the feeder's; or is not any
 * more, and the hold is released.
 */
void ngx_chat_channel_set_feeder(ngx_chat_channel_t *ch,
    ngx_chat_channel_kind_e kind, const ngx_chat_source_t *source,
    void *feeder);
void ngx_chat_channel_drop_feeder(ngx_chat_channel_t *ch);

/* the hold of a feeder that another has followed */
void ngx_chat_channel_release_former(ngx_chat_channel_t *ch);

/*
 * The lead goes along: a hold more.  appended() fires inside append; the
 * channel is found by its id as long as it is led.
 */
void ngx_chat_channel_set_lead(ngx_chat_channel_t *ch,
    void (*appended)(void *data, ngx_chat_event_t *ev), void *lead);
void ngx_chat_channel_drop_lead(ngx_chat_channel_t *ch);

/* the channel is not found by its key any more, by its id, or (close) at all */
void ngx_chat_channel_hide(ngx_chat_channel_t *ch);
void ngx_chat_channel_hide_id(ngx_chat_channel_t *ch);
void ngx_chat_channel_close(ngx_chat_channel_t *ch);

/* the contents may be dropped, after those of older channels; or may not */
void ngx_chat_channel_finish(ngx_chat_channel_t *ch);
void ngx_chat_channel_keep(ngx_chat_channel_t *ch);

/* is that what the completed channel has come to? */
ngx_uint_t ngx_chat_channel_is_answer(ngx_chat_channel_t *ch,
    ngx_chat_answer_t *a);

/* is the channel fed by a source that is lost? */
ngx_uint_t ngx_chat_channel_is_lost(ngx_chat_channel_t *ch);

/* subscribers look for what is there, or is not */
void ngx_chat_channel_wake(ngx_chat_channel_t *ch);

/*
 * The origin of the answer, copied; before the completed event.  Running out
 * of memory leaves it unknown.
 */
void ngx_chat_channel_set_origin(ngx_chat_channel_t *ch,
    ngx_chat_origin_t *origin);

/*
 * Appends an event, its texts copied, and wakes all subscribers.  A terminal
 * one takes the channel out of the indexes; events after it are dropped.
 * NGX_ERROR: no memory, or more than a channel may hold; the subscribers got
 * an internal error in its place.
 */
ngx_int_t ngx_chat_channel_append(ngx_chat_channel_t *ch,
    ngx_chat_event_t *ev);

/*
 * The rest of the answer behind the chunks that are there, if these begin it,
 * or the whole of it after a "processing"; as append, the channel has ended
 * afterwards.
 */
void ngx_chat_channel_append_answer(ngx_chat_channel_t *ch,
    ngx_chat_answer_t *a);


#endif /* _NGX_CHAT_CHANNEL_H_INCLUDED_ */
