
#include "ngx_chat_redis_private.h"
#include "ngx_chat_redis_pubsub.h"


#define NGX_CHAT_REDIS_SENTINEL_POLL   5000    /* ms */

/* the lag of a Sentinel behind the one that has published a move, ms */
#define NGX_CHAT_REDIS_SENTINEL_LAG    3000

/* reports of its master as stale before a Sentinel counts as failed */
#define NGX_CHAT_REDIS_SENTINEL_STALE  8


struct ngx_chat_redis_sentinel_s {
    ngx_queue_t                      queue;       /* of the process */
    ngx_chat_redis_conf_t           *conf;
    ngx_log_t                       *log;

    ngx_chat_redis_t                *redis;       /* asks */
    ngx_chat_pubsub_t               *pubsub;      /* listens */
    ngx_chat_redis_cmd_t            *cmd;

    /* no name: none yet */
    ngx_chat_redis_sentinel_addr_t   master;
    ngx_chat_redis_sentinel_addr_t   former;
    ngx_msec_t                       moved;       /* when the former was left */

    ngx_queue_t                      members;
    ngx_event_t                      notify;      /* posted */
    ngx_event_t                      poll;
    ngx_connection_t                 dummy;

    ngx_uint_t                       version;     /* moves so far */
    ngx_uint_t                       stale_reports;
    ngx_int_t                        rc;          /* of the last question */
    ngx_uint_t                       busy;
    unsigned                         answered:1;  /* since the last notify */
};


static ngx_chat_redis_sentinel_t *ngx_chat_redis_sentinel_join(
    ngx_chat_redis_conf_t *rcf, ngx_chat_redis_member_t *m, ngx_log_t *log);
static void ngx_chat_redis_sentinel_leave(ngx_chat_redis_sentinel_t *s,
    ngx_chat_redis_member_t *m);
static ngx_chat_redis_sentinel_t *ngx_chat_redis_sentinel_create(
    ngx_chat_redis_conf_t *rcf, ngx_log_t *log);
static void ngx_chat_redis_sentinel_free(ngx_chat_redis_sentinel_t *s);
static ngx_uint_t ngx_chat_redis_sentinel_is_same(ngx_chat_redis_conf_t *a,
    ngx_chat_redis_conf_t *b);
static void ngx_chat_redis_sentinel_ask(ngx_chat_redis_sentinel_t *s,
    ngx_chat_redis_member_t *m);
static void ngx_chat_redis_sentinel_cancel(ngx_chat_redis_sentinel_t *s,
    ngx_chat_redis_member_t *m);
static void ngx_chat_redis_sentinel_query(ngx_chat_redis_sentinel_t *s);
static void ngx_chat_redis_sentinel_reply_handler(void *data,
    ngx_chat_reply_t *reply);
static void ngx_chat_redis_sentinel_set_result(ngx_chat_redis_sentinel_t *s,
    ngx_int_t rc);
static ngx_int_t ngx_chat_redis_sentinel_parse(ngx_chat_redis_sentinel_t *s,
    ngx_str_t *host, ngx_str_t *port, ngx_chat_redis_sentinel_addr_t *sa);
static ngx_int_t ngx_chat_redis_sentinel_parse_addr(
    ngx_chat_redis_sentinel_t *s, ngx_str_t *host,
    ngx_chat_redis_sentinel_addr_t *sa);
static ngx_int_t ngx_chat_redis_sentinel_parse_name(ngx_str_t *host,
    ngx_chat_redis_sentinel_addr_t *sa);
static void ngx_chat_redis_sentinel_copy(ngx_chat_redis_sentinel_addr_t *to,
    ngx_chat_redis_sentinel_addr_t *from);
static void ngx_chat_redis_sentinel_set_master(ngx_chat_redis_sentinel_t *s,
    ngx_chat_redis_sentinel_addr_t *sa);
static ngx_uint_t ngx_chat_redis_sentinel_is_same_addr(
    ngx_chat_redis_sentinel_addr_t *a, ngx_chat_redis_sentinel_addr_t *b);
static void ngx_chat_redis_sentinel_notify_handler(ngx_event_t *ev);
static ngx_chat_redis_member_t *ngx_chat_redis_sentinel_find_member(
    ngx_chat_redis_sentinel_t *s, ngx_uint_t answered);
static void ngx_chat_redis_sentinel_report_stale(ngx_chat_redis_sentinel_t *s);
static void ngx_chat_redis_sentinel_state_handler(void *data, ngx_uint_t up);
static void ngx_chat_redis_sentinel_subscribe_handler(void *data);
static void ngx_chat_redis_sentinel_message_handler(void *data,
    ngx_str_t *message);
static void ngx_chat_redis_sentinel_poll_handler(ngx_event_t *ev);


static const ngx_chat_pubsub_ops_t  ngx_chat_redis_sentinel_pubsub_ops = {
    ngx_chat_redis_sentinel_subscribe_handler,
    ngx_chat_redis_sentinel_message_handler
};


const ngx_chat_redis_sentinel_ops_t  ngx_chat_redis_sentinel_ops = {
    ngx_chat_redis_sentinel_join,
    ngx_chat_redis_sentinel_leave,
    ngx_chat_redis_sentinel_ask,
    ngx_chat_redis_sentinel_cancel,
    ngx_chat_redis_sentinel_report_stale
};


/* the watchers of the process */
static ngx_queue_t  ngx_chat_redis_sentinel_watchers = {
    &ngx_chat_redis_sentinel_watchers, &ngx_chat_redis_sentinel_watchers
};


static ngx_chat_redis_sentinel_t *
ngx_chat_redis_sentinel_join(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_member_t *m, ngx_log_t *log)
{
    ngx_queue_t                *q;
    ngx_chat_redis_sentinel_t  *s;

    for (q = ngx_queue_head(&ngx_chat_redis_sentinel_watchers);
         q != ngx_queue_sentinel(&ngx_chat_redis_sentinel_watchers);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_chat_redis_sentinel_t, queue);

        if (ngx_chat_redis_sentinel_is_same(s->conf, rcf)) {
            goto found;
        }
    }

    s = ngx_chat_redis_sentinel_create(rcf, log);
    if (s == NULL) {
        return NULL;
    }

found:

    m->seen_version = s->version;
    m->asking = 0;

    ngx_queue_insert_tail(&s->members, &m->queue);

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, s->log, 0,
                   "chat sentinel %V: a connection joins",
                   &s->conf->name);

    return s;
}


static void
ngx_chat_redis_sentinel_leave(ngx_chat_redis_sentinel_t *s,
    ngx_chat_redis_member_t *m)
{
    ngx_queue_remove(&m->queue);

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, s->log, 0,
                   "chat sentinel %V: a connection leaves",
                   &s->conf->name);

    if (ngx_queue_empty(&s->members) && s->busy == 0) {
        ngx_chat_redis_sentinel_free(s);
    }
}


static ngx_chat_redis_sentinel_t *
ngx_chat_redis_sentinel_create(ngx_chat_redis_conf_t *rcf, ngx_log_t *log)
{
    ngx_str_t                   name;
    ngx_chat_redis_sentinel_t  *s;

    s = ngx_calloc(sizeof(ngx_chat_redis_sentinel_t), log);
    if (s == NULL) {
        return NULL;
    }

    s->conf = rcf;
    s->log = log;

    ngx_queue_init(&s->members);

    s->dummy.fd = (ngx_socket_t) -1;
    s->dummy.data = s;

    s->notify.handler = ngx_chat_redis_sentinel_notify_handler;
    s->notify.data = &s->dummy;
    s->notify.log = log;

    s->poll.handler = ngx_chat_redis_sentinel_poll_handler;
    s->poll.data = &s->dummy;
    s->poll.log = log;
    s->poll.cancelable = 1;

    ngx_queue_insert_tail(&ngx_chat_redis_sentinel_watchers, &s->queue);

    s->redis = ngx_chat_redis_create(rcf, "sentinel", NULL, log);
    if (s->redis == NULL) {
        goto failed;
    }

    ngx_chat_redis_set_state_handler(s->redis,
                                     ngx_chat_redis_sentinel_state_handler, s);

    s->pubsub = ngx_chat_pubsub_create(rcf, NULL, log);
    if (s->pubsub == NULL) {
        goto failed;
    }

    ngx_str_set(&name, "+switch-master");

    if (ngx_chat_pubsub_subscribe(s->pubsub, &name,
                                  &ngx_chat_redis_sentinel_pubsub_ops, s)
        == NULL)
    {
        goto failed;
    }

    ngx_add_timer(&s->poll, NGX_CHAT_REDIS_SENTINEL_POLL);

    return s;

failed:

    ngx_chat_redis_sentinel_free(s);

    return NULL;
}


static void
ngx_chat_redis_sentinel_free(ngx_chat_redis_sentinel_t *s)
{
    ngx_queue_remove(&s->queue);

    if (s->cmd) {
        ngx_chat_redis_cmd_cancel(s->cmd);
        s->cmd = NULL;
    }

    if (s->redis) {
        ngx_chat_redis_set_state_handler(s->redis, NULL, NULL);
        ngx_chat_redis_close(s->redis);
    }

    if (s->pubsub) {
        ngx_chat_pubsub_close(s->pubsub);
    }

    if (s->notify.posted) {
        ngx_delete_posted_event(&s->notify);
    }

    if (s->poll.timer_set) {
        ngx_del_timer(&s->poll);
    }

    ngx_free(s);
}


/* chat_redis and chat_broker have the same Sentinels more often than not */

static ngx_uint_t
ngx_chat_redis_sentinel_is_same(ngx_chat_redis_conf_t *a,
    ngx_chat_redis_conf_t *b)
{
    return a == b
           || (ngx_chat_redis_conf_is_equal(a, b)
               && a->name.len == b->name.len
               && ngx_memcmp(a->name.data, b->name.data, a->name.len) == 0
               && a->password.len == b->password.len
               && ngx_memcmp(a->password.data, b->password.data,
                             a->password.len)
                  == 0);
}


static void
ngx_chat_redis_sentinel_ask(ngx_chat_redis_sentinel_t *s,
    ngx_chat_redis_member_t *m)
{
    m->asking = 1;

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, s->log, 0,
                   "chat sentinel %V: the master is asked for",
                   &s->conf->name);

    ngx_chat_redis_sentinel_query(s);
}


static void
ngx_chat_redis_sentinel_cancel(ngx_chat_redis_sentinel_t *s,
    ngx_chat_redis_member_t *m)
{
    m->asking = 0;
}


static void
ngx_chat_redis_sentinel_query(ngx_chat_redis_sentinel_t *s)
{
    ngx_str_t  argv[3];

    /* a new question makes the answer to an older one do for all */

    if (s->cmd) {
        return;
    }

    ngx_str_set(&argv[0], "SENTINEL");
    ngx_str_set(&argv[1], "get-master-addr-by-name");
    argv[2] = s->conf->master;

    s->cmd = ngx_chat_redis_command(s->redis, argv, 3,
                                    NGX_CHAT_REDIS_LOOKUP_TIMEOUT,
                                    ngx_chat_redis_sentinel_reply_handler, s);
    if (s->cmd == NULL) {
        ngx_chat_redis_sentinel_set_result(s, NGX_DECLINED);
    }
}


static void
ngx_chat_redis_sentinel_reply_handler(void *data, ngx_chat_reply_t *reply)
{
    ngx_chat_redis_sentinel_t *s = data;

    ngx_str_t                       host, port;
    ngx_chat_redis_sentinel_addr_t  sa;

    s->cmd = NULL;

    if (ngx_chat_reply_str(ngx_chat_reply_at(reply, 0), &host) != NGX_OK
        || ngx_chat_reply_str(ngx_chat_reply_at(reply, 1), &port) != NGX_OK
        || ngx_chat_redis_sentinel_parse(s, &host, &port, &sa) != NGX_OK)
    {
        /* another Sentinel may know the master, if this one does not */

        if (reply) {
            ngx_chat_redis_mark_failed(s->redis, "no address of the master");
        }

        ngx_chat_redis_sentinel_set_result(s, NGX_DECLINED);
        return;
    }

    if (!(ngx_chat_redis_sentinel_is_same_addr(&sa, &s->former)
          && ngx_current_msec - s->moved < NGX_CHAT_REDIS_SENTINEL_LAG))
    {
        ngx_chat_redis_sentinel_set_master(s, &sa);
    }

    ngx_chat_redis_sentinel_set_result(s, NGX_OK);
}


static void
ngx_chat_redis_sentinel_set_result(ngx_chat_redis_sentinel_t *s, ngx_int_t rc)
{
    /* with no Sentinel left the master is still where it was, perhaps */

    s->rc = s->master.addr.name.len ? NGX_OK : rc;

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, s->log, 0,
                   "chat sentinel %V: answer %i, master %V",
                   &s->conf->name, rc, &s->master.addr.name);
    s->answered = 1;

    ngx_post_event(&s->notify, &ngx_posted_events);
}


static ngx_int_t
ngx_chat_redis_sentinel_parse(ngx_chat_redis_sentinel_t *s, ngx_str_t *host,
    ngx_str_t *port, ngx_chat_redis_sentinel_addr_t *sa)
{
    ngx_int_t  n, rc;

    n = ngx_atoi(port->data, port->len);

    if (n < 1 || n > 65535) {
        return NGX_ERROR;
    }

    ngx_memzero(sa, sizeof(ngx_chat_redis_sentinel_addr_t));

    sa->addr.name.data = sa->name;
    sa->port = (in_port_t) n;

    rc = ngx_chat_redis_sentinel_parse_addr(s, host, sa);

    return rc == NGX_DECLINED ? ngx_chat_redis_sentinel_parse_name(host, sa)
                              : rc;
}


static ngx_int_t
ngx_chat_redis_sentinel_parse_addr(ngx_chat_redis_sentinel_t *s,
    ngx_str_t *host, ngx_chat_redis_sentinel_addr_t *sa)
{
    ngx_int_t    rc;
    ngx_addr_t   addr;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(NGX_MIN_POOL_SIZE, s->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_parse_addr(pool, &addr, host->data, host->len);

    if (rc == NGX_OK) {
        ngx_memcpy(&sa->sockaddr, addr.sockaddr, addr.socklen);

        sa->addr.sockaddr = &sa->sockaddr.sockaddr;
        sa->addr.socklen = addr.socklen;

        ngx_inet_set_port(sa->addr.sockaddr, sa->port);

        sa->addr.name.len = ngx_sock_ntop(sa->addr.sockaddr, addr.socklen,
                                          sa->name, sizeof(sa->name), 1);
    }

    ngx_destroy_pool(pool);

    return rc;
}


static ngx_int_t
ngx_chat_redis_sentinel_parse_name(ngx_str_t *host,
    ngx_chat_redis_sentinel_addr_t *sa)
{
    u_char  ch;
    size_t  i;

    if (host->len == 0 || host->len > NGX_CHAT_REDIS_SENTINEL_MAX_HOST) {
        return NGX_ERROR;
    }

    for (i = 0; i < host->len; i++) {
        ch = ngx_tolower(host->data[i]);

        if ((ch < 'a' || ch > 'z') && (ch < '0' || ch > '9')
            && ch != '-' && ch != '_' && ch != '.')
        {
            return NGX_ERROR;
        }

        sa->name[i] = ch;
    }

    sa->addr.name.len = ngx_sprintf(&sa->name[i], ":%ui",
                                    (ngx_uint_t) sa->port)
                        - sa->name;
    return NGX_OK;
}


static void
ngx_chat_redis_sentinel_copy(ngx_chat_redis_sentinel_addr_t *to,
    ngx_chat_redis_sentinel_addr_t *from)
{
    *to = *from;

    to->addr.name.data = to->name;

    if (from->addr.sockaddr) {
        to->addr.sockaddr = &to->sockaddr.sockaddr;
    }
}


static void
ngx_chat_redis_sentinel_set_master(ngx_chat_redis_sentinel_t *s,
    ngx_chat_redis_sentinel_addr_t *sa)
{
    ngx_uint_t  first, level;

    first = (s->master.addr.name.len == 0);
    level = first ? NGX_LOG_INFO : NGX_LOG_NOTICE;

    if (!first && ngx_chat_redis_sentinel_is_same_addr(sa, &s->master)) {
        return;
    }

    if (!first) {
        ngx_chat_redis_sentinel_copy(&s->former, &s->master);
        s->moved = ngx_current_msec;
        s->version++;
    }

    ngx_chat_redis_sentinel_copy(&s->master, sa);
    s->stale_reports = 0;

    ngx_log_error(level, s->log, 0,
                  "chat redis %V: the master is at %V", &s->conf->name,
                  &s->master.addr.name);

    ngx_post_event(&s->notify, &ngx_posted_events);
}


static ngx_uint_t
ngx_chat_redis_sentinel_is_same_addr(ngx_chat_redis_sentinel_addr_t *a,
    ngx_chat_redis_sentinel_addr_t *b)
{
    return a->addr.name.len == b->addr.name.len
           && ngx_memcmp(a->name, b->name, a->addr.name.len) == 0;
}


static void
ngx_chat_redis_sentinel_notify_handler(ngx_event_t *ev)
{
    ngx_uint_t                  moved, answered;
    ngx_connection_t           *c;
    ngx_chat_redis_member_t    *m;
    ngx_chat_redis_sentinel_t  *s;

    c = ev->data;
    s = c->data;

    answered = s->answered;
    s->answered = 0;

    s->busy++;

    /* each call may take members away, and make some ask again */

    for ( ;; ) {
        m = ngx_chat_redis_sentinel_find_member(s, answered);

        if (m == NULL) {
            break;
        }

        moved = !(m->asking && answered);

        m->seen_version = s->version;

        ngx_log_debug3(NGX_LOG_DEBUG_CORE, s->log, 0,
                       "chat sentinel %V: moved:%ui version:%ui",
                       &s->conf->name, moved, s->version);

        if (!moved) {
            m->asking = 0;
        }

        m->handler(m->data, moved ? NGX_OK : s->rc, &s->master, moved);
    }

    s->busy--;

    if (ngx_queue_empty(&s->members)) {
        ngx_chat_redis_sentinel_free(s);
    }
}


static ngx_chat_redis_member_t *
ngx_chat_redis_sentinel_find_member(ngx_chat_redis_sentinel_t *s,
    ngx_uint_t answered)
{
    ngx_queue_t              *q;
    ngx_chat_redis_member_t  *m;

    for (q = ngx_queue_head(&s->members);
         q != ngx_queue_sentinel(&s->members);
         q = ngx_queue_next(q))
    {
        m = ngx_queue_data(q, ngx_chat_redis_member_t, queue);

        if (m->asking ? answered : m->seen_version != s->version) {
            return m;
        }
    }

    return NULL;
}


static void
ngx_chat_redis_sentinel_report_stale(ngx_chat_redis_sentinel_t *s)
{
    s->stale_reports++;

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, s->log, 0,
                   "chat sentinel %V: its master is none, reports:%ui",
                   &s->conf->name, s->stale_reports);

    if (s->stale_reports < NGX_CHAT_REDIS_SENTINEL_STALE) {
        return;
    }

    s->stale_reports = 0;

    ngx_chat_redis_mark_failed(s->redis, "what it calls the master is none");
}


static void
ngx_chat_redis_sentinel_state_handler(void *data, ngx_uint_t up)
{
    ngx_chat_redis_sentinel_t *s = data;

    if (up) {
        ngx_chat_redis_sentinel_query(s);
    }
}


/* moves published before the subscription are in the answer */

static void
ngx_chat_redis_sentinel_subscribe_handler(void *data)
{
    ngx_chat_redis_sentinel_t *s = data;

    ngx_chat_redis_sentinel_query(s);
}


/* "name old-host old-port new-host new-port" */

static void
ngx_chat_redis_sentinel_message_handler(void *data, ngx_str_t *message)
{
    ngx_chat_redis_sentinel_t *s = data;

    u_char                          *p, *last;
    ngx_str_t                        word[5];
    ngx_uint_t                       n;
    ngx_chat_redis_sentinel_addr_t   sa;

    p = message->data;
    last = p + message->len;

    for (n = 0; n < 5; n++) {

        word[n].data = p;

        while (p < last && *p != ' ') {
            p++;
        }

        word[n].len = p - word[n].data;

        if (p < last) {
            p++;
        }
    }

    if (word[0].len != s->conf->master.len
        || ngx_memcmp(word[0].data, s->conf->master.data, word[0].len) != 0)
    {
        return;
    }

    if (ngx_chat_redis_sentinel_parse(s, &word[3], &word[4], &sa) != NGX_OK) {
        ngx_chat_redis_sentinel_query(s);
        return;
    }

    ngx_chat_redis_sentinel_set_master(s, &sa);
}


static void
ngx_chat_redis_sentinel_poll_handler(ngx_event_t *ev)
{
    ngx_connection_t           *c;
    ngx_chat_redis_sentinel_t  *s;

    c = ev->data;
    s = c->data;

    ngx_add_timer(&s->poll, NGX_CHAT_REDIS_SENTINEL_POLL);

    ngx_chat_redis_sentinel_query(s);
}


void
ngx_chat_redis_forget_parent(void)
{
    ngx_queue_init(&ngx_chat_redis_sentinel_watchers);
}
