
/*
 * Messages that cannot be, and callbacks that close their lane.
 */


#include "ut_side.h"

#include <stdlib.h>


/* lanes that get garbage */
#define UT_ROUNDS  3000


static void ut_releases(void);
static void ut_early(void);
static void ut_malformed(void);
static void ut_truncated(void);
static void ut_garbage(void);
static void ut_refuse(void);
static void ut_close_inside(void);
static void ut_close_inside_others(void);
static ngx_uint_t ut_message(u_char *p);


static void  (*ut_tests[])(void) = {
    ut_releases,
    ut_early,
    ut_malformed,
    ut_truncated,
    ut_garbage,
    ut_refuse,
    ut_close_inside,
    ut_close_inside_others,
    NULL
};


int
main(void)
{
    ut_side_run(ut_tests);

    return ut_done();
}


static void
ut_releases(void)
{
    u_char     buf[NGX_CHAT_LANE_MESSAGE];
    ut_side_t  w, f;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_say(&f, NGX_CHAT_LANE_HELLO, 0, "3");
    ut_side_say(&f, NGX_CHAT_LANE_KEPT, 1, "");
    fake_socket_run(0);

    ut_side_ok(w.endings == 1 && w.ups == 0 && w.records == 0
               && ut_side_hear(&f, buf) == 0, "another release");

    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_early(void)
{
    ut_side_t  w, f;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_say(&f, NGX_CHAT_LANE_DRAIN, 0, "");
    fake_socket_run(0);

    ut_side_ok(w.endings == 1 && w.records == 0, "a record before HELLO");

    ut_side_free(&w);
    ut_side_free(&f);

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    ut_side_hello(&f);
    ut_side_hello(&f);
    fake_socket_run(0);

    ut_side_ok(w.endings == 1 && w.ups == 1, "HELLO twice");

    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_malformed(void)
{
    u_char     buf[NGX_CHAT_LANE_MESSAGE + 1];
    ut_side_t  w, f;

    ngx_memzero(buf, sizeof(buf));

    ut_side_half(&f, &w, NGX_CHAT_LANE_FILLER);
    ut_side_write(&w, buf, 8);
    fake_socket_run(0);

    ut_side_ok(f.endings == 1 && f.records == 0, "a message of zeros");

    ut_side_free(&w);
    ut_side_free(&f);

    /* the first bytes are good, those cut off as well */

    buf[2] = NGX_CHAT_LANE_IDLE;

    ut_side_half(&f, &w, NGX_CHAT_LANE_FILLER);
    ut_side_write(&w, buf, NGX_CHAT_LANE_MESSAGE + 1);
    fake_socket_run(0);

    ut_side_ok(f.endings == 1 && f.records == 0, "a message that is too large");

    ut_side_free(&w);
    ut_side_free(&f);
}


/* records before the cut are reported, then the lane ends */

static void
ut_truncated(void)
{
    u_char      buf[256];
    ut_side_t   w, f;
    ngx_uint_t  i, n, ok;

    n = ut_message(buf);
    ok = 1;

    for (i = 1; i < n; i++) {
        ut_side_half(&f, &w, NGX_CHAT_LANE_FILLER);
        ut_side_write(&w, buf, i);
        fake_socket_run(0);

        ok &= f.records == (ngx_uint_t) (i >= 12) + (i >= 32);

        if (i == 12 || i == 22 || i == 32) {
            ok &= f.endings == 0;

        } else {
            ok &= f.endings == 1;
        }

        ut_side_free(&w);
        ut_side_free(&f);
    }

    ut_side_ok(ok && n == 40, "a message cut at each byte");
}


static void
ut_garbage(void)
{
    u_char        buf[256];
    ut_side_t     w, f;
    ngx_uint_t    i, j, n, ok, ended;
    unsigned int  seed;

    seed = 7;
    ok = 1;
    ended = 0;

    for (i = 0; i < UT_ROUNDS; i++) {
        n = ut_message(buf);

        for (j = 1 + rand_r(&seed) % 3; j; j--) {
            buf[rand_r(&seed) % n] ^= 1 << rand_r(&seed) % 8;
        }

        ut_side_half(&f, &w, i % 8 ? NGX_CHAT_LANE_FILLER
                                   : NGX_CHAT_LANE_WORKER);
        ut_side_write(&w, buf, n);
        ut_side_say(&w, NGX_CHAT_LANE_ALIVE_RECORD, 0, "");
        fake_socket_run(0);

        ok &= f.endings <= 1 && (f.lane == NULL) == f.endings;
        ended += f.endings;

        ut_side_free(&w);
        ut_side_free(&f);
    }

    ut_side_ok(ok && ended > UT_ROUNDS / 2 && ended < UT_ROUNDS,
               "bits that are flipped end the lane once, if they do");
}


/* a message of 40 bytes: a record of 12, one in two parts of 10, one of 8 */

static ngx_uint_t
ut_message(u_char *p)
{
    static const struct {
        uint16_t   len;
        uint8_t    type;
        uint8_t    flags;
        uint32_t   stream;
        char       text[4];
    } parts[] = {
        { 4, NGX_CHAT_LANE_CHUNK, 0, 1, { 't', 'e', 'x', 't' } },
        { 2, NGX_CHAT_LANE_FILL, 1, 2, "fi" },
        { 2, NGX_CHAT_LANE_FILL, 0, 2, "ll" },
        { 0, NGX_CHAT_LANE_IDLE, 0, 3, "" }
    };

    u_char      *start;
    ngx_uint_t   i;

    start = p;

    for (i = 0; i < 4; i++) {
        memcpy(p, &parts[i], NGX_CHAT_LANE_HEAD + parts[i].len);
        p += NGX_CHAT_LANE_HEAD + parts[i].len;
    }

    return p - start;
}


static void
ut_refuse(void)
{
    u_char      buf[NGX_CHAT_LANE_MESSAGE];
    ut_side_t   w, f;
    ngx_uint_t  n;

    n = ut_message(buf);

    ut_side_half(&f, &w, NGX_CHAT_LANE_FILLER);
    f.refuse_at = 1;
    ut_side_write(&w, buf, n);
    fake_socket_run(0);

    ut_side_ok(f.records == 1 && f.endings == 1,
               "a record that makes no sense ends the lane");
    ut_side_ok(ut_side_hear(&w, buf) > 0 && ut_side_hear(&w, buf) == 0,
               "and the worker sees it");

    ut_side_free(&w);
    ut_side_free(&f);
}


static void
ut_close_inside(void)
{
    u_char      buf[256];
    ut_side_t   w, f;
    ngx_uint_t  n;

    n = ut_message(buf);

    ut_side_half(&f, &w, NGX_CHAT_LANE_FILLER);
    f.close_at = 1;
    ut_side_write(&w, buf, n);
    ut_side_write(&w, buf, n);
    fake_socket_run(0);

    ut_side_ok(f.records == 1 && f.endings == 0 && ut_is(&f.body, "text"),
               "closed inside record(): no more is read");

    ut_side_free(&w);
    ut_side_free(&f);

    ut_side_half(&f, &w, NGX_CHAT_LANE_FILLER);
    f.close_at = 2;
    ut_side_write(&w, buf, n);
    fake_socket_run(0);

    ut_side_ok(f.records == 2 && f.endings == 0 && ut_is(&f.body, "fill"),
               "closed inside record(): a body in parts is valid");

    ut_side_free(&w);
    ut_side_free(&f);

    /* the worker's end is gone as well */

    ut_side_half(&f, &w, NGX_CHAT_LANE_FILLER);
    f.close_at = 3;
    ut_side_write(&w, buf, n);
    ut_side_free(&w);
    fake_socket_run(0);

    ut_side_ok(f.records == 3 && f.endings == 0,
               "closed inside record(): no end is reported");

    ut_side_free(&f);
}


static void
ut_close_inside_others(void)
{
    u_char                  buf[NGX_CHAT_LANE_MESSAGE];
    ut_side_t               w, f;
    ngx_chat_lane_record_t  record;

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    w.close_when_up = 1;
    ut_side_hello(&f);
    ut_side_say(&f, NGX_CHAT_LANE_KEPT, 1, "");
    fake_socket_run(0);

    ut_side_ok(w.ups == 1 && w.records == 0 && w.endings == 0
               && ut_side_hear(&f, buf) == 0, "closed inside up()");

    ut_side_free(&w);
    ut_side_free(&f);

    ut_side_half(&w, &f, NGX_CHAT_LANE_WORKER);
    w.close_when_room = 1;
    ut_side_hello(&f);
    fake_socket_run(0);
    (void) ut_side_fill(&w, NGX_CHAT_LANE_CHUNK, 60000);

    while (ut_side_hear(&f, buf) > 0) { /* void */ }

    fake_socket_run(0);
    ut_side_ok(w.rooms == 1 && w.endings == 0 && w.lane == NULL,
               "closed inside room()");

    ut_side_free(&w);
    ut_side_free(&f);

    ut_side_pair(&w, &f);
    w.close_when_ended = 1;
    ut_side_free(&f);
    fake_socket_run(0);

    ut_side_ok(w.endings == 1, "closed inside ended()");

    ut_side_free(&w);

    /* with events of its own that are posted */

    ut_side_pair(&w, &f);
    record = ut_side_record(NGX_CHAT_LANE_CHUNK, 1, 10, 'x');
    ut_side_free(&f);
    (void) ngx_chat_lane_send(w.lane, &record);
    ngx_chat_lane_flush(w.lane);
    ut_side_free(&w);
    fake_socket_run(0);

    ut_side_ok(w.endings == 0, "closed before its end was reported");

    ut_side_forget(&record);
}
