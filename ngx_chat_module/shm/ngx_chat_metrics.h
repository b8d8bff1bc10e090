
/*
 * Numbers that a process counts for the metrics page: the verbs to count with.
 * Which slot is what is fixed here; names and words are the page's.
 *
 * Each process has a block in a shared zone (see ngx_chat_metrics_zone.h) that
 * nobody else writes: words, without a lock, which readers add up.  A process
 * without a block counts into one that nobody reads.
 *
 * Times are in microseconds, costs in billionths of whatever "cost" is in.
 */


#ifndef _NGX_CHAT_METRICS_H_INCLUDED_
#define _NGX_CHAT_METRICS_H_INCLUDED_


#include "../ngx_chat.h"


#define NGX_CHAT_METRICS_CAUSES     32   /* of errors */
#define NGX_CHAT_METRICS_CODES      24   /* of HTTP: known ones, others, none */
#define NGX_CHAT_METRICS_BUCKETS    16   /* of a histogram, at most */
#define NGX_CHAT_METRICS_NAME       64   /* longest name of a provider */

/* names that an instance has ever had; one more, by this name: all others */
#define NGX_CHAT_METRICS_PROVIDERS  32
#define NGX_CHAT_METRICS_OTHERS     "other"


typedef enum {
    /* requests that have ended without an error, by where answers came from */
    NGX_CHAT_COUNT_HIT = 0,
    NGX_CHAT_COUNT_HIT_ZONE,       /* of these */
    NGX_CHAT_COUNT_HIT_REDIS,
    NGX_CHAT_COUNT_STALE,
    NGX_CHAT_COUNT_MISS,
    NGX_CHAT_COUNT_JOIN,
    NGX_CHAT_COUNT_BYPASS,
    NGX_CHAT_COUNT_DIRECT,
    NGX_CHAT_COUNT_NO_RESULT,      /* the client left before that was known */
    NGX_CHAT_COUNT_GONE,           /* of all of these: before the end */
    NGX_CHAT_COUNT_COLLAPSED,      /* had no call to a provider of their own */
    NGX_CHAT_COUNT_UPDATES,        /* of stale answers: tasks queued */
    NGX_CHAT_COUNT_TAKEOVERS,
    NGX_CHAT_COUNT_REDIS_RECONNECTS,
    NGX_CHAT_COUNT_FILLER_RESTARTS,
    NGX_CHAT_COUNT_LANE_RECORDS,
    NGX_CHAT_COUNT_FILLS,
    NGX_CHAT_COUNT_FILLS_WRITTEN,
    NGX_CHAT_COUNT_FILLS_CANCELLED,
    NGX_CHAT_COUNT_FILLS_NOT_WRITTEN,
    NGX_CHAT_COUNT_EVICTIONS,
    NGX_CHAT_COUNT_REFILLS,

    NGX_CHAT_COUNTS
} ngx_chat_metrics_count_e;


/* ways of a generation */
typedef enum {
    NGX_CHAT_PATH_LED = 0,
    NGX_CHAT_PATH_QUEUED,
    NGX_CHAT_PATH_DIRECT,

    NGX_CHAT_PATHS
} ngx_chat_metrics_path_e;


typedef enum {
    NGX_CHAT_GENERATION_STARTED = 0,
    NGX_CHAT_GENERATION_FINISHED,
    NGX_CHAT_GENERATION_FAILED,
    NGX_CHAT_GENERATION_CANCELLED,
    NGX_CHAT_GENERATION_HANDED_OVER,   /* to the queue, or by a worker */
    NGX_CHAT_GENERATION_RESTARTED,

    NGX_CHAT_GENERATIONS
} ngx_chat_metrics_generation_e;


typedef enum {
    NGX_CHAT_TIME_FIRST_EVENT = 0,
    NGX_CHAT_TIME_FIRST_TOKEN,
    NGX_CHAT_TIME_BETWEEN_TOKENS,
    NGX_CHAT_TIME_GENERATION,
    NGX_CHAT_TIME_ROUND_TRIP,

    NGX_CHAT_TIMES
} ngx_chat_metrics_time_e;


/* of a process as it is now; forgotten with the process */
typedef enum {
    NGX_CHAT_GAUGE_GENERATIONS = 0,
    NGX_CHAT_GAUGE_READERS,
    NGX_CHAT_GAUGE_REDIS_UP,       /* connections */
    NGX_CHAT_GAUGE_REDIS_DOWN,     /* connections known to be down */
    NGX_CHAT_GAUGE_LANES,
    NGX_CHAT_GAUGE_FILLERS,
    NGX_CHAT_GAUGE_HUB_MEMORY,     /* bytes */

    /* all fillers see the same: readers take the highest */
    NGX_CHAT_GAUGE_QUEUED,
    NGX_CHAT_GAUGE_OLDEST,         /* us */

    NGX_CHAT_GAUGES
} ngx_chat_metrics_gauge_e;


typedef struct {
    ngx_atomic_t  buckets[NGX_CHAT_METRICS_BUCKETS + 1];
    ngx_atomic_t  sum;
} ngx_chat_metrics_histogram_t;


typedef struct {
    ngx_atomic_t  in;
    ngx_atomic_t  out;
    ngx_atomic_t  cost;
} ngx_chat_metrics_tokens_t;


typedef struct {
    ngx_atomic_t               calls[NGX_CHAT_METRICS_CODES];
    ngx_chat_metrics_tokens_t  used;
    ngx_chat_metrics_tokens_t  saved;
} ngx_chat_metrics_provider_t;


/* nothing but words, so that blocks can be added up */
typedef struct {
    ngx_atomic_t  counts[NGX_CHAT_COUNTS];
    ngx_atomic_t  errors[NGX_CHAT_METRICS_CAUSES];
    ngx_atomic_t  generations[NGX_CHAT_PATHS][NGX_CHAT_GENERATIONS];

    ngx_chat_metrics_histogram_t  times[NGX_CHAT_TIMES];
    ngx_chat_metrics_provider_t   providers[NGX_CHAT_METRICS_PROVIDERS + 1];
} ngx_chat_metrics_counters_t;


typedef struct {
    ngx_atomic_t  values[NGX_CHAT_GAUGES];

    /* until then, seconds since the epoch; added up: in so many processes */
    ngx_atomic_t  down[NGX_CHAT_METRICS_PROVIDERS + 1];
} ngx_chat_metrics_gauges_t;


typedef struct {
    ngx_chat_metrics_counters_t  counters;
    ngx_chat_metrics_gauges_t    gauges;
} ngx_chat_metrics_block_t;


/* names in the order of providers; only added to */
typedef struct {
    ngx_atomic_t  n;
    size_t        lens[NGX_CHAT_METRICS_PROVIDERS];
    u_char        names[NGX_CHAT_METRICS_PROVIDERS][NGX_CHAT_METRICS_NAME];
} ngx_chat_metrics_names_t;


void ngx_chat_metrics_count(ngx_chat_metrics_count_e count);

/* an error of this cause; those beyond the last count as the first */
void ngx_chat_metrics_count_error(ngx_uint_t cause);

void ngx_chat_metrics_count_generation(ngx_chat_metrics_path_e path,
    ngx_chat_metrics_generation_e what);

/* a call to a provider has ended with this HTTP status; 0: without any */
void ngx_chat_metrics_count_call(ngx_str_t *provider, ngx_uint_t status);

/* tokens that a provider has billed, or, saved, would have */
void ngx_chat_metrics_count_tokens(ngx_str_t *provider, ngx_uint_t saved,
    ngx_chat_metrics_tokens_t *tokens);

void ngx_chat_metrics_observe(ngx_chat_metrics_time_e time, uint64_t us);

/* a gauge of this process */
void ngx_chat_metrics_move(ngx_chat_metrics_gauge_e gauge, ngx_int_t n);
void ngx_chat_metrics_set(ngx_chat_metrics_gauge_e gauge, ngx_uint_t n);

void ngx_chat_metrics_set_down(ngx_str_t *provider, time_t until);

/* a clock in us for times that are too short for nginx' own */
uint64_t ngx_chat_metrics_clock(void);

/* upper bound of a bucket, in us; 0: there is no such bucket */
uint64_t ngx_chat_metrics_get_bound(ngx_chat_metrics_time_e time, ngx_uint_t i);
/* the HTTP status of a slot; 0: none; 1: any other */
ngx_uint_t ngx_chat_metrics_get_status(ngx_uint_t i);

/* where the verbs count from now on; NULL: for nobody */
void ngx_chat_metrics_use(ngx_chat_metrics_block_t *block,
    ngx_chat_metrics_names_t *names);


#endif /* _NGX_CHAT_METRICS_H_INCLUDED_ */
