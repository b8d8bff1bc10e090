
/*
 * Ends of a lane: the other end is gone, silent or stuck, or this one lacks
 * what it needs.
 */


#include "ut_side.h"

#include <sys/socket.h>


static void ut_close_with_unread(void);
static void ut_close_unread_both_ways(void);
static void ut_gone_while_full(void);
static void ut_gone_while_sending(void);
static void ut_no_hello(void);
static void ut_stuck(void);
static void ut_slow(void);
static void ut_silent(void);
static void ut_stopped(void);
static void ut_too_large(void);
static void ut_small_buffers(void);
static void ut_no_resources(void);
static void ut_no_memory(void);
static void ut_shutdown(void);


static void  (*ut_tests[])(void) = {
    ut_close_with_unread,
    ut_close_unread_both_ways,
    ut_gone_while_full,
    ut_gone_while_sending,
    ut_no_hello,
    ut_stuck,
    ut_slow,
    ut_silent,
    ut_stopped,
    ut_too_large,
    ut_small_buffers,
    ut_no_resources,
    ut_no_memory,
    ut_shutdown,
    NULL
};


int
main(void)
{
    ut_side_run(ut_tests);

    return ut_done();
}


/* all that was sent before the end arrives, more than a turn takes */

static void
ut_close_with_unread(void)
{
    ut_side_t               w, f;
    ngx_uint_t              i;
    ngx_chat_lane_record_t  record;

    ut_side_pair(&w, &f);

    record = ut_side_record(NGX_CHAT_LANE_CHUNK, 3, 100, 'c');

    for (i = 0; i < 100; i++) {
        record.taken = 0;
        (void) ngx_chat_lane_send(w.lane, &record);
        ngx_chat_lane_flush(w.lane);
    }

    record.taken = 0;
    (void) ngx_chat_lane_send(w.lane, &record);

    ut_side_free(&w);
    fake_socket_run(0);

    ut_side_ok(f.records == 100 && f.endings == 1 && f.lane == NULL,
               "sent before the end: read, but for what was not flushed");

    ut_side_forget(&record);
    ut_side_free(&f);
}


/* the system reports a reset first where either end had something to read */

static void
ut_close_unread_both_ways(void)
{
    ut_side_t               w, f;
    ngx_uint_t              i;
    ngx_chat_lane_record_t  record, kept;

    ut_side_pair(&w, &f);

    record = ut_side_record(NGX_CHAT_LANE_CHUNK, 3, 100, 'c');
    kept = ut_side_record(NGX_CHAT_LANE_KEPT, 3, 0, 0);

    for (i = 0; i < 40; i++) {
        record.taken = 0;
        (void) ngx_chat_lane_send(w.lane, &record);
        ngx_chat_lane_flush(w.lane);
    }

    (void) ngx_chat_lane_send(f.lane, &kept);
    ngx_chat_lane_flush(f.lane);

    ut_side_free(&w);
    fake_socket_run(0);

    ut_side_ok(f.records == 40 && f.endings == 1,
               "sent before the end: read although a reset is reported");

    ut_side_free(&f);

    /* the same, and the filler notices while it sends */

    ut_side_pair(&w, &f);

    for (i = 0; i < 40; i++) {
        record.taken = 0;
        (void) ngx_chat_lane_send(w.lane, &record);
        ngx_chat_lane_flush(w.lane);
    }

    ut_side_free(&w);

    (void) ngx_chat_lane_send(f.lane, &kept);
    ngx_chat_lane_flush(f.lane);
    ut_side_ok(f.endings == 0, "no callback inside flush");

    fake_socket_run(0);

    ut_side_ok(f.records == 40 && f.endings == 1,
               "sent before the end: read although sending has failed");

    ut_side_forget(&record);
    ut_side_free(&f);
}


static void
ut_gone_while_full(void)
{
    ut_side_t               w, f;
    ngx_chat_lane_record_t  record;

    ut_side_pair(&w, &f);

    record = ut_side_record(NGX_CHAT_LANE_FILL, 3, 1000000, 'c');
    (void) ngx_chat_lane_send(w.lane, &record);
    w.sends[0] = &record;

    ut_side_free(&f);
    fake_socket_run(0);

    ut_side_ok(w.endings == 1 && w.rooms == 0 && w.lane == NULL,
               "the other end is closed while the lane is full");

    ut_side_forget(&record);
    ut_side_free(&w);
}


static void
ut_gone_while_sending(void)
{
    ut_side_t               w, f;
    ngx_uint_t              ok;
    ngx_chat_lane_record_t  record;

    ut_side_pair(&w, &f);
    ut_side_free(&f);

    record = ut_side_record(NGX_CHAT_LANE_CHUNK, 3, 100, 'c');

    ok = ngx_chat_lane_send(w.lane, &record) == NGX_OK;
    ngx_chat_lane_flush(w.lane);

    record.taken = 0;
    ok &= ngx_chat_lane_send(w.lane, &record) == NGX_ERROR;
    ngx_chat_lane_flush(w.lane);
    ngx_chat_lane_abort(w.lane, 3);
    ut_side_ok(ok && w.endings == 0, "sending to nobody is an error");

    fake_socket_run(0);
    ut_side_ok(w.endings == 1 && w.lane == NULL, "and then the lane ends");

    ut_side_forget(&record);
    ut_side_free(&w);
}


static void
ut_no_hello(void)
{
    u_char     buf[NGX_CHAT_LANE_MESSAGE];
    ut_side_t  w, f;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);

    fake_socket_run(NGX_CHAT_LANE_LATE - 1);
    ut_side_ok(w.endings == 0, "no HELLO: not yet late");

    fake_socket_run(1);
    ut_side_ok(w.endings == 1 && w.ups == 0 && ut_side_hear(&f, buf) == 0,
               "no HELLO: late");

    ut_side_free(&w);
    ut_side_free(&f);

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    fake_socket_run(NGX_CHAT_LANE_LATE - 1);
    ut_side_hello(&f);
    fake_socket_run(2 * NGX_CHAT_LANE_LATE);

    ut_side_ok(w.endings == 0 && w.ups == 1, "HELLO just in time");

    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_stuck(void)
{
    ut_side_t   w, f;
    ngx_msec_t  start;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_hello(&f);
    fake_socket_run(1000);

    (void) ut_side_fill(&w, NGX_CHAT_LANE_CHUNK, 60000);
    start = ngx_current_msec;

    fake_socket_run(NGX_CHAT_LANE_LATE - 1);
    ut_side_ok(w.endings == 0, "full: not yet for too long");

    fake_socket_run(1);
    ut_side_ok(w.endings == 1 && w.rooms == 0
               && ngx_current_msec - start == NGX_CHAT_LANE_LATE,
               "full: for too long");

    ut_side_free(&w);
    ut_side_free(&f);
}


/* full again and again, but never for so long */

static void
ut_slow(void)
{
    u_char      buf[NGX_CHAT_LANE_MESSAGE];
    ut_side_t   w, f;
    ngx_uint_t  i;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_hello(&f);
    fake_socket_run(0);

    for (i = 0; i < 5; i++) {
        (void) ut_side_fill(&w, NGX_CHAT_LANE_CHUNK, 60000);
        fake_socket_run(NGX_CHAT_LANE_LATE - 100);

        while (ut_side_hear(&f, buf) > 0) { /* void */ }

        fake_socket_run(0);
    }

    ut_side_ok(w.endings == 0 && w.rooms == 5, "a slow filler is waited for");

    ut_side_free(&w);
    ut_side_free(&f);

    /* a filler waits for its worker while it lives */

    ut_side_half(&f, &w, NGX_CHAT_LANE_FILLER);

    (void) ut_side_fill(&f, NGX_CHAT_LANE_NOT_KEPT, 60000);

    for (i = 0; i < 10; i++) {
        ut_side_say(&w, NGX_CHAT_LANE_ALIVE_RECORD, 0, "");
        fake_socket_run(NGX_CHAT_LANE_ALIVE);
    }

    ut_side_ok(f.endings == 0, "a filler whose lane is full waits");

    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_silent(void)
{
    u_char     buf[NGX_CHAT_LANE_MESSAGE];
    ut_side_t  w, f;

    ut_side_half(&f, &w, NGX_CHAT_LANE_FILLER);

    fake_socket_run(4 * NGX_CHAT_LANE_ALIVE - 1);
    ut_side_ok(f.endings == 0, "a silent worker: not yet for too long");

    ut_side_say(&w, NGX_CHAT_LANE_ALIVE_RECORD, 0, "");

    fake_socket_run(3 * NGX_CHAT_LANE_ALIVE);
    ut_side_ok(f.endings == 0, "a silent worker: counted anew");

    fake_socket_run(1);
    ut_side_ok(f.endings == 1, "a silent worker: for too long");

    ut_side_ok(ut_side_hear(&w, buf) > 0 && ut_side_hear(&w, buf) == 0,
               "a silent worker: HELLO, then the end");

    ut_side_free(&w);
    ut_side_free(&f);
}


/* a filler that was stopped itself has seen one tick */

static void
ut_stopped(void)
{
    ut_side_t  w, f;

    ut_side_half(&f, &w, NGX_CHAT_LANE_FILLER);
    fake_socket_run(0);

    ngx_current_msec += 3600000;
    fake_socket_run(0);

    ut_side_ok(f.endings == 0, "an hour without the process is one tick");

    fake_socket_run(3 * NGX_CHAT_LANE_ALIVE - 1);
    ut_side_ok(f.endings == 0, "the others are waited for");

    fake_socket_run(1);
    ut_side_ok(f.endings == 1, "and come");

    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_too_large(void)
{
    ut_side_t               w, f;
    ngx_chat_lane_record_t  record;

    ut_side_pair(&w, &f);

    record = ut_side_record(NGX_CHAT_LANE_FILL, 1, 1, 'x');
    record.head.data = record.text.data;
    record.head.len = NGX_CHAT_LANE_RECORD;

    ut_side_ok(ngx_chat_lane_send(w.lane, &record) == NGX_DECLINED
               && record.taken == 0, "a record that is too large");

    record.head.len = 0;
    (void) ngx_chat_lane_send(w.lane, &record);
    ngx_chat_lane_flush(w.lane);
    fake_socket_run(0);
    ut_side_ok(f.records == 1 && w.endings == 0 && f.endings == 0,
               "a record that is too large: others go on");

    ut_side_forget(&record);
    ut_side_free(&w);
    ut_side_free(&f);
}


/* the system's default is less than a message */

static void
ut_small_buffers(void)
{
    ut_side_t               w, f;
    ngx_uint_t              i;
    ngx_chat_lane_record_t  large, record;

    ut_side_buffer(1);
    ut_side_pair(&w, &f);
    ut_side_buffer(0);

    large = ut_side_record(NGX_CHAT_LANE_FILL, 3, 200000, 'l');
    record = ut_side_record(NGX_CHAT_LANE_CHUNK, 3, 3000, 'c');

    if (ngx_chat_lane_send(w.lane, &large) == NGX_AGAIN) {
        w.sends[0] = &large;
    }

    fake_socket_run(0);

    ut_side_ok(w.lane && f.lane
               && ut_side_got(&f, NGX_CHAT_LANE_FILL, 3, 200000, 'l'),
               "small buffers: a large record arrives in parts");

    for (i = 0; i < 10 && w.lane; i++) {
        record.taken = 0;

        if (ngx_chat_lane_send(w.lane, &record) == NGX_AGAIN) {
            w.sends[0] = &record;
            fake_socket_run(0);

        } else {
            ngx_chat_lane_flush(w.lane);
        }
    }

    fake_socket_run(0);

    ut_side_ok(f.records == 11
               && ut_side_got(&f, NGX_CHAT_LANE_CHUNK, 3, 3000, 'c'),
               "small buffers: and others");

    ut_side_forget(&large);
    ut_side_forget(&record);
    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_no_resources(void)
{
    ut_side_t   w, f;
    ngx_uint_t  i, files;

    files = fake_socket_files();

    for (i = 1; i <= 2; i++) {
        fake_socket_fail = i;
        ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
        fake_socket_fail = 0;

        ut_side_ok(w.lane == NULL && fake_socket_files() == files + 1,
                   i == 1 ? "no connection" : "no event for a connection");

        ut_side_free(&f);
    }

    ut_fail_alloc = 1;
    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_fail_alloc = 0;

    ut_side_ok(w.lane == NULL && fake_socket_files() == files + 1,
               "no memory for a lane");

    ut_side_free(&f);

    /* without an event it would stay full for ever */

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_hello(&f);
    fake_socket_run(0);

    fake_socket_fail = 1;
    (void) ut_side_fill(&w, NGX_CHAT_LANE_CHUNK, 60000);
    ut_side_ok(fake_socket_fail == 0 && w.endings == 0,
               "no event for a full lane");

    fake_socket_run(0);
    ut_side_ok(w.endings == 1, "no event for a full lane: it ends");

    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_no_memory(void)
{
    ut_side_t               w, f;
    ngx_chat_lane_record_t  record;

    ut_side_pair(&w, &f);

    record = ut_side_record(NGX_CHAT_LANE_FILL, 1, 1000, 'x');

    ut_fail_alloc = 1;
    ut_side_ok(ngx_chat_lane_send(w.lane, &record) == NGX_ERROR,
               "no memory for a message");
    ut_fail_alloc = 0;

    fake_socket_run(0);
    ut_side_ok(w.endings == 1 && f.endings == 1,
               "no memory for a message: the lane ends");

    ut_side_forget(&record);
    ut_side_free(&w);
    ut_side_free(&f);

    ut_side_pair(&w, &f);

    record = ut_side_record(NGX_CHAT_LANE_FILL, 1, 100000, 'x');

    (void) ngx_chat_lane_send(w.lane, &record);
    ngx_chat_lane_flush(w.lane);
    ut_fail_alloc = 1;
    fake_socket_run(0);
    ut_fail_alloc = 0;

    ut_side_ok(w.endings == 1 && f.endings == 1 && f.records == 0,
               "no memory for a record in parts");

    ut_side_forget(&record);
    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_shutdown(void)
{
    ut_side_t  w, f;

    ut_side_pair(&w, &f);

    fake_socket_shutdown();
    ut_side_ok(w.endings == 1 && f.endings == 1 && ngx_chat_lane_is_over(),
               "the time of the process is over");

    ut_side_free(&w);
    ut_side_free(&f);
}
