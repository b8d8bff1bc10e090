
#include "ngx_chat_metrics_zone.h"
#include "ngx_chat_zone.h"


/* workers of all configurations, and fillers */
#define NGX_CHAT_METRICS_BLOCKS  (NGX_MAX_PROCESSES + 64)

/* the slab allocator needs pages of its own too */
#define NGX_CHAT_METRICS_SIZE                                           \
    (sizeof(ngx_chat_metrics_shared_t)                                  \
     + NGX_CHAT_METRICS_BLOCKS * sizeof(ngx_chat_metrics_block_t)       \
     + 64 * ngx_pagesize)


typedef struct {
    pthread_mutex_t            alive;   /* held as long as the process lives */
    ngx_atomic_t               pid;     /* 0: the block has no numbers */
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
static ngx_int_t ngx_chat_metrics_zone_init(ngx_shm_zone_t *zone,
    void *data);
static ngx_int_t ngx_chat_metrics_zone_take_block(
    ngx_chat_metrics_shared_t *shared, ngx_uint_t i);
static void ngx_chat_metrics_zone_add_gauges(ngx_chat_metrics_gauges_t *sum,
    ngx_chat_metrics_gauges_t *gauges);


/* where this process counts; inherited by a child, which has another pid */
static ngx_pid_t                   ngx_chat_metrics_zone_pid;
static ngx_chat_metrics_shared_t  *ngx_chat_metrics_zone_shared;


ngx_int_t
ngx_chat_metrics_zone_add(ngx_conf_t *cf, void *tag,
    ngx_chat_metrics_zone_t **mz)
{
    ngx_str_t  name;

    *mz = ngx_pcalloc(cf->pool, sizeof(ngx_chat_metrics_zone_t));
    if (*mz == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&name, "ngx_chat_metrics");

    return ngx_chat_zone_add(cf, &name, NGX_CHAT_METRICS_SIZE, tag,
                             ngx_chat_metrics_zone_init_handler, *mz);
}


static ngx_int_t
ngx_chat_metrics_zone_init_handler(ngx_shm_zone_t *zone, void *data)
{
    ngx_chat_metrics_zone_t  *old = data;

    ngx_chat_metrics_zone_t  *mz;

    mz = zone->data;

    mz->shared = old ? old->shared
                     : ngx_chat_zone_get(zone,
                                         sizeof(ngx_chat_metrics_shared_t),
                                         ngx_chat_metrics_zone_init);

    return mz->shared ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_chat_metrics_zone_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_chat_metrics_shared_t  *shared = data;

    /* not cleared: that would use the memory of all blocks */

    shared->blocks = ngx_slab_alloc((ngx_slab_pool_t *) zone->shm.addr,
                                    NGX_CHAT_METRICS_BLOCKS
                                    * sizeof(ngx_chat_metrics_block_t));
    if (shared->blocks == NULL) {
        return NGX_ERROR;
    }

    return ngx_chat_zone_init_locks(zone, &shared->owners[0].alive,
                                    sizeof(ngx_chat_metrics_owner_t),
                                    NGX_CHAT_METRICS_BLOCKS);
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

        if (ngx_chat_metrics_zone_take_block(shared, i) == NGX_OK) {
            ngx_chat_metrics_use(&shared->blocks[i], &shared->names);
            return;
        }
    }

    ngx_chat_metrics_use(NULL, &shared->names);
}


static ngx_int_t
ngx_chat_metrics_zone_take_block(ngx_chat_metrics_shared_t *shared,
    ngx_uint_t i)
{
    ngx_chat_metrics_owner_t  *owner;
    ngx_chat_metrics_block_t  *block;

    owner = &shared->owners[i];
    block = &shared->blocks[i];

    if (ngx_chat_zone_lock(&owner->alive) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (!owner->pid) {
        ngx_memzero(&block->counters, sizeof(ngx_chat_metrics_counters_t));
    }

    /* until pid is set, the gauges are those of a dead process */

    ngx_memzero(&block->gauges, sizeof(ngx_chat_metrics_gauges_t));
    ngx_memory_barrier();

    owner->pid = ngx_pid;

    return NGX_OK;
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

        if (!shared->owners[i].pid) {
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

        owner = &shared->owners[i];

        if (!ngx_chat_zone_is_dead(&owner->alive, owner->pid)) {
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
