
/*
 * Ends of lanes for unit tests: a side is a lane with what it has reported, or
 * a bare socket that says what the test likes.
 */


#ifndef _UT_SIDE_H_INCLUDED_
#define _UT_SIDE_H_INCLUDED_


#include "fake_socket.h"
#include "../../ngx_chat_module/lane/ngx_chat_lane_private.h"


typedef struct {
    ngx_chat_lane_t         *lane;
    ngx_socket_t             bare;         /* -1: it is a lane */

    /* reported so far */
    ngx_uint_t               records;
    ngx_uint_t               bytes;        /* of all bodies */
    ngx_chat_lane_type_e     type;         /* of the last one, as those below */
    uint32_t                 stream;
    ngx_str_t                body;
    ngx_uint_t               ups;
    ngx_uint_t               rooms;
    ngx_uint_t               endings;

    /* done when it is reported; a record by its number */
    ngx_uint_t               close_at;
    ngx_uint_t               refuse_at;
    ngx_uint_t               close_when_up;
    ngx_uint_t               close_when_room;
    ngx_uint_t               close_when_ended;
    ngx_uint_t               answer;       /* a KEPT for each record */

    /* sent on when there is room; NULL: none */
    ngx_chat_lane_record_t  *sends[2];
} ut_side_t;


/* prints the name behind that of the kind of events */
void ut_side_ok(ngx_uint_t ok, const char *name);

/* runs the tests with each kind of events, and looks for what they left */
void ut_side_run(void (**tests)(void));

/* two lanes, up; with buffers of this size, or with the system's: 0 */
void ut_side_pair(ut_side_t *worker, ut_side_t *filler);
void ut_side_buffer(int size);

/* a lane, and a bare socket as its other end */
void ut_side_half(ut_side_t *side, ut_side_t *bare, ngx_chat_lane_end_e end);

/* a lane on this socket */
void ut_side_open(ut_side_t *side, ngx_socket_t fd, ngx_chat_lane_end_e end);

void ut_side_free(ut_side_t *side);

/* a record of so many bytes, of one letter; freed by ut_side_forget() */
ngx_chat_lane_record_t ut_side_record(ngx_chat_lane_type_e type,
    uint32_t stream, size_t len, u_char ch);
void ut_side_forget(ngx_chat_lane_record_t *record);

/* records until there is no room; how many were taken */
ngx_uint_t ut_side_fill(ut_side_t *side, ngx_chat_lane_type_e type,
    size_t len);

/* from a bare side: a record in a message of its own, HELLO, any bytes */
void ut_side_say(ut_side_t *bare, ngx_chat_lane_type_e type, uint32_t stream,
    const char *text);
void ut_side_hello(ut_side_t *bare);
void ut_side_write(ut_side_t *bare, const void *p, size_t len);

/* the next message at a bare side; its length, 0: the end, -1: none */
ssize_t ut_side_hear(ut_side_t *bare, u_char *buf);

/* the last record is this one, and so many letters of one kind */
ngx_uint_t ut_side_got(ut_side_t *side, ngx_chat_lane_type_e type,
    uint32_t stream, size_t len, u_char ch);


#endif /* _UT_SIDE_H_INCLUDED_ */
