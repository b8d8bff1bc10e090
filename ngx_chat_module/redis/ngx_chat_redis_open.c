
#include "ngx_chat_redis_private.h"
#include "ngx_chat_redis_pubsub.h"


ngx_chat_redis_t *
ngx_chat_redis_open(ngx_chat_redis_conf_t *rcf, const char *role,
    ngx_log_t *log)
{
    return ngx_chat_redis_create(rcf, role, &ngx_chat_redis_sentinel_ops, log);
}


ngx_chat_pubsub_t *
ngx_chat_pubsub_open(ngx_chat_redis_conf_t *rcf, ngx_log_t *log)
{
    return ngx_chat_pubsub_create(rcf, &ngx_chat_redis_sentinel_ops, log);
}
