
#include "ut_jobs.h"
#include "../../ngx_chat_module/filler/ngx_chat_job_private.h"
#include "../../ngx_chat_module/filler/ngx_chat_provider_curl.h"

#include <stdlib.h>


static ngx_chat_provider_call_t *ut_transport_start(void *ctx,
    ngx_chat_provider_request_t *rq);
static void ut_transport_cancel(ngx_chat_provider_call_t *call);
static void ut_report_handler(void *data, ngx_chat_lane_type_e type,
    ngx_uint_t n, const char *why);
static void ut_counted_handler(void *data);


const ngx_chat_transport_t  ngx_chat_provider_curl_transport = {
    ut_transport_start,
    ut_transport_cancel
};


ngx_chat_jobs_t  ut_jobs[UT_FILLERS];
ngx_uint_t       ut_asked;
ngx_uint_t       ut_asking;
ngx_uint_t       ut_shown;
ngx_uint_t       ut_wrong;
const char      *ut_fault;

static ngx_chat_filler_conf_t        ut_conf[UT_FILLERS];
static ngx_pool_t                   *ut_mem;
static ngx_chat_provider_t           ut_provider;
static ngx_chat_provider_call_t      ut_call;
static ngx_chat_provider_request_t   ut_request;
static uint32_t                      ut_state;


/* the health page does not matter here */

ngx_atomic_uint_t
ngx_chat_scoreboard_provider_key(ngx_str_t *name)
{
    return name->len;
}


ngx_uint_t
ngx_chat_scoreboard_count_generations(ngx_chat_scoreboard_t *sb)
{
    return ngx_chat_jobs_count_asking(&ut_jobs[0])
           + ngx_chat_jobs_count_asking(&ut_jobs[1]);
}


ngx_int_t
ngx_chat_scoreboard_take_place(ngx_chat_scoreboard_t *sb, ngx_atomic_t *count,
    ngx_uint_t most)
{
    return ngx_chat_scoreboard_count_generations(sb) < most ? NGX_OK
                                                            : NGX_DECLINED;
}


u_char *
ngx_snprintf(u_char *buf, size_t max, const char *fmt, ...)
{
    return buf;
}


void
ut_seed(uint32_t seed)
{
    ut_state = seed;
}


uint32_t
ut_random(uint32_t n)
{
    ut_state = ut_state * 1664525 + 1013904223;

    return (ut_state >> 8) % n;
}


void
ut_bad(const char *what)
{
    ut_wrong++;

    if (ut_fault == NULL) {
        ut_fault = what;
    }
}


void
ut_begin(void)
{
    ngx_uint_t            i;
    ngx_array_t          *providers;
    ngx_chat_jobs_t      *jobs;
    ngx_chat_provider_t **pvp;

    fake_loop_init();

    ngx_memzero(&ut_gen, sizeof(ut_gen_t));
    ngx_memzero(ut_sent, UT_VERBS * sizeof(ngx_uint_t));

    ut_gen.state = 'q';
    ut_gen.n = 1;
    ut_gen.processings = 1;
    strcpy(ut_gen.call, "W.1");
    strcpy(ut_gen.task, "-");

    ut_down = 0;
    ut_closed = 0;
    ut_refuses = 0;
    ut_oom = 0;
    ut_slow = 0;
    ut_asked = 0;
    ut_asking = 0;

    ut_mem = ut_pool();
    providers = ngx_array_create(ut_mem, 1, sizeof(ngx_chat_provider_t *));

    ngx_str_set(&ut_provider.name, "p");
    ngx_str_set(&ut_provider.model, "m");
    ngx_memset(ut_provider.fp, 'f', NGX_CHAT_FP_LEN);
    ut_provider.total_timeout = 100000;
    ut_provider.fail_timeout = 10000;

    pvp = ngx_array_push(providers);
    *pvp = &ut_provider;

    for (i = 0; i < UT_FILLERS; i++) {
        jobs = &ut_jobs[i];

        ngx_memzero(jobs, sizeof(ngx_chat_jobs_t));

        ut_conf[i].concurrency = 2;
        ut_conf[i].generations = 4;

        jobs->conf = &ut_conf[i];
        jobs->peers = ngx_chat_peers_create(providers, ut_mem);
        jobs->log = ngx_cycle->log;
        jobs->counted = ut_counted_handler;

        ngx_memset(jobs->token, 'a' + (int) i, NGX_CHAT_TOKEN_LEN);
        ngx_queue_init(&jobs->jobs);
        ngx_queue_init(&jobs->orphans);
    }
}


void
ut_end(void)
{
    ngx_uint_t  i;

    for (i = 0; i < UT_FILLERS; i++) {

        if (ut_running(i) || ut_jobs[i].running || ut_jobs[i].led
            || ut_jobs[i].over
            || !ngx_queue_empty(&ut_jobs[i].orphans))
        {
            ut_bad("a job is left");
            ut_kill(i);
        }
    }

    if (ut_flying()) {
        ut_bad("a command is left");
    }

    if (ut_asking) {
        ut_bad("a call of the provider is left");
    }

    if (fake_loop_next() != -1) {
        ut_bad("a timer is left");
    }

    ngx_destroy_pool(ut_mem);
}


static void
ut_counted_handler(void *data)
{
    ngx_uint_t  i;

    for (i = 0; i < UT_FILLERS; i++) {

        if (ut_jobs[i].running > 1000 || ut_jobs[i].led > 1000) {
            ut_bad("counted below nothing");
        }
    }

    ut_shown = ngx_chat_jobs_count_asking(&ut_jobs[0]);
}


ngx_uint_t
ut_running(ngx_uint_t filler)
{
    ngx_uint_t    n;
    ngx_queue_t  *q;

    n = 0;

    for (q = ngx_queue_head(&ut_jobs[filler].jobs);
         q != ngx_queue_sentinel(&ut_jobs[filler].jobs);
         q = ngx_queue_next(q))
    {
        n++;
    }

    return n;
}


void
ut_fill(ut_lane_t *lane, ngx_uint_t filler, const char *label, ngx_uint_t fill)
{
    ngx_chat_lane_fill_t  lf;

    ngx_memzero(lane, sizeof(ut_lane_t));
    ngx_memzero(&lf, sizeof(ngx_chat_lane_fill_t));

    ngx_memset(lf.h, 'h', NGX_CHAT_HASH_LEN);
    ngx_memset(lf.id, 'i', NGX_CHAT_ID_LEN);
    ngx_memset(lf.fp, 'f', NGX_CHAT_FP_LEN);

    lf.label.data = (u_char *) label;
    lf.label.len = strlen(label);
    lf.fill = fill;
    ngx_str_set(&lf.providers, "p=ffffffffffffffffffffffffffffffff");
    ngx_str_set(&lf.messages, "[]");
    lf.ttl = 900000;
    lf.max_answer = 4096;
    lf.cancel = 1;
    lf.grace = 1000;

    lane->job = ngx_chat_job_led_start(&ut_jobs[filler], &lf,
                                       ut_report_handler, lane);
}


static void
ut_report_handler(void *data, ngx_chat_lane_type_e type, ngx_uint_t n,
    const char *why)
{
    ut_lane_t *lane = data;

    size_t  len;

    if (lane->job == NULL) {
        ut_bad("a report after the last");
        return;
    }

    len = strlen(lane->told);

    switch (type) {

    case NGX_CHAT_LANE_KEPT:
        lane->told[len] = 'K';
        break;

    case NGX_CHAT_LANE_LISTENERS:
        lane->told[len] = n ? 'L' : 'l';
        break;

    case NGX_CHAT_LANE_STOP:
        lane->told[len] = 'S';
        break;

    case NGX_CHAT_LANE_HEARD:
        lane->told[len] = 'H';
        break;

    case NGX_CHAT_LANE_DONE:
        lane->told[len] = 'D';
        lane->job = NULL;
        break;

    case NGX_CHAT_LANE_CANCELLED:
        lane->told[len] = 'C';
        lane->job = NULL;
        break;

    case NGX_CHAT_LANE_NOT_KEPT:
        lane->told[len] = 'N';
        lane->job = NULL;
        strcpy(lane->why, why);
        break;

    default:
        ut_bad("a report of another kind");
    }
}


ngx_uint_t
ut_told(ut_lane_t *lane, const char *letters)
{
    return strcmp(lane->told, letters) == 0;
}


void
ut_chunk(ut_lane_t *lane, const char *attempt, ngx_uint_t i)
{
    char       buf[UT_WORD];
    ngx_str_t  text;

    if (lane->job == NULL) {
        return;
    }

    text.len = (size_t) sprintf(buf, "%s:%lu;", attempt, (unsigned long) i);
    text.data = (u_char *) buf;

    ngx_chat_job_led_text(lane->job, &text);
}


void
ut_chunks(ut_lane_t *lane, const char *attempt, ngx_uint_t from, ngx_uint_t n)
{
    while (n--) {
        ut_chunk(lane, attempt, from++);
    }

    fake_loop_run(0);
}


void
ut_restart(ut_lane_t *lane, const char *label)
{
    ngx_str_t  s;

    if (lane->job) {
        s.data = (u_char *) label;
        s.len = strlen(label);
        ngx_chat_job_led_restart(lane->job, &s);
    }
}


void
ut_complete(ut_lane_t *lane)
{
    ngx_chat_lane_complete_t  complete;

    ngx_str_set(&complete.finish, "stop");
    ngx_str_set(&complete.provider, "p");
    ngx_str_set(&complete.model, "m");
    ngx_str_set(&complete.usage, "{}");

    if (lane->job) {
        ngx_chat_job_led_complete(lane->job, &complete);
        fake_loop_run(0);
    }
}


void
ut_failed(ut_lane_t *lane, ngx_chat_error_e error)
{
    if (lane->job) {
        ngx_chat_job_led_fail(lane->job, error);
        fake_loop_run(0);
    }
}


void
ut_idle(ut_lane_t *lane)
{
    if (lane->job) {
        ngx_chat_job_led_idle(lane->job);
        fake_loop_run(0);
    }
}


void
ut_hand_over(ut_lane_t *lane)
{
    if (lane->job) {
        ngx_chat_job_led_hand_over(lane->job);
        fake_loop_run(0);
    }
}


void
ut_lose(ut_lane_t *lane)
{
    if (lane->job) {
        ngx_chat_job_led_leave(lane->job);
        lane->job = NULL;
        fake_loop_run(0);
    }
}


ngx_uint_t
ut_written(const char *attempt, ngx_uint_t n)
{
    char        text[UT_TEXT], *p;
    ngx_uint_t  i;

    p = text;

    for (i = 0; i < n; i++) {
        p += sprintf(p, "%s:%lu;", attempt, (unsigned long) i);
    }

    return ut_gen.chunks == n
           && ut_gen.bytes == (size_t) (p - text)
           && memcmp(ut_gen.text, text, ut_gen.bytes) == 0;
}


ngx_int_t
ut_take(ngx_uint_t filler, ngx_chat_queue_e queue, ngx_uint_t entry)
{
    char                   id[UT_WORD];
    ngx_chat_task_entry_t  task;

    ngx_memzero(&task, sizeof(ngx_chat_task_entry_t));

    ngx_memset(task.gen.h, 'h', NGX_CHAT_HASH_LEN);
    ngx_memset(task.gen.id, 'i', NGX_CHAT_ID_LEN);
    ngx_memset(task.gen.fp, 'f', NGX_CHAT_FP_LEN);

    task.queue = queue;
    task.entry.len = (size_t) sprintf(id, "%lu-0", (unsigned long) entry);
    task.entry.data = (u_char *) id;
    ngx_str_set(&task.providers, "p=ffffffffffffffffffffffffffffffff");
    ngx_str_set(&task.messages, "[]");
    task.ttl = 900000;
    task.max_answer = 4096;
    task.cancel = 1;
    task.grace = 1000;

    return ngx_chat_job_start(&ut_jobs[filler], &task);
}


void
ut_kill(ngx_uint_t filler)
{
    ngx_queue_t  *jobs;

    jobs = &ut_jobs[filler].jobs;

    while (!ngx_queue_empty(jobs)) {
        ngx_chat_job_free(ngx_queue_data(ngx_queue_head(jobs), ngx_chat_job_t,
                                         queue));
    }

    /* the successor has another name */

    ut_jobs[filler].token[0]++;
}


static ngx_chat_provider_call_t *
ut_transport_start(void *ctx, ngx_chat_provider_request_t *rq)
{
    if (ut_asking) {
        ut_bad("two calls of the provider at once");
    }

    ut_request = *rq;
    ut_asked++;
    ut_asking = 1;

    return &ut_call;
}


static void
ut_transport_cancel(ngx_chat_provider_call_t *call)
{
    ut_asking = 0;
}


void
ut_says(ngx_uint_t i)
{
    char       buf[UT_WORD];
    ngx_str_t  text;

    if (ut_asking) {
        text.len = (size_t) sprintf(buf, "P%lu:%lu;", (unsigned long) ut_asked,
                                    (unsigned long) i);
        text.data = (u_char *) buf;

        ut_request.ops->text(ut_request.data, &text);
        fake_loop_run(0);
    }
}


void
ut_ends(void)
{
    ngx_chat_provider_result_t  result;

    if (ut_asking) {
        ut_asking = 0;

        ngx_memzero(&result, sizeof(ngx_chat_provider_result_t));
        ngx_str_set(&result.finish, "stop");

        ut_request.ops->ended(ut_request.data, &result);
        fake_loop_run(0);
    }
}


void
ut_lead(ut_lane_t *lane, ngx_uint_t n)
{
    ut_begin();
    ut_fill(lane, 0, "W.1", 1);
    ut_redis();
    ut_chunks(lane, "W.1", 0, n);
    ut_redis();
}
