
#include "ut_side.h"

#include <stdio.h>
#include <stdlib.h>


static void ut_side_sockets(int *fd);
static ngx_int_t ut_side_record_handler(void *data, ngx_chat_lane_type_e type,
    uint32_t stream, ngx_str_t *body);
static void ut_side_up_handler(void *data);
static void ut_side_room_handler(void *data);
static void ut_side_ended_handler(void *data);
static void ut_side_close(ut_side_t *side);


static const ngx_chat_lane_ops_t  ut_side_ops = {
    ut_side_record_handler,
    ut_side_up_handler,
    ut_side_room_handler,
    ut_side_ended_handler
};

static const char  *ut_side_kind = "";
static int          ut_side_size;


void
ut_side_ok(ngx_uint_t ok, const char *name)
{
    char  text[256];

    snprintf(text, sizeof(text), "%s: %s", ut_side_kind, name);

    ut_ok(ok, text);
}


void
ut_side_run(void (**tests)(void))
{
    ngx_uint_t  edges, i, files;

    for (edges = 0; edges <= 1; edges++) {
        ut_side_kind = edges ? "edges" : "levels";

        fake_socket_init(edges);

        files = fake_socket_files();

        for (i = 0; tests[i]; i++) {
            tests[i]();
        }

        ut_side_ok(fake_socket_files() == files && fake_socket_count() == 0,
                   "no file is left open");
        ut_side_ok(fake_loop_next() == -1, "no timer is left");
    }
}


void
ut_side_pair(ut_side_t *worker, ut_side_t *filler)
{
    int  fd[2];

    ut_side_sockets(fd);

    ut_side_open(worker, fd[0], NGX_CHAT_LANE_WORKER);
    ut_side_open(filler, fd[1], NGX_CHAT_LANE_FILLER);

    if (worker->lane == NULL || filler->lane == NULL) {
        abort();
    }

    fake_socket_run(0);
}


void
ut_side_half(ut_side_t *side, ut_side_t *bare, ngx_chat_lane_end_e end)
{
    int  fd[2];

    ut_side_sockets(fd);

    ngx_memzero(bare, sizeof(ut_side_t));
    bare->bare = fd[1];

    ut_side_open(side, fd[0], end);
}


void
ut_side_buffer(int size)
{
    ut_side_size = size;
}


static void
ut_side_sockets(int *fd)
{
    ngx_uint_t  i;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC|SOCK_NONBLOCK, 0, fd)
        == -1)
    {
        abort();
    }

    for (i = 0; i < 2 && ut_side_size; i++) {

        if (setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &ut_side_size,
                       sizeof(int))
            == -1)
        {
            abort();
        }
    }
}


void
ut_side_open(ut_side_t *side, ngx_socket_t fd, ngx_chat_lane_end_e end)
{
    ngx_memzero(side, sizeof(ut_side_t));

    side->bare = -1;
    side->lane = ngx_chat_lane_create(fd, end, &ut_side_ops, side,
                                      ngx_cycle->log);
}


void
ut_side_free(ut_side_t *side)
{
    ut_side_close(side);
    ut_free(&side->body);

    if (side->bare != -1) {
        (void) close(side->bare);
        side->bare = -1;
    }
}


static void
ut_side_close(ut_side_t *side)
{
    if (side->lane) {
        ngx_chat_lane_close(side->lane);
        side->lane = NULL;
    }
}


static ngx_int_t
ut_side_record_handler(void *data, ngx_chat_lane_type_e type, uint32_t stream,
    ngx_str_t *body)
{
    ut_side_t              *side = data;
    ngx_chat_lane_record_t  kept;

    ut_free(&side->body);

    side->records++;
    side->bytes += body->len;
    side->type = type;
    side->stream = stream;

    if (side->close_at == side->records) {
        ut_side_close(side);
    }

    /* valid during the call, whatever happens to the lane */

    side->body = ut_bytes(body->data, body->len);

    if (side->refuse_at == side->records) {
        return NGX_ERROR;
    }

    if (side->answer) {
        kept = ut_side_record(NGX_CHAT_LANE_KEPT, stream, 0, 0);

        if (ngx_chat_lane_send(side->lane, &kept) == NGX_OK) {
            ngx_chat_lane_flush(side->lane);
        }
    }

    return NGX_OK;
}


static void
ut_side_up_handler(void *data)
{
    ut_side_t  *side = data;

    side->ups++;

    if (side->close_when_up) {
        ut_side_close(side);
    }
}


static void
ut_side_room_handler(void *data)
{
    ut_side_t   *side = data;
    ngx_uint_t   i;

    side->rooms++;

    if (side->close_when_room) {
        ut_side_close(side);
        return;
    }

    for (i = 0; i < 2; i++) {

        if (side->sends[i]
            && ngx_chat_lane_send(side->lane, side->sends[i]) == NGX_OK)
        {
            side->sends[i] = NULL;
            ngx_chat_lane_flush(side->lane);
        }
    }
}


static void
ut_side_ended_handler(void *data)
{
    ut_side_t  *side = data;

    side->endings++;

    if (side->close_when_ended) {
        ngx_chat_lane_close(side->lane);
    }

    side->lane = NULL;
}


ngx_chat_lane_record_t
ut_side_record(ngx_chat_lane_type_e type, uint32_t stream, size_t len,
    u_char ch)
{
    char                    text[2];
    ngx_chat_lane_record_t  record;

    ngx_memzero(&record, sizeof(ngx_chat_lane_record_t));

    record.type = type;
    record.stream = stream;

    if (len) {
        text[0] = (char) ch;
        text[1] = '\0';
        record.text = ut_repeat(text, len);
    }

    return record;
}


void
ut_side_forget(ngx_chat_lane_record_t *record)
{
    ut_free(&record->text);
}


ngx_uint_t
ut_side_fill(ut_side_t *side, ngx_chat_lane_type_e type, size_t len)
{
    ngx_uint_t              n;
    ngx_chat_lane_record_t  record;

    record = ut_side_record(type, 1, len, 'f');

    for (n = 0; ngx_chat_lane_send(side->lane, &record) == NGX_OK; n++) {
        record.taken = 0;
    }

    ut_side_forget(&record);

    return n;
}


void
ut_side_say(ut_side_t *bare, ngx_chat_lane_type_e type, uint32_t stream,
    const char *text)
{
    ngx_chat_bytes_t        message;
    ngx_chat_lane_record_t  record;

    ngx_memzero(&message, sizeof(ngx_chat_bytes_t));
    ngx_memzero(&record, sizeof(ngx_chat_lane_record_t));

    record.type = type;
    record.stream = stream;
    record.text.data = (u_char *) text;
    record.text.len = strlen(text);

    (void) ngx_chat_lane_message_add(&message, &record);
    ut_side_write(bare, message.data, message.len);

    ngx_chat_bytes_free(&message);
}


void
ut_side_hello(ut_side_t *bare)
{
    ut_side_say(bare, NGX_CHAT_LANE_HELLO, 0, "2");
}


void
ut_side_write(ut_side_t *bare, const void *p, size_t len)
{
    if (send(bare->bare, p, len, MSG_NOSIGNAL) != (ssize_t) len) {
        abort();
    }
}


ssize_t
ut_side_hear(ut_side_t *bare, u_char *buf)
{
    ssize_t  n;

    do {
        n = recv(bare->bare, buf, NGX_CHAT_LANE_MESSAGE, MSG_TRUNC);
    } while (n == -1 && errno == ECONNRESET);

    return n;
}


ngx_uint_t
ut_side_got(ut_side_t *side, ngx_chat_lane_type_e type, uint32_t stream,
    size_t len, u_char ch)
{
    size_t  i;

    for (i = 0; i < side->body.len && side->body.data[i] == ch; i++) {
        /* void */
    }

    return side->type == type && side->stream == stream && side->body.len == len
           && i == len;
}
