
/*
 * A lane at work: records from one end to the other, whatever their size, and
 * however full the way is.
 */


#include "ut_side.h"

#include <stdio.h>


static void ut_hello(void);
static void ut_gather(void);
static void ut_both_ways(void);
static void ut_sizes(void);
static void ut_full(void);
static void ut_others_wait(void);
static void ut_abort(void);
static void ut_abort_full(void);
static void ut_turns(void);
static void ut_wakeups(void);
static void ut_alive(void);
static void ut_alive_between_parts(void);

static void  (*ut_tests[])(void) = {
    ut_hello,
    ut_gather,
    ut_both_ways,
    ut_sizes,
    ut_full,
    ut_others_wait,
    ut_abort,
    ut_abort_full,
    ut_turns,
    ut_wakeups,
    ut_alive,
    ut_alive_between_parts,
    NULL
};


int
main(void)
{
    ut_side_run(ut_tests);

    return ut_done();
}


static void
ut_hello(void)
{
    ut_side_t  w, f;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_hello(&f);

    ut_side_ok(w.lane && w.ups == 0, "no callback inside create");

    fake_socket_run(0);
    ut_side_ok(w.ups == 1 && w.records == 0, "HELLO: the lane is up");

    ut_side_free(&w);
    ut_side_free(&f);

    ut_side_pair(&w, &f);
    ut_side_ok(w.ups == 1 && f.ups == 0, "a filler says HELLO");

    ut_side_free(&w);
    fake_socket_run(0);
    ut_side_ok(f.endings == 1 && w.endings == 0, "a closed lane ends there");

    ut_side_free(&f);
}


static void
ut_gather(void)
{
    u_char                  buf[NGX_CHAT_LANE_MESSAGE];
    ssize_t                 n;
    ut_side_t               w, f;
    ngx_uint_t              i, ok;
    ngx_chat_lane_record_t  record;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_hello(&f);
    fake_socket_run(0);

    record = ut_side_record(NGX_CHAT_LANE_CHUNK, 5, 20, 'c');
    ok = 1;

    for (i = 0; i < 3; i++) {
        record.taken = 0;
        ok &= ngx_chat_lane_send(w.lane, &record) == NGX_OK;
    }

    fake_socket_run(100);
    ut_side_ok(ok && ut_side_hear(&f, buf) == -1, "records are gathered");

    ngx_chat_lane_flush(w.lane);
    ut_side_ok(ut_side_hear(&f, buf) == 3 * (NGX_CHAT_LANE_HEAD + 20),
               "and go together");

    ngx_chat_lane_flush(w.lane);
    ut_side_ok(ut_side_hear(&f, buf) == -1, "nothing is flushed in vain");

    for (i = 0; i < 3000; i++) {
        record.taken = 0;
        ok &= ngx_chat_lane_send(w.lane, &record) == NGX_OK;
    }

    n = ut_side_hear(&f, buf);
    ut_side_ok(ok && n > NGX_CHAT_LANE_MESSAGE - 64
               && n <= NGX_CHAT_LANE_MESSAGE,
               "a full message goes by itself");

    ut_side_forget(&record);
    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_both_ways(void)
{
    ut_side_t               w, f;
    ngx_chat_lane_record_t  record;

    ut_side_pair(&w, &f);
    f.answer = 1;

    record = ut_side_record(NGX_CHAT_LANE_FILL, 8, 100, 'x');
    (void) ngx_chat_lane_send(w.lane, &record);
    ngx_chat_lane_flush(w.lane);
    fake_socket_run(0);

    ut_side_ok(ut_side_got(&f, NGX_CHAT_LANE_FILL, 8, 100, 'x'),
               "from worker to filler");
    ut_side_ok(ut_side_got(&w, NGX_CHAT_LANE_KEPT, 8, 0, 0),
               "and back, from inside record()");

    ut_side_forget(&record);
    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_sizes(void)
{
    static const size_t  sizes[] = { 0, 1, 65519, 65520, 65521, 65528, 65535,
                                     65536, 65537, 131040, 131041,
                                     3 * 1024 * 1024 };

    ngx_uint_t              i, ok;
    ut_side_t               w, f;
    ngx_chat_lane_record_t  record;

    ut_side_pair(&w, &f);
    ok = 1;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        record = ut_side_record(NGX_CHAT_LANE_CHUNK, i + 1, sizes[i], 'a' + i);

        w.sends[0] = &record;

        if (ngx_chat_lane_send(w.lane, &record) == NGX_OK) {
            ngx_chat_lane_flush(w.lane);
            w.sends[0] = NULL;
        }

        fake_socket_run(0);

        ok &= w.sends[0] == NULL && record.taken == sizes[i]
              && f.records == i + 1
              && ut_side_got(&f, NGX_CHAT_LANE_CHUNK, i + 1, sizes[i], 'a' + i);

        ut_side_forget(&record);
    }

    ut_side_ok(ok, "records of all sizes");
    ut_side_ok(w.rooms > 5, "the largest when there was room");

    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_full(void)
{
    u_char                  buf[NGX_CHAT_LANE_MESSAGE];
    ut_side_t               w, f;
    ngx_uint_t              n, messages;
    ngx_chat_lane_record_t  record;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_hello(&f);
    fake_socket_run(0);

    n = ut_side_fill(&w, NGX_CHAT_LANE_CHUNK, 60000);
    ut_side_ok(n > 2 && n < 20, "a lane is full after a few full messages");

    record = ut_side_record(NGX_CHAT_LANE_CHUNK, 2, 10, 'r');
    ut_side_ok(ngx_chat_lane_send(w.lane, &record) == NGX_OK,
               "what fits into the last message is taken");

    fake_socket_run(1000);
    ut_side_ok(w.rooms == 0 && w.endings == 0, "no room while nobody reads");

    for (messages = 0; ut_side_hear(&f, buf) > 0; messages++) {
        fake_socket_run(0);
    }

    ut_side_ok(messages == n && w.rooms == 1, "room once it was read");

    ut_side_forget(&record);
    ut_side_free(&w);
    ut_side_free(&f);

    /* small messages */

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_hello(&f);
    fake_socket_run(0);

    record = ut_side_record(NGX_CHAT_LANE_CHUNK, 2, 10, 'r');

    for (n = 0; n < 10000; n++) {
        record.taken = 0;

        if (ngx_chat_lane_send(w.lane, &record) != NGX_OK) {
            break;
        }

        ngx_chat_lane_flush(w.lane);
    }

    ut_side_ok(n > 3000 && n < 10000, "small messages: those gather then");

    for (messages = 0; ut_side_hear(&f, buf) > 0; messages++) {
        fake_socket_run(0);
    }

    ut_side_ok(messages > 100 && messages < 500 && w.rooms == 1,
               "small messages: room once they were read");

    /* full for the socket, not for who sends */

    for (n = 0; n < 1000; n++) {
        record.taken = 0;
        (void) ngx_chat_lane_send(w.lane, &record);
        ngx_chat_lane_flush(w.lane);
    }

    for (messages = 0; ut_side_hear(&f, buf) > 0; messages++) {
        ngx_chat_lane_flush(w.lane);
    }

    ut_side_ok(messages > 100 && messages < 500,
               "small messages: a full lane is not tried before it can take");

    fake_socket_run(0);

    ut_side_ok(ut_side_hear(&f, buf) > 0 && ut_side_hear(&f, buf) == -1
               && w.rooms == 1, "small messages: nobody waited for room");

    ut_side_forget(&record);
    ut_side_free(&w);
    ut_side_free(&f);
}


/* a record in part keeps others out, and lets them in when it is whole */

static void
ut_others_wait(void)
{
    ut_side_t               w, f;
    ngx_uint_t              ok;
    ngx_chat_lane_record_t  large, small;

    ut_side_pair(&w, &f);

    large = ut_side_record(NGX_CHAT_LANE_FILL, 1, 1000000, 'l');
    small = ut_side_record(NGX_CHAT_LANE_CHUNK, 2, 10, 's');

    ok = ngx_chat_lane_send(w.lane, &large) == NGX_AGAIN
         && large.taken > 100000 && large.taken < 1000000
         && ngx_chat_lane_send(w.lane, &small) == NGX_AGAIN
         && small.taken == 0;
    ut_side_ok(ok, "full in the middle of a record");

    /* the small one is tried first each time */

    w.sends[0] = &small;
    w.sends[1] = &large;

    fake_socket_run(0);

    ut_side_ok(w.sends[0] == NULL && w.sends[1] == NULL && f.records == 2
               && f.bytes == 1000010
               && ut_side_got(&f, NGX_CHAT_LANE_CHUNK, 2, 10, 's'),
               "it goes on, and the other follows");

    ut_side_forget(&large);
    ut_side_forget(&small);
    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_abort(void)
{
    ut_side_t               w, f;
    ngx_uint_t              ok;
    ngx_chat_lane_record_t  large, small;

    ut_side_pair(&w, &f);

    large = ut_side_record(NGX_CHAT_LANE_FILL, 1, 1000000, 'l');
    small = ut_side_record(NGX_CHAT_LANE_CHUNK, 2, 10, 's');

    ok = ngx_chat_lane_send(w.lane, &large) == NGX_AGAIN;

    ngx_chat_lane_abort(w.lane, 2);
    ok &= ngx_chat_lane_send(w.lane, &small) == NGX_AGAIN;
    ut_side_ok(ok, "an abort of another stream is none");

    ngx_chat_lane_abort(w.lane, 1);

    w.sends[0] = &small;
    fake_socket_run(0);

    ut_side_ok(w.sends[0] == NULL && f.records == 1 && f.endings == 0
               && ut_side_got(&f, NGX_CHAT_LANE_CHUNK, 2, 10, 's'),
               "after an abort others go on");

    ngx_chat_lane_abort(w.lane, 1);
    large.taken = 0;
    w.sends[0] = &large;
    (void) ngx_chat_lane_send(w.lane, &large);
    fake_socket_run(0);

    ut_side_ok(f.records == 2
               && ut_side_got(&f, NGX_CHAT_LANE_FILL, 1, 1000000, 'l'),
               "the same record again, from its start");

    ut_side_forget(&large);
    ut_side_forget(&small);
    ut_side_free(&w);
    ut_side_free(&f);
}


/* an abort while there is room again, and somebody waits */

static void
ut_abort_full(void)
{
    u_char                  buf[NGX_CHAT_LANE_MESSAGE];
    ut_side_t               w, f;
    ngx_chat_lane_record_t  large, small;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_hello(&f);
    fake_socket_run(0);

    large = ut_side_record(NGX_CHAT_LANE_FILL, 1, 1000000, 'l');
    small = ut_side_record(NGX_CHAT_LANE_CHUNK, 2, 10, 's');

    (void) ngx_chat_lane_send(w.lane, &large);

    while (ut_side_hear(&f, buf) > 0) { /* void */ }

    fake_socket_run(0);
    ut_side_ok(w.rooms == 1, "room for the rest of a record");

    w.sends[0] = &small;
    ut_side_ok(ngx_chat_lane_send(w.lane, &small) == NGX_AGAIN,
               "another stream's record waits for the rest");

    small.stream = 1;
    ut_side_ok(ngx_chat_lane_send(w.lane, &small) == NGX_AGAIN,
               "another record of the same stream is not the rest");
    small.stream = 2;

    fake_socket_run(0);
    ut_side_ok(w.rooms == 1 && w.sends[0], "and no room is reported meanwhile");

    ngx_chat_lane_abort(w.lane, 1);
    ut_side_ok(w.rooms == 1, "no callback inside abort");

    fake_socket_run(0);
    ut_side_ok(w.rooms == 2 && w.sends[0] == NULL, "room after an abort");

    ut_side_forget(&large);
    ut_side_forget(&small);
    ut_side_free(&w);
    ut_side_free(&f);
}


/* a lane with much to read lets others have their turn */

static void
ut_turns(void)
{
    ut_side_t   a, b, busy, calm;
    ngx_uint_t  i;

    ut_side_half(&busy, &a, NGX_CHAT_LANE_FILLER);
    ut_side_half(&calm, &b, NGX_CHAT_LANE_FILLER);

    for (i = 0; i < 100; i++) {
        ut_side_say(&a, NGX_CHAT_LANE_CHUNK, 1, "text");
    }

    ut_side_say(&b, NGX_CHAT_LANE_CHUNK, 1, "text");

    (void) fake_socket_turn();
    ut_side_ok(busy.records > 0 && busy.records < 50 && calm.records == 1,
               "a turn for each lane");

    fake_socket_run(0);
    ut_side_ok(busy.records == 100, "and further ones for the rest");

    ut_side_free(&a);
    ut_side_free(&b);
    ut_side_free(&busy);
    ut_side_free(&calm);
}


/* messages that the other end reads are no events, once there was room */

static void
ut_wakeups(void)
{
    u_char      buf[NGX_CHAT_LANE_MESSAGE];
    ut_side_t   w, f;
    ngx_uint_t  i, events;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_hello(&f);
    fake_socket_run(0);

    (void) ut_side_fill(&w, NGX_CHAT_LANE_CHUNK, 60000);

    while (ut_side_hear(&f, buf) > 0) {
        fake_socket_run(0);
    }

    events = fake_socket_events();

    for (i = 0; i < 100; i++) {
        ngx_chat_lane_record_t  record = ut_side_record(NGX_CHAT_LANE_IDLE, 1,
                                                        0, 0);

        (void) ngx_chat_lane_send(w.lane, &record);
        ngx_chat_lane_flush(w.lane);
        (void) ut_side_hear(&f, buf);
        fake_socket_run(0);
    }

    ut_side_ok(fake_socket_events() == events, "no events but those needed");

    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_alive(void)
{
    u_char      buf[NGX_CHAT_LANE_MESSAGE];
    ut_side_t   w, f;
    ngx_uint_t  i;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_hello(&f);
    fake_socket_run(0);

    fake_socket_run(2499);
    ut_side_ok(ut_side_hear(&f, buf) == -1, "no ALIVE before its time");

    fake_socket_run(1);
    ut_side_ok(ut_side_hear(&f, buf) == NGX_CHAT_LANE_HEAD
               && buf[2] == NGX_CHAT_LANE_ALIVE_RECORD, "ALIVE in its time");

    fake_socket_run(25000);

    for (i = 0; ut_side_hear(&f, buf) == NGX_CHAT_LANE_HEAD; i++) { /* void */ }

    ut_side_ok(i == 10, "ALIVE again and again");

    ut_side_free(&w);
    ut_side_free(&f);

    ut_side_pair(&w, &f);
    fake_socket_run(3600000);

    ut_side_ok(w.endings == 0 && f.endings == 0 && f.records == 0,
               "a lane without records lives on, and ALIVE is not reported");

    ut_side_free(&w);
    ut_side_free(&f);
}


/* ALIVE while the rest of a record is still to come */

static void
ut_alive_between_parts(void)
{
    ut_side_t               w, f;
    ngx_chat_lane_record_t  large;

    ut_side_pair(&w, &f);

    large = ut_side_record(NGX_CHAT_LANE_FILL, 1, 1000000, 'l');

    (void) ngx_chat_lane_send(w.lane, &large);
    fake_socket_run(10000);

    ut_side_ok(large.taken < 1000000 && w.rooms == 1 && f.endings == 0,
               "a record waits for its rest, and the lane lives");

    w.sends[0] = &large;

    if (ngx_chat_lane_send(w.lane, &large) == NGX_OK) {
        w.sends[0] = NULL;
    }

    fake_socket_run(0);
    ngx_chat_lane_flush(w.lane);
    fake_socket_run(0);

    ut_side_ok(ut_side_got(&f, NGX_CHAT_LANE_FILL, 1, 1000000, 'l'),
               "the rest follows behind ALIVE");

    ut_side_forget(&large);
    ut_side_free(&w);
    ut_side_free(&f);
}
