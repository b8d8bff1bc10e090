
#include "ngx_chat_scoreboard.h"


/* the slab allocator needs room for its own pages too */
#define NGX_CHAT_SCOREBOARD_SIZE                                        \
    (sizeof(ngx_chat_scoreboard_shared_t) + 16 * ngx_pagesize)

#define NGX_CHAT_SCOREBOARD_ROUNDS  3


typedef struct {
    pthread_mutex_t          life;      /* held as long as the worker lives */
    ngx_atomic_t             requests;
} ngx_chat_scoreboard_worker_t;


/* zone layout; NGX_MAX_PROCESSES bounds the workers, of all generations */
typedef struct {
    ngx_chat_slot_t               slots[NGX_CHAT_SCOREBOARD_SLOTS];
    ngx_chat_scoreboard_worker_t  workers[NGX_MAX_PROCESSES];
    ngx_atomic_t                  wanted;  /* 1: somebody found no slot */
} ngx_chat_scoreboard_shared_t;


struct ngx_chat_scoreboard_s {
    ngx_chat_scoreboard_shared_t  *shared;
};


static ngx_int_t ngx_chat_scoreboard_init(ngx_shm_zone_t *zone, void *data);
static ngx_int_t ngx_chat_scoreboard_init_lives(
    ngx_chat_scoreboard_shared_t *shared);
static ngx_uint_t ngx_chat_scoreboard_fits(ngx_chat_slot_t *slot,
    ngx_uint_t round,
    ngx_str_t *predecessor);
static ngx_int_t ngx_chat_scoreboard_seize(pthread_mutex_t *life);


ngx_int_t
ngx_chat_scoreboard_add(ngx_conf_t *cf, void *tag,
    ngx_chat_scoreboard_t **board)
{
    ngx_str_t        name;
    ngx_shm_zone_t  *zone;

    *board = ngx_pcalloc(cf->pool, sizeof(ngx_chat_scoreboard_t));
    if (*board == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&name, "ngx_chat_scoreboard");

    zone = ngx_shared_memory_add(cf, &name, NGX_CHAT_SCOREBOARD_SIZE, tag);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->init = ngx_chat_scoreboard_init;
    zone->data = *board;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_scoreboard_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_chat_scoreboard_t  *old = data;

    ngx_slab_pool_t        *shpool;
    ngx_chat_scoreboard_t  *board;

    board = zone->data;

    if (old) {
        board->shared = old->shared;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        board->shared = shpool->data;
        return NGX_OK;
    }

    board->shared = ngx_slab_calloc(shpool,
                                    sizeof(ngx_chat_scoreboard_shared_t));
    if (board->shared == NULL) {
        return NGX_ERROR;
    }

    if (ngx_chat_scoreboard_init_lives(board->shared) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "no locks for the chat board");
        return NGX_ERROR;
    }

    shpool->data = board->shared;

    return NGX_OK;
}


/*
 * Whether a process lives is told by a lock, which the kernel takes from the
 * dead at once: a pid may be another's by now, or a zombie's for long.
 */

static ngx_int_t
ngx_chat_scoreboard_init_lives(ngx_chat_scoreboard_shared_t *shared)
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

        if (pthread_mutex_init(&shared->slots[i].life, &attr) != 0) {
            rc = NGX_ERROR;
        }
    }

    for (i = 0; i < NGX_MAX_PROCESSES && rc == NGX_OK; i++) {

        if (pthread_mutex_init(&shared->workers[i].life, &attr) != 0) {
            rc = NGX_ERROR;
        }
    }

    (void) pthread_mutexattr_destroy(&attr);

    return rc;
}


ngx_chat_slot_t *
ngx_chat_scoreboard_take(ngx_chat_scoreboard_t *board, ngx_pid_t pid,
    ngx_uint_t number,
    u_char *token, ngx_str_t *predecessor)
{
    ngx_uint_t        i;
    ngx_chat_slot_t  *slot;

    for (i = 0;
         i < NGX_CHAT_SCOREBOARD_ROUNDS * NGX_CHAT_SCOREBOARD_SLOTS;
         i++)
    {
        slot = &board->shared->slots[i % NGX_CHAT_SCOREBOARD_SLOTS];

        if (!ngx_chat_scoreboard_fits(slot, i / NGX_CHAT_SCOREBOARD_SLOTS,
                                      predecessor)
            || ngx_chat_scoreboard_seize(&slot->life) != NGX_OK)
        {
            continue;
        }

        slot->pid = (ngx_atomic_uint_t) pid;
        slot->number = number;
        slot->running = 0;
        slot->queued = 0;
        slot->redis = 0;
        slot->beat = ngx_time();
        ngx_memzero(slot->providers, sizeof(slot->providers));
        ngx_memcpy(slot->token, token, NGX_CHAT_TOKEN_LEN);
        ngx_memory_barrier();
        slot->state = NGX_CHAT_SLOT_STARTING;

        return slot;
    }

    board->shared->wanted = 1;

    return NULL;
}


/* the slot of somebody else who died still tells that one's token */

static ngx_uint_t
ngx_chat_scoreboard_fits(ngx_chat_slot_t *slot, ngx_uint_t round,
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
ngx_chat_scoreboard_release(ngx_chat_slot_t *slot)
{
    slot->state = NGX_CHAT_SLOT_FREE;
    slot->pid = 0;

    (void) pthread_mutex_unlock(&slot->life);
}


ngx_int_t
ngx_chat_scoreboard_yield(ngx_chat_scoreboard_t *board, ngx_chat_slot_t *slot)
{
    /* a request for a slot is met by a single filler */

    if (!board->shared->wanted
        || !ngx_atomic_cmp_set(&board->shared->wanted, 1, 0))
    {
        return NGX_DECLINED;
    }

    ngx_chat_scoreboard_release(slot);

    return NGX_OK;
}


ngx_int_t
ngx_chat_scoreboard_dead(ngx_chat_scoreboard_t *board, ngx_uint_t number,
    ngx_uint_t processes, u_char *token)
{
    ngx_uint_t        i;
    ngx_chat_slot_t  *slot;

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS; i++) {
        slot = &board->shared->slots[i];

        if (slot->pid == 0
            || slot->number % processes != number
            || ngx_chat_scoreboard_seize(&slot->life) != NGX_OK)
        {
            continue;
        }

        ngx_memcpy(token, slot->token, NGX_CHAT_TOKEN_LEN);
        ngx_chat_scoreboard_release(slot);

        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* NGX_DECLINED: its process lives */

static ngx_int_t
ngx_chat_scoreboard_seize(pthread_mutex_t *life)
{
    switch (pthread_mutex_trylock(life)) {

    case 0:
        return NGX_OK;

    case EOWNERDEAD:
        return pthread_mutex_consistent(life) == 0 ? NGX_OK : NGX_DECLINED;

    default:
        return NGX_DECLINED;
    }
}


ngx_chat_slot_t *
ngx_chat_scoreboard_slots(ngx_chat_scoreboard_t *board)
{
    return board->shared->slots;
}


ngx_atomic_uint_t
ngx_chat_scoreboard_key(ngx_str_t *name)
{
    ngx_atomic_uint_t  key;

    key = ngx_crc32_long(name->data, name->len);

    return key ? key : 1;
}


ngx_uint_t
ngx_chat_scoreboard_successor(ngx_chat_scoreboard_t *board, ngx_pid_t pid)
{
    ngx_uint_t        i;
    ngx_chat_slot_t  *slot;

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS; i++) {
        slot = &board->shared->slots[i];

        if (slot->state != NGX_CHAT_SLOT_RUNNING
            || slot->pid == (ngx_atomic_uint_t) pid)
        {
            continue;
        }

        if (ngx_chat_scoreboard_seize(&slot->life) != NGX_OK) {
            return 1;
        }

        (void) pthread_mutex_unlock(&slot->life);
    }

    return 0;
}


ngx_atomic_t *
ngx_chat_scoreboard_worker(ngx_chat_scoreboard_t *board)
{
    ngx_uint_t                     i;
    ngx_chat_scoreboard_worker_t  *worker;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        worker = &board->shared->workers[i];

        if (ngx_chat_scoreboard_seize(&worker->life) == NGX_OK) {
            worker->requests = 0;
            return &worker->requests;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_chat_scoreboard_requests(ngx_chat_scoreboard_t *board)
{
    ngx_uint_t                     i, n;
    ngx_chat_scoreboard_worker_t  *worker;

    n = 0;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        worker = &board->shared->workers[i];

        if (worker->requests == 0) {
            continue;
        }

        if (ngx_chat_scoreboard_seize(&worker->life) != NGX_OK) {
            n += worker->requests;
            continue;
        }

        /* the worker died, and its requests with it */

        worker->requests = 0;

        (void) pthread_mutex_unlock(&worker->life);
    }

    return n;
}
