
#include "ngx_chat_zone.h"


/* to wait for others that have a lock for moments */
#define NGX_CHAT_ZONE_TRIES  100


ngx_int_t
ngx_chat_zone_add(ngx_conf_t *cf, ngx_str_t *name, size_t size, void *tag,
    ngx_shm_zone_init_pt handler, void *data)
{
    ngx_shm_zone_t  *zone;

    zone = ngx_shared_memory_add(cf, name, size, tag);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->init = handler;
    zone->data = data;

    return NGX_OK;
}


void *
ngx_chat_zone_get(ngx_shm_zone_t *zone, size_t size,
    ngx_chat_zone_init_pt init)
{
    void             *shared;
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        return shpool->data;
    }

    shared = ngx_slab_calloc(shpool, size);

    if (shared == NULL || init(zone, shared) != NGX_OK) {
        return NULL;
    }

    shpool->data = shared;

    return shared;
}


ngx_int_t
ngx_chat_zone_init_locks(ngx_shm_zone_t *zone, pthread_mutex_t *first,
    size_t size, ngx_uint_t n)
{
    u_char               *p;
    ngx_int_t             rc;
    pthread_mutexattr_t   attr;

    if (pthread_mutexattr_init(&attr) != 0) {
        goto failed;
    }

    rc = NGX_OK;

    if (pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) != 0
        || pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) != 0)
    {
        rc = NGX_ERROR;
    }

    for (p = (u_char *) first; n && rc == NGX_OK; n--) {

        if (pthread_mutex_init((pthread_mutex_t *) p, &attr) != 0) {
            rc = NGX_ERROR;
        }

        p += size;
    }

    (void) pthread_mutexattr_destroy(&attr);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

failed:

    ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                  "chat zone \"%V\" cannot be set up: no robust mutexes "
                  "that processes share", &zone->shm.name);

    return NGX_ERROR;
}


ngx_int_t
ngx_chat_zone_lock(pthread_mutex_t *lock)
{
    switch (pthread_mutex_trylock(lock)) {

    case 0:
        return NGX_OK;

    case EOWNERDEAD:
        return pthread_mutex_consistent(lock) == 0 ? NGX_OK : NGX_DECLINED;

    default:
        return NGX_DECLINED;
    }
}


ngx_int_t
ngx_chat_zone_lock_soon(pthread_mutex_t *lock)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_ZONE_TRIES; i++) {

        if (ngx_chat_zone_lock(lock) == NGX_OK) {
            return NGX_OK;
        }

        ngx_sched_yield();
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_chat_zone_is_dead(pthread_mutex_t *alive, ngx_atomic_uint_t pid)
{
    if (ngx_chat_zone_lock(alive) != NGX_OK) {
        return kill((ngx_pid_t) pid, 0) == -1 && ngx_errno == NGX_ESRCH;
    }

    (void) pthread_mutex_unlock(alive);

    return 1;
}
