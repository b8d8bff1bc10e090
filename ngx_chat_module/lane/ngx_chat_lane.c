
#include "ngx_chat_lane_private.h"
#include "../codec/ngx_chat_str.h"

#include <ngx_event.h>


/* said in HELLO: both ends have the same records and fields */
#define NGX_CHAT_LANE_VERSION  "2"

/* bytes of a socket's buffer that no message has */
#define NGX_CHAT_LANE_RESERVED  64

/* messages of one lane at once; more wait for the next turn of the loop */
#define NGX_CHAT_LANE_ROUNDS   16


struct ngx_chat_lane_s {
    ngx_connection_t                *c;        /* NULL: closed */
    ngx_chat_lane_end_e              end;
    const ngx_chat_lane_ops_t       *ops;
    void                            *data;
    ngx_log_t                       *log;

    ngx_chat_bytes_t                 out;      /* the next message */

    /* the record that went into messages in part */
    ngx_chat_lane_type_e             part_type;
    uint32_t                         part_stream;

    ngx_chat_lane_message_reader_t   in;
    ngx_uint_t                       ticks;    /* since the last message */

    unsigned                         up:1;
    unsigned                         part:1;
    unsigned                         full:1;   /* the socket takes no more */
    unsigned                         waiting:1;  /* somebody, for room() */
    unsigned                         broken:1; /* for sending */
    unsigned                         reset:1;
    unsigned                         busy:1;   /* in a handler of an event */
};


static ngx_connection_t *ngx_chat_lane_connect(ngx_chat_lane_t *lane,
    ngx_socket_t fd);
static ngx_int_t ngx_chat_lane_set_max(ngx_chat_lane_t *lane, ngx_socket_t fd);
static void ngx_chat_lane_disconnect(ngx_chat_lane_t *lane);
static void ngx_chat_lane_free(ngx_chat_lane_t *lane);
static void ngx_chat_lane_read_handler(ngx_event_t *rev);
static void ngx_chat_lane_tick(ngx_chat_lane_t *lane);
static void ngx_chat_lane_read(ngx_chat_lane_t *lane);
static ngx_int_t ngx_chat_lane_take(ngx_chat_lane_t *lane, size_t len);
static ngx_int_t ngx_chat_lane_take_record(ngx_chat_lane_t *lane,
    ngx_chat_lane_message_record_t *record);
static void ngx_chat_lane_write_handler(ngx_event_t *wev);
static ngx_int_t ngx_chat_lane_write(ngx_chat_lane_t *lane);
static ngx_int_t ngx_chat_lane_write_full(ngx_chat_lane_t *lane);
static void ngx_chat_lane_wake(ngx_chat_lane_t *lane);
static void ngx_chat_lane_break(ngx_chat_lane_t *lane);
static void ngx_chat_lane_leave(ngx_chat_lane_t *lane);
static void ngx_chat_lane_end(ngx_chat_lane_t *lane, const char *why);


/* a message that is read; shared by all lanes of the process */
static u_char      *ngx_chat_lane_buffer;

static ngx_uint_t   ngx_chat_lane_over;


ngx_chat_lane_t *
ngx_chat_lane_create(ngx_socket_t fd, ngx_chat_lane_end_e end,
    const ngx_chat_lane_ops_t *ops, void *data, ngx_log_t *log)
{
    ngx_chat_lane_t         *lane;
    ngx_chat_lane_record_t   hello;

    if (ngx_chat_lane_buffer == NULL) {
        ngx_chat_lane_buffer = ngx_alloc(NGX_CHAT_LANE_MESSAGE, log);
    }

    lane = ngx_calloc(sizeof(ngx_chat_lane_t), log);

    if (ngx_chat_lane_buffer == NULL || lane == NULL) {
        goto failed;
    }

    lane->end = end;
    lane->ops = ops;
    lane->data = data;
    lane->log = log;
    lane->in.end = end;

    if (ngx_chat_lane_set_max(lane, fd) != NGX_OK) {
        goto failed;
    }

    lane->c = ngx_chat_lane_connect(lane, fd);
    if (lane->c == NULL) {
        goto failed;
    }

    if (end == NGX_CHAT_LANE_WORKER) {
        ngx_add_timer(lane->c->write, NGX_CHAT_LANE_LATE);
        return lane;
    }

    lane->up = 1;

    ngx_add_timer(lane->c->read, NGX_CHAT_LANE_ALIVE);

    ngx_memzero(&hello, sizeof(ngx_chat_lane_record_t));
    hello.type = NGX_CHAT_LANE_HELLO;
    ngx_str_set(&hello.head, NGX_CHAT_LANE_VERSION);

    /* a failure is followed by ended() */

    if (ngx_chat_lane_send(lane, &hello) == NGX_OK) {
        ngx_chat_lane_flush(lane);
    }

    return lane;

failed:

    if (lane) {
        ngx_free(lane);
    }

    (void) close(fd);

    return NULL;
}


static ngx_connection_t *
ngx_chat_lane_connect(ngx_chat_lane_t *lane, ngx_socket_t fd)
{
    ngx_log_t          log;
    ngx_connection_t  *c;

    /* the owner tries again: no line for each time */

    log = *lane->log;
    log.log_level = NGX_LOG_EMERG;

    c = ngx_get_connection(fd, &log);
    if (c == NULL) {
        return NULL;
    }

    c->data = lane;
    c->log = lane->log;
    c->read->log = lane->log;
    c->write->log = lane->log;
    c->read->handler = ngx_chat_lane_read_handler;
    c->write->handler = ngx_chat_lane_write_handler;

    /* no timer of a lane keeps a process */

    c->read->cancelable = 1;
    c->write->cancelable = 1;

    c->write->ready = 1;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
        return NULL;
    }

    return c;
}


/* a message larger than the socket's buffer could never be sent */

static ngx_int_t
ngx_chat_lane_set_max(ngx_chat_lane_t *lane, ngx_socket_t fd)
{
    int        size;
    socklen_t  len;

    len = sizeof(int);

    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) == -1
        || size <= NGX_CHAT_LANE_RESERVED + 2 * NGX_CHAT_LANE_HEAD)
    {
        return NGX_ERROR;
    }

    lane->out.max = ngx_min((size_t) size - NGX_CHAT_LANE_RESERVED,
                            NGX_CHAT_LANE_MESSAGE);

    return NGX_OK;
}


ngx_int_t
ngx_chat_lane_send(ngx_chat_lane_t *lane, ngx_chat_lane_record_t *record)
{
    ngx_int_t  rc;

    if (lane->c == NULL || lane->broken) {
        return NGX_ERROR;
    }

    if (lane->part && (record->taken == 0
                       || record->stream != lane->part_stream))
    {
        lane->waiting = 1;
        return NGX_AGAIN;
    }

    if (record->head.len + record->text.len > NGX_CHAT_LANE_RECORD) {
        return NGX_DECLINED;
    }

    do {
        rc = ngx_chat_lane_message_add(&lane->out, record);

        if (rc == NGX_OK) {
            if (lane->part) {
                lane->part = 0;
                ngx_chat_lane_wake(lane);
            }

            return NGX_OK;
        }

        if (rc == NGX_ERROR) {
            ngx_chat_lane_break(lane);
            return NGX_ERROR;
        }

        rc = ngx_chat_lane_write(lane);

    } while (rc == NGX_OK);

    if (rc == NGX_AGAIN) {
        lane->waiting = 1;

        if (record->taken) {
            lane->part = 1;
            lane->part_type = record->type;
            lane->part_stream = record->stream;
        }
    }

    return rc;
}


void
ngx_chat_lane_abort(ngx_chat_lane_t *lane, uint32_t stream)
{
    if (lane->c == NULL || !lane->part || lane->part_stream != stream) {
        return;
    }

    lane->part = 0;

    if (ngx_chat_lane_message_add_abort(&lane->out, lane->part_type, stream)
        != NGX_OK)
    {
        ngx_chat_lane_break(lane);
        return;
    }

    ngx_chat_lane_wake(lane);
}


void
ngx_chat_lane_flush(ngx_chat_lane_t *lane)
{
    if (lane->c == NULL || lane->out.len == 0) {
        return;
    }

    /* events tell of a failure */

    (void) ngx_chat_lane_write(lane);
}


void
ngx_chat_lane_close(ngx_chat_lane_t *lane)
{
    ngx_chat_lane_disconnect(lane);

    if (!lane->busy) {
        ngx_chat_lane_free(lane);
    }
}


ngx_uint_t
ngx_chat_lane_is_over(void)
{
    return ngx_chat_lane_over;
}


static void
ngx_chat_lane_disconnect(ngx_chat_lane_t *lane)
{
    if (lane->c) {
        ngx_close_connection(lane->c);
        lane->c = NULL;
    }
}


static void
ngx_chat_lane_free(ngx_chat_lane_t *lane)
{
    ngx_chat_lane_message_free(&lane->in);
    ngx_chat_bytes_free(&lane->out);

    ngx_free(lane);
}


static void
ngx_chat_lane_read_handler(ngx_event_t *rev)
{
    ngx_connection_t  *c;
    ngx_chat_lane_t   *lane;

    c = rev->data;
    lane = c->data;

    lane->busy = 1;

    if (c->close) {

        /* not idle, hence closed by nginx only as time is over for a worker */

        ngx_chat_lane_over = 1;
        ngx_chat_lane_end(lane, "the process is to end");

    } else if (rev->timedout) {
        rev->timedout = 0;
        ngx_chat_lane_tick(lane);

    } else {
        ngx_chat_lane_read(lane);
    }

    ngx_chat_lane_leave(lane);
}


static void
ngx_chat_lane_tick(ngx_chat_lane_t *lane)
{
    ngx_chat_lane_record_t  alive;

    if (lane->end == NGX_CHAT_LANE_FILLER) {

        if (++lane->ticks == NGX_CHAT_LANE_TICKS) {
            ngx_chat_lane_end(lane, "the worker is silent");
            return;
        }

    } else if (!lane->full && !lane->broken) {
        ngx_memzero(&alive, sizeof(ngx_chat_lane_record_t));
        alive.type = NGX_CHAT_LANE_ALIVE_RECORD;

        /* all that is gathered goes along, or is the sign of life itself */

        if (ngx_chat_lane_message_add(&lane->out, &alive) == NGX_ERROR) {
            ngx_chat_lane_break(lane);

        } else {
            ngx_chat_lane_flush(lane);
        }
    }

    ngx_add_timer(lane->c->read, NGX_CHAT_LANE_ALIVE);
}


static void
ngx_chat_lane_read(ngx_chat_lane_t *lane)
{
    ssize_t       n;
    ngx_err_t     err;
    ngx_int_t     rc;
    ngx_uint_t    i;
    ngx_event_t  *rev;

    rev = lane->c->read;

    for (i = 0; i < NGX_CHAT_LANE_ROUNDS; i++) {

        n = recv(lane->c->fd, ngx_chat_lane_buffer, NGX_CHAT_LANE_MESSAGE,
                 MSG_TRUNC);

        if (n == -1) {
            err = ngx_socket_errno;

            if (err == NGX_EINTR) {
                continue;
            }

            if (err == NGX_EAGAIN && !lane->broken) {
                rev->ready = 0;

                if (ngx_handle_read_event(rev, 0) == NGX_OK) {
                    return;
                }
            }

            /* the other end left something unread, ours is still to be read */

            if (err == NGX_ECONNRESET && !lane->reset) {
                lane->reset = 1;
                continue;
            }

            ngx_chat_lane_end(lane, "it is broken");
            return;
        }

        if (n == 0) {
            ngx_chat_lane_end(lane, "the other end is gone");
            return;
        }

        lane->ticks = 0;

        rc = ngx_chat_lane_take(lane, n);

        if (rc == NGX_DONE) {
            return;
        }

        if (rc == NGX_ERROR) {
            ngx_log_error(NGX_LOG_ALERT, lane->log, 0,
                          "chat lane is closed: a message cannot be read");
            ngx_chat_lane_end(lane, "a message cannot be read");
            return;
        }
    }

    ngx_post_event(rev, &ngx_posted_next_events);
}


/* NGX_OK; NGX_DONE: the lane is closed; NGX_ERROR: the message is no message */

static ngx_int_t
ngx_chat_lane_take(ngx_chat_lane_t *lane, size_t len)
{
    ngx_int_t                        rc;
    ngx_str_t                        message;
    ngx_chat_lane_message_record_t   record;

    if (len > NGX_CHAT_LANE_MESSAGE) {
        return NGX_ERROR;
    }

    message.data = ngx_chat_lane_buffer;
    message.len = len;

    for ( ;; ) {
        rc = ngx_chat_lane_message_next(&lane->in, &message, &record);

        if (rc == NGX_DONE) {
            return NGX_OK;
        }

        if (rc == NGX_OK) {
            rc = ngx_chat_lane_take_record(lane, &record);
        }

        if (lane->c == NULL) {
            return NGX_DONE;
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


static ngx_int_t
ngx_chat_lane_take_record(ngx_chat_lane_t *lane,
    ngx_chat_lane_message_record_t *record)
{
    ngx_log_debug4(NGX_LOG_DEBUG_CORE, lane->log, 0,
                   "chat lane %d: type %d, stream %uD, %uz bytes",
                   lane->c->fd, (int) record->type, record->stream,
                   record->body.len);

    if (record->type == NGX_CHAT_LANE_ALIVE_RECORD) {
        return NGX_OK;
    }

    if (record->type != NGX_CHAT_LANE_HELLO) {

        if (!lane->up) {
            return NGX_ERROR;
        }

        return lane->ops->record(lane->data, record->type, record->stream,
                                 &record->body);
    }

    if (lane->up) {
        return NGX_ERROR;
    }

    if (!ngx_chat_str_is(&record->body, NGX_CHAT_LANE_VERSION)) {
        ngx_chat_lane_end(lane, "the filler is of another release");
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, lane->log, 0, "chat lane is up");

    lane->up = 1;

    if (!lane->full) {
        ngx_del_timer(lane->c->write);
    }

    ngx_add_timer(lane->c->read, NGX_CHAT_LANE_ALIVE);

    lane->ops->up(lane->data);

    return NGX_OK;
}


static void
ngx_chat_lane_write_handler(ngx_event_t *wev)
{
    ngx_connection_t  *c;
    ngx_chat_lane_t   *lane;

    c = wev->data;
    lane = c->data;

    lane->busy = 1;

    if (wev->timedout) {
        wev->timedout = 0;
        ngx_chat_lane_end(lane, lane->up ? "full for too long" : "no HELLO");

    } else if (ngx_chat_lane_write_full(lane) == NGX_OK && lane->waiting) {
        lane->waiting = 0;
        lane->ops->room(lane->data);
    }

    ngx_chat_lane_leave(lane);
}


/* NGX_OK; NGX_AGAIN: full; NGX_ERROR: the end of the lane follows */

static ngx_int_t
ngx_chat_lane_write(ngx_chat_lane_t *lane)
{
    ssize_t       n;
    ngx_err_t     err;
    ngx_event_t  *wev;

    if (lane->broken) {
        return NGX_ERROR;
    }

    if (lane->full) {
        return NGX_AGAIN;
    }

    wev = lane->c->write;

    do {
        n = send(lane->c->fd, lane->out.data, lane->out.len, MSG_NOSIGNAL);
        err = (n == -1) ? ngx_socket_errno : 0;

    } while (err == NGX_EINTR);

    if (n != -1) {
        ngx_log_debug2(NGX_LOG_DEBUG_CORE, lane->log, 0,
                       "chat lane %d: %z bytes sent", lane->c->fd, n);

        lane->out.len = 0;
        return NGX_OK;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, lane->log, err,
                   "chat lane %d: send() failed", lane->c->fd);

    if (err == NGX_EAGAIN) {
        lane->full = 1;
        wev->ready = 0;

        if (lane->end == NGX_CHAT_LANE_WORKER && !wev->timer_set) {
            ngx_add_timer(wev, NGX_CHAT_LANE_LATE);
        }

        if (ngx_handle_write_event(wev, 0) == NGX_OK) {
            return NGX_AGAIN;
        }
    }

    ngx_chat_lane_break(lane);

    return NGX_ERROR;
}


static ngx_int_t
ngx_chat_lane_write_full(ngx_chat_lane_t *lane)
{
    ngx_int_t     rc;
    ngx_event_t  *wev;

    if (!lane->full) {
        return lane->broken ? NGX_ERROR : NGX_OK;
    }

    lane->full = 0;

    rc = ngx_chat_lane_write(lane);

    if (rc != NGX_OK) {
        return rc;
    }

    wev = lane->c->write;

    if (lane->up && wev->timer_set) {
        ngx_del_timer(wev);
    }

    /* else there were an event for each message that the other end reads */

    if (wev->active
        && ngx_del_event(wev, NGX_WRITE_EVENT,
                         ngx_event_flags & NGX_USE_CLEAR_EVENT
                         ? NGX_CLEAR_EVENT : 0)
           != NGX_OK)
    {
        ngx_chat_lane_break(lane);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* room() for who waits, from an event of its own */

static void
ngx_chat_lane_wake(ngx_chat_lane_t *lane)
{
    if (lane->waiting) {
        ngx_post_event(lane->c->write, &ngx_posted_events);
    }
}


/* nothing is sent any more; the end comes when all that is here is read */

static void
ngx_chat_lane_break(ngx_chat_lane_t *lane)
{
    lane->broken = 1;

    ngx_post_event(lane->c->read, &ngx_posted_events);
}


static void
ngx_chat_lane_leave(ngx_chat_lane_t *lane)
{
    lane->busy = 0;

    if (lane->c == NULL) {
        ngx_chat_lane_free(lane);
    }
}


static void
ngx_chat_lane_end(ngx_chat_lane_t *lane, const char *why)
{
    ngx_log_error(NGX_LOG_INFO, lane->log, 0, "chat lane is closed: %s", why);

    ngx_chat_lane_disconnect(lane);

    lane->ops->ended(lane->data);
}
