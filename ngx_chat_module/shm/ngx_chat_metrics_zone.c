
#include "ngx_chat_metrics_zone.h"

#include <pthread.h>


/* workers of all configurations, and fillers */
#define NGX_CHAT_METRICS_BLOCKS  (NGX_MAX_PROCESSES + 64)

/* the slab allocator needs pages of its own too */
#define NGX_CHAT_METRICS_SIZE                                           \
    (sizeof(ngx_chat_metrics_shared_t)                                  \
     + NGX_CHAT_METRICS_BLOCKS * sizeof(ngx_chat_metrics_block_t)       \
     + 64 * ngx_pagesize)


typedef struct {
    pthread_mutex_t            alive;   /* held as long as the process lives */
    ngx_atomic_t               begun;   /* 1: the block has numbers */
} ngx_chat_metrics_owner_t;


typedef struct {
    ngx_chat_metrics_names_t   names;
    ngx_chat_metrics_owner_t   owners[NGX_CHAT_METRICS_BLOCKS];
    ngx_chat_metrics_block_t  *blocks;
} ngx_chat_metrics_shared_t;


struct ngx_chat_metrics_zone_s {
    ngx_chat_metrics_shared_t  *shared;
};


static ngx_int_t ngx_chat_metrics_zone_init_handler(ngx_shm_zone_t *zone,
    void *data);
static ngx_int_t ngx_chat_metrics_zone_init_locks(
    ngx_chat_metrics_shared_t *shared);
static void ngx_chat_metrics_zone_add_gauges(ngx_chat_metrics_gauges_t *sum,
    ngx_chat_metrics_gauges_t *gauges);
static ngx_int_t ngx_chat_metrics_zone_lock(pthread_mutex_t *alive);


/* where this process counts; inherited by a child, which has another pid */
static ngx_pid_t                   ngx_chat_metrics_zone_pid;
static ngx_chat_metrics_shared_t  *ngx_chat_metrics_zone_shared;


ngx_int_t
ngx_chat_metrics_zone_add(ngx_conf_t *cf, void *tag,
    ngx_chat_metrics_zone_t **mz)
{
    ngx_str_t        name;
    ngx_shm_zone_t  *zone;

    *mz = ngx_pcalloc(cf->pool, sizeof(ngx_chat_metrics_zone_t));
    if (*mz == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&name, "ngx_chat_metrics");

    zone = ngx_shared_memory_add(cf, &name, NGX_CHAT_METRICS_SIZE, tag);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->init = ngx_chat_metrics_zone_init_handler;
    zone->data = *mz;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_metrics_zone_init_handler(ngx_shm_zone_t *zone, void *data)
{
    ngx_chat_metrics_zone_t  *old = data;

    ngx_slab_pool_t            *shpool;
    ngx_chat_metrics_zone_t    *mz;
    ngx_chat_metrics_shared_t  *shared;

    mz = zone->data;

    if (old) {
        mz->shared = old->shared;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        mz->shared = shpool->data;
        return NGX_OK;
    }

    shared = ngx_slab_calloc(shpool, sizeof(ngx_chat_metrics_shared_t));
    if (shared == NULL) {
        return NGX_ERROR;
    }

    /* not cleared: that would use the memory of all blocks */

    shared->blocks = ngx_slab_alloc(shpool,
                                    NGX_CHAT_METRICS_BLOCKS
                                    * sizeof(ngx_chat_metrics_block_t));
    if (shared->blocks == NULL) {
        return NGX_ERROR;
    }

    if (ngx_chat_metrics_zone_init_locks(shared) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "chat metrics cannot be set up: no robust mutexes "
                      "that processes share");
        return NGX_ERROR;
    }

    mz->shared = shared;
    shpool->data = shared;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_metrics_zone_init_locks(ngx_chat_metrics_shared_t *shared)
{
    ngx_int_t            rc;
    ngx_uint_t           i;
    pthread_mutexattr_t  attr;

    if (pthread_mutexattr_init(&attr) != 0) {
        return NGX_ERROR;
    }

    rc = NGX_OK;

    if (pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) != 0
        || pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) != 0)
    {
        rc = NGX_ERROR;
    }

    for (i = 0; i < NGX_CHAT_METRICS_BLOCKS && rc == NGX_OK; i++) {

        if (pthread_mutex_init(&shared->owners[i].alive, &attr) != 0) {
            rc = NGX_ERROR;
        }
    }

    (void) pthread_mutexattr_destroy(&attr);

    return rc;
}


void
ngx_chat_metrics_zone_add_name(ngx_chat_metrics_zone_t *mz, ngx_str_t *name)
{
    ngx_uint_t                 i, n;
    ngx_chat_metrics_names_t  *names;

    names = &mz->shared->names;
    n = names->n;

    if (name->len > NGX_CHAT_METRICS_NAME) {
        return;
    }

    /* a name that the page has for all of those without one */

    if (name->len == sizeof(NGX_CHAT_METRICS_OTHERS) - 1
        && ngx_memcmp(name->data, NGX_CHAT_METRICS_OTHERS, name->len) == 0)
    {
        return;
    }

    for (i = 0; i < n; i++) {

        if (names->lens[i] == name->len
            && ngx_memcmp(names->names[i], name->data, name->len) == 0)
        {
            return;
        }
    }

    if (n == NGX_CHAT_METRICS_PROVIDERS) {
        return;
    }

    names->lens[n] = name->len;
    ngx_memcpy(names->names[n], name->data, name->len);

    /* others read on meanwhile */

    ngx_memory_barrier();

    names->n = n + 1;
}


ngx_int_t
ngx_chat_metrics_zone_get_name(ngx_chat_metrics_zone_t *mz, ngx_uint_t i,
    ngx_str_t *name)
{
    ngx_chat_metrics_names_t  *names;

    names = &mz->shared->names;

    if (i >= names->n) {
        return NGX_DECLINED;
    }

    name->len = names->lens[i];
    name->data = names->names[i];

    return NGX_OK;
}


void
ngx_chat_metrics_zone_take(ngx_chat_metrics_zone_t *mz)
{
    ngx_uint_t                  i;
    ngx_chat_metrics_owner_t   *owner;
    ngx_chat_metrics_block_t   *block;
    ngx_chat_metrics_shared_t  *shared;

    shared = mz->shared;

    if (ngx_chat_metrics_zone_pid == ngx_pid
        && ngx_chat_metrics_zone_shared == shared)
    {
        return;
    }

    ngx_chat_metrics_zone_pid = ngx_pid;
    ngx_chat_metrics_zone_shared = shared;

    for (i = 0; i < NGX_CHAT_METRICS_BLOCKS; i++) {
        owner = &shared->owners[i];

        if (ngx_chat_metrics_zone_lock(&owner->alive) != NGX_OK) {
            continue;
        }

        block = &shared->blocks[i];

        if (!owner->begun) {
            ngx_memzero(&block->counters, sizeof(ngx_chat_metrics_counters_t));
        }

        ngx_memzero(&block->gauges, sizeof(ngx_chat_metrics_gauges_t));
        ngx_memory_barrier();

        owner->begun = 1;

        ngx_chat_metrics_use(block, &shared->names);

        return;
    }

    ngx_chat_metrics_use(NULL, &shared->names);
}


void
ngx_chat_metrics_zone_sum(ngx_chat_metrics_zone_t *mz,
    ngx_chat_metrics_block_t *sum)
{
    ngx_uint_t                  i, n;
    ngx_atomic_t               *from, *to;
    ngx_chat_metrics_owner_t   *owner;
    ngx_chat_metrics_block_t   *block;
    ngx_chat_metrics_shared_t  *shared;

    shared = mz->shared;

    ngx_memzero(sum, sizeof(ngx_chat_metrics_block_t));

    to = (ngx_atomic_t *) &sum->counters;

    for (i = 0; i < NGX_CHAT_METRICS_BLOCKS; i++) {
        owner = &shared->owners[i];

        if (!owner->begun) {
            continue;
        }

        block = &shared->blocks[i];
        from = (ngx_atomic_t *) &block->counters;

        for (n = 0;
             n < sizeof(ngx_chat_metrics_counters_t) / sizeof(ngx_atomic_t);
             n++)
        {
            to[n] += from[n];
        }

        if (ngx_chat_metrics_zone_lock(&owner->alive) == NGX_OK) {

            /* nobody's: another reader that looks now is not misled */

            ngx_memzero(&block->gauges, sizeof(ngx_chat_metrics_gauges_t));
            (void) pthread_mutex_unlock(&owner->alive);

        } else {
            ngx_chat_metrics_zone_add_gauges(&sum->gauges, &block->gauges);
        }
    }
}


static void
ngx_chat_metrics_zone_add_gauges(ngx_chat_metrics_gauges_t *sum,
    ngx_chat_metrics_gauges_t *gauges)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_GAUGE_QUEUED; i++) {
        sum->values[i] += gauges->values[i];
    }

    for ( /* void */ ; i < NGX_CHAT_GAUGES; i++) {
        sum->values[i] = ngx_max(sum->values[i], gauges->values[i]);
    }

    for (i = 0; i <= NGX_CHAT_METRICS_PROVIDERS; i++) {

        if ((time_t) gauges->down[i] > ngx_time()) {
            sum->down[i]++;
        }
    }
}


/* NGX_DECLINED: the process that took it lives */

static ngx_int_t
ngx_chat_metrics_zone_lock(pthread_mutex_t *alive)
{
    switch (pthread_mutex_trylock(alive)) {

    case 0:
        return NGX_OK;

    case EOWNERDEAD:
        return pthread_mutex_consistent(alive) == 0 ? NGX_OK : NGX_DECLINED;

    default:
        return NGX_DECLINED;
    }
}
