
/*
 * A lane at the filler's end, over a lane that is the test: records for jobs,
 * their reports, and what becomes of either when the lane is full or ends.
 */


#include "../../ngx_chat_module/filler/ngx_chat_filler_lane.h"

#include "ut_jobs.h"


#define UT_RECORDS  64
#define UT_BODY     1024


struct ngx_chat_lane_s {
    const ngx_chat_lane_ops_t  *ops;
    void                       *data;
};


static ngx_int_t ut_record(ngx_chat_lane_type_e type, uint32_t stream,
    const void *p, size_t len);
static ngx_int_t ut_fill_record(uint32_t stream, size_t label_len);
static ngx_int_t ut_chunk_record(uint32_t stream, const char *text);
static ngx_int_t ut_end_record(uint32_t stream);
static void ut_start(void);
static void ut_stop(void);
static ngx_uint_t ut_said(const char *records);
static void ut_passes_records(void);
static void ut_many_streams(void);
static void ut_nonsense(void);
static void ut_is_full(void);
static void ut_lane_ends(void);
static void ut_no_memory(void);


static ngx_chat_lane_t          ut_lane;
static ngx_chat_filler_lane_t  *ut_fl;
static ngx_queue_t              ut_lanes;

static char        ut_records[UT_RECORDS * 16];   /* "KEPT:1 DONE:1 " */
static ngx_uint_t  ut_full;                       /* sends that fail, then on */
static ngx_uint_t  ut_flushes;
static ngx_uint_t  ut_aborts;


int
main(void)
{
    ut_passes_records();
    ut_many_streams();
    ut_nonsense();
    ut_is_full();
    ut_lane_ends();
    ut_no_memory();

    ut_ok(ut_wrong == 0, ut_fault ? ut_fault : "no rule was broken");

    return ut_done();
}


ngx_chat_lane_t *
ngx_chat_lane_create(ngx_socket_t fd, ngx_chat_lane_end_e end,
    const ngx_chat_lane_ops_t *ops, void *data, ngx_log_t *log)
{
    if (fd == (ngx_socket_t) -1) {
        return NULL;
    }

    ut_lane.ops = ops;
    ut_lane.data = data;

    return &ut_lane;
}


ngx_int_t
ngx_chat_lane_send(ngx_chat_lane_t *lane, ngx_chat_lane_record_t *record)
{
    static const char *names[NGX_CHAT_LANE_TYPES] = {
        [NGX_CHAT_LANE_DRAIN] = "DRAIN", [NGX_CHAT_LANE_KEPT] = "KEPT",
        [NGX_CHAT_LANE_NOT_KEPT] = "NOT_KEPT", [NGX_CHAT_LANE_DONE] = "DONE",
        [NGX_CHAT_LANE_STOP] = "STOP", [NGX_CHAT_LANE_HEARD] = "HEARD",
        [NGX_CHAT_LANE_LISTENERS] = "LISTENERS",
        [NGX_CHAT_LANE_CANCELLED] = "CANCELLED"
    };

    char      *p;
    uint32_t   n;

    if (ut_full) {
        ut_full--;
        return NGX_AGAIN;
    }

    p = ut_records + strlen(ut_records);
    p += sprintf(p, "%s:%u", names[record->type], record->stream);

    if (record->type == NGX_CHAT_LANE_LISTENERS) {

        if (ngx_chat_lane_number_read(&record->head, &n) != NGX_OK) {
            ut_bad("LISTENERS without a number");
        }

        p += sprintf(p, "=%u", n);
    }

    if (record->type == NGX_CHAT_LANE_NOT_KEPT) {
        p += sprintf(p, "=%.*s", (int) record->head.len, record->head.data);
    }

    sprintf(p, " ");

    return NGX_OK;
}


void
ngx_chat_lane_abort(ngx_chat_lane_t *lane, uint32_t stream)
{
    ut_aborts++;
}


void
ngx_chat_lane_flush(ngx_chat_lane_t *lane)
{
    ut_flushes++;
}


/* exactly these records were sent since the last look */

static ngx_uint_t
ut_said(const char *records)
{
    ngx_uint_t  same;

    same = (strcmp(ut_records, records) == 0);

    if (!same) {
        printf("# %s\n", ut_records);
    }

    ut_records[0] = '\0';

    return same;
}


static void
ut_start(void)
{
    ut_begin();

    ut_records[0] = '\0';
    ut_full = 0;
    ut_flushes = 0;

    ngx_queue_init(&ut_lanes);

    ut_fl = ngx_chat_filler_lane_create(&ut_jobs[0], 7, &ut_lanes,
                                        (ngx_log_t *) ngx_cycle->log);
}


static void
ut_stop(void)
{
    if (!ngx_queue_empty(&ut_lanes)) {
        ut_lane.ops->ended(ut_lane.data);
    }

    /* a job that goes on without it is cancelled */

    ut_redis();
    fake_loop_run(1000);
    ut_redis();

    if (!ngx_queue_empty(&ut_lanes)) {
        ut_bad("a lane is left");
    }

    ut_end();
}


/* the body is a block of its own size */

static ngx_int_t
ut_record(ngx_chat_lane_type_e type, uint32_t stream, const void *p, size_t len)
{
    ngx_int_t  rc;
    ngx_str_t  body;

    body = ut_bytes(p, len);
    rc = ut_lane.ops->record(ut_lane.data, type, stream, &body);
    ut_free(&body);

    return rc;
}


static ngx_int_t
ut_fill_record(uint32_t stream, size_t label_len)
{
    u_char                buf[UT_BODY], label[UT_WORD], *p;
    ngx_chat_lane_fill_t  fill;

    ngx_memzero(&fill, sizeof(ngx_chat_lane_fill_t));

    ngx_memset(fill.h, 'a', NGX_CHAT_HASH_LEN);
    ngx_memset(fill.id, 'b', NGX_CHAT_ID_LEN);
    ngx_memset(fill.fp, 'f', NGX_CHAT_FP_LEN);
    ngx_memset(label, 'W', label_len);
    ngx_memcpy(label + label_len - 2, ".1", 2);

    fill.label.data = label;
    fill.label.len = label_len;
    fill.fill = 1;
    ngx_str_set(&fill.providers, "p=ffffffffffffffffffffffffffffffff");
    fill.ttl = 900000;
    fill.max_answer = 4096;
    fill.cancel = 1;
    fill.grace = 1000;

    p = ngx_chat_lane_fill_write(buf, &fill);
    p = ngx_cpymem(p, "[]", 2);

    return ut_record(NGX_CHAT_LANE_FILL, stream, buf, p - buf);
}


static ngx_int_t
ut_chunk_record(uint32_t stream, const char *text)
{
    u_char  buf[UT_BODY], *p;

    p = ngx_chat_lane_number_write(buf, NGX_CHAT_LANE_ANSWER);
    p = ngx_cpymem(p, text, strlen(text));

    return ut_record(NGX_CHAT_LANE_CHUNK, stream, buf, p - buf);
}


static ngx_int_t
ut_end_record(uint32_t stream)
{
    u_char                     buf[UT_BODY], *p;
    ngx_chat_lane_complete_t   complete;

    ngx_str_set(&complete.finish, "stop");
    ngx_str_set(&complete.provider, "p");
    ngx_str_set(&complete.model, "m");
    ngx_str_set(&complete.usage, "{}");

    p = ngx_chat_lane_complete_write(buf, &complete);

    return ut_record(NGX_CHAT_LANE_END, stream, buf, p - buf);
}


static void
ut_passes_records(void)
{
    u_char  buf[4];

    ut_start();

    ut_ok(ut_fill_record(5, 3) == NGX_OK, "a FILL is taken");
    ut_ok(ut_chunk_record(5, "W.1:0;") == NGX_OK
          && ut_chunk_record(5, "W.1:1;") == NGX_OK, "chunks are taken");
    ut_redis();
    ut_ok(ut_said("KEPT:5 ") && ut_written("W.1", 2), "claimed and written");
    ut_ok(ut_flushes == 1, "what is reported is flushed once a turn");

    ut_gen.listeners = 1;
    (void) ut_chunk_record(5, "W.1:2;");
    fake_loop_run(0);
    ut_redis();
    ut_ok(ut_said("LISTENERS:5=1 "), "somebody listens");

    (void) ut_record(NGX_CHAT_LANE_IDLE, 5, "", 0);
    fake_loop_run(0);
    ut_redis();
    ut_ok(ut_said("HEARD:5 "), "an IDLE is answered");

    ut_ok(ut_record(NGX_CHAT_LANE_RESTART, 5, "W.2", 3) == NGX_OK,
          "a RESTART is taken");
    (void) ut_chunk_record(5, "W.2:0;");
    fake_loop_run(0);
    ut_redis();
    ut_ok(ut_written("W.2", 1), "a RESTART is written");

    ut_ok(ut_end_record(5) == NGX_OK, "an END is taken");
    fake_loop_run(0);
    ut_redis();
    ut_ok(ut_said("DONE:5 ") && ut_gen.cached, "an END is written");

    ut_ok(ut_chunk_record(5, "W.2:1;") == NGX_OK && ut_said(""),
          "what comes behind the last report is nothing");
    ut_stop();

    ut_start();
    (void) ut_fill_record(5, 3);
    (void) ngx_chat_lane_number_write(buf, NGX_CHAT_E_PROVIDER_BROKEN);
    ut_ok(ut_record(NGX_CHAT_LANE_FAIL, 5, buf, 4) == NGX_OK,
          "a FAIL is taken");
    ut_redis();
    ut_ok(ut_said("KEPT:5 DONE:5 ")
          && strcmp(ut_gen.error, "provider_broken") == 0,
          "a FAIL is written");
    ut_stop();

    ut_start();
    (void) ut_fill_record(5, 3);
    ut_ok(ut_record(NGX_CHAT_LANE_HAND_OVER, 5, "", 0) == NGX_OK
          && ut_said(""), "a HAND_OVER is taken");
    ut_redis();
    fake_loop_run(0);
    ut_redis();
    ut_ok(ut_said("KEPT:5 NOT_KEPT:5=handed over ") && ut_asked == 1,
          "and told, and asked for");
    ut_ends();
    ut_redis();
    ut_stop();
}


/* all of one generation here, whose fills nobody takes but the first */

static void
ut_many_streams(void)
{
    uint32_t    i;
    ngx_uint_t  taken;

    ut_start();
    taken = 0;

    for (i = 1; i <= 40; i++) {
        taken += (ut_fill_record((i * 7919) % 1009, 3) == NGX_OK);
    }

    ut_ok(taken == 40, "many streams");

    for (i = 1; i <= 40; i++) {
        taken -= (ut_fill_record((i * 7919) % 1009, 3) == NGX_ERROR);
    }

    ut_ok(taken == 0, "no stream is taken twice");

    ut_redis();
    ut_ok(ut_jobs[0].led == 1, "each is told of");

    (void) ut_end_record(7919 % 1009);
    fake_loop_run(0);
    ut_redis();
    ut_ok(ut_jobs[0].led == 0 && ut_gen.state == 'd', "the one that was taken");

    ut_ok(ut_fill_record(7919 % 1009, 3) == NGX_OK, "a stream that has ended");
    ut_redis();
    ut_stop();
}


static void
ut_nonsense(void)
{
    u_char      buf[UT_BODY], *p;
    ngx_uint_t  n;

    ut_start();

    ut_ok(ut_fill_record(0, 3) == NGX_ERROR, "a FILL of no stream");
    ut_ok(ut_fill_record(1, NGX_CHAT_LABEL_LEN + 1) == NGX_ERROR,
          "a label that is too long");
    ut_ok(ut_record(NGX_CHAT_LANE_FILL, 1, "x", 1) == NGX_ERROR, "half a FILL");
    ut_ok(ut_jobs[0].led == 0 && ut_flying() == 0, "no job comes of these");

    ut_ok(ut_fill_record(1, NGX_CHAT_LABEL_LEN) == NGX_OK, "the longest label");
    ut_redis();
    ut_ok(ut_said("KEPT:1 "), "which is written");

    ut_ok(ut_chunk_record(1, "") == NGX_ERROR, "an empty chunk");
    ut_ok(ut_record(NGX_CHAT_LANE_CHUNK, 1, "x", 1) == NGX_ERROR,
          "half a chunk");

    p = ngx_chat_lane_number_write(buf, NGX_CHAT_LANE_ANSWER + 1);
    *p++ = 'x';
    ut_ok(ut_record(NGX_CHAT_LANE_CHUNK, 1, buf, p - buf) == NGX_ERROR,
          "a chunk of another kind");

    for (n = 0; n <= NGX_CHAT_LABEL_LEN; n++) {
        buf[n] = 'x';
    }

    ut_ok(ut_record(NGX_CHAT_LANE_RESTART, 1, buf, NGX_CHAT_LABEL_LEN + 1)
          == NGX_ERROR, "a RESTART with a label that is too long");
    ut_ok(ut_record(NGX_CHAT_LANE_RESTART, 1, "", 0) == NGX_ERROR,
          "a RESTART without a label");
    ut_ok(ut_record(NGX_CHAT_LANE_END, 1, "x", 1) == NGX_ERROR, "half an END");
    ut_ok(ut_record(NGX_CHAT_LANE_FAIL, 1, "x", 1) == NGX_ERROR, "half a FAIL");

    (void) ngx_chat_lane_number_write(buf, NGX_CHAT_E_NONE);
    ut_ok(ut_record(NGX_CHAT_LANE_FAIL, 1, buf, 4) == NGX_ERROR,
          "a FAIL without an error");

    for (n = NGX_CHAT_LANE_KEPT; n < NGX_CHAT_LANE_HAND_OVER; n++) {

        if (ut_record((ngx_chat_lane_type_e) n, 1, "", 0) != NGX_ERROR) {
            ut_bad("a report to a filler");
        }
    }

    ut_ok(ut_gen.chunks == 0 && ut_gen.state == 'r', "nothing comes of these");

    ut_stop();
}


static void
ut_is_full(void)
{
    ut_start();

    (void) ut_fill_record(1, 3);
    ut_full = 1;
    ut_gen.joined = 1;
    ut_redis();
    ut_ok(ut_said(""), "full: reports wait, and others behind them");

    ut_full = 1;
    ut_lane.ops->room(ut_lane.data);
    ut_ok(ut_said(""), "full again: they wait");

    ut_lane.ops->room(ut_lane.data);
    ut_ok(ut_said("KEPT:1 LISTENERS:1=1 "), "room: all of them, in order");

    ut_full = 1;
    (void) ut_chunk_record(1, "W.1:0;");
    (void) ut_end_record(1);
    fake_loop_run(0);
    ut_redis();
    ut_ok(ut_jobs[0].led == 0, "full: a job ends all the same");

    ut_lane.ops->room(ut_lane.data);
    ut_ok(ut_said("LISTENERS:1=0 DONE:1 ") && ut_aborts == 0,
          "room: its end is told");

    /* full to the end */

    (void) ut_fill_record(2, 3);
    ut_full = 1;
    ut_redis();
    ut_stop();
}


static void
ut_lane_ends(void)
{
    ut_start();

    (void) ut_fill_record(1, 3);
    (void) ut_chunk_record(1, "W.1:0;");
    ut_lane.ops->ended(ut_lane.data);
    ut_ok(ngx_queue_empty(&ut_lanes), "the end of a lane: it is gone");

    ut_redis();
    ut_ok(ut_said("") && ut_written("W.1", 1) && ut_jobs[0].led == 1,
          "the end of a lane: its job waits, and is written");

    fake_loop_run(1000);
    ut_redis();
    ut_ok(strcmp(ut_gen.error, "cancelled") == 0, "and is settled");
    ut_stop();

    ut_start();
    ngx_chat_filler_lane_drain(ut_fl);
    ut_ok(ut_said("DRAIN:0 "), "a filler that drains says so");
    fake_loop_run(0);
    ut_ok(ut_flushes == 1, "at once");
    ngx_chat_filler_lane_drain(ut_fl);
    ut_stop();
    ut_ok(ut_flushes == 1, "not over a lane that has ended");
}


static void
ut_no_memory(void)
{
    ngx_uint_t  n;

    for (n = 1; n < 8; n++) {
        ut_start();

        ut_fail_alloc = n;
        (void) ut_fill_record(1, 3);
        ut_fail_alloc = 0;

        ut_redis();

        if (strcmp(ut_records, "KEPT:1 ") != 0
            && strcmp(ut_records, "NOT_KEPT:1=memory ") != 0)
        {
            printf("# %s\n", ut_records);
            ut_bad("a FILL without memory");
        }

        (void) ut_end_record(1);
        fake_loop_run(0);
        ut_redis();
        ut_stop();
    }

    /* for a report that has to wait */

    ut_start();
    (void) ut_fill_record(1, 3);
    ut_full = 1;
    ut_fail_alloc = 1;
    ut_redis();
    ut_fail_alloc = 0;
    ut_ok(ut_aborts == 1, "no memory for a report: its record is given up");
    (void) ut_end_record(1);
    fake_loop_run(0);
    ut_redis();
    ut_stop();

    ngx_queue_init(&ut_lanes);
    ut_ok(ngx_chat_filler_lane_create(&ut_jobs[0], (ngx_socket_t) -1, &ut_lanes,
                                      (ngx_log_t *) ngx_cycle->log)
          == NULL && ngx_queue_empty(&ut_lanes), "no lane comes of a bad one");
}
