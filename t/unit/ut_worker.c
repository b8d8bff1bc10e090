
#include "ut_worker.h"

#include <stdlib.h>


static ngx_int_t ut_worker_record_handler(void *data,
    ngx_chat_lane_slot_t *slot, ngx_chat_lane_type_e type, uint32_t stream,
    ngx_str_t *body);
static void ut_worker_up_handler(void *data, ngx_chat_lane_slot_t *slot);
static void ut_worker_room_handler(void *data, ngx_chat_lane_slot_t *slot);
static void ut_worker_ended_handler(void *data, ngx_chat_lane_slot_t *slot);


const ngx_chat_lane_set_ops_t  ut_worker_ops = {
    ut_worker_record_handler,
    ut_worker_up_handler,
    ut_worker_room_handler,
    ut_worker_ended_handler
};


void
ut_worker_start(ut_worker_t *w, ngx_uint_t n)
{
    ngx_memzero(w, sizeof(ut_worker_t));

    w->set = ngx_chat_lane_set_create(n, &ut_worker_ops, w, ngx_cycle->log);

    fake_socket_run(0);
}


void
ut_worker_stop(ut_worker_t *w)
{
    ut_side_t   f;
    ngx_uint_t  i;

    ngx_chat_lane_set_close(w->set);

    for (i = 0; i < UT_WORKER_TAKEN; i++) {
        ut_worker_release(w, i);
    }

    for (i = 0; i < UT_WORKER_FILLERS; i++) {

        while (ut_worker_accept(&f, i)) {
            ut_side_free(&f);
        }
    }
}


ngx_uint_t
ut_worker_take(ut_worker_t *w, ngx_uint_t i)
{
    w->taken[i].slot = ngx_chat_lane_set_take(w->set, &w->taken[i].stream);

    return w->taken[i].slot != NULL;
}


void
ut_worker_release(ut_worker_t *w, ngx_uint_t i)
{
    if (w->taken[i].slot) {
        ngx_chat_lane_slot_release(w->taken[i].slot, w->taken[i].stream);
        w->taken[i].slot = NULL;
    }
}


void
ut_worker_release_all(ut_worker_t *w, ngx_chat_lane_slot_t *slot)
{
    ngx_uint_t  i;

    for (i = 0; i < UT_WORKER_TAKEN; i++) {

        if (w->taken[i].slot == slot) {
            ut_worker_release(w, i);
        }
    }
}


ngx_uint_t
ut_worker_accept(ut_side_t *f, ngx_uint_t number)
{
    ngx_socket_t  fd;

    fd = ut_worker_accept_fd(number);

    if (fd == -1) {
        return 0;
    }

    ut_side_open(f, fd, NGX_CHAT_LANE_FILLER);

    return 1;
}


ngx_socket_t
ut_worker_accept_fd(ngx_uint_t number)
{
    ngx_int_t     rc;
    ngx_socket_t  fd;

    rc = ngx_chat_lane_rendezvous_accept(
             ngx_chat_lane_rendezvous_get_fd(number), &fd, ngx_cycle->log);

    return rc == NGX_OK ? fd : -1;
}


void
ut_worker_filler(ut_side_t *f, ngx_uint_t number)
{
    if (!ut_worker_accept(f, number)) {
        abort();
    }

    fake_socket_run(0);
}


static ngx_int_t
ut_worker_record_handler(void *data, ngx_chat_lane_slot_t *slot,
    ngx_chat_lane_type_e type, uint32_t stream, ngx_str_t *body)
{
    ut_worker_t  *w = data;

    w->records++;
    w->slot = slot;
    w->type = type;
    w->stream = stream;

    if (w->release_inside) {
        ut_worker_release_all(w, slot);
    }

    return NGX_OK;
}


static void
ut_worker_up_handler(void *data, ngx_chat_lane_slot_t *slot)
{
    ut_worker_t  *w = data;

    w->ups++;
    w->slot = slot;
}


static void
ut_worker_room_handler(void *data, ngx_chat_lane_slot_t *slot)
{
    ut_worker_t  *w = data;

    w->rooms++;
    w->slot = slot;
}


static void
ut_worker_ended_handler(void *data, ngx_chat_lane_slot_t *slot)
{
    ut_worker_t  *w = data;

    w->endings++;

    if (w->close_inside) {
        ngx_chat_lane_set_close(w->set);
        w->set = NULL;
    }

    ut_worker_release_all(w, slot);

    if (w->take_inside) {
        w->took_inside += ut_worker_take(w, UT_WORKER_TAKEN - 1);
    }
}
