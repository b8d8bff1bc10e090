
/*
 * Messages of a lane, each behind a byte with its length, and a first byte that
 * tells which end reads: records lie within what was there, and written anew
 * they are read as the same.  So are the fields of those that have some.
 */


#include "fuzz.h"
#include "../../ngx_chat_module/lane/ngx_chat_lane_private.h"
#include "../../ngx_chat_module/lane/ngx_chat_lane_record.h"

#include <stdlib.h>


static void fuzz_record(ngx_chat_lane_end_e end,
    ngx_chat_lane_message_record_t *record, ngx_str_t *message,
    ngx_chat_lane_message_reader_t *reader);
static ngx_uint_t fuzz_inside(ngx_str_t *s, u_char *start, size_t len);
static void fuzz_fields(ngx_chat_lane_message_record_t *record);
static void fuzz_fill(ngx_str_t *body);
static void fuzz_complete(ngx_str_t *body);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    size_t                           len;
    ngx_int_t                        rc;
    ngx_str_t                        message, rest;
    ngx_chat_lane_message_reader_t   reader;
    ngx_chat_lane_message_record_t   record;

    if (size == 0) {
        return 0;
    }

    ngx_memzero(&reader, sizeof(ngx_chat_lane_message_reader_t));
    reader.end = data[0] & 1;

    data++;
    size--;
    rc = NGX_DONE;

    while (size && rc == NGX_DONE) {
        len = ngx_min(data[0], size - 1);

        message = ut_bytes(data + 1, len);
        rest = message;

        while ((rc = ngx_chat_lane_message_next(&reader, &rest, &record))
               == NGX_OK)
        {
            fuzz_record(reader.end, &record, &message, &reader);
            fuzz_fields(&record);
        }

        fuzz_must(rc != NGX_DONE || rest.len == 0, "all of a message");

        ut_free(&message);

        data += 1 + len;
        size -= 1 + len;
    }

    ngx_chat_lane_message_free(&reader);

    return 0;
}


static void
fuzz_record(ngx_chat_lane_end_e end, ngx_chat_lane_message_record_t *record,
    ngx_str_t *message, ngx_chat_lane_message_reader_t *reader)
{
    ngx_str_t                        s;
    ngx_chat_bytes_t                 b;
    ngx_chat_lane_record_t           again;
    ngx_chat_lane_message_reader_t   other;
    ngx_chat_lane_message_record_t   same;

    fuzz_must(fuzz_inside(&record->body, message->data, message->len)
              || fuzz_inside(&record->body, reader->parts.data,
                             reader->parts.len), "a body that is there");

    ngx_memzero(&b, sizeof(ngx_chat_bytes_t));
    ngx_memzero(&other, sizeof(ngx_chat_lane_message_reader_t));
    other.end = end;

    again.type = record->type;
    again.stream = record->stream;
    again.head.data = record->body.data;
    again.head.len = record->body.len / 2;
    again.text.data = record->body.data + again.head.len;
    again.text.len = record->body.len - again.head.len;
    again.taken = 0;

    fuzz_must(ngx_chat_lane_message_add(&b, &again) == NGX_OK
              && again.taken == record->body.len, "taken whole");

    s.data = b.data;
    s.len = b.len;

    fuzz_must(ngx_chat_lane_message_next(&other, &s, &same) == NGX_OK
              && same.type == record->type && same.stream == record->stream
              && ut_same(&same.body, &record->body), "the same record");
    fuzz_must(ngx_chat_lane_message_next(&other, &s, &same) == NGX_DONE,
              "and no other");

    ngx_chat_bytes_free(&b);
}


static ngx_uint_t
fuzz_inside(ngx_str_t *s, u_char *start, size_t len)
{
    return s->len == 0
           || (start && s->data >= start && s->data + s->len <= start + len);
}


static void
fuzz_fields(ngx_chat_lane_message_record_t *record)
{
    uint32_t               n;
    ngx_str_t              s;
    ngx_chat_error_e       error;
    ngx_chat_lane_kind_e   kind;

    switch (record->type) {

    case NGX_CHAT_LANE_FILL:
        fuzz_fill(&record->body);
        break;

    case NGX_CHAT_LANE_END:
        fuzz_complete(&record->body);
        break;

    case NGX_CHAT_LANE_CHUNK:
        if (ngx_chat_lane_chunk_read(&record->body, &kind, &s) == NGX_OK) {
            fuzz_must(kind < NGX_CHAT_LANE_KINDS
                      && s.len == record->body.len - 4, "kind and text");
        }

        break;

    case NGX_CHAT_LANE_RESTART:
        if (ngx_chat_lane_label_read(&record->body, &s) == NGX_OK) {
            fuzz_must(s.len && s.len <= NGX_CHAT_LANE_LABEL, "a label");
        }

        break;

    case NGX_CHAT_LANE_FAIL:
        if (ngx_chat_lane_fail_read(&record->body, &error) == NGX_OK) {
            fuzz_must(ngx_chat_error_code(error)->len > 0, "an error");
        }

        break;

    default:
        if (ngx_chat_lane_number_read(&record->body, &n) == NGX_OK) {
            fuzz_must(record->body.len == 4, "a number");
        }
    }
}


/* fields that were read are written as the same bytes */

static void
fuzz_fill(ngx_str_t *body)
{
    size_t                len;
    u_char               *p;
    ngx_chat_lane_fill_t  fill;

    if (ngx_chat_lane_fill_read(body, &fill) != NGX_OK) {
        return;
    }

    len = ngx_chat_lane_fill_len(&fill);
    fuzz_must(len + fill.messages.len == body->len, "the length of FILL");

    p = malloc(len);

    if (p == NULL) {
        abort();
    }

    fuzz_must(ngx_chat_lane_fill_write(p, &fill) == p + len
              && memcmp(p, body->data, len) == 0, "the same FILL");

    free(p);
}


static void
fuzz_complete(ngx_str_t *body)
{
    size_t                     len;
    u_char                    *p;
    ngx_chat_lane_complete_t   complete;

    if (ngx_chat_lane_complete_read(body, &complete) != NGX_OK) {
        return;
    }

    len = ngx_chat_lane_complete_len(&complete);
    fuzz_must(len == body->len, "the length of END");

    p = malloc(len);

    if (p == NULL) {
        abort();
    }

    fuzz_must(ngx_chat_lane_complete_write(p, &complete) == p + len
              && memcmp(p, body->data, len) == 0, "the same END");

    free(p);
}
