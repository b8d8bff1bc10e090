
#include "ngx_chat_job_led.h"
#include "ngx_chat_job_led_private.h"
#include "../shm/ngx_chat_metrics.h"


/* beside the job itself: what ends an answer, and an entry */
#define NGX_CHAT_JOB_LED_SPARE  128


static void ngx_chat_job_led_set_label(ngx_chat_job_t *job, ngx_str_t *label);
static void ngx_chat_job_led_replace(ngx_chat_job_t *job);
static void ngx_chat_job_led_claim(ngx_chat_job_t *job,
    ngx_chat_claim_t *claim);
static void ngx_chat_job_led_run(ngx_chat_job_t *job,
    ngx_chat_claimed_t *claimed);
static void ngx_chat_job_led_skip(ngx_chat_job_t *job);
static void ngx_chat_job_led_start_over(ngx_chat_job_t *job);
static ngx_uint_t ngx_chat_job_led_has_ended(ngx_chat_job_t *job);
static void ngx_chat_job_led_break(ngx_chat_job_t *job, ngx_int_t rc);
static ngx_int_t ngx_chat_job_led_copy(ngx_chat_job_t *job, ngx_str_t *dst,
    ngx_str_t *src);
static void ngx_chat_job_led_appended(ngx_chat_job_t *job,
    ngx_uint_t listeners, ngx_uint_t stop);
static void ngx_chat_job_led_set_listeners(ngx_chat_job_t *job,
    ngx_uint_t listeners);
static void ngx_chat_job_led_report(ngx_chat_job_t *job,
    ngx_chat_lane_type_e type, ngx_uint_t n);
static void ngx_chat_job_led_heard(ngx_chat_job_t *job, ngx_int_t rc);
static void ngx_chat_job_led_stop(ngx_chat_job_t *job);
static void ngx_chat_job_led_over(ngx_chat_job_t *job,
    ngx_chat_job_outcome_e outcome);


static const ngx_chat_job_source_t  ngx_chat_job_led_source = {
    ngx_chat_job_led_claim,
    ngx_chat_job_led_run,
    ngx_chat_job_led_appended,
    ngx_chat_job_led_heard,
    ngx_chat_job_orphan_settle,
    ngx_chat_job_led_stop,
    ngx_chat_job_led_over,
    1
};


ngx_chat_job_t *
ngx_chat_job_led_start(ngx_chat_jobs_t *jobs, ngx_chat_lane_fill_t *fill,
    ngx_chat_job_report_pt report, void *data)
{
    size_t                  size;
    ngx_chat_job_t         *job;
    ngx_chat_job_led_t     *led;
    ngx_chat_task_entry_t   task;

    ngx_memzero(&task, sizeof(ngx_chat_task_entry_t));

    ngx_memcpy(task.gen.h, fill->h, NGX_CHAT_HASH_LEN);
    ngx_memcpy(task.gen.id, fill->id, NGX_CHAT_ID_LEN);
    ngx_memcpy(task.gen.fp, fill->fp, NGX_CHAT_FP_LEN);

    task.queue = NGX_CHAT_QUEUE_LED;
    task.providers = fill->providers;
    task.messages = fill->messages;
    task.trace = fill->trace;
    task.ttl = fill->ttl;
    task.stale = fill->stale;
    task.max_answer = fill->max_answer;
    task.cancel = fill->cancel;
    task.grace = fill->grace;

    /* a pool of the size that is needed, as there may be very many */

    size = sizeof(ngx_pool_t) + sizeof(ngx_chat_job_t)
           + sizeof(ngx_chat_job_led_t) + NGX_CHAT_JOB_LED_SPARE
           + fill->providers.len + fill->messages.len
           + fill->trace.request_id.len + fill->trace.traceparent.len;

    size = ngx_min(ngx_align(size, NGX_POOL_ALIGNMENT), NGX_CHAT_JOB_POOL);

    job = ngx_chat_job_create(jobs, &task, &ngx_chat_job_led_source, size);
    if (job == NULL) {
        return NULL;
    }

    led = ngx_pcalloc(job->pool, sizeof(ngx_chat_job_led_t));
    if (led == NULL) {
        ngx_chat_job_free(job);
        return NULL;
    }

    job->led = led;
    led->fill = fill->fill;

    ngx_chat_job_orphan_init(job);
    ngx_chat_job_led_set_label(job, &fill->label);
    ngx_chat_job_led_replace(job);

    if (ngx_chat_job_claim(job) != NGX_OK) {
        ngx_chat_job_free(job);
        return NULL;
    }

    led->report = report;
    led->data = data;

    return job;
}


static void
ngx_chat_job_led_set_label(ngx_chat_job_t *job, ngx_str_t *label)
{
    job->label.data = job->label_buf;
    job->label.len = ngx_min(label->len, NGX_CHAT_LABEL_LEN);

    ngx_memcpy(job->label_buf, label->data, job->label.len);
}


/*
 * The worker has lost a lane to this filler, and comes again over another one:
 * the claim, with its higher number, ends what the former job does in Redis.
 */

static void
ngx_chat_job_led_replace(ngx_chat_job_t *job)
{
    ngx_chat_job_t  *old;

    old = ngx_chat_job_orphan_find(job->jobs, job->task.gen.id);

    if (old == NULL) {
        return;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat job is led again, by a new lane");

    if (old->task.entry.len) {
        ngx_chat_job_insure_adopt(job, old->task.queue, &old->task.entry);
    }

    ngx_chat_job_orphan_leave(old);
}


static void
ngx_chat_job_led_claim(ngx_chat_job_t *job, ngx_chat_claim_t *claim)
{
    job->restart = 0;

    ngx_str_null(&claim->predecessor);

    claim->label = job->label;
    claim->fill = job->led->fill;
    claim->budget = ngx_chat_job_candidates_get_budget(job);
}


static void
ngx_chat_job_led_run(ngx_chat_job_t *job, ngx_chat_claimed_t *claimed)
{
    ngx_chat_job_led_t  *led;

    led = job->led;

    job->next = 0;
    job->offset = 0;
    led->skip = job->restart ? 0 : claimed->bytes;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat job is led, fill:%ui bytes:%uz joined:%d",
                   led->fill, led->skip, (int) claimed->joined);

    if (claimed->task.len && job->task.entry.len == 0) {
        ngx_chat_job_insure_adopt(job, claimed->queue, &claimed->task);
    }

    if (!led->kept) {
        led->kept = 1;
        ngx_chat_job_led_report(job, NGX_CHAT_LANE_KEPT, 0);
    }

    if (claimed->joined) {
        ngx_chat_job_led_set_listeners(job, 1);
    }

    ngx_chat_job_led_skip(job);
    ngx_chat_job_orphan_run(job);
}


/*
 * Passes over chunks that are in Redis already.  They were cut by the worker
 * once and for all, so that their end is a chunk's end.
 */

static void
ngx_chat_job_led_skip(ngx_chat_job_t *job)
{
    uint32_t            *chunk_lens;
    ngx_uint_t           count;
    ngx_chat_job_led_t  *led;

    led = job->led;
    chunk_lens = (uint32_t *) job->chunk_lens.data;
    count = job->chunk_lens.len / sizeof(uint32_t);

    while (led->skip
           && job->next < count
           && chunk_lens[job->next] <= led->skip)
    {
        led->skip -= chunk_lens[job->next];
        job->offset += chunk_lens[job->next];
        job->next++;
    }

    if (led->skip == 0 || (job->next == count && !job->answered)) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                  "chat generation is written from its start again: it is cut "
                  "otherwise in Redis");

    led->skip = 0;
    job->next = 0;
    job->offset = 0;
    job->restart = 1;
}


void
ngx_chat_job_led_text(ngx_chat_job_t *job, ngx_str_t *text)
{
    uint32_t   len;
    ngx_int_t  rc;

    if (ngx_chat_job_led_has_ended(job)) {
        return;
    }

    len = (uint32_t) text->len;

    rc = ngx_chat_bytes_append(&job->text, text->data, text->len);

    if (rc == NGX_OK) {
        rc = ngx_chat_bytes_append(&job->chunk_lens, &len, sizeof(uint32_t));
    }

    if (rc != NGX_OK) {
        ngx_chat_job_led_break(job, rc);
        return;
    }

    if (job->state == NGX_CHAT_JOB_RUNNING) {
        ngx_chat_job_led_skip(job);
    }

    ngx_post_event(&job->event, &ngx_posted_events);
}


void
ngx_chat_job_led_restart(ngx_chat_job_t *job, ngx_str_t *label)
{
    if (ngx_chat_job_led_has_ended(job)) {
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat job restarts, label:\"%V\"", label);

    ngx_chat_job_led_set_label(job, label);
    ngx_chat_job_led_start_over(job);
}


static void
ngx_chat_job_led_start_over(ngx_chat_job_t *job)
{
    job->text.len = 0;
    job->chunk_lens.len = 0;
    job->next = 0;
    job->offset = 0;
    job->led->skip = 0;
    job->restart = 1;
}


void
ngx_chat_job_led_complete(ngx_chat_job_t *job,
    ngx_chat_lane_complete_t *complete)
{
    ngx_chat_job_answer_t  *answer;

    if (ngx_chat_job_led_has_ended(job)) {
        return;
    }

    answer = &job->answer;

    if (ngx_chat_job_led_copy(job, &answer->finish, &complete->finish)
           != NGX_OK
        || ngx_chat_job_led_copy(job, &answer->provider, &complete->provider)
           != NGX_OK
        || ngx_chat_job_led_copy(job, &answer->model, &complete->model)
           != NGX_OK
        || ngx_chat_job_led_copy(job, &answer->usage, &complete->usage)
           != NGX_OK)
    {
        ngx_chat_job_led_break(job, NGX_ERROR);
        return;
    }

    job->answered = 1;

    if (job->state == NGX_CHAT_JOB_RUNNING) {
        ngx_chat_job_led_skip(job);
    }

    ngx_post_event(&job->event, &ngx_posted_events);
}


void
ngx_chat_job_led_fail(ngx_chat_job_t *job, ngx_chat_error_e error)
{
    if (ngx_chat_job_led_has_ended(job)) {
        return;
    }

    job->error = error;

    ngx_post_event(&job->event, &ngx_posted_events);
}


void
ngx_chat_job_led_idle(ngx_chat_job_t *job)
{
    if (ngx_chat_job_led_has_ended(job)) {
        return;
    }

    job->cancel = 1;

    ngx_post_event(&job->event, &ngx_posted_events);
}


/* nothing can follow, or would be of use */

static ngx_uint_t
ngx_chat_job_led_has_ended(ngx_chat_job_t *job)
{
    return job->answered || job->error != NGX_CHAT_E_NONE;
}


static void
ngx_chat_job_led_break(ngx_chat_job_t *job, ngx_int_t rc)
{
    job->broken = 1;

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "chat generation is not written: it is longer than "
                      "chat_max_answer, or has too many chunks");

        job->error = NGX_CHAT_E_ANSWER_TOO_LONG;

    } else {
        job->error = NGX_CHAT_E_INTERNAL;
    }

    job->why = "error";

    ngx_post_event(&job->event, &ngx_posted_events);
}


static ngx_int_t
ngx_chat_job_led_copy(ngx_chat_job_t *job, ngx_str_t *dst, ngx_str_t *src)
{
    if (src->len == 0) {
        ngx_str_null(dst);
        return NGX_OK;
    }

    dst->data = ngx_pstrdup(job->pool, src);

    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    dst->len = src->len;

    return NGX_OK;
}


static void
ngx_chat_job_led_appended(ngx_chat_job_t *job, ngx_uint_t listeners,
    ngx_uint_t stop)
{
    ngx_chat_job_led_t  *led;

    led = job->led;

    if (stop && !led->stopped) {
        led->stopped = 1;

        if (led->report && !led->handed_over) {
            ngx_chat_job_led_report(job, NGX_CHAT_LANE_STOP, 0);

        } else if (!ngx_chat_job_led_has_ended(job)) {
            job->error = NGX_CHAT_E_STOPPED;
        }
    }

    ngx_chat_job_led_set_listeners(job, listeners);
}


/* somebody listens elsewhere: for them it is to end, whoever dies */

static void
ngx_chat_job_led_set_listeners(ngx_chat_job_t *job, ngx_uint_t listeners)
{
    ngx_chat_job_led_t  *led;

    led = job->led;

    if (listeners) {
        led->joined = 1;

        if (!ngx_chat_job_led_has_ended(job)) {
            ngx_chat_job_insure(job);
        }
    }

    if (led->listeners != (listeners != 0)) {
        led->listeners = (listeners != 0);
        ngx_chat_job_led_report(job, NGX_CHAT_LANE_LISTENERS, led->listeners);
    }
}


static void
ngx_chat_job_led_report(ngx_chat_job_t *job, ngx_chat_lane_type_e type,
    ngx_uint_t n)
{
    ngx_chat_job_led_t  *led;

    led = job->led;

    if (led->report) {
        led->report(led->data, type, n, NULL);
    }
}


static void
ngx_chat_job_led_heard(ngx_chat_job_t *job, ngx_int_t rc)
{
    if (job->led->report) {
        ngx_chat_job_led_report(job, NGX_CHAT_LANE_HEARD, 0);
        return;
    }

    ngx_chat_job_orphan_heard(job);
}


static void
ngx_chat_job_led_stop(ngx_chat_job_t *job)
{
    if (job->event.posted) {
        ngx_delete_posted_event(&job->event);
    }
}


static void
ngx_chat_job_led_over(ngx_chat_job_t *job, ngx_chat_job_outcome_e outcome)
{
    ngx_chat_job_report_pt  report;

    /* no memory for it */

    if (job->led == NULL) {
        return;
    }

    ngx_chat_job_orphan_stop(job);

    report = job->led->report;
    job->led->report = NULL;

    if (report == NULL) {
        return;
    }

    switch (outcome) {

    case NGX_CHAT_JOB_WRITTEN:
        ngx_chat_metrics_count(NGX_CHAT_COUNT_FILLS_WRITTEN);
        report(job->led->data, NGX_CHAT_LANE_DONE, 0, NULL);
        break;

    case NGX_CHAT_JOB_CANCELLED:
        ngx_chat_metrics_count(NGX_CHAT_COUNT_FILLS_CANCELLED);
        report(job->led->data, NGX_CHAT_LANE_CANCELLED, 0, NULL);
        break;

    case NGX_CHAT_JOB_NOT_WRITTEN:
        ngx_chat_metrics_count(NGX_CHAT_COUNT_FILLS_NOT_WRITTEN);
        report(job->led->data, NGX_CHAT_LANE_NOT_KEPT, 0, job->why);
        break;
    }
}


void
ngx_chat_job_led_leave(ngx_chat_job_t *job)
{
    job->led->report = NULL;

    if (ngx_chat_job_led_has_ended(job) || job->led->orphan) {
        return;
    }

    if (job->led->stopped) {
        job->error = NGX_CHAT_E_STOPPED;
        ngx_post_event(&job->event, &ngx_posted_events);
        return;
    }

    ngx_chat_job_orphan_start(job, NGX_CHAT_JOB_ORPHAN_WAIT);
}


void
ngx_chat_job_led_hand_over(ngx_chat_job_t *job)
{
    ngx_chat_job_led_t  *led;

    if (ngx_chat_job_led_has_ended(job) || job->led->orphan) {
        return;
    }

    led = job->led;

    /* clients of the worker are about to listen */

    led->handed_over = 1;
    led->heard = 1;

    ngx_chat_job_orphan_start(job, 0);
}
