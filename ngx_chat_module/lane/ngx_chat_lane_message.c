
#include "ngx_chat_lane_private.h"


#define NGX_CHAT_LANE_MORE   0x01
#define NGX_CHAT_LANE_ABORT  0x02

/* as it travels; both ends are of one host */
typedef struct {
    uint16_t   len;
    uint8_t    type;
    uint8_t    flags;
    uint32_t   stream;
} ngx_chat_lane_message_head_t;


static ngx_int_t ngx_chat_lane_message_add_head(ngx_chat_bytes_t *message,
    ngx_chat_lane_type_e type, uint32_t stream, size_t len, ngx_uint_t flags);
static void ngx_chat_lane_message_copy(ngx_chat_bytes_t *message,
    ngx_chat_lane_record_t *record, size_t len);
static ngx_uint_t ngx_chat_lane_message_is_part(
    ngx_chat_lane_message_reader_t *reader, ngx_chat_lane_message_head_t *head);


ngx_int_t
ngx_chat_lane_message_add(ngx_chat_bytes_t *message,
    ngx_chat_lane_record_t *record)
{
    size_t      len, room;
    ngx_uint_t  flags;

    len = record->head.len + record->text.len - record->taken;
    flags = 0;

    /* an abort has its place behind records */

    room = message->max ? message->max : NGX_CHAT_LANE_MESSAGE;
    room -= NGX_CHAT_LANE_HEAD;

    if (message->len + NGX_CHAT_LANE_HEAD + len > room) {

        /* only what is larger than a message goes in parts */

        if (message->len) {
            return NGX_AGAIN;
        }

        len = room - NGX_CHAT_LANE_HEAD;
        flags = NGX_CHAT_LANE_MORE;
    }

    if (ngx_chat_lane_message_add_head(message, record->type, record->stream,
                                       len, flags)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_chat_lane_message_copy(message, record, len);

    return flags ? NGX_AGAIN : NGX_OK;
}


ngx_int_t
ngx_chat_lane_message_add_abort(ngx_chat_bytes_t *message,
    ngx_chat_lane_type_e type, uint32_t stream)
{
    return ngx_chat_lane_message_add_head(message, type, stream, 0,
                                          NGX_CHAT_LANE_ABORT);
}


/* makes room for len bytes behind the head, too */

static ngx_int_t
ngx_chat_lane_message_add_head(ngx_chat_bytes_t *message,
    ngx_chat_lane_type_e type, uint32_t stream, size_t len, ngx_uint_t flags)
{
    ngx_chat_lane_message_head_t  head;

    head.len = len;
    head.type = type;
    head.flags = flags;
    head.stream = stream;

    if (ngx_chat_bytes_reserve(message, NGX_CHAT_LANE_HEAD + len) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memcpy(message->data + message->len, &head, NGX_CHAT_LANE_HEAD);
    message->len += NGX_CHAT_LANE_HEAD;

    return NGX_OK;
}


static void
ngx_chat_lane_message_copy(ngx_chat_bytes_t *message,
    ngx_chat_lane_record_t *record, size_t len)
{
    size_t   n, from;
    u_char  *p;

    p = message->data + message->len;

    message->len += len;

    if (record->taken < record->head.len) {
        n = ngx_min(record->head.len - record->taken, len);

        p = ngx_cpymem(p, record->head.data + record->taken, n);

        record->taken += n;
        len -= n;
    }

    if (len) {
        from = record->taken - record->head.len;

        ngx_memcpy(p, record->text.data + from, len);

        record->taken += len;
    }
}


ngx_int_t
ngx_chat_lane_message_next(ngx_chat_lane_message_reader_t *reader,
    ngx_str_t *message, ngx_chat_lane_message_record_t *record)
{
    ngx_str_t                     part;
    ngx_chat_lane_message_head_t  head;

    if (!reader->open) {
        ngx_chat_bytes_free(&reader->parts);
    }

    for ( ;; ) {

        if (message->len == 0) {
            return NGX_DONE;
        }

        if (message->len < NGX_CHAT_LANE_HEAD) {
            return NGX_ERROR;
        }

        ngx_memcpy(&head, message->data, NGX_CHAT_LANE_HEAD);

        message->data += NGX_CHAT_LANE_HEAD;
        message->len -= NGX_CHAT_LANE_HEAD;

        if (head.len > message->len
            || !ngx_chat_lane_message_is_part(reader, &head))
        {
            return NGX_ERROR;
        }

        part.data = message->data;
        part.len = head.len;

        message->data += head.len;
        message->len -= head.len;

        if (head.flags == NGX_CHAT_LANE_ABORT) {
            ngx_chat_lane_message_free(reader);
            continue;
        }

        record->type = head.type;
        record->stream = head.stream;

        if (head.type == NGX_CHAT_LANE_ALIVE_RECORD
            || (!reader->open && head.flags == 0))
        {
            record->body = part;
            return NGX_OK;
        }

        reader->open = (head.flags == NGX_CHAT_LANE_MORE);
        reader->type = head.type;
        reader->stream = head.stream;
        reader->parts.max = NGX_CHAT_LANE_RECORD;

        if (ngx_chat_bytes_append(&reader->parts, part.data, part.len)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!reader->open) {
            record->body.data = reader->parts.data;
            record->body.len = reader->parts.len;
            return NGX_OK;
        }
    }
}


/* may this part come here, from the other end? */

static ngx_uint_t
ngx_chat_lane_message_is_part(ngx_chat_lane_message_reader_t *reader,
    ngx_chat_lane_message_head_t *head)
{
    ngx_uint_t  from_worker;

    if (head->type == 0 || head->type >= NGX_CHAT_LANE_TYPES) {
        return 0;
    }

    from_worker = (head->type >= NGX_CHAT_LANE_ALIVE_RECORD
                   && head->type <= NGX_CHAT_LANE_HAND_OVER);

    if (from_worker != (reader->end == NGX_CHAT_LANE_FILLER)) {
        return 0;
    }

    switch (head->flags) {

    case 0:
        break;

    case NGX_CHAT_LANE_MORE:
        if (head->type < NGX_CHAT_LANE_FILL || head->len == 0) {
            return 0;
        }

        break;

    case NGX_CHAT_LANE_ABORT:
        if (!reader->open || head->len) {
            return 0;
        }

        break;

    default:
        return 0;
    }

    return !reader->open
           || head->type == NGX_CHAT_LANE_ALIVE_RECORD
           || (head->type == reader->type && head->stream == reader->stream);
}


void
ngx_chat_lane_message_free(ngx_chat_lane_message_reader_t *reader)
{
    reader->open = 0;

    ngx_chat_bytes_free(&reader->parts);
}
