
/*
 * A worker with its set of lanes for unit tests: what the set has reported, and
 * the generations that have taken a slot.
 */


#ifndef _UT_WORKER_H_INCLUDED_
#define _UT_WORKER_H_INCLUDED_


#include "ut_side.h"
#include "../../ngx_chat_module/lane/ngx_chat_lane_rendezvous.h"
#include "../../ngx_chat_module/lane/ngx_chat_lane_set.h"


#define UT_WORKER_FILLERS  2
#define UT_WORKER_TAKEN    8


typedef struct {
    ngx_chat_lane_slot_t    *slot;         /* NULL: released */
    uint32_t                 stream;
} ut_worker_taken_t;


typedef struct {
    ngx_chat_lane_set_t     *set;
    ut_worker_taken_t        taken[UT_WORKER_TAKEN];

    ngx_uint_t               ups;
    ngx_uint_t               rooms;
    ngx_uint_t               endings;
    ngx_uint_t               records;
    ngx_chat_lane_slot_t    *slot;         /* of the last report */
    ngx_chat_lane_type_e     type;
    uint32_t                 stream;

    ngx_uint_t               close_inside;    /* ended() */
    ngx_uint_t               release_inside;  /* record(): all */
    ngx_uint_t               take_inside;     /* ended(): the last place */
    ngx_uint_t               took_inside;     /* so often with success */
} ut_worker_t;


/* with a set of so many lanes */
void ut_worker_start(ut_worker_t *w, ngx_uint_t n);

/* releases all; lanes that nobody has accepted are taken off */
void ut_worker_stop(ut_worker_t *w);

/* a generation by its place in taken; 0: no lane is up */
ngx_uint_t ut_worker_take(ut_worker_t *w, ngx_uint_t i);
void ut_worker_release(ut_worker_t *w, ngx_uint_t i);
void ut_worker_release_all(ut_worker_t *w, ngx_chat_lane_slot_t *slot);

/* the next lane that was offered to this filler; 0, or -1: none */
ngx_uint_t ut_worker_accept(ut_side_t *f, ngx_uint_t number);
ngx_socket_t ut_worker_accept_fd(ngx_uint_t number);

/* a filler that must have been offered a lane, which is up then */
void ut_worker_filler(ut_side_t *f, ngx_uint_t number);


extern const ngx_chat_lane_set_ops_t  ut_worker_ops;


#endif /* _UT_WORKER_H_INCLUDED_ */
