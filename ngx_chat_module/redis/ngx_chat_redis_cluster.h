
/*
 * A server in cluster mode is told from others, and one that does not serve
 * all keys from one that does.
 *
 * Private to redis/.
 */


#ifndef _NGX_CHAT_REDIS_CLUSTER_H_INCLUDED_
#define _NGX_CHAT_REDIS_CLUSTER_H_INCLUDED_


#include "ngx_chat_redis_private.h"


/* does INFO say cluster mode?  Then "CLUSTER INFO" tells the rest */
ngx_uint_t ngx_chat_redis_cluster_is_enabled(ngx_chat_redis_t *rd,
    ngx_str_t *info);

/* of "CLUSTER INFO"; data is the connection */
void ngx_chat_redis_cluster_reply_handler(void *data, ngx_chat_reply_t *reply);

/* the value of a line of INFO; NGX_OK, NGX_DECLINED: there is none */
ngx_int_t ngx_chat_redis_cluster_get_value(ngx_str_t *info, const char *name,
    ngx_str_t *value);


#endif /* _NGX_CHAT_REDIS_CLUSTER_H_INCLUDED_ */
