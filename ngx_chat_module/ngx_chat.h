
/*
 * Definitions shared by all layers: the record of one event of a generation,
 * the lengths of the names it travels under, and forward typedefs.
 *
 * A generation is one provider call and the answer it makes.  Its events are
 * numbered from 1 without gaps; the first is always "processing".
 */


#ifndef _NGX_CHAT_H_INCLUDED_
#define _NGX_CHAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_HASH_LEN   64     /* h: SHA-256 of the cache key, hex */
#define NGX_CHAT_ID_LEN     32     /* a generation: 128 random bits, hex */
#define NGX_CHAT_FP_LEN     32     /* fingerprint of a provider, hex */
#define NGX_CHAT_TOKEN_LEN  32     /* a filler process, hex */

/* ms, 1000 years: sums of such times overflow nowhere, be it in Lua or Redis */
#define NGX_CHAT_TIME_MAX   31536000000000ULL


typedef enum {
    NGX_CHAT_PROCESSING = 0,       /* the answer starts (over) here */
    NGX_CHAT_STREAMING,
    NGX_CHAT_COMPLETED,
    NGX_CHAT_ERROR
} ngx_chat_status_e;


typedef struct {
    ngx_chat_status_e          status;

    /*
     * streaming: the chunk; completed: the whole answer, or empty where it
     * is known from the chunks; error: the message
     */
    ngx_str_t                  text;

    /* completed: the finish reason, may be empty; error: the code */
    ngx_str_t                  code;
} ngx_chat_event_t;


/* provider and model of an answer; empty: not known */
typedef struct {
    ngx_str_t                  provider;
    ngx_str_t                  model;
} ngx_chat_origin_t;


/* how often generations may begin that count under one name */
typedef struct {
    u_char                     name[NGX_CHAT_HASH_LEN];
    uint64_t                   interval;   /* us; 0: as often as they like */
    ngx_uint_t                 burst;      /* besides, at once */
} ngx_chat_limit_t;


typedef struct ngx_chat_provider_s      ngx_chat_provider_t;
typedef struct ngx_chat_redis_upstream_s         ngx_chat_redis_upstream_t;
typedef struct ngx_chat_redis_conf_s    ngx_chat_redis_conf_t;
typedef struct ngx_chat_redis_s         ngx_chat_redis_t;
typedef struct ngx_chat_store_s         ngx_chat_store_t;
typedef struct ngx_chat_hub_s           ngx_chat_hub_t;
typedef struct ngx_chat_channel_s       ngx_chat_channel_t;
typedef struct ngx_chat_scoreboard_s         ngx_chat_scoreboard_t;
typedef struct ngx_chat_metrics_zone_s  ngx_chat_metrics_zone_t;
typedef struct ngx_chat_tier_s          ngx_chat_tier_t;


#endif /* _NGX_CHAT_H_INCLUDED_ */
