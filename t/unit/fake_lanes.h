
/*
 * Lanes without sockets: a filler is up as long as the test says, takes so many
 * records, and answers what the test lets it answer.
 */


#ifndef _FAKE_LANES_H_INCLUDED_
#define _FAKE_LANES_H_INCLUDED_


#include "fake_loop.h"
#include "../../ngx_chat_module/lane/ngx_chat_lane_record.h"
#include "../../ngx_chat_module/lane/ngx_chat_lane_set.h"


#define FAKE_LANES  2
#define FAKE_TEXT   4096


/* a generation as a filler has it from the last FILL on */
typedef struct {
    uint32_t         stream;           /* 0: none */
    ngx_uint_t       lane;
    ngx_uint_t       fill;
    u_char           id[NGX_CHAT_ID_LEN];
    u_char           label[128];
    size_t           label_len;
    u_char           text[FAKE_TEXT];
    size_t           len;
    ngx_uint_t       chunks;
    ngx_uint_t       ended;            /* END or FAIL */
    ngx_uint_t       error;            /* of FAIL */
    ngx_uint_t       idle;
    ngx_uint_t       handed_over;
} fake_stream_t;


typedef struct {
    fake_stream_t    streams[64];
    ngx_uint_t       n;
    ngx_uint_t       taken[FAKE_LANES];  /* generations on it */
    ngx_uint_t       up[FAKE_LANES];
    ngx_uint_t       room;             /* records that are taken; then full */
    ngx_uint_t       over;             /* the worker's time is */
    ngx_uint_t       half;             /* the next one is taken in part */
    ngx_uint_t       messages;         /* flushes with something in them */
    ngx_uint_t       pending;          /* records since the last */
    ngx_uint_t       bad;              /* broken rules of the interface */
} fake_lanes_t;

extern fake_lanes_t  fake_lanes;


void fake_lanes_init(void);

void fake_lane_up(ngx_uint_t n);
void fake_lane_end(ngx_uint_t n);

/* the lane takes so many records more, and says so */
void fake_lanes_room(ngx_uint_t records);

/* the filler says something about the stream; NGX_OK, NGX_ERROR */
ngx_int_t fake_lane_answer(fake_stream_t *st, ngx_chat_lane_type_e type,
    const char *body, size_t len);

/* the last one; NULL: none */
fake_stream_t *fake_lane_stream(void);


#endif /* _FAKE_LANES_H_INCLUDED_ */
