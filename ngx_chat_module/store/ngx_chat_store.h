
/*
 * The meaning of the bytes in Redis, common to both sides: a store is the
 * connections of one process, and a call is one verb under way.
 *
 * Every verb takes a handler that fires exactly once, never inside the verb,
 * unless the call is cancelled.  A verb that answers NULL could not even be
 * sent, and its handler does not fire; callers treat that as NGX_ERROR.
 *
 * In handlers rc means
 *
 *   NGX_ERROR     Redis cannot serve: connection lost, timed out, READONLY,
 *                 LOADING, MISCONF, CLUSTERDOWN, MASTERDOWN, OOM, NOAUTH...
 *   NGX_ABORT     a reply that cannot be: logged, and an internal error
 *
 * and what else the verb says.
 */


#ifndef _NGX_CHAT_STORE_H_INCLUDED_
#define _NGX_CHAT_STORE_H_INCLUDED_


#include "../redis/ngx_chat_redis.h"
#include "../redis/ngx_chat_redis_pubsub.h"
#include "../codec/ngx_chat_error.h"


#define NGX_CHAT_LEASE     10000   /* ms */
#define NGX_CHAT_MARGIN    10000
#define NGX_CHAT_SILENCE   5000
#define NGX_CHAT_RENEWAL   3000
#define NGX_CHAT_TRIES     3
#define NGX_CHAT_RETURNS   10      /* of a task by those who are to end */

/* an append carries at most so much, or one larger chunk alone */
#define NGX_CHAT_APPEND_CHUNKS  16
#define NGX_CHAT_APPEND_BYTES   65536

/* the first word of an error reply */
#define NGX_CHAT_SERVICE_WORD   16

#define NGX_CHAT_OVERSIZE_MAX   8


/* which generation; copied by the verbs */
typedef struct {
    u_char                 h[NGX_CHAT_HASH_LEN];
    u_char                 id[NGX_CHAT_ID_LEN];
    u_char                 fp[NGX_CHAT_FP_LEN];    /* of the location */
} ngx_chat_gen_t;


/* services of Redis, which may refuse one and go on with the others */
typedef enum {
    NGX_CHAT_SERVICE_READ = 0,     /* of cached answers */
    NGX_CHAT_SERVICE_WRITE,        /* of generations */
    NGX_CHAT_SERVICE_QUEUE,        /* of tasks, by the broker */
    NGX_CHAT_SERVICES
} ngx_chat_service_e;


/* the outcome of the last command for a service */
typedef struct {
    ngx_msec_t             at;
    ngx_str_t              word;
    u_char                 buf[NGX_CHAT_SERVICE_WORD];
    unsigned               known:1;
} ngx_chat_service_t;


/* an answer that Redis has closed the connection for instead of sending it */
typedef struct {
    u_char                 h[NGX_CHAT_HASH_LEN];
    ngx_uint_t             times;   /* 0: none */
    time_t                 last;
} ngx_chat_oversize_t;


/*
 * News of cached answers, whoever changes them.  covered: from now on all of
 * them come, until lost; changed: the one at h, or, NULL, each one.
 */
typedef struct {
    void                 (*covered)(void *data);
    void                 (*lost)(void *data);
    void                 (*changed)(void *data, u_char *h);
} ngx_chat_news_t;


struct ngx_chat_store_s {
    ngx_chat_redis_t      *redis;
    ngx_chat_redis_t      *broker;  /* may be the same as redis */
    ngx_chat_pubsub_t     *pubsub;  /* NULL in a filler */
    const ngx_chat_news_t  *news;
    void                  *news_data;
    ngx_queue_t            calls;   /* under way */
    ngx_log_t             *log;
    time_t                 refused;  /* when a refusal was last logged */

    ngx_chat_service_t     services[NGX_CHAT_SERVICES];
    ngx_uint_t             left;    /* of redis, that pubsub has followed */
    ngx_chat_oversize_t    oversize[NGX_CHAT_OVERSIZE_MAX];

    /* see ngx_chat_store_probe() */
    ngx_chat_gen_t         probe;
    ngx_uint_t             probe_calls;  /* calls under way */
    ngx_msec_t             probe_time;

    unsigned               closed:1;
};


typedef struct ngx_chat_call_s  ngx_chat_call_t;


/*
 * Opens the connections; subscriber: with the pub/sub one too.
 * NGX_OK, NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_store_init(ngx_chat_store_t *st,
    ngx_chat_redis_conf_t *redis, ngx_chat_redis_conf_t *broker,
    ngx_uint_t subscriber, ngx_log_t *log);

/* calls under way fire with NGX_ERROR before this returns */
void ngx_chat_store_close(ngx_chat_store_t *st);

/* at once after init, with a subscriber */
void ngx_chat_store_watch(ngx_chat_store_t *st, const ngx_chat_news_t *news,
    void *data);

/* of what is published about gen; see ngx_chat_redis_pubsub.h */
ngx_chat_pubsub_sub_t *ngx_chat_store_subscribe(ngx_chat_store_t *st,
    ngx_chat_gen_t *gen, const ngx_chat_pubsub_ops_t *ops, void *data);

/* no callback any more */
void ngx_chat_store_unsubscribe(ngx_chat_pubsub_sub_t *sub);


typedef struct {
    unsigned               redis:1;    /* the connection is up */
    unsigned               broker:1;
    unsigned               pubsub:1;
    unsigned               partial:1;  /* of a Cluster: Redis or broker */
    ngx_str_t             *policy;     /* of eviction; empty: not known */
} ngx_chat_store_state_t;

void ngx_chat_store_get_state(ngx_chat_store_t *st,
    ngx_chat_store_state_t *state);

/* as those of the connection for generations: a lost one may be neither */
ngx_uint_t ngx_chat_store_is_up(ngx_chat_store_t *st);
ngx_uint_t ngx_chat_store_is_down(ngx_chat_store_t *st);

/*
 * How Redis has refused a service when it was last asked for it: the first
 * word of the error, such as "OOM", or "ERR" for one that is no such word.
 * Empty: it has not, or was not asked yet.
 */
ngx_str_t *ngx_chat_store_get_refusal(ngx_chat_store_t *st,
    ngx_chat_service_e service);

/*
 * The handler will not fire.  NULL is allowed, and so is the call whose
 * handler runs: it is freed when that returns, not here.
 */
void ngx_chat_call_cancel(ngx_chat_call_t *call);


#endif /* _NGX_CHAT_STORE_H_INCLUDED_ */
