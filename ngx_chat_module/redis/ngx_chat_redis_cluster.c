
#include "ngx_chat_redis_cluster.h"


#define NGX_CHAT_REDIS_SLOTS  16384


static ngx_uint_t ngx_chat_redis_cluster_get_number(ngx_str_t *info,
    const char *name);
static void ngx_chat_redis_cluster_log(ngx_chat_redis_t *rd,
    ngx_uint_t masters, ngx_uint_t slots);


/* once per process */
static ngx_uint_t  ngx_chat_redis_cluster_logged;


ngx_uint_t
ngx_chat_redis_cluster_is_enabled(ngx_chat_redis_t *rd, ngx_str_t *info)
{
    ngx_str_t  value;

    rd->replica = ngx_chat_redis_cluster_get_value(info, "role:",
                                                   &value) == NGX_OK
                  && ngx_chat_redis_starts_with(&value, "slave");

    return ngx_chat_redis_cluster_get_value(info, "cluster_enabled:", &value)
           == NGX_OK
           && ngx_chat_redis_starts_with(&value, "1");
}


/* redirections are not followed, so one node has to serve all there is */

void
ngx_chat_redis_cluster_reply_handler(void *data, ngx_chat_reply_t *reply)
{
    ngx_chat_redis_t *rd = data;

    ngx_str_t   info;
    ngx_uint_t  masters, slots;

    if (ngx_chat_reply_str(reply, &info) != NGX_OK) {
        return;
    }

    masters = ngx_chat_redis_cluster_get_number(&info, "cluster_size:");
    slots = ngx_chat_redis_cluster_get_number(&info, "cluster_slots_assigned:");

    rd->partial = (masters > 1 || slots < NGX_CHAT_REDIS_SLOTS);
    rd->single_master = !rd->partial;

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %s: cluster of %ui masters, slots:%ui",
                   rd->role, masters, slots);

    if (!ngx_chat_redis_cluster_logged) {
        ngx_chat_redis_cluster_logged = 1;
        ngx_chat_redis_cluster_log(rd, masters, slots);
    }
}


static ngx_uint_t
ngx_chat_redis_cluster_get_number(ngx_str_t *info, const char *name)
{
    ngx_int_t  n;
    ngx_str_t  value;

    if (ngx_chat_redis_cluster_get_value(info, name, &value) != NGX_OK) {
        return 0;
    }

    n = ngx_atoi(value.data, value.len);

    return (n == NGX_ERROR) ? 0 : (ngx_uint_t) n;
}


static void
ngx_chat_redis_cluster_log(ngx_chat_redis_t *rd, ngx_uint_t masters,
    ngx_uint_t slots)
{
    if (rd->replica) {
        ngx_log_error(NGX_LOG_ERR, rd->log, 0,
                      "chat redis %V is a replica in a Redis Cluster, which "
                      "refuses commands (MOVED): use its master",
                      &rd->conf->name);

    } else if (masters > 1) {
        ngx_log_error(NGX_LOG_ERR, rd->log, 0,
                      "chat redis %V is one of %ui masters of a Redis Cluster, "
                      "which refuses the keys of the others (MOVED): use a "
                      "Cluster of one master, or none",
                      &rd->conf->name, masters);

    } else if (slots < NGX_CHAT_REDIS_SLOTS) {
        ngx_log_error(NGX_LOG_ERR, rd->log, 0,
                      "chat redis %V is a Redis Cluster that serves %ui of %d "
                      "slots, and refuses the keys of the others "
                      "(CLUSTERDOWN)",
                      &rd->conf->name, slots, NGX_CHAT_REDIS_SLOTS);

    } else {
        ngx_log_error(NGX_LOG_NOTICE, rd->log, 0,
                      "chat redis %V is a Redis Cluster of one master, which "
                      "serves all keys", &rd->conf->name);
    }
}


ngx_int_t
ngx_chat_redis_cluster_get_value(ngx_str_t *info, const char *name,
    ngx_str_t *value)
{
    u_char     *p, *end, *last;
    ngx_str_t   line;

    last = info->data + info->len;

    for (p = info->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '\n');
        if (end == NULL) {
            end = last;
        }

        line.data = p;
        line.len = end - p;

        if (!ngx_chat_redis_starts_with(&line, name)) {
            continue;
        }

        line.data += ngx_strlen(name);
        line.len -= ngx_strlen(name);

        if (line.len && line.data[line.len - 1] == '\r') {
            line.len--;
        }

        *value = line;

        return NGX_OK;
    }

    return NGX_DECLINED;
}
