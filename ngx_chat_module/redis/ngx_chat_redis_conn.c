
#include "ngx_chat_redis_conn.h"


#define NGX_CHAT_REDIS_BUFFER   (64 * 1024)

/* so that a long reply is no long turn of the loop; more waits for the next */
#define NGX_CHAT_REDIS_ROUNDS   4

#define NGX_CHAT_REDIS_COMPACT  (64 * 1024)


static void ngx_chat_redis_conn_found_handler(ngx_chat_redis_t *rd,
    ngx_int_t rc);
static ngx_int_t ngx_chat_redis_conn_connect(ngx_chat_redis_t *rd);
static void ngx_chat_redis_conn_finish_connect(ngx_chat_redis_t *rd);
static void ngx_chat_redis_conn_set_state(ngx_chat_redis_t *rd,
    ngx_chat_redis_state_e state);
static void ngx_chat_redis_conn_start_setup(ngx_chat_redis_t *rd);
static ngx_int_t ngx_chat_redis_conn_test_connect(ngx_connection_t *c,
    ngx_err_t *err);
static void ngx_chat_redis_conn_fail(ngx_chat_redis_t *rd, const char *why);
static void ngx_chat_redis_conn_read_handler(ngx_event_t *rev);
static void ngx_chat_redis_conn_write_handler(ngx_event_t *wev);
static ngx_int_t ngx_chat_redis_conn_parse(ngx_chat_redis_t *rd, u_char *p,
    size_t len);
static void ngx_chat_redis_conn_process_setup(ngx_chat_redis_t *rd,
    ngx_chat_reply_t *reply);
static void ngx_chat_redis_conn_compact(ngx_chat_redis_t *rd);


/* shared by all connections of the process */
static u_char  *ngx_chat_redis_conn_buffer;


void
ngx_chat_redis_conn_start(ngx_chat_redis_t *rd)
{
    ngx_int_t  rc;

    rd->state = NGX_CHAT_REDIS_RESOLVE;

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %V, %s: looks for an address",
                   &rd->conf->name, rd->role);
    rd->errmsg.len = 0;

    if (rd->endpoint.pool == NULL) {
        rd->started = ngx_current_msec;
    }

    if (ngx_chat_redis_conn_buffer == NULL) {
        ngx_chat_redis_conn_buffer = ngx_alloc(NGX_CHAT_REDIS_BUFFER, rd->log);

        if (ngx_chat_redis_conn_buffer == NULL) {
            rd->handlers->lost(rd, NGX_CHAT_REDIS_NO_MEMORY, 0, "no memory");
            return;
        }
    }

    rd->endpoint.found = ngx_chat_redis_conn_found_handler;

    rc = ngx_chat_redis_endpoint_find(rd);

    if (rc == NGX_AGAIN) {

        /* a backstop: resolver and Sentinel have timeouts of their own */

        ngx_add_timer(&rd->timer, 2 * NGX_CHAT_REDIS_LOOKUP_TIMEOUT);
        return;
    }

    ngx_chat_redis_conn_found_handler(rd, rc);
}


static void
ngx_chat_redis_conn_found_handler(ngx_chat_redis_t *rd, ngx_int_t rc)
{
    ngx_err_t          err;
    ngx_connection_t  *c;

    if (rd->timer.timer_set) {
        ngx_del_timer(&rd->timer);
    }

    if (rc == NGX_ERROR) {
        rd->handlers->lost(rd, NGX_CHAT_REDIS_NO_MEMORY, 0, "no memory");
        return;
    }

    if (rc == NGX_DECLINED) {
        rd->handlers->lost(rd, NGX_CHAT_REDIS_UNREACHED, 0,
                           "no address is known");
        return;
    }

    rd->state = NGX_CHAT_REDIS_CONNECT;

    ngx_chat_redis_conn_release(rd);

    rc = ngx_chat_redis_conn_connect(rd);

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %V, %s: connect %i",
                   &rd->conf->name, rd->role, rc);

    if (rc == NGX_BUSY && rd->peer.sockaddr == NULL) {

        /* the group has none to offer, whatever is left to try */

        rd->peer.tries = 0;

        rd->handlers->lost(rd, NGX_CHAT_REDIS_UNREACHED, 0,
                           "no live server in the upstream group");
        return;
    }

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        err = ngx_socket_errno;
        rd->handlers->lost(rd, NGX_CHAT_REDIS_UNREACHED, err,
                           "connect() failed");
        return;
    }

    c = rd->peer.connection;

    c->data = rd;
    c->log = rd->log;
    c->read->log = rd->log;
    c->write->log = rd->log;
    c->read->handler = ngx_chat_redis_conn_read_handler;
    c->write->handler = ngx_chat_redis_conn_write_handler;

    ngx_add_timer(&rd->timer, NGX_CHAT_REDIS_CONNECT_TIMEOUT);

    if (rc == NGX_OK) {
        ngx_chat_redis_conn_finish_connect(rd);
    }
}


/*
 * While there is no connection, what the next one needs is kept from clients:
 * they would take the last of it, and with Redis away none of them were served.
 */

void
ngx_chat_redis_conn_reserve(ngx_chat_redis_t *rd)
{
    /* with "poll" each connection has a file */

    if (rd->spare == NULL && ngx_cycle->files == NULL) {
        rd->spare = ngx_get_connection((ngx_socket_t) -1, rd->log);
    }

    if (rd->spare_fd == (ngx_socket_t) -1) {
        rd->spare_fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);
    }
}


void
ngx_chat_redis_conn_release(ngx_chat_redis_t *rd)
{
    if (rd->spare) {
        ngx_free_connection(rd->spare);
        rd->spare = NULL;
    }

    if (rd->spare_fd != (ngx_socket_t) -1) {
        (void) close(rd->spare_fd);
        rd->spare_fd = (ngx_socket_t) -1;
    }
}


static ngx_int_t
ngx_chat_redis_conn_connect(ngx_chat_redis_t *rd)
{
    ngx_int_t               rc;
    ngx_log_t               log;
    ngx_peer_connection_t  *pc;

    /* failures are told once, by this client, and not at each attempt */

    log = *rd->log;
    log.log_level = NGX_LOG_ALERT;

    pc = &rd->peer;

    pc->sockaddr = NULL;
    pc->connection = NULL;
    pc->log = &log;
    pc->log_error = NGX_ERROR_INFO;
    pc->so_keepalive = 1;
    pc->start_time = ngx_current_msec;

    ngx_set_socket_errno(0);

    rc = ngx_event_connect_peer(pc);

    pc->log = rd->log;

    if (rc == NGX_ERROR) {
        pc->connection = NULL;
    }

    if (rc == NGX_DONE) {

        /* of somebody else who uses the same group */

        ngx_close_connection(pc->connection);
        pc->connection = NULL;
    }

    return rc;
}


void
ngx_chat_redis_conn_close(ngx_chat_redis_t *rd, ngx_uint_t again)
{
    if (rd->peer.connection) {
        ngx_chat_redis_tls_shutdown(rd->peer.connection);
        ngx_close_connection(rd->peer.connection);
        rd->peer.connection = NULL;
    }

    ngx_chat_redis_endpoint_release(rd, rd->addr_failed);
    rd->addr_failed = 0;

    if (rd->resp) {
        ngx_chat_resp_free(rd->resp);
        rd->resp = NULL;
    }

    ngx_chat_bytes_free(&rd->setup);

    if (again) {
        ngx_chat_redis_conn_reserve(rd);

    } else {
        ngx_chat_redis_conn_release(rd);
    }
}


static void
ngx_chat_redis_conn_finish_connect(ngx_chat_redis_t *rd)
{
    ngx_err_t          err;
    ngx_connection_t  *c;

    c = rd->peer.connection;

    if (ngx_chat_redis_conn_test_connect(c, &err) != NGX_OK) {
        rd->handlers->lost(rd, NGX_CHAT_REDIS_UNREACHED, err,
                           "connect() failed");
        return;
    }

    /* a failure is logged there, and costs speed only */

    if (rd->peer.sockaddr->sa_family != AF_UNIX) {
        (void) ngx_tcp_nodelay(c);
    }

    if (rd->conf->tls) {
        rd->secured = ngx_chat_redis_conn_start_setup;
        ngx_chat_redis_conn_set_state(rd, NGX_CHAT_REDIS_HANDSHAKE);
        ngx_chat_redis_tls_start(rd);
        return;
    }

    ngx_chat_redis_conn_start_setup(rd);
}


/* the next step of an attempt, which has a time of its own */

static void
ngx_chat_redis_conn_set_state(ngx_chat_redis_t *rd,
    ngx_chat_redis_state_e state)
{
    rd->state = state;

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %s: state %s",
                   rd->role, ngx_chat_redis_get_state_name(state));

    /* a timer that is set would be kept if it ends about as late */

    if (rd->timer.timer_set) {
        ngx_del_timer(&rd->timer);
    }

    ngx_add_timer(&rd->timer, NGX_CHAT_REDIS_STEP_TIMEOUT);
}


static void
ngx_chat_redis_conn_start_setup(ngx_chat_redis_t *rd)
{
    ngx_connection_t  *c;

    c = rd->peer.connection;

    /* the handshake had its own */

    c->read->handler = ngx_chat_redis_conn_read_handler;
    c->write->handler = ngx_chat_redis_conn_write_handler;

    rd->resp = ngx_chat_resp_create(NGX_CHAT_REDIS_MAX_REPLY);

    if (rd->resp == NULL || ngx_chat_redis_setup_init(rd) != NGX_OK) {
        rd->handlers->lost(rd, NGX_CHAT_REDIS_NO_MEMORY, 0, "no memory");
        return;
    }

    ngx_chat_redis_conn_set_state(rd, NGX_CHAT_REDIS_SETUP);

    ngx_chat_redis_enter(rd);

    ngx_chat_redis_conn_write(rd);

    if (rd->peer.connection && c->read->ready) {
        ngx_chat_redis_conn_read(rd);
    }

    ngx_chat_redis_leave(rd);
}


static ngx_int_t
ngx_chat_redis_conn_test_connect(ngx_connection_t *c, ngx_err_t *err)
{
    int        value;
    socklen_t  len;

    value = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &value, &len) == -1) {
        value = ngx_socket_errno;
    }

    *err = value;

    return value ? NGX_ERROR : NGX_OK;
}


/* a failure in TLS has no errno, and is told in words */

static void
ngx_chat_redis_conn_fail(ngx_chat_redis_t *rd, const char *why)
{
    ngx_err_t  err;

    err = rd->peer.connection->ssl ? 0 : ngx_socket_errno;

    /* a missing or bad certificate may be refused only after the handshake */

    if (rd->cert_requested && rd->state == NGX_CHAT_REDIS_SETUP) {
        why = "lost after the server has asked for a client certificate";
    }

    rd->handlers->lost(rd, NGX_CHAT_REDIS_LOST, err, why);
}


static void
ngx_chat_redis_conn_read_handler(ngx_event_t *rev)
{
    ngx_connection_t  *c;
    ngx_chat_redis_t  *rd;

    c = rev->data;
    rd = c->data;

    if (c->close) {
        rd->handlers->stop(rd);
        return;
    }

    if (rd->state == NGX_CHAT_REDIS_CONNECT) {
        ngx_chat_redis_conn_finish_connect(rd);
        return;
    }

    ngx_chat_redis_conn_read(rd);
}


static void
ngx_chat_redis_conn_write_handler(ngx_event_t *wev)
{
    ngx_connection_t  *c;
    ngx_chat_redis_t  *rd;

    c = wev->data;
    rd = c->data;

    /* TLS calls it for reading when it has to read before it can write */

    if (c->close) {
        rd->handlers->stop(rd);
        return;
    }

    if (rd->state == NGX_CHAT_REDIS_CONNECT) {
        ngx_chat_redis_conn_finish_connect(rd);
        return;
    }

    ngx_chat_redis_conn_write(rd);
}


void
ngx_chat_redis_conn_read(ngx_chat_redis_t *rd)
{
    ssize_t            n;
    ngx_uint_t         i;
    ngx_connection_t  *c;

    c = rd->peer.connection;

    ngx_chat_redis_enter(rd);

    for (i = 0; i < NGX_CHAT_REDIS_ROUNDS; i++) {

        n = c->recv(c, ngx_chat_redis_conn_buffer, NGX_CHAT_REDIS_BUFFER);

        if (n == NGX_AGAIN) {

            if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
                rd->handlers->lost(rd, NGX_CHAT_REDIS_LOST, 0,
                                   "no event for the connection");
            }

            goto done;
        }

        if (n == 0) {
            ngx_set_socket_errno(0);
            ngx_chat_redis_conn_fail(rd, "the server closed the connection");
            goto done;
        }

        if (n < 0) {
            ngx_chat_redis_conn_fail(rd, "recv() failed");
            goto done;
        }

        if (ngx_chat_redis_conn_parse(rd, ngx_chat_redis_conn_buffer,
                                      n) != NGX_OK) {
            goto done;
        }
    }

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %s: more to read later",
                   rd->role);

    ngx_post_event(c->read, &ngx_posted_next_events);

done:

    rd->handlers->idle(rd);
    ngx_chat_redis_leave(rd);
}


static ngx_int_t
ngx_chat_redis_conn_parse(ngx_chat_redis_t *rd, u_char *p, size_t len)
{
    ngx_int_t          rc;
    ngx_chat_reply_t  *reply;

    if (ngx_chat_resp_feed(rd->resp, p, len) != NGX_OK) {
        goto broken;
    }

    for ( ;; ) {
        rc = ngx_chat_resp_next(rd->resp, &reply);

        if (rc == NGX_AGAIN) {
            return NGX_OK;
        }

        if (rc != NGX_OK) {
            goto broken;
        }

        if (rd->state == NGX_CHAT_REDIS_SETUP) {
            ngx_chat_redis_conn_process_setup(rd, reply);

        } else {
            rd->handlers->reply(rd, reply);
        }

        ngx_chat_reply_free(reply);

        if (rd->peer.connection == NULL) {
            return NGX_DONE;
        }
    }

broken:

    rd->handlers->lost(rd, NGX_CHAT_REDIS_GARBLED, 0,
                       "a broken reply, or one too large");

    return NGX_DONE;
}


static void
ngx_chat_redis_conn_process_setup(ngx_chat_redis_t *rd, ngx_chat_reply_t *reply)
{
    ngx_chat_redis_fault_t  fault;

    switch (ngx_chat_redis_setup_process_reply(rd, reply, &fault)) {

    case NGX_OK:
        rd->handlers->up(rd);
        return;

    case NGX_AGAIN:
        if (rd->setup_sent < rd->setup.len) {
            ngx_chat_redis_conn_write(rd);
        }

        return;

    default: /* NGX_ERROR */
        if (fault.not_master) {
            ngx_chat_redis_endpoint_report_stale(rd);
        }

        rd->handlers->lost(rd, fault.kind, 0, fault.why);
    }
}


void
ngx_chat_redis_conn_write(ngx_chat_redis_t *rd)
{
    size_t            *sent;
    ssize_t            n;
    ngx_connection_t  *c;
    ngx_chat_bytes_t  *b;

    c = rd->peer.connection;

    if (rd->state == NGX_CHAT_REDIS_UP) {
        b = &rd->out;
        sent = &rd->sent;

    } else {
        b = &rd->setup;
        sent = &rd->setup_sent;
    }

    while (*sent < b->len && c->write->ready) {

        n = c->send(c, b->data + *sent, b->len - *sent);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n < 0) {
            ngx_chat_redis_conn_fail(rd, "send() failed");
            return;
        }

        *sent += n;

        ngx_log_debug3(NGX_LOG_DEBUG_CORE, rd->log, 0,
                       "chat redis %s: sent %z, left %uz",
                       rd->role, n, b->len - *sent);
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        rd->handlers->lost(rd, NGX_CHAT_REDIS_LOST, 0,
                           "no event for the connection");
        return;
    }

    if (rd->state == NGX_CHAT_REDIS_UP) {
        ngx_chat_redis_conn_compact(rd);
    }
}


static void
ngx_chat_redis_conn_compact(ngx_chat_redis_t *rd)
{
    ngx_chat_bytes_t  *out;

    out = &rd->out;

    if (rd->sent == out->len) {
        rd->sent = 0;
        out->len = 0;

        if (out->size > NGX_CHAT_REDIS_KEEP_OUT) {
            ngx_chat_bytes_free(out);
        }

        return;
    }

    if (rd->sent < NGX_CHAT_REDIS_COMPACT || rd->sent < out->len / 2) {
        return;
    }

    out->len -= rd->sent;
    ngx_memmove(out->data, out->data + rd->sent, out->len);
    rd->sent = 0;
}
