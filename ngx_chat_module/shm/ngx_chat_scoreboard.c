
#include "ngx_chat_scoreboard.h"
#include "ngx_chat_zone.h"


/* the slab allocator needs pages of its own too */
#define NGX_CHAT_SCOREBOARD_SIZE                                        \
    (sizeof(ngx_chat_scoreboard_shared_t) + 16 * ngx_pagesize)

#define NGX_CHAT_SCOREBOARD_ROUNDS  3

/* s: a filler with an older pulse stands still */
#define NGX_CHAT_SCOREBOARD_PULSE   5


typedef struct {
    pthread_mutex_t               alive;  /* held as long as the worker lives */
    ngx_atomic_t                  pid;
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
static ngx_int_t ngx_chat_scoreboard_init(ngx_shm_zone_t *zone, void *data);
static ngx_uint_t ngx_chat_scoreboard_slot_fits(ngx_chat_slot_t *slot,
    ngx_uint_t round, ngx_str_t *predecessor);


ngx_int_t
ngx_chat_scoreboard_add(ngx_conf_t *cf, void *tag,
    ngx_chat_scoreboard_t **sb)
{
    ngx_str_t  name;

    *sb = ngx_pcalloc(cf->pool, sizeof(ngx_chat_scoreboard_t));
    if (*sb == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&name, "ngx_chat_scoreboard");

    return ngx_chat_zone_add(cf, &name, NGX_CHAT_SCOREBOARD_SIZE, tag,
                             ngx_chat_scoreboard_init_handler, *sb);
}


static ngx_int_t
ngx_chat_scoreboard_init_handler(ngx_shm_zone_t *zone, void *data)
{
    ngx_chat_scoreboard_t  *old = data;

    ngx_chat_scoreboard_t  *sb;

    sb = zone->data;

    sb->shared = old ? old->shared
                     : ngx_chat_zone_get(zone,
                                         sizeof(ngx_chat_scoreboard_shared_t),
                                         ngx_chat_scoreboard_init);

    return sb->shared ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_chat_scoreboard_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_chat_scoreboard_shared_t  *shared = data;

    if (ngx_chat_zone_init_locks(zone, &shared->slots[0].alive,
                                 sizeof(ngx_chat_slot_t),
                                 NGX_CHAT_SCOREBOARD_SLOTS) != NGX_OK
        || ngx_chat_zone_init_locks(zone, &shared->workers[0].alive,
                                    sizeof(ngx_chat_scoreboard_worker_t),
                                    NGX_MAX_PROCESSES) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_zone_init_locks(zone, &shared->places, 0, 1);
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
            || ngx_chat_zone_lock(&slot->alive) != NGX_OK)
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
            || ngx_chat_zone_lock(&slot->alive) != NGX_OK)
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

        if (!ngx_chat_zone_is_dead(&slot->alive, slot->pid)) {
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

        if (ngx_chat_zone_lock(&worker->alive) != NGX_OK) {
            continue;
        }

        worker->counts.requests = 0;
        worker->counts.led = 0;
        worker->pid = ngx_pid;

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
            && !ngx_chat_zone_is_dead(&worker->alive, worker->pid))
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

        if (worker->counts.led
            && !ngx_chat_zone_is_dead(&worker->alive, worker->pid))
        {
            n += worker->counts.led;
        }
    }

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS; i++) {
        slot = &sb->shared->slots[i];

        if (slot->pid && slot->running
            && slot->state != NGX_CHAT_SLOT_DRAINING
            && !ngx_chat_zone_is_dead(&slot->alive, slot->pid))
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
    ngx_int_t  rc;

    if (ngx_chat_zone_lock_soon(&sb->shared->places) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    if (ngx_chat_scoreboard_count_generations(sb) < most) {
        (*count)++;
        rc = NGX_OK;
    }

    (void) pthread_mutex_unlock(&sb->shared->places);

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
                && !ngx_chat_zone_is_dead(&slot->alive, slot->pid))
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
            && !ngx_chat_zone_is_dead(&slot->alive, slot->pid))
        {
            n = slot->queued;
        }
    }

    return n;
}
