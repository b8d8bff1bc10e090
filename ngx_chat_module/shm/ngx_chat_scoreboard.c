
#include "ngx_chat_scoreboard.h"


/* the slab allocator needs pages of its own too */
#define NGX_CHAT_SCOREBOARD_SIZE                                        \
    (sizeof(ngx_chat_scoreboard_shared_t) + 16 * ngx_pagesize)

#define NGX_CHAT_SCOREBOARD_ROUNDS  3

/* s: a filler with an older pulse stands still */
#define NGX_CHAT_SCOREBOARD_PULSE   5

/* for the lock that is held for as long as it takes to count */
#define NGX_CHAT_SCOREBOARD_TRIES   100


typedef struct {
    pthread_mutex_t               alive;  /* held as long as the worker lives */
    ngx_chat_scoreboard_counts_t  counts;
} ngx_chat_scoreboard_worker_t;


/* zone layout; NGX_MAX_PROCESSES bounds the workers, of all generations */
typedef struct {
    ngx_chat_slot_t               slots[NGX_CHAT_SCOREBOARD_SLOTS];
    ngx_chat_scoreboard_worker_t  workers[NGX_MAX_PROCESSES];
    pthread_mutex_t               places;  /* held to take one */
    ngx_atomic_t                  used;    /* how many were ever taken */
    ngx_atomic_t                  wanted;  /* 1: a filler found no slot */
} ngx_chat_scoreboard_shared_t;


struct ngx_chat_scoreboard_s {
    ngx_chat_scoreboard_shared_t  *shared;
};


static ngx_int_t ngx_chat_scoreboard_init_handler(ngx_shm_zone_t *zone,
    void *data);
static ngx_int_t ngx_chat_scoreboard_init_locks(
    ngx_chat_scoreboard_shared_t *shared);
static ngx_uint_t ngx_chat_scoreboard_slot_fits(ngx_chat_slot_t *slot,
    ngx_uint_t round, ngx_str_t *predecessor);
static ngx_uint_t ngx_chat_scoreboard_is_dead(pthread_mutex_t *alive);
static ngx_int_t ngx_chat_scoreboard_lock(pthread_mutex_t *alive);


ngx_int_t
ngx_chat_scoreboard_add(ngx_conf_t *cf, void *tag,
    ngx_chat_scoreboard_t **sb)
{
    ngx_str_t        name;
    ngx_shm_zone_t  *zone;

    *sb = ngx_pcalloc(cf->pool, sizeof(ngx_chat_scoreboard_t));
    if (*sb == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&name, "ngx_chat_scoreboard");

    zone = ngx_shared_memory_add(cf, &name, NGX_CHAT_SCOREBOARD_SIZE, tag);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->init = ngx_chat_scoreboard_init_handler;
    zone->data = *sb;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_scoreboard_init_handler(ngx_shm_zone_t *zone, void *data)
{
    ngx_chat_scoreboard_t  *old = data;

    ngx_slab_pool_t        *shpool;
    ngx_chat_scoreboard_t  *sb;

    sb = zone->data;

    if (old) {
        sb->shared = old->shared;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        sb->shared = shpool->data;
        return NGX_OK;
    }

    sb->shared = ngx_slab_calloc(shpool,
                                 sizeof(ngx_chat_scoreboard_shared_t));
    if (sb->shared == NULL) {
        return NGX_ERROR;
    }

    if (ngx_chat_scoreboard_init_locks(sb->shared) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "chat scoreboard cannot be set up: no robust mutexes "
                      "that processes share");
        return NGX_ERROR;
    }

    shpool->data = sb->shared;

    return NGX_OK;
}


/*
 * A lock shows whether a process lives: the kernel takes it from a dead process
 * at once, while its pid may be reused, or stay a zombie's for long.
 */

static ngx_int_t
ngx_chat_scoreboard_init_locks(ngx_chat_scoreboard_shared_t *shared)
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

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS && rc == NGX_OK; i++) {

        if (pthread_mutex_init(&shared->slots[i].alive, &attr) != 0) {
            rc = NGX_ERROR;
        }
    }

    for (i = 0; i < NGX_MAX_PROCESSES && rc == NGX_OK; i++) {

        if (pthread_mutex_init(&shared->workers[i].alive, &attr) != 0) {
            rc = NGX_ERROR;
        }
    }

    if (rc == NGX_OK && pthread_mutex_init(&shared->places, &attr) != 0) {
        rc = NGX_ERROR;
    }

    (void) pthread_mutexattr_destroy(&attr);

    return rc;
}


ngx_chat_slot_t *
ngx_chat_scoreboard_take_slot(ngx_chat_scoreboard_t *sb, ngx_pid_t pid,
    ngx_uint_t number, u_char *token, ngx_str_t *predecessor)
{
    ngx_uint_t        i;
    ngx_chat_slot_t  *slot;

    for (i = 0;
         i < NGX_CHAT_SCOREBOARD_ROUNDS * NGX_CHAT_SCOREBOARD_SLOTS;
         i++)
    {
        slot = &sb->shared->slots[i % NGX_CHAT_SCOREBOARD_SLOTS];

        if (!ngx_chat_scoreboard_slot_fits(slot, i / NGX_CHAT_SCOREBOARD_SLOTS,
                                           predecessor)
            || ngx_chat_scoreboard_lock(&slot->alive) != NGX_OK)
        {
            continue;
        }

        slot->pid = (ngx_atomic_uint_t) pid;
        slot->number = number;
        slot->running = 0;
        slot->led = 0;
        slot->queued = 0;
        slot->redis = 0;
        slot->pulse = ngx_time();
        ngx_memzero(slot->providers, sizeof(slot->providers));
        ngx_memcpy(slot->token, token, NGX_CHAT_TOKEN_LEN);
        ngx_memory_barrier();
        slot->state = NGX_CHAT_SLOT_STARTING;

        return slot;
    }

    sb->shared->wanted = 1;

    return NULL;
}


/*
 * Dead fillers' slots come last: another successor still needs the token in
 * them.
 */

static ngx_uint_t
ngx_chat_scoreboard_slot_fits(ngx_chat_slot_t *slot, ngx_uint_t round,
    ngx_str_t *predecessor)
{
    switch (round) {

    case 0:
        return slot->pid && predecessor->len
               && ngx_memcmp(slot->token, predecessor->data,
                             NGX_CHAT_TOKEN_LEN)
                  == 0;

    case 1:
        return slot->pid == 0;

    default:
        return 1;
    }
}


void
ngx_chat_scoreboard_release_slot(ngx_chat_slot_t *slot)
{
    slot->state = NGX_CHAT_SLOT_FREE;
    slot->pid = 0;

    (void) pthread_mutex_unlock(&slot->alive);
}


ngx_int_t
ngx_chat_scoreboard_yield_slot(ngx_chat_scoreboard_t *sb,
    ngx_chat_slot_t *slot)
{
    /* a single filler gives its slot up for the one that is wanted */

    if (!sb->shared->wanted
        || !ngx_atomic_cmp_set(&sb->shared->wanted, 1, 0))
    {
        return NGX_DECLINED;
    }

    ngx_chat_scoreboard_release_slot(slot);

    return NGX_OK;
}


ngx_int_t
ngx_chat_scoreboard_reap_slot(ngx_chat_scoreboard_t *sb, ngx_uint_t number,
    ngx_uint_t processes, u_char *token)
{
    ngx_uint_t        i;
    ngx_chat_slot_t  *slot;

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS; i++) {
        slot = &sb->shared->slots[i];

        if (slot->pid == 0
            || slot->number % processes != number
            || ngx_chat_scoreboard_lock(&slot->alive) != NGX_OK)
        {
            continue;
        }

        ngx_memcpy(token, slot->token, NGX_CHAT_TOKEN_LEN);
        ngx_chat_scoreboard_release_slot(slot);

        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_chat_slot_t *
ngx_chat_scoreboard_slots(ngx_chat_scoreboard_t *sb)
{
    return sb->shared->slots;
}


ngx_atomic_uint_t
ngx_chat_scoreboard_provider_key(ngx_str_t *name)
{
    ngx_atomic_uint_t  key;

    key = ngx_crc32_long(name->data, name->len);

    return key ? key : 1;
}


ngx_uint_t
ngx_chat_scoreboard_has_successor(ngx_chat_scoreboard_t *sb, ngx_pid_t pid)
{
    ngx_uint_t        i;
    ngx_chat_slot_t  *slot;

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS; i++) {
        slot = &sb->shared->slots[i];

        if (slot->state != NGX_CHAT_SLOT_RUNNING
            || slot->pid == (ngx_atomic_uint_t) pid)
        {
            continue;
        }

        if (!ngx_chat_scoreboard_is_dead(&slot->alive)) {
            return 1;
        }
    }

    return 0;
}


ngx_chat_scoreboard_counts_t *
ngx_chat_scoreboard_take_worker(ngx_chat_scoreboard_t *sb)
{
    ngx_uint_t                     i;
    ngx_atomic_uint_t              used;
    ngx_chat_scoreboard_worker_t  *worker;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        worker = &sb->shared->workers[i];

        if (ngx_chat_scoreboard_lock(&worker->alive) != NGX_OK) {
            continue;
        }

        worker->counts.requests = 0;
        worker->counts.led = 0;

        do {
            used = sb->shared->used;
        } while (used < i + 1
                 && !ngx_atomic_cmp_set(&sb->shared->used, used, i + 1));

        return &worker->counts;
    }

    return NULL;
}


ngx_uint_t
ngx_chat_scoreboard_count_requests(ngx_chat_scoreboard_t *sb)
{
    ngx_uint_t                     i, n;
    ngx_chat_scoreboard_worker_t  *worker;

    n = 0;

    for (i = 0; i < sb->shared->used; i++) {
        worker = &sb->shared->workers[i];

        if (worker->counts.requests
            && !ngx_chat_scoreboard_is_dead(&worker->alive))
        {
            n += worker->counts.requests;
        }
    }

    return n;
}


ngx_uint_t
ngx_chat_scoreboard_count_generations(ngx_chat_scoreboard_t *sb)
{
    ngx_uint_t                     i, n;
    ngx_chat_slot_t               *slot;
    ngx_chat_scoreboard_worker_t  *worker;

    n = 0;

    for (i = 0; i < sb->shared->used; i++) {
        worker = &sb->shared->workers[i];

        if (worker->counts.led && !ngx_chat_scoreboard_is_dead(&worker->alive))
        {
            n += worker->counts.led;
        }
    }

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS; i++) {
        slot = &sb->shared->slots[i];

        if (slot->pid && slot->running
            && slot->state != NGX_CHAT_SLOT_DRAINING
            && !ngx_chat_scoreboard_is_dead(&slot->alive))
        {
            n += slot->running;
        }
    }

    return n;
}


/*
 * Counting first and taking a place afterwards would let two processes take the
 * last one.  One that dies in between leaves nothing: its counts die with it.
 */

ngx_int_t
ngx_chat_scoreboard_take_place(ngx_chat_scoreboard_t *sb, ngx_atomic_t *count,
    ngx_uint_t most)
{
    ngx_int_t         rc;
    ngx_uint_t        i;
    pthread_mutex_t  *places;

    places = &sb->shared->places;

    for (i = 0; ngx_chat_scoreboard_lock(places) != NGX_OK; i++) {

        if (i == NGX_CHAT_SCOREBOARD_TRIES) {
            return NGX_DECLINED;
        }

        ngx_sched_yield();
    }

    rc = NGX_DECLINED;

    if (ngx_chat_scoreboard_count_generations(sb) < most) {
        (*count)++;
        rc = NGX_OK;
    }

    (void) pthread_mutex_unlock(places);

    return rc;
}


ngx_uint_t
ngx_chat_scoreboard_has_shared(ngx_chat_scoreboard_t *sb,
    ngx_atomic_uint_t key)
{
    ngx_uint_t        i, n;
    ngx_chat_slot_t  *slot;

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS; i++) {
        slot = &sb->shared->slots[i];

        if (slot->state != NGX_CHAT_SLOT_RUNNING) {
            continue;
        }

        for (n = 0; n < NGX_CHAT_SCOREBOARD_PROVIDERS; n++) {

            if (slot->providers[n].key == key && slot->providers[n].shared
                && !ngx_chat_scoreboard_is_dead(&slot->alive))
            {
                return 1;
            }
        }
    }

    return 0;
}


ngx_uint_t
ngx_chat_scoreboard_get_queued(ngx_chat_scoreboard_t *sb)
{
    ngx_uint_t        i, n;
    ngx_chat_slot_t  *slot;

    n = 0;

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS; i++) {
        slot = &sb->shared->slots[i];

        /* all see the same queue, some later than others, or stand still */

        if (slot->pid && slot->queued > n
            && ngx_time() - (time_t) slot->pulse <= NGX_CHAT_SCOREBOARD_PULSE
            && !ngx_chat_scoreboard_is_dead(&slot->alive))
        {
            n = slot->queued;
        }
    }

    return n;
}


static ngx_uint_t
ngx_chat_scoreboard_is_dead(pthread_mutex_t *alive)
{
    if (ngx_chat_scoreboard_lock(alive) != NGX_OK) {
        return 0;
    }

    (void) pthread_mutex_unlock(alive);

    return 1;
}


/* NGX_DECLINED: the process that took it lives */

static ngx_int_t
ngx_chat_scoreboard_lock(pthread_mutex_t *alive)
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
