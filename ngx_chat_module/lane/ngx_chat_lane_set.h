
/*
 * All lanes of a worker, one to each filler of its instance: each is offered at
 * the start, and again when it has ended, at once if it has been up for a
 * second, else a second later.  A generation is led over one that is up; which
 * one is the set's choice, the one with the fewest.
 *
 * A filler that drains says so: its lane stays for the generations on it, and
 * another one is offered to its successor.
 *
 * Once ngx_chat_lane_is_over() says so all lanes end, and no other is up: what
 * was led is the fillers' then.
 */


#ifndef _NGX_CHAT_LANE_SET_H_INCLUDED_
#define _NGX_CHAT_LANE_SET_H_INCLUDED_


#include "ngx_chat_lane.h"


typedef struct ngx_chat_lane_set_s   ngx_chat_lane_set_t;
typedef struct ngx_chat_lane_slot_s  ngx_chat_lane_slot_t;


typedef struct {
    /* a record for the slot's lane but DRAIN, as that of ngx_chat_lane_ops_t */
    ngx_int_t            (*record)(void *data, ngx_chat_lane_slot_t *slot,
                               ngx_chat_lane_type_e type, uint32_t stream,
                               ngx_str_t *body);

    /* a lane is up: the slot may be taken */
    void                 (*up)(void *data, ngx_chat_lane_slot_t *slot);

    /* after NGX_AGAIN */
    void                 (*room)(void *data, ngx_chat_lane_slot_t *slot);

    /*
     * A lane that was up, or any once ngx_chat_lane_is_over(): its streams are
     * void, and all release it inside.
     */
    void                 (*ended)(void *data, ngx_chat_lane_slot_t *slot);
} ngx_chat_lane_set_ops_t;


/* offers a lane to each of n fillers.  NULL: no memory */
ngx_chat_lane_set_t *ngx_chat_lane_set_create(ngx_uint_t n,
    const ngx_chat_lane_set_ops_t *ops, void *data, ngx_log_t *log);

/* closes all lanes; no callback fires; slots may still be released */
void ngx_chat_lane_set_close(ngx_chat_lane_set_t *set);

/* is any lane up, to a filler that does not drain? */
ngx_uint_t ngx_chat_lane_set_is_up(ngx_chat_lane_set_t *set);

/*
 * For a generation more, until it is released; *stream is its number on the
 * lane.  NULL: no lane is up.
 */
ngx_chat_lane_slot_t *ngx_chat_lane_set_take(ngx_chat_lane_set_t *set,
    uint32_t *stream);

/*
 * The generation is through with the slot, whose lane forgets what it has of a
 * record in part.  A lane to a filler that drains is closed with the last.
 */
void ngx_chat_lane_slot_release(ngx_chat_lane_slot_t *slot, uint32_t stream);

/* as those of ngx_chat_lane.h; nothing may be sent before up() */
ngx_int_t ngx_chat_lane_slot_send(ngx_chat_lane_slot_t *slot,
    ngx_chat_lane_record_t *record);
void ngx_chat_lane_slot_flush(ngx_chat_lane_slot_t *slot);


#endif /* _NGX_CHAT_LANE_SET_H_INCLUDED_ */
