
#include "fake_lanes.h"


struct ngx_chat_lane_slot_s {
    ngx_uint_t  n;
};

struct ngx_chat_lane_set_s {
    const ngx_chat_lane_set_ops_t  *ops;
    void                           *data;
};


fake_lanes_t  fake_lanes;

static ngx_chat_lane_slot_t  fake_slots[FAKE_LANES];
static ngx_chat_lane_set_t   fake_set;
static uint32_t              fake_serial;
static uint32_t              fake_half_of;


void
fake_lanes_init(void)
{
    ngx_uint_t  n;

    memset(&fake_lanes, 0, sizeof(fake_lanes_t));
    fake_lanes.room = (ngx_uint_t) -1;
    fake_half_of = 0;

    for (n = 0; n < FAKE_LANES; n++) {
        fake_slots[n].n = n;
    }
}


ngx_chat_lane_set_t *
ngx_chat_lane_set_create(ngx_uint_t n, const ngx_chat_lane_set_ops_t *ops,
    void *data, ngx_log_t *log)
{
    fake_set.ops = ops;
    fake_set.data = data;

    return &fake_set;
}


void
ngx_chat_lane_set_close(ngx_chat_lane_set_t *set)
{
    ngx_uint_t  n;

    for (n = 0; n < FAKE_LANES; n++) {
        fake_lanes.up[n] = 0;
    }
}


ngx_uint_t
ngx_chat_lane_is_over(void)
{
    return fake_lanes.over;
}


ngx_uint_t
ngx_chat_lane_set_is_up(ngx_chat_lane_set_t *set)
{
    return fake_lanes.up[0] || fake_lanes.up[1];
}


ngx_chat_lane_slot_t *
ngx_chat_lane_set_take(ngx_chat_lane_set_t *set, uint32_t *stream)
{
    ngx_uint_t  n;

    for (n = 0; n < FAKE_LANES; n++) {

        if (fake_lanes.up[n]) {
            fake_lanes.taken[n]++;
            *stream = ++fake_serial;
            return &fake_slots[n];
        }
    }

    return NULL;
}


void
ngx_chat_lane_slot_release(ngx_chat_lane_slot_t *slot, uint32_t stream)
{
    if (fake_lanes.taken[slot->n]-- == 0) {
        fake_lanes.bad++;
    }

    if (fake_half_of == stream) {
        fake_half_of = 0;
    }
}


static fake_stream_t *
fake_find(uint32_t stream)
{
    ngx_uint_t  i;

    for (i = 0; i < fake_lanes.n; i++) {
        if (fake_lanes.streams[i].stream == stream) {
            return &fake_lanes.streams[i];
        }
    }

    return NULL;
}


static void
fake_fill(ngx_uint_t lane, uint32_t stream, ngx_str_t *body)
{
    fake_stream_t         *st;
    ngx_chat_lane_fill_t   fill;

    if (fake_lanes.n == 64
        || ngx_chat_lane_fill_read(body, &fill) != NGX_OK)
    {
        fake_lanes.bad++;
        return;
    }

    st = &fake_lanes.streams[fake_lanes.n++];

    memset(st, 0, sizeof(fake_stream_t));

    st->stream = stream;
    st->lane = lane;
    st->fill = fill.fill;
    st->label_len = fill.label.len;
    memcpy(st->label, fill.label.data, fill.label.len);
    memcpy(st->id, fill.id, NGX_CHAT_ID_LEN);
}


static void
fake_take(fake_stream_t *st, ngx_chat_lane_type_e type, ngx_str_t *body)
{
    ngx_str_t               text;
    ngx_chat_error_e        error;
    ngx_chat_lane_kind_e    kind;
    ngx_chat_lane_complete_t  complete;

    switch (type) {

    case NGX_CHAT_LANE_CHUNK:
        if (ngx_chat_lane_chunk_read(body, &kind, &text) != NGX_OK
            || st->len + text.len > FAKE_TEXT || st->ended)
        {
            fake_lanes.bad++;
            return;
        }

        memcpy(st->text + st->len, text.data, text.len);
        st->len += text.len;
        st->chunks++;
        return;

    case NGX_CHAT_LANE_RESTART:
        memcpy(st->label, body->data, body->len);
        st->label_len = body->len;
        st->len = 0;
        st->chunks = 0;
        return;

    case NGX_CHAT_LANE_END:
        fake_lanes.bad += (ngx_chat_lane_complete_read(body, &complete)
                           != NGX_OK || st->ended);
        st->ended = 1;
        return;

    case NGX_CHAT_LANE_FAIL:
        fake_lanes.bad += (ngx_chat_lane_fail_read(body, &error) != NGX_OK
                           || st->ended);
        st->ended = 1;
        st->error = error;
        return;

    case NGX_CHAT_LANE_IDLE:
        st->idle++;
        return;

    case NGX_CHAT_LANE_HAND_OVER:
        st->handed_over = 1;
        return;

    default:
        fake_lanes.bad++;
    }
}


ngx_int_t
ngx_chat_lane_slot_send(ngx_chat_lane_slot_t *slot,
    ngx_chat_lane_record_t *record)
{
    size_t     len;
    ngx_str_t  body;

    len = record->head.len + record->text.len;

    if (!fake_lanes.up[slot->n] || record->stream == 0 || record->taken > len) {
        fake_lanes.bad++;
        return NGX_ERROR;
    }

    if (fake_lanes.room == 0
        || (fake_half_of && fake_half_of != record->stream))
    {
        return NGX_AGAIN;
    }

    if (fake_lanes.half && len > 1 && record->taken == 0) {
        fake_lanes.half = 0;
        fake_lanes.room = 0;
        fake_half_of = record->stream;
        record->taken = len / 2;
        return NGX_AGAIN;
    }

    fake_half_of = 0;
    fake_lanes.room--;
    fake_lanes.pending++;
    record->taken = len;

    body.len = len;
    body.data = malloc(len + 1);
    memcpy(body.data, record->head.data, record->head.len);
    memcpy(body.data + record->head.len, record->text.data, record->text.len);

    if (record->type == NGX_CHAT_LANE_FILL) {
        fake_fill(slot->n, record->stream, &body);

    } else if (fake_find(record->stream) == NULL) {
        fake_lanes.bad++;

    } else {
        fake_take(fake_find(record->stream), record->type, &body);
    }

    free(body.data);

    return NGX_OK;
}


void
ngx_chat_lane_slot_flush(ngx_chat_lane_slot_t *slot)
{
    if (fake_lanes.pending) {
        fake_lanes.messages++;
        fake_lanes.pending = 0;
    }
}


void
fake_lane_up(ngx_uint_t n)
{
    fake_lanes.up[n] = 1;
    fake_set.ops->up(fake_set.data, &fake_slots[n]);
}


void
fake_lane_end(ngx_uint_t n)
{
    fake_lanes.up[n] = 0;
    fake_set.ops->ended(fake_set.data, &fake_slots[n]);

    if (fake_lanes.taken[n]) {
        fake_lanes.bad++;
    }
}


void
fake_lanes_room(ngx_uint_t records)
{
    ngx_uint_t  n;

    fake_lanes.room = records;

    for (n = 0; n < FAKE_LANES; n++) {
        if (fake_lanes.up[n]) {
            fake_set.ops->room(fake_set.data, &fake_slots[n]);
        }
    }
}


ngx_int_t
fake_lane_answer(fake_stream_t *st, ngx_chat_lane_type_e type,
    const char *body, size_t len)
{
    ngx_str_t  s;

    if (!fake_lanes.up[st->lane]) {
        return NGX_OK;
    }

    s.data = (u_char *) body;
    s.len = len;

    return fake_set.ops->record(fake_set.data, &fake_slots[st->lane], type,
                                st->stream, &s);
}


fake_stream_t *
fake_lane_stream(void)
{
    return fake_lanes.n ? &fake_lanes.streams[fake_lanes.n - 1] : NULL;
}
