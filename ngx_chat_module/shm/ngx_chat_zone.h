
/*
 * Zones of shared memory that outlive reloads, and the locks in them.  nginx
 * keeps a zone that has the size and the tag that it had.
 *
 * A lock that a process takes and never gives back shows whether it lives: the
 * kernel takes it from a dead process at once, while its pid may be reused, or
 * stay a zombie's for long.
 */


#ifndef _NGX_CHAT_ZONE_H_INCLUDED_
#define _NGX_CHAT_ZONE_H_INCLUDED_


#include "../ngx_chat.h"

#include <pthread.h>


/* fills in what is shared, cleared before; NGX_OK, NGX_ERROR: logged */
typedef ngx_int_t (*ngx_chat_zone_init_pt)(ngx_shm_zone_t *zone, void *shared);


/* handler gets data as zone->data; NGX_OK, NGX_ERROR */
ngx_int_t ngx_chat_zone_add(ngx_conf_t *cf, ngx_str_t *name, size_t size,
    void *tag, ngx_shm_zone_init_pt handler, void *data);

/*
 * For that handler, unless the zone of the former configuration goes on: what
 * is shared, of this size; in a new zone by init.  NULL: an error, logged.
 */
void *ngx_chat_zone_get(ngx_shm_zone_t *zone, size_t size,
    ngx_chat_zone_init_pt init);

/* locks of an array whose items have this size; NGX_OK, NGX_ERROR: logged */
ngx_int_t ngx_chat_zone_init_locks(ngx_shm_zone_t *zone,
    pthread_mutex_t *first, size_t size, ngx_uint_t n);

/* NGX_DECLINED: another process has it, and lives */
ngx_int_t ngx_chat_zone_lock(pthread_mutex_t *lock);

/*
 * The same of a lock that others give back at once.  NGX_DECLINED: one of them
 * stands still.
 */
ngx_int_t ngx_chat_zone_lock_soon(pthread_mutex_t *lock);

/*
 * Has the process ended that took the lock?  Others who look have it for a
 * moment; in that moment the pid tells.
 */
ngx_uint_t ngx_chat_zone_is_dead(pthread_mutex_t *alive, ngx_atomic_uint_t pid);


#endif /* _NGX_CHAT_ZONE_H_INCLUDED_ */
