
#include "ngx_chat_redis_conn.h"
#include "../shm/ngx_chat_metrics.h"
#include "ngx_chat_redis_cluster.h"


static void ngx_chat_redis_init_event(ngx_chat_redis_t *rd, ngx_event_t *ev,
    ngx_event_handler_pt handler);
static void ngx_chat_redis_timer_handler(ngx_event_t *ev);
static void ngx_chat_redis_probe(ngx_chat_redis_t *rd);
static void ngx_chat_redis_flush_handler(ngx_event_t *ev);
static void ngx_chat_redis_up_handler(ngx_chat_redis_t *rd);
static void ngx_chat_redis_set_failed(ngx_chat_redis_t *rd, ngx_uint_t failed);
static ngx_uint_t ngx_chat_redis_try_next(ngx_chat_redis_t *rd);
static void ngx_chat_redis_moved_handler(ngx_chat_redis_t *rd, const char *why);
static void ngx_chat_redis_stop_handler(ngx_chat_redis_t *rd);
static void ngx_chat_redis_reset(ngx_chat_redis_t *rd,
    ngx_chat_redis_state_e state);
static void ngx_chat_redis_schedule_connect(ngx_chat_redis_t *rd);


static const ngx_chat_redis_handlers_t  ngx_chat_redis_handlers = {
    ngx_chat_redis_up_handler,
    ngx_chat_redis_disconnect,
    ngx_chat_redis_moved_handler,
    ngx_chat_redis_stop_handler,
    ngx_chat_redis_cmd_process_reply,
    ngx_chat_redis_cmd_set_timer
};


ngx_chat_redis_t *
ngx_chat_redis_create(ngx_chat_redis_conf_t *rcf, const char *role,
    const ngx_chat_redis_sentinel_ops_t *sentinel, ngx_log_t *log)
{
    ngx_chat_redis_t  *rd;

    rd = ngx_calloc(sizeof(ngx_chat_redis_t), log);
    if (rd == NULL) {
        return NULL;
    }

    rd->conf = rcf;
    rd->role = role;
    rd->log = log;
    rd->handlers = &ngx_chat_redis_handlers;
    rd->sentinel = sentinel;

    rd->policy.data = rd->policy_buf;
    rd->errmsg.data = rd->errmsg_buf;
    rd->out.max = NGX_CHAT_REDIS_MAX_OUT;

    ngx_queue_init(&rd->cmds);
    ngx_queue_init(&rd->failing);

    rd->dummy.fd = (ngx_socket_t) -1;
    rd->dummy.data = rd;

    ngx_chat_redis_init_event(rd, &rd->timer, ngx_chat_redis_timer_handler);
    ngx_chat_redis_init_event(rd, &rd->deadline,
                              ngx_chat_redis_cmd_deadline_handler);
    ngx_chat_redis_init_event(rd, &rd->flush, ngx_chat_redis_flush_handler);

    rd->spare_fd = (ngx_socket_t) -1;

    ngx_chat_redis_conn_reserve(rd);

    /* a process that has nothing to send may go */
    rd->timer.cancelable = 1;

    if (ngx_chat_redis_endpoint_create(rd) != NGX_OK) {
        ngx_chat_redis_conn_release(rd);
        ngx_free(rd);
        return NULL;
    }

    ngx_add_timer(&rd->timer, 0);

    return rd;
}


static void
ngx_chat_redis_init_event(ngx_chat_redis_t *rd, ngx_event_t *ev,
    ngx_event_handler_pt handler)
{
    ev->handler = handler;
    ev->data = &rd->dummy;
    ev->log = rd->log;
}


void
ngx_chat_redis_set_state_handler(ngx_chat_redis_t *rd,
    ngx_chat_redis_state_pt handler, void *data)
{
    rd->state_handler = handler;
    rd->state_data = data;
}


void
ngx_chat_redis_set_push_handler(ngx_chat_redis_t *rd,
    ngx_chat_redis_push_pt handler, void *data)
{
    rd->push_handler = handler;
    rd->push_data = data;
}


void
ngx_chat_redis_close(ngx_chat_redis_t *rd)
{
    if (rd->closed) {
        return;
    }

    rd->closed = 1;

    ngx_chat_redis_enter(rd);
    ngx_chat_redis_reset(rd, NGX_CHAT_REDIS_CLOSED);
    ngx_chat_redis_endpoint_close(rd);
    ngx_chat_redis_leave(rd);
}


static void
ngx_chat_redis_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;
    ngx_chat_redis_t  *rd;

    c = ev->data;
    rd = c->data;

    switch (rd->state) {

    case NGX_CHAT_REDIS_WAIT:
        ngx_chat_redis_conn_start(rd);
        return;

    case NGX_CHAT_REDIS_UP:
        ngx_chat_redis_probe(rd);
        return;

    case NGX_CHAT_REDIS_RESOLVE:
        ngx_chat_redis_disconnect(rd, NGX_CHAT_REDIS_LATE, 0,
                                  "looking for its address timed out");
        return;

    case NGX_CHAT_REDIS_HANDSHAKE:
        ngx_chat_redis_disconnect(rd, NGX_CHAT_REDIS_LATE, 0,
                                  "the TLS handshake timed out");
        return;

    case NGX_CHAT_REDIS_SETUP:
        ngx_chat_redis_disconnect(rd, NGX_CHAT_REDIS_LATE, 0,
                                  "AUTH and other first commands timed out");
        return;

    default: /* NGX_CHAT_REDIS_CONNECT */
        ngx_chat_redis_disconnect(rd, NGX_CHAT_REDIS_LATE, 0,
                                  "connecting timed out");
        return;
    }
}


/* a Redis that died in silence is noticed before a request needs it */

static void
ngx_chat_redis_probe(ngx_chat_redis_t *rd)
{
    ngx_str_t  argv[2];

    ngx_add_timer(&rd->timer, NGX_CHAT_REDIS_PROBE);

    if (!ngx_queue_empty(&rd->cmds)) {
        return;
    }

    if (rd->partial) {

        /* masters and slots may change: CLUSTER INFO in place of PING */

        ngx_str_set(&argv[0], "CLUSTER");
        ngx_str_set(&argv[1], "INFO");

        (void) ngx_chat_redis_command(rd, argv, 2, NGX_CHAT_REDIS_TIMEOUT,
                                      ngx_chat_redis_cluster_reply_handler, rd);
        return;
    }

    ngx_str_set(&argv[0], "PING");

    (void) ngx_chat_redis_command(rd, argv, 1, NGX_CHAT_REDIS_TIMEOUT, NULL,
                                  NULL);
}


static void
ngx_chat_redis_flush_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;
    ngx_chat_redis_t  *rd;

    c = ev->data;
    rd = c->data;

    if (rd->peer.connection) {
        ngx_chat_redis_conn_write(rd);
    }
}


static void
ngx_chat_redis_up_handler(ngx_chat_redis_t *rd)
{
    ngx_uint_t  level;

    rd->state = NGX_CHAT_REDIS_UP;

    ngx_chat_redis_set_failed(rd, 0);

    ngx_chat_metrics_move(NGX_CHAT_GAUGE_REDIS_UP, 1);

    if (rd->was_up) {
        ngx_chat_metrics_count(NGX_CHAT_COUNT_REDIS_RECONNECTS);
    }

    rd->was_up = 1;
    rd->errmsg.len = 0;

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %V, %s: up, failures logged:%xi",
                   &rd->conf->name, rd->role, rd->logged);

    ngx_chat_redis_endpoint_upstream_release(rd);
    ngx_chat_redis_cmd_extend_deadlines(rd);

    ngx_del_timer(&rd->timer);
    ngx_chat_bytes_free(&rd->setup);

    /* a subscriber has no replies to commands, and looks after itself */

    if (rd->push_handler == NULL) {
        ngx_add_timer(&rd->timer, NGX_CHAT_REDIS_PROBE);
    }

    level = rd->logged ? NGX_LOG_NOTICE : NGX_LOG_INFO;

    ngx_log_error(level, rd->log, 0, "chat redis %V, %s: connected",
                  &rd->conf->name, rd->role);

    rd->logged = 0;

    ngx_post_event(&rd->flush, &ngx_posted_events);

    if (rd->state_handler) {
        rd->state_handler(rd->state_data, 1);
    }
}


void
ngx_chat_redis_disconnect(ngx_chat_redis_t *rd, ngx_uint_t kind, ngx_err_t err,
    const char *why)
{
    ngx_str_t   *name;
    ngx_uint_t   level;

    if (rd->state == NGX_CHAT_REDIS_WAIT
        || rd->state == NGX_CHAT_REDIS_CLOSED)
    {
        return;
    }

    level = (kind == 0 || (rd->logged & kind)) ? NGX_LOG_INFO : NGX_LOG_ERR;
    name = ngx_chat_redis_endpoint_get_name(rd);

    rd->logged |= kind;

    if (rd->errmsg.len) {
        ngx_log_error(level, rd->log, err, "chat redis %V, %s: %s%s%V: \"%V\"",
                      &rd->conf->name, rd->role, why, name->len ? ", at " : "",
                      name, &rd->errmsg);

        rd->errmsg.len = 0;

    } else {
        ngx_log_error(level, rd->log, err, "chat redis %V, %s: %s%s%V",
                      &rd->conf->name, rd->role, why, name->len ? ", at " : "",
                      name);
    }

    if (rd->state == NGX_CHAT_REDIS_UP) {

        /* a server that has stopped answering is not tried first again */

        if (kind == NGX_CHAT_REDIS_LATE) {
            rd->addr_failed = 1;
        }

        rd->dropped = (kind == NGX_CHAT_REDIS_LOST);

    } else {

        if (ngx_chat_redis_try_next(rd)) {
            return;
        }

        ngx_chat_redis_set_failed(rd, 1);
    }

    ngx_chat_redis_reset(rd, NGX_CHAT_REDIS_WAIT);
}


static void
ngx_chat_redis_set_failed(ngx_chat_redis_t *rd, ngx_uint_t failed)
{
    if (rd->failed == failed) {
        return;
    }

    rd->failed = failed ? 1 : 0;

    ngx_chat_metrics_move(NGX_CHAT_GAUGE_REDIS_DOWN, failed ? 1 : -1);
}


/* another address of the same round; commands go on waiting */

static ngx_uint_t
ngx_chat_redis_try_next(ngx_chat_redis_t *rd)
{
    rd->addr_failed = 1;

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %V, %s: addresses left:%ui",
                   &rd->conf->name, rd->role, rd->peer.tries);

    ngx_chat_redis_conn_close(rd, 1);

    if (rd->timer.timer_set) {
        ngx_del_timer(&rd->timer);
    }

    if (!ngx_chat_redis_endpoint_has_next(rd)) {
        return 0;
    }

    rd->state = NGX_CHAT_REDIS_WAIT;

    ngx_add_timer(&rd->timer, 0);

    return 1;
}


static void
ngx_chat_redis_moved_handler(ngx_chat_redis_t *rd, const char *why)
{
    if (rd->state == NGX_CHAT_REDIS_UP) {
        ngx_chat_redis_disconnect(rd, 0, 0, why);
    }

    if (rd->state == NGX_CHAT_REDIS_CLOSED) {
        return;
    }

    /*
     * An attempt under way is no failure of its address, and commands go on
     * waiting: for the new address, and not for another one of the former.
     */

    ngx_chat_redis_conn_close(rd, 1);
    ngx_chat_redis_endpoint_end_round(rd);

    rd->state = NGX_CHAT_REDIS_WAIT;

    if (rd->timer.timer_set) {
        ngx_del_timer(&rd->timer);
    }

    ngx_add_timer(&rd->timer, 0);
}


void
ngx_chat_redis_mark_failed(ngx_chat_redis_t *rd, const char *why)
{
    if (rd->state != NGX_CHAT_REDIS_UP) {
        return;
    }

    rd->addr_failed = 1;

    ngx_chat_redis_disconnect(rd, NGX_CHAT_REDIS_REPLACED, 0, why);
}


static void
ngx_chat_redis_stop_handler(ngx_chat_redis_t *rd)
{
    ngx_log_error(NGX_LOG_INFO, rd->log, 0,
                  "chat redis %V, %s: closed as the process exits",
                  &rd->conf->name, rd->role);

    ngx_chat_redis_reset(rd, NGX_CHAT_REDIS_CLOSED);
}


static void
ngx_chat_redis_reset(ngx_chat_redis_t *rd, ngx_chat_redis_state_e state)
{
    ngx_uint_t  up;

    up = (rd->state == NGX_CHAT_REDIS_UP);

    if (up) {
        ngx_chat_metrics_move(NGX_CHAT_GAUGE_REDIS_UP, -1);
    }

    if (state == NGX_CHAT_REDIS_CLOSED) {
        ngx_chat_redis_set_failed(rd, 0);
    }

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %V, %s: state %s to %s",
                   &rd->conf->name, rd->role,
                   ngx_chat_redis_get_state_name(rd->state),
                   ngx_chat_redis_get_state_name(state));

    ngx_chat_redis_conn_close(rd, state == NGX_CHAT_REDIS_WAIT);
    ngx_chat_redis_endpoint_end_round(rd);

    rd->state = state;
    rd->out.len = 0;
    rd->sent = 0;

    if (rd->out.size > NGX_CHAT_REDIS_KEEP_OUT) {
        ngx_chat_bytes_free(&rd->out);
    }

    if (rd->timer.timer_set) {
        ngx_del_timer(&rd->timer);
    }

    if (state == NGX_CHAT_REDIS_WAIT) {
        ngx_chat_redis_schedule_connect(rd);
    }

    ngx_chat_redis_enter(rd);

    ngx_chat_redis_cmd_fail_all(rd);

    rd->dropped = 0;

    if (up && rd->state_handler && !rd->closed) {
        rd->state_handler(rd->state_data, 0);
    }

    ngx_chat_redis_leave(rd);
}


static void
ngx_chat_redis_schedule_connect(ngx_chat_redis_t *rd)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (rd->started + NGX_CHAT_REDIS_RECONNECT
                             - ngx_current_msec);

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %V, %s: connects in %M ms",
                   &rd->conf->name, rd->role,
                   (ngx_msec_t) ngx_max(left, 0));

    ngx_add_timer(&rd->timer, (ngx_msec_t) ngx_max(left, 0));
}
