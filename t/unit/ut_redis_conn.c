
/*
 * A reply of Redis that is longer than a turn of the loop may be: connections
 * to Redis on sockets, whose bytes come from the test.
 */


#include "fake_socket.h"
#include "../../ngx_chat_module/redis/ngx_chat_redis_conn.h"

#include <stdio.h>
#include <stdlib.h>


#define UT_REPLY  (1024 * 1024)
#define UT_TURN   (256 * 1024)     /* bytes, read in one */


typedef struct {
    ngx_chat_redis_t       rd;         /* first */
    ngx_chat_redis_conf_t  conf;
    int                    fd;         /* the server's end */
    ngx_str_t              bytes;
    size_t                 read;
    size_t                 idle;       /* read, when it was idle last */
    size_t                 most;       /* at once */
    ngx_uint_t             turns;
    ngx_uint_t             replies;
    ngx_uint_t             lost;
} ut_redis_t;


static void ut_connect(ut_redis_t *ut);
static void ut_close(ut_redis_t *ut);
static void ut_send(ut_redis_t *ut);
static ssize_t ut_recv(ngx_connection_t *c, u_char *buf, size_t size);
static void ut_up(ngx_chat_redis_t *rd);
static void ut_lost(ngx_chat_redis_t *rd, ngx_uint_t kind, ngx_err_t err,
    const char *why);
static void ut_moved(ngx_chat_redis_t *rd, const char *why);
static void ut_stop(ngx_chat_redis_t *rd);
static void ut_reply(ngx_chat_redis_t *rd, ngx_chat_reply_t *reply);
static void ut_idle(ngx_chat_redis_t *rd);
static void ut_timer(ngx_event_t *ev);


static const ngx_chat_redis_handlers_t  ut_handlers = {
    ut_up, ut_lost, ut_moved, ut_stop, ut_reply, ut_idle
};

static struct sockaddr  ut_sockaddr = { .sa_family = AF_UNIX };


ngx_int_t
ngx_chat_redis_endpoint_find(ngx_chat_redis_t *rd)
{
    return NGX_OK;
}


void
ngx_chat_redis_endpoint_release(ngx_chat_redis_t *rd, ngx_uint_t failed)
{
}


void
ngx_chat_redis_endpoint_report_stale(ngx_chat_redis_t *rd)
{
}


void
ngx_chat_redis_enter(ngx_chat_redis_t *rd)
{
}


void
ngx_chat_redis_leave(ngx_chat_redis_t *rd)
{
}


const char *
ngx_chat_redis_get_state_name(ngx_chat_redis_state_e state)
{
    return "";
}


ngx_int_t
ngx_chat_redis_setup_init(ngx_chat_redis_t *rd)
{
    return NGX_OK;
}


ngx_int_t
ngx_chat_redis_setup_process_reply(ngx_chat_redis_t *rd,
    ngx_chat_reply_t *reply, ngx_chat_redis_fault_t *fault)
{
    return NGX_OK;
}


void
ngx_chat_redis_tls_start(ngx_chat_redis_t *rd)
{
}


void
ngx_chat_redis_tls_shutdown(ngx_connection_t *c)
{
}


ngx_int_t
ngx_tcp_nodelay(ngx_connection_t *c)
{
    return NGX_OK;
}


ngx_int_t
ngx_event_connect_peer(ngx_peer_connection_t *pc)
{
    int                fd[2];
    ut_redis_t        *ut;
    ngx_connection_t  *c;

    ut = (ut_redis_t *) ((u_char *) pc - offsetof(ngx_chat_redis_t, peer));

    if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0, fd) == -1) {
        abort();
    }

    c = ngx_get_connection(fd[0], pc->log);
    if (c == NULL) {
        abort();
    }

    ut->fd = fd[1];
    c->recv = ut_recv;
    pc->connection = c;
    pc->sockaddr = &ut_sockaddr;

    return ngx_handle_read_event(c->read, 0);
}


static void
ut_connect(ut_redis_t *ut)
{
    memset(ut, 0, sizeof(ut_redis_t));

    ngx_str_set(&ut->conf.name, "redis");

    ut->rd.conf = &ut->conf;
    ut->rd.role = "commands";
    ut->rd.log = ngx_cycle->log;
    ut->rd.handlers = &ut_handlers;
    ut->rd.spare_fd = (ngx_socket_t) -1;
    ut->rd.timer.handler = ut_timer;
    ut->rd.timer.log = ngx_cycle->log;

    ngx_chat_redis_conn_start(&ut->rd);

    ut->rd.state = NGX_CHAT_REDIS_UP;
}


static void
ut_close(ut_redis_t *ut)
{
    if (ut->rd.timer.timer_set) {
        ngx_del_timer(&ut->rd.timer);
    }

    ngx_chat_redis_conn_close(&ut->rd, 0);

    (void) close(ut->fd);
    ut_free(&ut->bytes);
}


/* all of the bytes are there: one on the socket says so */

static void
ut_send(ut_redis_t *ut)
{
    if (write(ut->fd, "x", 1) != 1) {
        abort();
    }
}


static ssize_t
ut_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    ut_redis_t  *ut;

    ut = c->data;
    size = ngx_min(size, ut->bytes.len - ut->read);

    if (size == 0) {
        c->read->ready = 0;
        return NGX_AGAIN;
    }

    ngx_memcpy(buf, ut->bytes.data + ut->read, size);
    ut->read += size;

    return size;
}


static void
ut_up(ngx_chat_redis_t *rd)
{
}


static void
ut_lost(ngx_chat_redis_t *rd, ngx_uint_t kind, ngx_err_t err, const char *why)
{
    ut_redis_t *ut = (ut_redis_t *) rd;

    ut->lost++;
}


static void
ut_moved(ngx_chat_redis_t *rd, const char *why)
{
}


static void
ut_stop(ngx_chat_redis_t *rd)
{
}


static void
ut_reply(ngx_chat_redis_t *rd, ngx_chat_reply_t *reply)
{
    ut_redis_t *ut = (ut_redis_t *) rd;

    ut->replies++;
}


static void
ut_idle(ngx_chat_redis_t *rd)
{
    ut_redis_t *ut = (ut_redis_t *) rd;

    ut->turns++;
    ut->most = ngx_max(ut->most, ut->read - ut->idle);
    ut->idle = ut->read;
}


static void
ut_timer(ngx_event_t *ev)
{
}


int
main(void)
{
    int          n;
    char         head[32];
    ngx_str_t    text;
    ngx_uint_t   i, between;
    ut_redis_t   one, other;

    fake_socket_init(1);

    ut_connect(&one);
    ut_connect(&other);

    text = ut_repeat("x", UT_REPLY);
    n = snprintf(head, sizeof(head), "$%d\r\n", UT_REPLY - 32);
    ngx_memcpy(text.data, head, n);
    ngx_memcpy(text.data + n + UT_REPLY - 32, "\r\n", 2);
    text.len = n + UT_REPLY - 32 + 2;

    one.bytes = text;
    other.bytes = ut_str("+OK\r\n");

    ut_send(&one);
    (void) fake_socket_turn();

    ut_send(&other);
    (void) fake_socket_turn();

    between = (one.read && one.replies == 0 && other.replies == 1);

    for (i = 0; i < 100 && one.replies == 0; i++) {
        (void) fake_socket_turn();
    }

    ut_ok(one.replies == 1 && one.lost == 0, "a long reply is read");
    ut_ok(between, "another connection is served between parts of it");
    ut_ok(one.most == UT_TURN && one.turns == UT_REPLY / UT_TURN,
          "a turn of the loop reads 256 KiB of it");

    ut_close(&one);
    ut_close(&other);

    return ut_done();
}
