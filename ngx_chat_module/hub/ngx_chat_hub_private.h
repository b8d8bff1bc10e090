
/*
 * The hub as its parts see it: indexes, and what a worker knows of Redis and of
 * limits besides its channels.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_HUB_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_HUB_PRIVATE_H_INCLUDED_


#include "ngx_chat_ask.h"
#include "ngx_chat_wakes.h"
#include "../store/ngx_chat_store_worker.h"

#include <ngx_event.h>


/* names over a limit that are remembered; others are asked for each time */
#define NGX_CHAT_HUB_LIMITED  256


typedef struct ngx_chat_leads_s  ngx_chat_leads_t;
typedef struct ngx_chat_swaps_s  ngx_chat_swaps_t;


/* a name over its limit, as its last question was told */
typedef struct {
    u_char                 name[NGX_CHAT_HASH_LEN];
    ngx_msec_t             until;      /* the name may ask again */
    ngx_msec_t             told;
} ngx_chat_limited_t;


struct ngx_chat_hub_s {
    ngx_chat_hub_conf_t   *conf;
    ngx_chat_store_t       store;
    ngx_rbtree_t           ids;        /* all channels, by id */
    ngx_rbtree_node_t      ids_sentinel;
    ngx_rbtree_t           keys;       /* joinable ones, by h and fp */
    ngx_rbtree_node_t      keys_sentinel;
    ngx_rbtree_t           hits;       /* answers that are read, likewise */
    ngx_rbtree_node_t      hits_sentinel;
    ngx_rbtree_t           tests;      /* hit tests under way, likewise */
    ngx_rbtree_node_t      tests_sentinel;
    ngx_uint_t             channels;   /* number being fed */
    size_t                 memory;     /* of all channels, leads and sheets */
    time_t                 full_logged;  /* when that was last too much */
    ngx_event_t            evict;
    ngx_queue_t            finished;   /* channels, the oldest first */
    ngx_chat_call_t       *lookup;     /* does Redis have that one, too? */
    ngx_chat_channel_t    *looked_up;
    ngx_queue_t            refills;
    ngx_uint_t             nrefills;   /* number that are read or used */
    ngx_queue_t            all;        /* channels, for closing */
    ngx_queue_t            asks;
    ngx_chat_wakes_t       refused;    /* of asks, without a channel */
    ngx_chat_ask_t        *reporting;    /* ask whose handler runs */
    ngx_queue_t            rollbacks;
    ngx_uint_t             nrollbacks;
    ngx_queue_t            purges;
    ngx_rbtree_t           updates;    /* of stale answers, by h and fp */
    ngx_rbtree_node_t      updates_sentinel;
    ngx_queue_t            all_updates;
    ngx_uint_t             nupdates;
    ngx_queue_t            stows;      /* answers on their way to the zone */
    ngx_uint_t             covered;    /* changes in Redis are heard of */
    ngx_chat_swaps_t      *swaps;      /* NULL: nobody looks for these */
    ngx_chat_leads_t      *leads;      /* NULL: nothing is led */
    ngx_rbtree_t           openings;   /* generations being opened, by key */
    ngx_rbtree_node_t      openings_sentinel;
    time_t                 late_logged;       /* when that was last logged */
    ngx_msec_t             full_until; /* with full */
    ngx_uint_t             full;       /* the queue, a moment ago */
    ngx_chat_limited_t     limited[NGX_CHAT_HUB_LIMITED];
    ngx_log_t             *log;
};


#endif /* _NGX_CHAT_HUB_PRIVATE_H_INCLUDED_ */
