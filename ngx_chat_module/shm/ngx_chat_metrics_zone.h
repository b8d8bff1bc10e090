
/*
 * The shared zone of the metrics: a block for each process, and the names of
 * the providers that blocks have numbers of.
 *
 * A block outlives the process that it was taken by: the next one that takes
 * it counts on, so that no reload, whatever it does to worker_processes, and no
 * crash takes back what was counted.  Gauges are cleared then, and are those of
 * processes that live alone: a lock that is held as long as the process lives
 * tells (see ngx_chat_zone.h).
 *
 * There are blocks for all processes that one master can have.  Memory is used
 * by those that were ever taken.
 *
 * The size is fixed, and that of a release: nginx keeps a zone on reload only
 * if it has the size and the tag, an address in this library, that it had.  So
 * another release, which a reload loads from another file, starts with a zone
 * of its own, at 0, and processes of the former one count on in theirs.
 */


#ifndef _NGX_CHAT_METRICS_ZONE_H_INCLUDED_
#define _NGX_CHAT_METRICS_ZONE_H_INCLUDED_


#include "ngx_chat_metrics.h"


/*
 * Adds the shared zone to the configuration; called once, only if some location
 * says "chat".  *zone is valid in init_module and later.
 */
ngx_int_t ngx_chat_metrics_zone_add(ngx_conf_t *cf, void *tag,
    ngx_chat_metrics_zone_t **zone);

/*
 * In the master: a provider of the configuration has a number from now on,
 * unless the instance has had too many: these share the last one.
 */
void ngx_chat_metrics_zone_add_name(ngx_chat_metrics_zone_t *zone,
    ngx_str_t *name);

/*
 * The calling process counts into a block of its own, which it keeps until it
 * exits, its next configuration included where there is no master.  Without
 * one that is free nobody sees what it counts.
 */
void ngx_chat_metrics_zone_take(ngx_chat_metrics_zone_t *zone);

/* adds all blocks up */
void ngx_chat_metrics_zone_sum(ngx_chat_metrics_zone_t *zone,
    ngx_chat_metrics_block_t *sum);

/* NGX_DECLINED: no name has this number */
ngx_int_t ngx_chat_metrics_zone_get_name(ngx_chat_metrics_zone_t *zone,
    ngx_uint_t i, ngx_str_t *name);


#endif /* _NGX_CHAT_METRICS_ZONE_H_INCLUDED_ */
