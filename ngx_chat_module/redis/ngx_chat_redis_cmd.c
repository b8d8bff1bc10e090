
#include "ngx_chat_redis_conn.h"
#include "../shm/ngx_chat_metrics.h"


struct ngx_chat_redis_cmd_s {
    ngx_queue_t                queue;
    ngx_chat_redis_reply_pt    handler;
    void                      *data;
    ngx_msec_t                 deadline;
    size_t                     len;         /* on the wire */
};


static ngx_uint_t ngx_chat_redis_cmd_leave_server(ngx_chat_redis_t *rd,
    ngx_chat_reply_t *reply);
static ngx_uint_t ngx_chat_redis_cmd_is_refusal(ngx_chat_redis_t *rd,
    ngx_str_t *error);
static void ngx_chat_redis_cmd_finish(ngx_chat_redis_cmd_t *cmd,
    ngx_chat_reply_t *reply);


/*
 * Not among them: MISCONF, NOREPLICAS and OOM, as what is there can be read,
 * and NOPERM and BUSY, where another connection would be told the same.
 */

static const char  *ngx_chat_redis_cmd_refusals[] = {
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "NOAUTH",
    NULL
};


ngx_chat_redis_cmd_t *
ngx_chat_redis_command(ngx_chat_redis_t *rd, ngx_str_t *argv, ngx_uint_t argc,
    ngx_msec_t timeout, ngx_chat_redis_reply_pt handler, void *data)
{
    size_t                 len;
    ngx_uint_t             first;
    ngx_chat_redis_cmd_t  *cmd;

    if (ngx_chat_redis_is_down(rd)) {
        return NULL;
    }

    cmd = ngx_alloc(sizeof(ngx_chat_redis_cmd_t), rd->log);
    if (cmd == NULL) {
        return NULL;
    }

    len = rd->out.len;

    if (ngx_chat_resp_format(&rd->out, argv, argc) != NGX_OK) {
        ngx_free(cmd);
        return NULL;
    }

    cmd->handler = handler;
    cmd->data = data;
    cmd->deadline = ngx_current_msec + timeout;
    cmd->len = rd->out.len - len;

    /*
     * A single command at a time is measured: a clock costs more than all else
     * that is counted.  What waits for a connection, or blocks, is no measure.
     */

    if (rd->measured == NULL
        && rd->state == NGX_CHAT_REDIS_UP
        && timeout <= NGX_CHAT_REDIS_TIMEOUT)
    {
        rd->measured = cmd;
        rd->measured_at = ngx_chat_metrics_clock();
    }

    first = ngx_queue_empty(&rd->cmds);

    ngx_queue_insert_tail(&rd->cmds, &cmd->queue);

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %s: command \"%V\", bytes:%uz, state %s",
                   rd->role, &argv[0], cmd->len,
                   ngx_chat_redis_get_state_name(rd->state));

    if (first) {
        ngx_chat_redis_cmd_set_timer(rd);
    }

    if (rd->state == NGX_CHAT_REDIS_UP) {
        ngx_post_event(&rd->flush, &ngx_posted_events);
    }

    return cmd;
}


void
ngx_chat_redis_cmd_cancel(ngx_chat_redis_cmd_t *cmd)
{
    /* the place in line stays, as the reply will come */
    cmd->handler = NULL;
}


ngx_int_t
ngx_chat_redis_cmd_send(ngx_chat_redis_t *rd, ngx_str_t *argv, ngx_uint_t argc)
{
    if (rd->state != NGX_CHAT_REDIS_UP
        || ngx_chat_resp_format(&rd->out, argv, argc) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_post_event(&rd->flush, &ngx_posted_events);

    return NGX_OK;
}


void
ngx_chat_redis_cmd_deadline_handler(ngx_event_t *ev)
{
    ngx_queue_t           *q;
    ngx_connection_t      *c;
    ngx_chat_redis_t      *rd;
    ngx_chat_redis_cmd_t  *cmd;

    c = ev->data;
    rd = c->data;

    ngx_chat_redis_enter(rd);

    /* after a stall of this process the replies are there, but unread */

    if (rd->state == NGX_CHAT_REDIS_UP && rd->peer.connection->read->ready) {
        ngx_chat_redis_conn_read(rd);
    }

    while (!ngx_queue_empty(&rd->cmds)) {

        q = ngx_queue_head(&rd->cmds);
        cmd = ngx_queue_data(q, ngx_chat_redis_cmd_t, queue);

        if ((ngx_msec_int_t) (cmd->deadline - ngx_current_msec) > 0) {
            break;
        }

        if (rd->state == NGX_CHAT_REDIS_UP) {
            rd->handlers->lost(rd, NGX_CHAT_REDIS_LATE, 0,
                               "a command timed out");
            break;
        }

        /* not sent yet, so nobody else has to suffer */

        ngx_queue_remove(&cmd->queue);
        rd->sent += cmd->len;

        ngx_log_debug1(NGX_LOG_DEBUG_CORE, rd->log, 0,
                       "chat redis %s: a command timed out unsent",
                       rd->role);

        ngx_chat_redis_cmd_finish(cmd, NULL);
    }

    ngx_chat_redis_cmd_set_timer(rd);
    ngx_chat_redis_leave(rd);
}


void
ngx_chat_redis_cmd_set_timer(ngx_chat_redis_t *rd)
{
    ngx_queue_t           *q;
    ngx_msec_int_t         left;
    ngx_chat_redis_cmd_t  *cmd;

    if (ngx_queue_empty(&rd->cmds)) {

        if (rd->deadline.timer_set) {
            ngx_del_timer(&rd->deadline);
        }

        return;
    }

    q = ngx_queue_head(&rd->cmds);
    cmd = ngx_queue_data(q, ngx_chat_redis_cmd_t, queue);

    if (rd->deadline.timer_set) {

        /* too early is cheaper than moving it with each reply */

        if ((ngx_msec_int_t) (rd->deadline.timer.key - cmd->deadline) <= 0) {
            return;
        }

        ngx_del_timer(&rd->deadline);
    }

    left = (ngx_msec_int_t) (cmd->deadline - ngx_current_msec);

    ngx_add_timer(&rd->deadline, (ngx_msec_t) ngx_max(left, 0));
}


/* commands in line are sent only now: late replies to them prove nothing */

void
ngx_chat_redis_cmd_extend_deadlines(ngx_chat_redis_t *rd)
{
    ngx_msec_t             deadline;
    ngx_queue_t           *q;
    ngx_chat_redis_cmd_t  *cmd;

    deadline = ngx_current_msec + NGX_CHAT_REDIS_TIMEOUT;

    for (q = ngx_queue_head(&rd->cmds);
         q != ngx_queue_sentinel(&rd->cmds);
         q = ngx_queue_next(q))
    {
        cmd = ngx_queue_data(q, ngx_chat_redis_cmd_t, queue);

        if ((ngx_msec_int_t) (deadline - cmd->deadline) > 0) {
            cmd->deadline = deadline;
        }
    }
}


void
ngx_chat_redis_cmd_process_reply(ngx_chat_redis_t *rd, ngx_chat_reply_t *reply)
{
    ngx_queue_t           *q;
    ngx_chat_redis_cmd_t  *cmd;

    if (rd->push_handler) {
        rd->push_handler(rd->push_data, reply);
        return;
    }

    if (ngx_queue_empty(&rd->cmds)) {
        rd->handlers->lost(rd, NGX_CHAT_REDIS_GARBLED, 0,
                           "a reply that answers no command");
        return;
    }

    if (ngx_chat_redis_cmd_leave_server(rd, reply)) {
        return;
    }

    q = ngx_queue_head(&rd->cmds);
    cmd = ngx_queue_data(q, ngx_chat_redis_cmd_t, queue);

    ngx_queue_remove(&cmd->queue);

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %s: reply, more are awaited:%d",
                   rd->role, ngx_queue_empty(&rd->cmds) ? 0 : 1);

    if (rd->measured == cmd) {
        ngx_chat_metrics_observe(NGX_CHAT_TIME_ROUND_TRIP,
                                 ngx_chat_metrics_clock()
                                 - rd->measured_at);
        rd->measured = NULL;
    }

    ngx_chat_redis_cmd_finish(cmd, reply);
}


/*
 * A server that lives on but cannot serve, such as a former master, is left
 * as if the connection were lost: the address, or AUTH, may do better now.  A
 * connection that was made less than a pause ago stays, and passes on what is
 * said, so that whatever can be read there is.  So does one to a part of a
 * Redis Cluster, which serves the rest.
 */

static ngx_uint_t
ngx_chat_redis_cmd_leave_server(ngx_chat_redis_t *rd, ngx_chat_reply_t *reply)
{
    ngx_str_t   s;
    ngx_uint_t  kind;

    if (ngx_chat_reply_error(reply, &s) != NGX_OK
        || rd->partial
        || ngx_current_msec - rd->started < NGX_CHAT_REDIS_RECONNECT
        || !ngx_chat_redis_cmd_is_refusal(rd, &s))
    {
        return 0;
    }

    /* while it lasts, one line a minute will do */

    kind = 0;

    if (rd->nleft == 0
        || ngx_time() - rd->left_logged >= NGX_CHAT_REDIS_QUIET)
    {
        rd->left_logged = ngx_time();
        kind = NGX_CHAT_REDIS_REPLACED;
    }

    rd->nleft++;

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %s: server is left, times:%ui",
                   rd->role, rd->nleft);
    rd->addr_failed = 1;

    ngx_chat_redis_set_errmsg(rd, &s);
    rd->handlers->lost(rd, kind, 0, "left, as it cannot serve");

    return 1;
}


static ngx_uint_t
ngx_chat_redis_cmd_is_refusal(ngx_chat_redis_t *rd, ngx_str_t *error)
{
    const char  **word;

    for (word = ngx_chat_redis_cmd_refusals; *word; word++) {
        if (ngx_chat_redis_starts_with(error, *word)) {
            return 1;
        }
    }

    /* in cluster mode a former master says so instead of READONLY */

    return rd->single_master && ngx_chat_redis_starts_with(error, "MOVED");
}


static void
ngx_chat_redis_cmd_finish(ngx_chat_redis_cmd_t *cmd, ngx_chat_reply_t *reply)
{
    void                     *data;
    ngx_chat_redis_reply_pt   handler;

    handler = cmd->handler;
    data = cmd->data;

    ngx_free(cmd);

    if (handler) {
        handler(data, reply);
    }
}


void
ngx_chat_redis_cmd_fail_all(ngx_chat_redis_t *rd)
{
    ngx_queue_t           *q;
    ngx_chat_redis_cmd_t  *cmd;

    rd->measured = NULL;

    /* commands sent by the callbacks are of the next connection */

    if (!ngx_queue_empty(&rd->cmds)) {
        ngx_queue_add(&rd->failing, &rd->cmds);
        ngx_queue_init(&rd->cmds);
    }

    ngx_chat_redis_cmd_set_timer(rd);

    while (!ngx_queue_empty(&rd->failing)) {

        q = ngx_queue_head(&rd->failing);
        cmd = ngx_queue_data(q, ngx_chat_redis_cmd_t, queue);

        ngx_queue_remove(&cmd->queue);

        ngx_chat_redis_cmd_finish(cmd, NULL);
    }
}
