
/*
 * Declarations shared by the files of http/, http/conf and http/provider: the
 * configuration, read-only at run time, and the context of a request, which
 * lives in the pool of the request.
 */


#ifndef _NGX_HTTP_CHAT_H_INCLUDED_
#define _NGX_HTTP_CHAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../ngx_chat.h"
#include "../shm/ngx_chat_scoreboard.h"
#include "../shm/ngx_chat_metrics_zone.h"
#include "../shm/ngx_chat_tier.h"
#include "../provider/ngx_chat_provider.h"
#include "../net/ngx_chat_tls.h"
#include "../codec/ngx_chat_error.h"
#include "../hub/ngx_chat_hub.h"
#include "../hub/ngx_chat_ask.h"
#include "../hub/ngx_chat_purge.h"


#define NGX_HTTP_CHAT_HEALTH       1
#define NGX_HTTP_CHAT_HEALTH_FULL  2

#define NGX_HTTP_CHAT_REDIS_DOWN_ERROR   1
#define NGX_HTTP_CHAT_REDIS_DOWN_DIRECT  2


typedef struct ngx_http_chat_provider_upstream_s
    ngx_http_chat_provider_upstream_t;


/* settings of http{} as a whole: a single instance, read-only at run time */
typedef struct {
    ngx_http_handler_pt      handler;        /* of locations with "chat" */
    ngx_http_handler_pt      health_handler;
    ngx_http_handler_pt      purge_handler;
    ngx_http_handler_pt      metrics_handler;

    ngx_array_t              providers;      /* of ngx_chat_provider_t * */
    ngx_array_t              upstreams;      /* of pointers: see typedef */
    ngx_array_t              locations;      /* of those that say "chat" */
    ngx_array_t              secrets;        /* of ngx_str_t: names of
                                                environment variables that
                                                hold keys */
    ngx_resolver_t          *resolver;       /* of http{}, or NULL */
    ngx_chat_redis_conf_t   *redis;
    ngx_chat_redis_conf_t   *broker;
    ngx_str_t                password;
    ngx_str_t                sentinel_password;
    ngx_chat_tls_t           redis_ssl;
    ngx_uint_t               processes;
    ngx_uint_t               concurrency;
    ngx_uint_t               queue_limit;
    ngx_msec_t               queue_timeout;
    ngx_uint_t               direct_limit;
    size_t                   hub_memory;     /* of a worker's channels */
    ngx_uint_t               redis_off;
    ngx_uint_t               direct;         /* somebody may ask directly */
    ngx_chat_scoreboard_t   *scoreboard;     /* NULL: no location says chat */
    ngx_chat_metrics_zone_t *metrics;        /* likewise */
    ngx_str_t                zone_name;      /* of chat_zone; empty: default */
    size_t                   zone_size;      /* 0: off */
    ngx_chat_hub_conf_t      hub;

    ngx_array_t              variables;      /* of ngx_uint_t: our indexes */
} ngx_http_chat_main_conf_t;


typedef struct {
    ngx_http_complex_value_t  key;           /* empty: not limited */
    ngx_str_t                name;           /* of these settings */
    uint64_t                 interval;       /* us */
    ngx_uint_t               burst;
} ngx_http_chat_limit_t;


typedef struct {
    ngx_array_t             *names;          /* of ngx_str_t: "chat a b" */
    ngx_array_t             *providers;      /* of ngx_chat_provider_t *, in
                                                the same order */
    ngx_array_t             *upstreams;      /* of providers, likewise */
    ngx_str_t                provider_list;  /* "name=fp name=fp" */
    u_char                   fp[NGX_CHAT_FP_LEN];

    ngx_http_handler_pt      handler;        /* of ours, or NULL */
    ngx_str_t               *directive;      /* sets handler */
    ngx_uint_t               health;
    ngx_flag_t               cache;
    ngx_msec_t               cache_ttl;
    ngx_msec_t               cache_stale;    /* behind it; 0: off */
    ngx_http_complex_value_t  *cache_key;    /* NULL: the question alone */
    ngx_http_complex_value_t  *cache_scope;
    ngx_http_complex_value_t  *bypass;       /* NULL: on */
    size_t                   max_question;
    size_t                   max_answer;
    ngx_msec_t               heartbeat;
    ngx_flag_t               cancel;         /* generations without listeners */
    ngx_msec_t               grace;
    ngx_http_chat_limit_t   *miss_limit;     /* NULL: none */
    ngx_uint_t               redis_down;
    ngx_uint_t               resolver;       /* names are resolved late */
    ngx_flag_t               cache_status;
    ngx_flag_t               lead;
    ngx_uint_t               leads;          /* with its providers, too */
} ngx_http_chat_loc_conf_t;


typedef enum {
    NGX_HTTP_CHAT_NOTHING = 0,
    NGX_HTTP_CHAT_HIT,
    NGX_HTTP_CHAT_STALE,                     /* a hit past its TTL */
    NGX_HTTP_CHAT_MISS,
    NGX_HTTP_CHAT_JOIN,
    NGX_HTTP_CHAT_REFRESH,                   /* use_cache false: MISS */
    NGX_HTTP_CHAT_BYPASS,
    NGX_HTTP_CHAT_DIRECT                     /* without Redis */
} ngx_http_chat_source_e;


typedef struct {
    ngx_http_request_t      *request;
    ngx_str_t                question;
    u_char                   h[NGX_CHAT_HASH_LEN];
    u_char                   id[NGX_CHAT_ID_LEN];
    ngx_http_chat_source_e   source;
    ngx_chat_channel_kind_e  kind;           /* of its channel, with id */
    int64_t                  ttl;            /* of a hit, seconds, or
                                                NGX_CHAT_ANSWER_NO_TTL */
    ngx_chat_tier_key_t      key;
    ngx_chat_tier_hit_t      zone;           /* with zoned */
    ngx_chat_usage_t         usage;          /* likewise */

    /* an error before the stream: what the error filter makes a body of */
    ngx_chat_error_e         error;
    ngx_str_t                message;        /* empty: the code's own */

    ngx_chat_question_t     *asked;          /* question for the hub */
    ngx_chat_ask_t          *ask;            /* until the result */
    ngx_chat_purge_t        *purge;          /* likewise */
    ngx_chat_sub_t          *sub;            /* until the request ends */
    ngx_event_t              heartbeat;
    ngx_msec_t               sent;           /* when something was, last */

    ngx_chain_t             *out;
    ngx_chain_t             *busy;
    ngx_chain_t             *free;

    /* for the log */
    ngx_str_t                status;         /* completed, error, gone */
    ngx_str_t                code;
    ngx_str_t                provider;
    ngx_str_t                model;
    ngx_msec_t               start;
    ngx_msec_t               waited;         /* from start to the result */
    ngx_msec_t               first_chunk;    /* after start */
    ngx_uint_t               chunks;
    off_t                    bytes;

    off_t                    max_body;       /* of its location; 0: any */

    unsigned                 counts:1;       /* at its end, for the metrics */
    unsigned                 read:1;         /* the body was read */
    unsigned                 hashed:1;
    unsigned                 zoned:1;        /* a hit out of the zone */
    unsigned                 has_result:1;
    unsigned                 collapsed:1;    /* has no call of its own */
    unsigned                 switched:1;     /* to the direct path, or tried */
    unsigned                 has_first_chunk:1;
    unsigned                 terminal:1;     /* the last event is in out */
    unsigned                 replace:1;      /* the error filter is to act */
    unsigned                 finalized:1;
} ngx_http_chat_ctx_t;


extern ngx_module_t  ngx_chat_module;


#endif /* _NGX_HTTP_CHAT_H_INCLUDED_ */
