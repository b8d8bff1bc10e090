
/*
 * The lanes of a worker: which one a generation gets, and what becomes of them
 * when fillers drain, die, or are missing.
 */


#include "ut_worker.h"

#include <stdlib.h>


static void ut_up(void);
static void ut_choice(void);
static void ut_records(void);
static void ut_release_in_part(void);
static void ut_drain(void);
static void ut_drain_free(void);
static void ut_drain_dies(void);
static void ut_dies(void);
static void ut_dies_early(void);
static void ut_no_filler(void);
static void ut_no_room(void);
static void ut_no_resources(void);
static void ut_close(void);
static void ut_close_inside(void);
static void ut_over(void);
static ngx_uint_t ut_ended(ut_side_t *f);


static void  (*ut_tests[])(void) = {
    ut_up,
    ut_choice,
    ut_records,
    ut_release_in_part,
    ut_drain,
    ut_drain_free,
    ut_drain_dies,
    ut_dies,
    ut_dies_early,
    ut_no_filler,
    ut_no_room,
    ut_no_resources,
    ut_close,
    ut_close_inside,
    NULL
};


int
main(void)
{
    if (ngx_chat_lane_rendezvous_create(UT_WORKER_FILLERS, ngx_cycle->log)
        != NGX_OK)
    {
        abort();
    }

    ut_side_run(ut_tests);

    /* for the rest of the process */

    ut_over();

    return ut_done();
}


static void
ut_up(void)
{
    ut_side_t    a, b;
    ut_worker_t  w;

    ut_worker_start(&w, UT_WORKER_FILLERS);

    ut_side_ok(w.set && !ngx_chat_lane_set_is_up(w.set)
               && !ut_worker_take(&w, 0),
               "no lane is up before its filler has come");

    ut_worker_filler(&b, 1);
    ut_side_ok(w.ups == 1 && ngx_chat_lane_set_is_up(w.set),
               "the second filler is up");

    ut_side_ok(ut_worker_take(&w, 0) && w.taken[0].slot == w.slot
               && w.taken[0].stream != 0, "and is taken");

    ut_worker_filler(&a, 0);
    ut_side_ok(w.ups == 2, "the first is up, too");
    ut_side_ok(ut_worker_take(&w, 1) && w.taken[1].slot == w.slot
               && w.taken[1].slot != w.taken[0].slot
               && w.taken[1].stream != w.taken[0].stream,
               "and is taken by the next");

    ut_worker_stop(&w);
    fake_socket_run(0);
    ut_side_ok(ut_ended(&a) && ut_ended(&b), "closed, both see the end");

    ut_side_free(&a);
    ut_side_free(&b);
}


static void
ut_choice(void)
{
    ut_side_t              a, b;
    ngx_uint_t             i, ok;
    ut_worker_t            w;
    ngx_chat_lane_slot_t  *one, *two;

    ut_worker_start(&w, UT_WORKER_FILLERS);
    ut_worker_filler(&a, 0);
    one = w.slot;
    ut_worker_filler(&b, 1);
    two = w.slot;

    ok = 1;

    for (i = 0; i < 6; i++) {
        ok &= ut_worker_take(&w, i) && w.taken[i].slot == (i % 2 ? two : one);
    }

    ut_side_ok(ok, "one after the other");

    ut_worker_release(&w, 1);
    ut_worker_release(&w, 3);

    ok = ut_worker_take(&w, 6) && w.taken[6].slot == two
         && ut_worker_take(&w, 7) && w.taken[7].slot == two
         && ut_worker_take(&w, 1) && w.taken[1].slot == one;
    ut_side_ok(ok, "the one with the fewest");

    ut_worker_stop(&w);
    ut_side_free(&a);
    ut_side_free(&b);
}


static void
ut_records(void)
{
    ngx_int_t                rc;
    ut_side_t                f;
    ut_worker_t              w;
    ngx_chat_lane_record_t   record;

    ut_worker_start(&w, 1);
    ut_worker_filler(&f, 0);
    f.answer = 1;
    (void) ut_worker_take(&w, 0);

    record = ut_side_record(NGX_CHAT_LANE_FILL, w.taken[0].stream, 50, 'f');
    rc = ngx_chat_lane_slot_send(w.taken[0].slot, &record);
    ngx_chat_lane_slot_flush(w.taken[0].slot);
    fake_socket_run(0);

    ut_side_ok(rc == NGX_OK
               && ut_side_got(&f, NGX_CHAT_LANE_FILL, w.taken[0].stream, 50,
                              'f'), "a record for the filler");
    ut_side_ok(w.records == 1 && w.slot == w.taken[0].slot
               && w.type == NGX_CHAT_LANE_KEPT
               && w.stream == w.taken[0].stream, "and one of it");

    ut_side_forget(&record);
    ut_worker_stop(&w);
    ut_side_free(&f);
}


static void
ut_release_in_part(void)
{
    ut_side_t                f;
    ngx_uint_t               ok;
    ut_worker_t              w;
    ngx_chat_lane_record_t   large, small;

    ut_worker_start(&w, 1);
    ut_worker_filler(&f, 0);
    (void) ut_worker_take(&w, 0);
    (void) ut_worker_take(&w, 1);

    large = ut_side_record(NGX_CHAT_LANE_FILL, w.taken[0].stream, 1000000, 'l');
    small = ut_side_record(NGX_CHAT_LANE_FILL, w.taken[1].stream, 10, 's');

    ok = ngx_chat_lane_slot_send(w.taken[0].slot, &large) == NGX_AGAIN
         && ngx_chat_lane_slot_send(w.taken[1].slot, &small) == NGX_AGAIN;

    ut_worker_release(&w, 0);
    fake_socket_run(0);
    ut_side_ok(ok && w.rooms == 1 && w.slot == w.taken[1].slot,
               "room after a release in the middle of a record");

    ok = ngx_chat_lane_slot_send(w.taken[1].slot, &small) == NGX_OK;
    ngx_chat_lane_slot_flush(w.taken[1].slot);
    fake_socket_run(0);
    ut_side_ok(ok && f.records == 1 && f.endings == 0
               && ut_side_got(&f, NGX_CHAT_LANE_FILL, w.taken[1].stream, 10,
                              's'), "the filler has forgotten that record");

    ut_side_forget(&large);
    ut_side_forget(&small);
    ut_worker_stop(&w);
    ut_side_free(&f);
}


static void
ut_drain(void)
{
    ut_side_t                old, new;
    ngx_uint_t               ok;
    ut_worker_t              w;
    ngx_chat_lane_record_t   record;

    ut_worker_start(&w, 1);
    ut_worker_filler(&old, 0);
    (void) ut_worker_take(&w, 0);
    (void) ut_worker_take(&w, 1);

    record = ut_side_record(NGX_CHAT_LANE_DRAIN, 0, 0, 0);
    (void) ngx_chat_lane_send(old.lane, &record);
    ngx_chat_lane_flush(old.lane);
    fake_socket_run(0);

    ut_side_ok(!ngx_chat_lane_set_is_up(w.set) && !ut_worker_take(&w, 2)
               && w.records == 0 && w.endings == 0,
               "a filler that drains takes no more");

    ut_worker_filler(&new, 0);
    ok = w.ups == 2 && ut_worker_take(&w, 2) && w.taken[2].slot == w.slot
         && w.taken[2].slot != w.taken[0].slot;
    ut_side_ok(ok, "its successor was offered a lane at once");

    record = ut_side_record(NGX_CHAT_LANE_CHUNK, w.taken[1].stream, 10, 'c');
    (void) ngx_chat_lane_slot_send(w.taken[1].slot, &record);
    ngx_chat_lane_slot_flush(w.taken[1].slot);
    fake_socket_run(0);
    ut_side_ok(old.records == 1 && new.records == 0,
               "generations go on where they are");

    ut_worker_release(&w, 0);
    fake_socket_run(0);
    ut_side_ok(!ut_ended(&old), "the lane stays for the last of them");

    ut_worker_release(&w, 1);
    fake_socket_run(0);
    ut_side_ok(ut_ended(&old) && !ut_ended(&new) && w.endings == 0,
               "and is closed with it");

    ut_side_forget(&record);
    ut_worker_stop(&w);
    ut_side_free(&old);
    ut_side_free(&new);
}


static void
ut_drain_free(void)
{
    ut_side_t                old, new;
    ut_worker_t              w;
    ngx_socket_t             fd;
    ngx_chat_lane_record_t   record;

    ut_worker_start(&w, 1);
    ut_worker_filler(&old, 0);

    record = ut_side_record(NGX_CHAT_LANE_DRAIN, 0, 0, 0);
    (void) ngx_chat_lane_send(old.lane, &record);
    ngx_chat_lane_flush(old.lane);
    fake_socket_run(0);
    ut_side_ok(ut_ended(&old) && w.endings == 0,
               "drains without a generation: closed at once");

    ut_worker_filler(&new, 0);
    ut_side_ok(w.ups == 2 && ngx_chat_lane_set_is_up(w.set),
               "drains without a generation: the successor is up");

    /* twice, and then a generation is released as a record comes */

    (void) ut_worker_take(&w, 0);

    record.taken = 0;
    (void) ngx_chat_lane_send(new.lane, &record);
    record.taken = 0;
    (void) ngx_chat_lane_send(new.lane, &record);
    ngx_chat_lane_flush(new.lane);
    fake_socket_run(0);

    fd = ut_worker_accept_fd(0);
    ut_side_ok(fd != -1 && ut_worker_accept_fd(0) == -1 && close(fd) == 0,
               "drains twice: a lane for the successor, once");

    w.release_inside = 1;

    record.type = NGX_CHAT_LANE_DONE;
    (void) ngx_chat_lane_send(new.lane, &record);
    (void) ngx_chat_lane_send(new.lane, &record);
    ngx_chat_lane_flush(new.lane);
    fake_socket_run(0);

    ut_side_ok(w.records == 1 && ut_ended(&new) && w.endings == 0,
               "released inside record(): closed, and no more is read");

    ut_worker_stop(&w);
    ut_side_free(&old);
    ut_side_free(&new);
}


static void
ut_drain_dies(void)
{
    ut_side_t                old, new, more;
    ut_worker_t              w;
    ngx_chat_lane_record_t   record;

    ut_worker_start(&w, 1);
    ut_worker_filler(&old, 0);
    (void) ut_worker_take(&w, 0);

    record = ut_side_record(NGX_CHAT_LANE_DRAIN, 0, 0, 0);
    (void) ngx_chat_lane_send(old.lane, &record);
    ngx_chat_lane_flush(old.lane);
    fake_socket_run(0);
    ut_worker_filler(&new, 0);
    (void) ut_worker_take(&w, 1);
    fake_socket_run(2000);

    ut_side_free(&old);
    fake_socket_run(2000);

    ut_side_ok(w.endings == 1 && w.taken[0].slot == NULL && w.taken[1].slot,
               "dies while it drains: its generations end, no others");
    ut_side_ok(!ut_worker_accept(&more, 0),
               "dies while it drains: nothing is offered");

    ut_worker_stop(&w);
    ut_side_free(&new);
}


static void
ut_dies(void)
{
    ut_side_t    a, b, next;
    ut_worker_t  w;

    ut_worker_start(&w, UT_WORKER_FILLERS);
    ut_worker_filler(&a, 0);
    ut_worker_filler(&b, 1);
    fake_socket_run(1000);

    (void) ut_worker_take(&w, 0);
    (void) ut_worker_take(&w, 1);
    w.take_inside = 1;

    ut_side_free(&a);
    fake_socket_run(0);
    ut_side_ok(w.endings == 1 && w.taken[0].slot == NULL && w.taken[1].slot,
               "a filler dies: its generations end");

    ut_side_ok(ngx_chat_lane_set_is_up(w.set) && w.took_inside == 1
               && w.taken[UT_WORKER_TAKEN - 1].slot == w.taken[1].slot,
               "a filler dies: the other is taken inside ended()");

    ut_worker_filler(&next, 0);
    ut_side_ok(w.ups == 3 && ut_worker_take(&w, 2) && w.taken[2].slot == w.slot,
               "a filler dies: its successor was offered a lane at once");

    ut_worker_stop(&w);
    ut_side_free(&b);
    ut_side_free(&next);
}


static void
ut_dies_early(void)
{
    ut_side_t     f;
    ut_worker_t   w;
    ngx_socket_t  fd;

    ut_worker_start(&w, 1);

    /* accepted, and closed without HELLO */

    fd = ut_worker_accept_fd(0);
    ut_side_ok(fd != -1 && close(fd) == 0, "of no use: there was one");

    fake_socket_run(999);
    ut_side_ok(w.ups == 0 && w.endings == 0 && ut_worker_accept_fd(0) == -1,
               "of no use: no other lane at once, and no end is reported");

    fake_socket_run(1);
    ut_worker_filler(&f, 0);
    ut_side_ok(w.ups == 1, "of no use: another one a second later");

    fake_socket_run(999);
    ut_side_free(&f);
    fake_socket_run(999);
    ut_side_ok(w.ups == 1 && w.endings == 1 && ut_worker_accept_fd(0) == -1,
               "up for less than a second: no other lane at once");

    fake_socket_run(1);
    ut_worker_filler(&f, 0);
    ut_side_ok(w.ups == 2, "up for less than a second: a second later");

    ut_worker_stop(&w);
    ut_side_free(&f);
}


/* an offer each 6 s, of which the last is good */

static void
ut_no_filler(void)
{
    ut_side_t    f;
    ngx_uint_t   n, ok;
    ut_worker_t  w;

    ut_worker_start(&w, 1);
    fake_socket_run(60000);
    ut_side_ok(w.endings == 0 && w.ups == 0, "no filler: nothing is reported");

    ok = 1;

    for (n = 0; n < 10; n++) {
        ok &= ut_worker_accept(&f, 0);
        fake_socket_run(0);
        ok &= ut_ended(&f) && w.ups == 0;
        ut_side_free(&f);
    }

    ut_side_ok(ok, "no filler: offers whose time is over");

    ut_worker_filler(&f, 0);
    ut_side_ok(w.ups == 1, "no filler: the last one is good");

    ut_worker_stop(&w);
    ut_side_free(&f);

    ut_worker_start(&w, 2);
    ut_worker_filler(&f, 0);
    fake_socket_run(20000);

    ok = w.endings == 0 && ngx_chat_lane_set_is_up(w.set)
         && ut_worker_accept_fd(0) == -1;
    ut_side_ok(ok, "no second filler: the first one's lane stays alone");

    ut_worker_stop(&w);
    ut_side_free(&f);
}


static void
ut_no_room(void)
{
    ut_side_t     f;
    ngx_uint_t    n;
    ut_worker_t   w;
    ngx_socket_t  fd;

    ngx_chat_lane_record_t  record;

    while (ngx_chat_lane_rendezvous_offer(0, &fd, ngx_cycle->log) == NGX_OK) {
        (void) close(fd);
    }

    ut_worker_start(&w, 1);
    fake_socket_run(5000);

    for (n = 0; ut_worker_accept(&f, 0); n++) {
        fake_socket_run(0);
        ut_side_free(&f);
    }

    ut_side_ok(n > 100 && w.ups == 0 && w.endings == 0, "declined");

    fake_socket_run(1000);
    ut_worker_filler(&f, 0);
    ut_side_ok(w.ups == 1, "declined: offered again when there is room");

    /* the same when a filler drains */

    while (ngx_chat_lane_rendezvous_offer(0, &fd, ngx_cycle->log) == NGX_OK) {
        (void) close(fd);
    }

    (void) ut_worker_take(&w, 0);
    record = ut_side_record(NGX_CHAT_LANE_DRAIN, 0, 0, 0);
    (void) ngx_chat_lane_send(f.lane, &record);
    ngx_chat_lane_flush(f.lane);
    fake_socket_run(0);
    ut_side_ok(!ngx_chat_lane_set_is_up(w.set) && !ut_worker_take(&w, 1),
               "declined: one that drains is not taken in its place");

    ut_worker_stop(&w);
    ut_side_free(&f);
}


static void
ut_no_resources(void)
{
    ut_side_t    f;
    ut_worker_t  w;

    ut_fail_alloc = 1;
    ngx_memzero(&w, sizeof(ut_worker_t));
    ut_side_ok(ngx_chat_lane_set_create(1, &ut_worker_ops, &w, ngx_cycle->log)
               == NULL,
               "no memory for a set");
    ut_fail_alloc = 0;

    ut_fail_alloc = 2;
    ut_worker_start(&w, 1);
    ut_fail_alloc = 0;
    ut_side_ok(w.set && !ut_worker_accept(&f, 0), "no memory for a slot");
    fake_socket_run(1000);
    ut_worker_filler(&f, 0);
    ut_side_ok(w.ups == 1, "no memory for a slot: a second later");
    ut_worker_stop(&w);
    ut_side_free(&f);

    fake_socket_fail = 1;
    ut_worker_start(&w, 1);
    ut_side_ok(ut_worker_accept(&f, 0),
               "no connection: an offer all the same");
    fake_socket_run(0);
    ut_side_ok(ut_ended(&f), "no connection: the filler sees the end");
    ut_side_free(&f);
    fake_socket_run(1000);
    ut_worker_filler(&f, 0);
    ut_side_ok(w.ups == 1, "no connection: a second later");
    ut_worker_stop(&w);
    ut_side_free(&f);
}


static void
ut_close(void)
{
    ut_side_t                f;
    ut_worker_t              w;
    ngx_chat_lane_record_t   record;

    ut_worker_start(&w, 1);
    ut_worker_filler(&f, 0);
    (void) ut_worker_take(&w, 0);
    (void) ut_worker_take(&w, 1);

    ngx_chat_lane_set_close(w.set);
    w.set = NULL;

    fake_socket_run(2000);
    ut_side_ok(w.endings == 0 && ut_ended(&f), "closed: no callback");

    record = ut_side_record(NGX_CHAT_LANE_CHUNK, w.taken[0].stream, 10, 'c');
    ut_side_ok(ngx_chat_lane_slot_send(w.taken[0].slot, &record) == NGX_ERROR,
               "closed: nothing can be sent");
    ngx_chat_lane_slot_flush(w.taken[0].slot);

    ut_worker_release_all(&w, w.taken[0].slot);

    ut_side_forget(&record);
    ut_side_free(&f);
}


static void
ut_close_inside(void)
{
    ut_side_t    f;
    ut_worker_t  w;

    ut_worker_start(&w, 1);
    ut_worker_filler(&f, 0);
    (void) ut_worker_take(&w, 0);
    w.close_inside = 1;

    ut_side_free(&f);
    fake_socket_run(2000);

    ut_side_ok(w.endings == 1 && w.set == NULL && w.taken[0].slot == NULL,
               "closed inside ended()");

    /* lanes that were offered */

    while (ut_worker_accept(&f, 0)) {
        ut_side_free(&f);
    }
}


static void
ut_over(void)
{
    ut_side_t    a, b;
    ut_worker_t  w;

    ut_worker_start(&w, 2);
    ut_worker_filler(&a, 0);
    ut_worker_filler(&b, 1);
    (void) ut_worker_take(&w, 0);
    w.take_inside = 1;
    fake_socket_run(2000);

    fake_socket_shutdown();

    ut_side_ok(w.endings == 2 && w.taken[0].slot == NULL
               && w.took_inside == 0,
               "the time of the process is over: no lane is in its place");

    ut_side_free(&a);
    ut_side_free(&b);
    fake_socket_run(10000);

    ut_side_ok(ut_worker_accept_fd(0) == -1 && ut_worker_accept_fd(1) == -1
               && !ngx_chat_lane_set_is_up(w.set),
               "the time of the process is over: none is offered");

    ut_worker_stop(&w);
}


static ngx_uint_t
ut_ended(ut_side_t *f)
{
    return f->endings == 1 && f->lane == NULL;
}
