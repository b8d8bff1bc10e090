
/*
 * The bytes of messages, without sockets: records into a message, and out of
 * one again.  For the files of this folder.
 *
 * A message is parts, one behind the other, each with a head of 8 bytes:
 *
 *   length   2   of the bytes behind the head
 *   type     1   of the record
 *   flags    1   1: another part of the record follows; 2: none will, forget it
 *   stream   4
 *
 * Between the parts of a record are those of no other, but for ALIVE.
 */


#ifndef _NGX_CHAT_LANE_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_LANE_PRIVATE_H_INCLUDED_


#include "ngx_chat_lane.h"
#include "../codec/ngx_chat_bytes.h"


#define NGX_CHAT_LANE_HEAD  8


/* a record as it was read */
typedef struct {
    ngx_chat_lane_type_e   type;
    uint32_t               stream;
    ngx_str_t              body;
} ngx_chat_lane_message_record_t;


/* zeroed by its owner, with the end that reads, and freed once */
typedef struct {
    ngx_chat_lane_end_e    end;

    /* a record of which parts are here, but not all */
    ngx_uint_t             open;
    ngx_chat_lane_type_e   type;
    uint32_t               stream;
    ngx_chat_bytes_t       parts;
} ngx_chat_lane_message_reader_t;


/*
 * Takes what fits of a record into a message of message->max bytes; 0:
 * NGX_CHAT_LANE_MESSAGE.  NGX_OK: it is whole; NGX_AGAIN: the message is
 * to be sent before it is; NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_lane_message_add(ngx_chat_bytes_t *message,
    ngx_chat_lane_record_t *record);

/* no other part of this record will come; there is room for it, once */
ngx_int_t ngx_chat_lane_message_add_abort(ngx_chat_bytes_t *message,
    ngx_chat_lane_type_e type, uint32_t stream);

/*
 * Takes the next record off a message.  NGX_OK: its body is valid until the
 * next call; NGX_DONE: the message is over; NGX_ERROR: it cannot be read.
 */
ngx_int_t ngx_chat_lane_message_next(ngx_chat_lane_message_reader_t *reader,
    ngx_str_t *message, ngx_chat_lane_message_record_t *record);

void ngx_chat_lane_message_free(ngx_chat_lane_message_reader_t *reader);


#endif /* _NGX_CHAT_LANE_PRIVATE_H_INCLUDED_ */
