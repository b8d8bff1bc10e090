
#include "ngx_chat_filler_lane.h"
#include "../shm/ngx_chat_metrics.h"


/* a generation of this lane, whose job has not told its last yet */
typedef struct {
    ngx_rbtree_node_t         node;      /* key: the stream's number */
    ngx_chat_filler_lane_t   *lane;
    ngx_chat_job_t           *job;
} ngx_chat_filler_lane_stream_t;


typedef struct {
    ngx_queue_t               queue;
    ngx_chat_lane_record_t    record;
    u_char                    number[4];
} ngx_chat_filler_lane_late_t;


static ngx_int_t ngx_chat_filler_lane_record_handler(void *data,
    ngx_chat_lane_type_e type, uint32_t stream, ngx_str_t *body);
static ngx_int_t ngx_chat_filler_lane_fill(ngx_chat_filler_lane_t *lane,
    uint32_t number, ngx_str_t *body);
static ngx_int_t ngx_chat_filler_lane_pass(ngx_chat_job_t *job,
    ngx_chat_lane_type_e type, ngx_str_t *body);
static ngx_chat_filler_lane_stream_t *ngx_chat_filler_lane_find(
    ngx_chat_filler_lane_t *lane, uint32_t number);
static void ngx_chat_filler_lane_report_handler(void *data,
    ngx_chat_lane_type_e type, ngx_uint_t n, const char *why);
static void ngx_chat_filler_lane_send(ngx_chat_filler_lane_t *lane,
    ngx_chat_lane_type_e type, uint32_t stream, ngx_uint_t n,
    const char *why);
static void ngx_chat_filler_lane_keep(ngx_chat_filler_lane_t *lane,
    ngx_chat_lane_record_t *record);
static void ngx_chat_filler_lane_room_handler(void *data);
static void ngx_chat_filler_lane_flush_handler(ngx_event_t *ev);
static void ngx_chat_filler_lane_ended_handler(void *data);


static const ngx_chat_lane_ops_t  ngx_chat_filler_lane_ops = {
    ngx_chat_filler_lane_record_handler,
    NULL,
    ngx_chat_filler_lane_room_handler,
    ngx_chat_filler_lane_ended_handler
};


ngx_chat_filler_lane_t *
ngx_chat_filler_lane_create(ngx_chat_jobs_t *jobs, ngx_socket_t fd,
    ngx_queue_t *lanes, ngx_log_t *log)
{
    ngx_chat_filler_lane_t  *lane;

    lane = ngx_calloc(sizeof(ngx_chat_filler_lane_t), log);
    if (lane == NULL) {
        (void) close(fd);
        return NULL;
    }

    lane->ident = -1;
    lane->jobs = jobs;
    lane->log = log;

    ngx_rbtree_init(&lane->streams, &lane->sentinel, ngx_rbtree_insert_value);
    ngx_queue_init(&lane->backlog);

    lane->flush.handler = ngx_chat_filler_lane_flush_handler;
    lane->flush.data = lane;
    lane->flush.log = log;

    lane->lane = ngx_chat_lane_create(fd, NGX_CHAT_LANE_FILLER,
                                      &ngx_chat_filler_lane_ops, lane, log);
    if (lane->lane == NULL) {
        ngx_free(lane);
        return NULL;
    }

    ngx_queue_insert_tail(lanes, &lane->queue);

    ngx_chat_metrics_move(NGX_CHAT_GAUGE_LANES, 1);

    return lane;
}


void
ngx_chat_filler_lane_drain(ngx_chat_filler_lane_t *lane)
{
    ngx_chat_filler_lane_send(lane, NGX_CHAT_LANE_DRAIN, 0, 0, NULL);
}


static ngx_int_t
ngx_chat_filler_lane_record_handler(void *data, ngx_chat_lane_type_e type,
    uint32_t stream, ngx_str_t *body)
{
    ngx_chat_filler_lane_t *lane = data;

    ngx_chat_filler_lane_stream_t  *st;

    st = ngx_chat_filler_lane_find(lane, stream);

    if (type == NGX_CHAT_LANE_FILL) {
        return st ? NGX_ERROR : ngx_chat_filler_lane_fill(lane, stream, body);
    }

    /* the job's last report was on its way to the worker */

    if (st == NULL) {
        return NGX_OK;
    }

    return ngx_chat_filler_lane_pass(st->job, type, body);
}


static ngx_int_t
ngx_chat_filler_lane_fill(ngx_chat_filler_lane_t *lane, uint32_t number,
    ngx_str_t *body)
{
    ngx_chat_lane_fill_t            fill;
    ngx_chat_filler_lane_stream_t  *st;

    if (number == 0
        || ngx_chat_lane_fill_read(body, &fill) != NGX_OK
        || fill.label.len > NGX_CHAT_LABEL_LEN)
    {
        return NGX_ERROR;
    }

    st = ngx_alloc(sizeof(ngx_chat_filler_lane_stream_t), lane->log);

    if (st == NULL) {
        ngx_chat_filler_lane_send(lane, NGX_CHAT_LANE_NOT_KEPT, number, 0,
                                  "memory");
        return NGX_OK;
    }

    st->node.key = number;
    st->lane = lane;

    st->job = ngx_chat_job_led_start(lane->jobs, &fill,
                                     ngx_chat_filler_lane_report_handler, st);

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, lane->log, 0,
                   "chat lane stream:%uD generation:%*s fill:%ui",
                   number, (size_t) NGX_CHAT_ID_LEN, fill.id, fill.fill);

    if (st->job == NULL) {
        ngx_free(st);
        ngx_chat_filler_lane_send(lane, NGX_CHAT_LANE_NOT_KEPT, number, 0,
                                  "memory");
        return NGX_OK;
    }

    ngx_rbtree_insert(&lane->streams, &st->node);

    return NGX_OK;
}


static ngx_int_t
ngx_chat_filler_lane_pass(ngx_chat_job_t *job, ngx_chat_lane_type_e type,
    ngx_str_t *body)
{
    ngx_str_t                  text;
    ngx_chat_error_e           error;
    ngx_chat_lane_kind_e       kind;
    ngx_chat_lane_complete_t   complete;

    switch (type) {

    case NGX_CHAT_LANE_CHUNK:

        if (ngx_chat_lane_chunk_read(body, &kind, &text) != NGX_OK
            || kind != NGX_CHAT_LANE_ANSWER
            || text.len == 0)
        {
            return NGX_ERROR;
        }

        ngx_chat_job_led_text(job, &text);
        return NGX_OK;

    case NGX_CHAT_LANE_RESTART:

        if (ngx_chat_lane_label_read(body, &text) != NGX_OK
            || text.len > NGX_CHAT_LABEL_LEN)
        {
            return NGX_ERROR;
        }

        ngx_chat_job_led_restart(job, &text);
        return NGX_OK;

    case NGX_CHAT_LANE_END:

        if (ngx_chat_lane_complete_read(body, &complete) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_chat_job_led_complete(job, &complete);
        return NGX_OK;

    case NGX_CHAT_LANE_FAIL:

        if (ngx_chat_lane_fail_read(body, &error) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_chat_job_led_fail(job, error);
        return NGX_OK;

    case NGX_CHAT_LANE_IDLE:

        ngx_chat_job_led_idle(job);
        return NGX_OK;

    case NGX_CHAT_LANE_HAND_OVER:

        ngx_chat_job_led_hand_over(job);
        return NGX_OK;

    default:

        return NGX_ERROR;
    }
}


static ngx_chat_filler_lane_stream_t *
ngx_chat_filler_lane_find(ngx_chat_filler_lane_t *lane, uint32_t number)
{
    ngx_rbtree_node_t  *node;

    node = lane->streams.root;

    while (node != &lane->sentinel) {

        if (number == node->key) {
            return (ngx_chat_filler_lane_stream_t *) node;
        }

        node = (number < node->key) ? node->left : node->right;
    }

    return NULL;
}


static void
ngx_chat_filler_lane_report_handler(void *data, ngx_chat_lane_type_e type,
    ngx_uint_t n, const char *why)
{
    ngx_chat_filler_lane_stream_t *st = data;

    uint32_t                 number;
    ngx_chat_filler_lane_t  *lane;

    lane = st->lane;
    number = (uint32_t) st->node.key;

    if (type == NGX_CHAT_LANE_DONE
        || type == NGX_CHAT_LANE_NOT_KEPT
        || type == NGX_CHAT_LANE_CANCELLED)
    {
        ngx_rbtree_delete(&lane->streams, &st->node);
        ngx_free(st);
    }

    ngx_chat_filler_lane_send(lane, type, number, n, why);
}


/* records gather until the end of this turn of the event loop */

static void
ngx_chat_filler_lane_send(ngx_chat_filler_lane_t *lane,
    ngx_chat_lane_type_e type, uint32_t stream, ngx_uint_t n, const char *why)
{
    u_char                  number[4];
    ngx_chat_lane_record_t  record;

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, lane->log, 0,
                   "chat lane reports type:%ui stream:%uD n:%ui why:\"%s\"",
                   (ngx_uint_t) type, stream, n, why ? why : "");

    ngx_memzero(&record, sizeof(ngx_chat_lane_record_t));

    record.type = type;
    record.stream = stream;

    if (why) {
        record.head.data = (u_char *) why;
        record.head.len = ngx_strlen(why);

    } else if (type == NGX_CHAT_LANE_LISTENERS) {
        record.head.data = number;
        record.head.len = ngx_chat_lane_number_write(number, n) - number;
    }

    if (!ngx_queue_empty(&lane->backlog)
        || ngx_chat_lane_send(lane->lane, &record) == NGX_AGAIN)
    {
        ngx_chat_filler_lane_keep(lane, &record);
    }

    ngx_post_event(&lane->flush, &ngx_posted_events);
}


static void
ngx_chat_filler_lane_keep(ngx_chat_filler_lane_t *lane,
    ngx_chat_lane_record_t *record)
{
    ngx_chat_filler_lane_late_t  *late;

    late = ngx_alloc(sizeof(ngx_chat_filler_lane_late_t), lane->log);

    if (late == NULL) {
        /* the worker waits for it, as long as it waits for a filler */
        ngx_chat_lane_abort(lane->lane, record->stream);
        return;
    }

    late->record = *record;

    if (record->type == NGX_CHAT_LANE_LISTENERS) {
        ngx_memcpy(late->number, record->head.data, record->head.len);
        late->record.head.data = late->number;
    }

    ngx_queue_insert_tail(&lane->backlog, &late->queue);
}


static void
ngx_chat_filler_lane_room_handler(void *data)
{
    ngx_chat_filler_lane_t *lane = data;

    ngx_queue_t                  *q;
    ngx_chat_filler_lane_late_t  *late;

    while (!ngx_queue_empty(&lane->backlog)) {
        q = ngx_queue_head(&lane->backlog);
        late = ngx_queue_data(q, ngx_chat_filler_lane_late_t, queue);

        if (ngx_chat_lane_send(lane->lane, &late->record) == NGX_AGAIN) {
            return;
        }

        ngx_queue_remove(q);
        ngx_free(late);

        ngx_post_event(&lane->flush, &ngx_posted_events);
    }
}


static void
ngx_chat_filler_lane_flush_handler(ngx_event_t *ev)
{
    ngx_chat_filler_lane_t  *lane;

    lane = ev->data;

    ngx_chat_lane_flush(lane->lane);
}


static void
ngx_chat_filler_lane_ended_handler(void *data)
{
    ngx_chat_filler_lane_t *lane = data;

    ngx_queue_t                    *q;
    ngx_rbtree_node_t              *node;
    ngx_chat_filler_lane_stream_t  *st;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, lane->log, 0, "chat lane has ended");

    while (lane->streams.root != &lane->sentinel) {
        node = ngx_rbtree_min(lane->streams.root, &lane->sentinel);
        st = (ngx_chat_filler_lane_stream_t *) node;

        ngx_rbtree_delete(&lane->streams, node);

        ngx_chat_job_led_leave(st->job);

        ngx_free(st);
    }

    while (!ngx_queue_empty(&lane->backlog)) {
        q = ngx_queue_head(&lane->backlog);

        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_chat_filler_lane_late_t, queue));
    }

    if (lane->flush.posted) {
        ngx_delete_posted_event(&lane->flush);
    }

    ngx_queue_remove(&lane->queue);

    ngx_free(lane);

    ngx_chat_metrics_move(NGX_CHAT_GAUGE_LANES, -1);
}
