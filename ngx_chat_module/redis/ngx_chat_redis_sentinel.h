
/*
 * Where the master is, as Redis Sentinel says: one watcher a process for each
 * set of Sentinels and master, shared by all connections that go there.  It
 * has two connections of its own, for questions and for +switch-master.
 *
 * A member is a connection to the master.  When the master moves, each member
 * is told, and one that has asked gets its answer: always through a posted
 * event, never inside a call of these functions.
 *
 * Private to redis/.
 */


#ifndef _NGX_CHAT_REDIS_SENTINEL_H_INCLUDED_
#define _NGX_CHAT_REDIS_SENTINEL_H_INCLUDED_


#include "ngx_chat_redis_url.h"


/* of the domain name system, and a port */
#define NGX_CHAT_REDIS_SENTINEL_MAX_HOST  255
#define NGX_CHAT_REDIS_SENTINEL_MAX_NAME                                      \
    (NGX_CHAT_REDIS_SENTINEL_MAX_HOST + sizeof(":65535") - 1)


typedef struct ngx_chat_redis_sentinel_s  ngx_chat_redis_sentinel_t;


/* addr.name is "host:port"; without addr.sockaddr the host is a name too */

typedef struct {
    ngx_addr_t             addr;
    in_port_t              port;
    ngx_sockaddr_t         sockaddr;
    u_char                 name[NGX_CHAT_REDIS_SENTINEL_MAX_NAME];
} ngx_chat_redis_sentinel_addr_t;


/*
 * NGX_OK: sa is the master, valid during the call; moved: it has become
 * another one, and nobody has asked.  NGX_DECLINED: no Sentinel knows it.
 */
typedef void (*ngx_chat_redis_sentinel_pt)(void *data, ngx_int_t rc,
    ngx_chat_redis_sentinel_addr_t *sa, ngx_uint_t moved);


typedef struct {
    ngx_queue_t                  queue;
    ngx_chat_redis_sentinel_pt   handler;
    void                        *data;
    ngx_uint_t                   seen_version;  /* of the watcher's */
    unsigned                     asking:1;
} ngx_chat_redis_member_t;


/*
 * Injected into a connection by ngx_chat_redis_open.c, as a watcher itself is
 * made of connections.
 */

typedef struct {
    /* rcf: of the Sentinels, with the master's name.  NULL: no memory */
    ngx_chat_redis_sentinel_t *(*join)(ngx_chat_redis_conf_t *rcf,
                                       ngx_chat_redis_member_t *m,
                                       ngx_log_t *log);

    /* the last one takes the watcher away */
    void                       (*leave)(ngx_chat_redis_sentinel_t *s,
                                        ngx_chat_redis_member_t *m);

    /* the handler will be called once with an answer no older than this */
    void                       (*ask)(ngx_chat_redis_sentinel_t *s,
                                      ngx_chat_redis_member_t *m);
    void                       (*cancel)(ngx_chat_redis_sentinel_t *s,
                                         ngx_chat_redis_member_t *m);

    /* the master that was named is a replica: Sentinel may be out of touch */
    void                       (*report_stale)(ngx_chat_redis_sentinel_t *s);
} ngx_chat_redis_sentinel_ops_t;


extern const ngx_chat_redis_sentinel_ops_t  ngx_chat_redis_sentinel_ops;


#endif /* _NGX_CHAT_REDIS_SENTINEL_H_INCLUDED_ */
