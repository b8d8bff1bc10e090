
#include "ngx_chat_lane_set.h"
#include "ngx_chat_lane_rendezvous.h"

#include <ngx_event.h>


/* ms; a lane that is of no use is followed by another one so much later */
#define NGX_CHAT_LANE_SET_AGAIN  1000


struct ngx_chat_lane_slot_s {
    ngx_queue_t                     queue;     /* in slots of the set */
    ngx_chat_lane_set_t            *set;
    ngx_uint_t                      number;    /* of the filler */
    ngx_chat_lane_t                *lane;      /* NULL: ended */
    ngx_uint_t                      taken;     /* generations on it */
    ngx_msec_t                      up_since;

    unsigned                        up:1;
    unsigned                        draining:1;
    unsigned                        ending:1;  /* inside ended() */
};


struct ngx_chat_lane_set_s {
    const ngx_chat_lane_set_ops_t  *ops;
    void                           *data;
    ngx_log_t                      *log;

    ngx_uint_t                      n;
    ngx_chat_lane_slot_t           *current[NGX_CHAT_LANE_FILLERS];
    ngx_queue_t                     slots;     /* draining ones, too */
    uint32_t                        stream;

    ngx_event_t                     timer;     /* for numbers without a lane */
    ngx_connection_t                dummy;     /* for debug lines about timer */
};


static ngx_uint_t ngx_chat_lane_slot_is_usable(ngx_chat_lane_slot_t *slot);
static void ngx_chat_lane_set_offer(ngx_chat_lane_set_t *set,
    ngx_uint_t number);
static void ngx_chat_lane_set_offer_later(ngx_chat_lane_set_t *set);
static void ngx_chat_lane_set_timer_handler(ngx_event_t *ev);
static ngx_int_t ngx_chat_lane_set_record_handler(void *data,
    ngx_chat_lane_type_e type, uint32_t stream, ngx_str_t *body);
static void ngx_chat_lane_set_up_handler(void *data);
static void ngx_chat_lane_set_room_handler(void *data);
static void ngx_chat_lane_set_ended_handler(void *data);
static void ngx_chat_lane_slot_drain(ngx_chat_lane_slot_t *slot);
static void ngx_chat_lane_slot_close(ngx_chat_lane_slot_t *slot);
static void ngx_chat_lane_slot_free(ngx_chat_lane_slot_t *slot);


static const ngx_chat_lane_ops_t  ngx_chat_lane_set_lane_ops = {
    ngx_chat_lane_set_record_handler,
    ngx_chat_lane_set_up_handler,
    ngx_chat_lane_set_room_handler,
    ngx_chat_lane_set_ended_handler
};


ngx_chat_lane_set_t *
ngx_chat_lane_set_create(ngx_uint_t n, const ngx_chat_lane_set_ops_t *ops,
    void *data, ngx_log_t *log)
{
    ngx_uint_t            i;
    ngx_chat_lane_set_t  *set;

    set = ngx_calloc(sizeof(ngx_chat_lane_set_t), log);
    if (set == NULL) {
        return NULL;
    }

    set->ops = ops;
    set->data = data;
    set->log = log;
    set->n = ngx_min(n, NGX_CHAT_LANE_FILLERS);

    ngx_queue_init(&set->slots);

    set->dummy.fd = (ngx_socket_t) -1;
    set->dummy.data = set;
    set->timer.data = &set->dummy;
    set->timer.handler = ngx_chat_lane_set_timer_handler;
    set->timer.log = log;
    set->timer.cancelable = 1;

    for (i = 0; i < set->n; i++) {
        ngx_chat_lane_set_offer(set, i);
    }

    return set;
}


void
ngx_chat_lane_set_close(ngx_chat_lane_set_t *set)
{
    ngx_queue_t           *q;
    ngx_chat_lane_slot_t  *slot;

    if (set->timer.timer_set) {
        ngx_del_timer(&set->timer);
    }

    while (!ngx_queue_empty(&set->slots)) {
        q = ngx_queue_head(&set->slots);
        slot = ngx_queue_data(q, ngx_chat_lane_slot_t, queue);

        ngx_chat_lane_slot_close(slot);
    }

    ngx_free(set);
}


ngx_uint_t
ngx_chat_lane_set_is_up(ngx_chat_lane_set_t *set)
{
    ngx_uint_t  i;

    for (i = 0; i < set->n; i++) {

        if (ngx_chat_lane_slot_is_usable(set->current[i])) {
            return 1;
        }
    }

    return 0;
}


ngx_chat_lane_slot_t *
ngx_chat_lane_set_take(ngx_chat_lane_set_t *set, uint32_t *stream)
{
    ngx_uint_t             i;
    ngx_chat_lane_slot_t  *slot, *best;

    best = NULL;

    for (i = 0; i < set->n; i++) {
        slot = set->current[i];

        if (ngx_chat_lane_slot_is_usable(slot)
            && (best == NULL || slot->taken < best->taken))
        {
            best = slot;
        }
    }

    if (best == NULL) {
        return NULL;
    }

    best->taken++;

    /* 0 is no generation */

    set->stream++;

    if (set->stream == 0) {
        set->stream = 1;
    }

    *stream = set->stream;

    return best;
}


static ngx_uint_t
ngx_chat_lane_slot_is_usable(ngx_chat_lane_slot_t *slot)
{
    return slot && slot->up && !ngx_chat_lane_is_over();
}


void
ngx_chat_lane_slot_release(ngx_chat_lane_slot_t *slot, uint32_t stream)
{
    slot->taken--;

    if (slot->lane) {
        ngx_chat_lane_abort(slot->lane, stream);
    }

    if (slot->taken == 0 && (slot->draining || slot->lane == NULL)) {
        ngx_chat_lane_slot_close(slot);
    }
}


ngx_int_t
ngx_chat_lane_slot_send(ngx_chat_lane_slot_t *slot,
    ngx_chat_lane_record_t *record)
{
    if (slot->lane == NULL) {
        return NGX_ERROR;
    }

    return ngx_chat_lane_send(slot->lane, record);
}


void
ngx_chat_lane_slot_flush(ngx_chat_lane_slot_t *slot)
{
    if (slot->lane) {
        ngx_chat_lane_flush(slot->lane);
    }
}


static void
ngx_chat_lane_set_offer(ngx_chat_lane_set_t *set, ngx_uint_t number)
{
    ngx_socket_t           fd;
    ngx_chat_lane_slot_t  *slot;

    if (ngx_chat_lane_is_over()) {
        return;
    }

    slot = ngx_calloc(sizeof(ngx_chat_lane_slot_t), set->log);
    if (slot == NULL) {
        goto failed;
    }

    slot->set = set;
    slot->number = number;

    if (ngx_chat_lane_rendezvous_offer(number, &fd, set->log) != NGX_OK) {
        goto failed;
    }

    slot->lane = ngx_chat_lane_create(fd, NGX_CHAT_LANE_WORKER,
                                      &ngx_chat_lane_set_lane_ops, slot,
                                      set->log);
    if (slot->lane == NULL) {
        goto failed;
    }

    ngx_queue_insert_tail(&set->slots, &slot->queue);
    set->current[number] = slot;

    return;

failed:

    if (slot) {
        ngx_free(slot);
    }

    ngx_chat_lane_set_offer_later(set);
}


static void
ngx_chat_lane_set_offer_later(ngx_chat_lane_set_t *set)
{
    if (!set->timer.timer_set) {
        ngx_add_timer(&set->timer, NGX_CHAT_LANE_SET_AGAIN);
    }
}


static void
ngx_chat_lane_set_timer_handler(ngx_event_t *ev)
{
    ngx_uint_t            i;
    ngx_connection_t     *dummy;
    ngx_chat_lane_set_t  *set;

    dummy = ev->data;
    set = dummy->data;

    for (i = 0; i < set->n; i++) {

        if (set->current[i] == NULL) {
            ngx_chat_lane_set_offer(set, i);
        }
    }
}


static ngx_int_t
ngx_chat_lane_set_record_handler(void *data, ngx_chat_lane_type_e type,
    uint32_t stream, ngx_str_t *body)
{
    ngx_chat_lane_set_t   *set;
    ngx_chat_lane_slot_t  *slot;

    slot = data;

    if (type == NGX_CHAT_LANE_DRAIN) {
        ngx_chat_lane_slot_drain(slot);
        return NGX_OK;
    }

    set = slot->set;

    return set->ops->record(set->data, slot, type, stream, body);
}


static void
ngx_chat_lane_set_up_handler(void *data)
{
    ngx_chat_lane_set_t   *set;
    ngx_chat_lane_slot_t  *slot;

    slot = data;
    set = slot->set;

    slot->up = 1;
    slot->up_since = ngx_current_msec;

    set->ops->up(set->data, slot);
}


static void
ngx_chat_lane_set_room_handler(void *data)
{
    ngx_chat_lane_set_t   *set;
    ngx_chat_lane_slot_t  *slot;

    slot = data;
    set = slot->set;

    set->ops->room(set->data, slot);
}


static void
ngx_chat_lane_set_ended_handler(void *data)
{
    ngx_uint_t             was_up;
    ngx_chat_lane_set_t   *set;
    ngx_chat_lane_slot_t  *slot;

    slot = data;
    set = slot->set;

    was_up = slot->up;

    slot->up = 0;
    slot->lane = NULL;

    if (set->current[slot->number] == slot) {
        set->current[slot->number] = NULL;

        if (was_up
            && ngx_current_msec - slot->up_since >= NGX_CHAT_LANE_SET_AGAIN)
        {
            ngx_chat_lane_set_offer(set, slot->number);

        } else {
            ngx_chat_lane_set_offer_later(set);
        }
    }

    if (was_up || ngx_chat_lane_is_over()) {
        slot->ending = 1;
        set->ops->ended(set->data, slot);
        slot->ending = 0;
    }

    if (slot->taken == 0) {
        ngx_chat_lane_slot_free(slot);
    }
}


/* the filler's successor reads what is offered from now on */

static void
ngx_chat_lane_slot_drain(ngx_chat_lane_slot_t *slot)
{
    ngx_chat_lane_set_t  *set;

    if (slot->draining) {
        return;
    }

    set = slot->set;

    slot->draining = 1;
    set->current[slot->number] = NULL;

    ngx_chat_lane_set_offer(set, slot->number);

    if (slot->taken == 0) {
        ngx_chat_lane_slot_close(slot);
    }
}


/* a slot that is taken stays until it is released */

static void
ngx_chat_lane_slot_close(ngx_chat_lane_slot_t *slot)
{
    if (slot->lane) {
        ngx_chat_lane_close(slot->lane);
        slot->lane = NULL;
    }

    ngx_queue_remove(&slot->queue);
    ngx_queue_init(&slot->queue);

    if (slot->taken == 0 && !slot->ending) {
        ngx_chat_lane_slot_free(slot);
    }
}


static void
ngx_chat_lane_slot_free(ngx_chat_lane_slot_t *slot)
{
    ngx_queue_remove(&slot->queue);

    ngx_free(slot);
}
