
#include "ngx_http_chat_metrics.h"
#include "ngx_http_chat_metrics_text.h"
#include "ngx_http_chat_page.h"
#include "provider/ngx_http_chat_worker.h"


/* of the page: what it has in any case, and for each provider */
#define NGX_HTTP_CHAT_METRICS_SIZE      49152
#define NGX_HTTP_CHAT_METRICS_PROVIDER                                  \
    ((NGX_CHAT_METRICS_CODES + 10)                                      \
     * (NGX_CHAT_METRICS_NAME + sizeof("chat_provider_calls_total"      \
                                       "{provider=\"\",code=\"other\"} ")\
        + NGX_ATOMIC_T_LEN))

#define NGX_HTTP_CHAT_METRICS_NANO  9    /* digits of costs */
#define NGX_HTTP_CHAT_METRICS_US    6    /* digits of times */


/* a count under a name of its own, or with a value of its family's label */
typedef struct {
    ngx_uint_t    index;
    const char   *name;         /* of the family; NULL: as before */
    const char   *label;        /* NULL: none */
    ngx_str_t     value;
    const char   *help;
} ngx_http_chat_metrics_item_t;


typedef enum {
    NGX_HTTP_CHAT_METRICS_ZONE_SIZE = 0,
    NGX_HTTP_CHAT_METRICS_ZONE_USED,
    NGX_HTTP_CHAT_METRICS_ZONE_ANSWERS,

    NGX_HTTP_CHAT_METRICS_ZONE_GAUGES
} ngx_http_chat_metrics_zone_e;


typedef void (*ngx_http_chat_metrics_provider_pt)(
    ngx_http_chat_metrics_text_t *t, ngx_str_t *name,
    ngx_chat_metrics_block_t *sum, ngx_uint_t i);


static ngx_buf_t *ngx_http_chat_metrics_create_body(ngx_http_request_t *r,
    ngx_chat_metrics_zone_t *zone);
static void ngx_http_chat_metrics_write(ngx_http_chat_metrics_text_t *t,
    ngx_chat_metrics_zone_t *zone, ngx_chat_metrics_block_t *sum);
static void ngx_http_chat_metrics_write_items(ngx_http_chat_metrics_text_t *t,
    ngx_http_chat_metrics_item_t *item, const char *type,
    ngx_atomic_t *values);
static void ngx_http_chat_metrics_write_zone(ngx_http_chat_metrics_text_t *t);
static void ngx_http_chat_metrics_write_requests(
    ngx_http_chat_metrics_text_t *t, ngx_chat_metrics_counters_t *c);
static void ngx_http_chat_metrics_write_generations(
    ngx_http_chat_metrics_text_t *t, ngx_chat_metrics_counters_t *c);
static void ngx_http_chat_metrics_write_times(ngx_http_chat_metrics_text_t *t,
    ngx_chat_metrics_counters_t *c);
static void ngx_http_chat_metrics_write_providers(
    ngx_http_chat_metrics_text_t *t, ngx_chat_metrics_zone_t *zone,
    ngx_chat_metrics_block_t *sum);
static void ngx_http_chat_metrics_write_family(ngx_http_chat_metrics_text_t *t,
    ngx_chat_metrics_zone_t *zone, ngx_chat_metrics_block_t *sum,
    ngx_http_chat_metrics_provider_pt handler);
static void ngx_http_chat_metrics_write_calls(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_block_t *sum, ngx_uint_t i);
static void ngx_http_chat_metrics_write_used(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_block_t *sum, ngx_uint_t i);
static void ngx_http_chat_metrics_write_saved(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_block_t *sum, ngx_uint_t i);
static void ngx_http_chat_metrics_write_tokens(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_tokens_t *tokens);
static void ngx_http_chat_metrics_write_cost(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_block_t *sum, ngx_uint_t i);
static void ngx_http_chat_metrics_write_saved_cost(
    ngx_http_chat_metrics_text_t *t, ngx_str_t *name,
    ngx_chat_metrics_block_t *sum, ngx_uint_t i);
static void ngx_http_chat_metrics_write_down(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_block_t *sum, ngx_uint_t i);
static void ngx_http_chat_metrics_write_provider(
    ngx_http_chat_metrics_text_t *t, ngx_str_t *name,
    ngx_atomic_uint_t value, ngx_uint_t digits);


static ngx_str_t  ngx_http_chat_metrics_type =
    ngx_string("text/plain; version=0.0.4");

static ngx_str_t  ngx_http_chat_metrics_other =
    ngx_string(NGX_CHAT_METRICS_OTHERS);


static ngx_http_chat_metrics_item_t  ngx_http_chat_metrics_results[] = {

    { NGX_CHAT_COUNT_HIT, NULL, "result", ngx_string("hit"), NULL },
    { NGX_CHAT_COUNT_STALE, NULL, "result", ngx_string("stale"), NULL },
    { NGX_CHAT_COUNT_MISS, NULL, "result", ngx_string("miss"), NULL },
    { NGX_CHAT_COUNT_JOIN, NULL, "result", ngx_string("join"), NULL },
    { NGX_CHAT_COUNT_BYPASS, NULL, "result", ngx_string("bypass"), NULL },
    { NGX_CHAT_COUNT_DIRECT, NULL, "result", ngx_string("direct"), NULL },
    { NGX_CHAT_COUNT_NO_RESULT, NULL, "result", ngx_string("gone"), NULL },
    { 0, NULL, NULL, ngx_null_string, NULL }
};


static ngx_http_chat_metrics_item_t  ngx_http_chat_metrics_counts[] = {

    { NGX_CHAT_COUNT_HIT_ZONE, "chat_hits_total", "tier", ngx_string("zone"),
      "Hits by where the answer was kept." },

    { NGX_CHAT_COUNT_HIT_REDIS, NULL, "tier", ngx_string("redis"), NULL },

    { NGX_CHAT_COUNT_GONE, "chat_clients_gone_total", NULL, ngx_null_string,
      "Requests whose client left before it had all of the answer." },

    { NGX_CHAT_COUNT_COLLAPSED, "chat_collapsed_total", NULL,
      ngx_null_string,
      "Requests that joined a generation under way instead of a call." },

    { NGX_CHAT_COUNT_HIT, "chat_saved_calls_total", "by", ngx_string("hit"),
      "Calls to providers that were not necessary." },

    { NGX_CHAT_COUNT_COLLAPSED, NULL, "by", ngx_string("collapsed"), NULL },

    { NGX_CHAT_COUNT_UPDATES, "chat_updates_total", NULL, ngx_null_string,
      "Generations that were queued to replace a stale answer." },

    { NGX_CHAT_COUNT_TAKEOVERS, "chat_takeovers_total", NULL, ngx_null_string,
      "Generations that went on after their worker or filler was lost." },

    { NGX_CHAT_COUNT_REDIS_RECONNECTS, "chat_redis_reconnects_total", NULL,
      ngx_null_string,
      "Connections to Redis or a Sentinel that were made once more." },

    { NGX_CHAT_COUNT_FILLER_RESTARTS, "chat_filler_restarts_total", NULL,
      ngx_null_string, "Fillers that have died and were replaced." },

    { NGX_CHAT_COUNT_LANE_RECORDS, "chat_lane_records_total", NULL,
      ngx_null_string, "Records that workers sent to fillers over lanes." },

    { NGX_CHAT_COUNT_FILLS, "chat_fills_total", NULL, ngx_null_string,
      "Times that a worker gave a filler a generation to write." },

    { NGX_CHAT_COUNT_FILLS_WRITTEN, "chat_fills_ended_total", "outcome",
      ngx_string("written"), "Ends of fills, as the filler saw them." },

    { NGX_CHAT_COUNT_FILLS_CANCELLED, NULL, "outcome",
      ngx_string("cancelled"), NULL },

    { NGX_CHAT_COUNT_FILLS_NOT_WRITTEN, NULL, "outcome",
      ngx_string("not_written"), NULL },

    { NGX_CHAT_COUNT_EVICTIONS, "chat_hub_evictions_total", NULL,
      ngx_null_string,
      "Answers that workers dropped since they held too much." },

    { NGX_CHAT_COUNT_REFILLS, "chat_hub_refills_total", NULL, ngx_null_string,
      "Dropped answers that were read from Redis again for slow readers." },

    { 0, NULL, NULL, ngx_null_string, NULL }
};


static ngx_http_chat_metrics_item_t  ngx_http_chat_metrics_gauges[] = {

    { NGX_CHAT_GAUGE_GENERATIONS, "chat_live_generations", NULL,
      ngx_null_string, "Generations whose provider is asked now." },

    { NGX_CHAT_GAUGE_READERS, "chat_live_readers", NULL, ngx_null_string,
      "Clients that read a stream now." },

    { NGX_CHAT_GAUGE_REDIS_UP, "chat_redis_connections", NULL,
      ngx_null_string, "Connections to Redis and Sentinels that are up." },

    { NGX_CHAT_GAUGE_REDIS_DOWN, "chat_redis_down", NULL, ngx_null_string,
      "Connections that could not be made: nothing waits for these." },

    { NGX_CHAT_GAUGE_LANES, "chat_lanes", NULL, ngx_null_string,
      "Lanes between workers and fillers." },

    { NGX_CHAT_GAUGE_FILLERS, "chat_fillers", NULL, ngx_null_string,
      "Fillers that live." },

    { NGX_CHAT_GAUGE_HUB_MEMORY, "chat_hub_memory_bytes", NULL,
      ngx_null_string, "Memory that workers have for answers." },

    { NGX_CHAT_GAUGE_QUEUED, "chat_queue_length", NULL, ngx_null_string,
      "Questions that wait for a filler, when last counted." },

    { 0, NULL, NULL, ngx_null_string, NULL }
};


static ngx_http_chat_metrics_item_t  ngx_http_chat_metrics_zone_gauges[] = {

    { NGX_HTTP_CHAT_METRICS_ZONE_SIZE, "chat_zone_size_bytes", NULL,
      ngx_null_string, "Memory for answers in chat_zone." },

    { NGX_HTTP_CHAT_METRICS_ZONE_USED, "chat_zone_used_bytes", NULL,
      ngx_null_string, "Of this memory, what answers have." },

    { NGX_HTTP_CHAT_METRICS_ZONE_ANSWERS, "chat_zone_answers", NULL,
      ngx_null_string, "Answers there, valid or not." },

    { 0, NULL, NULL, ngx_null_string, NULL }
};


static ngx_http_chat_metrics_item_t  ngx_http_chat_metrics_zone_counts[] = {

    { NGX_CHAT_TIER_STORED, "chat_zone_stored_total", NULL, ngx_null_string,
      "Answers that chat_zone has taken." },

    { NGX_CHAT_TIER_NO_ROOM, "chat_zone_dropped_total", "reason",
      ngx_string("room"), "Of these, those that are gone." },

    { NGX_CHAT_TIER_CHANGED, NULL, "reason", ngx_string("changed"), NULL },
    { NGX_CHAT_TIER_EXPIRED, NULL, "reason", ngx_string("expired"), NULL },
    { NGX_CHAT_TIER_LOST, NULL, "reason", ngx_string("lost"), NULL },

    { NGX_CHAT_TIER_REFUSED, "chat_zone_refused_total", NULL, ngx_null_string,
      "Answers that chat_zone did not take, for want of room." },

    { NGX_CHAT_TIER_BUSY, "chat_zone_busy_total", NULL, ngx_null_string,
      "Times that other processes had the lock of chat_zone for too long." },

    { 0, NULL, NULL, ngx_null_string, NULL }
};


static const char  *ngx_http_chat_metrics_events[NGX_CHAT_GENERATIONS][2] = {

    [NGX_CHAT_GENERATION_STARTED] = { "chat_generations_started_total",
        "Generations whose provider was asked." },

    [NGX_CHAT_GENERATION_FINISHED] = { "chat_generations_finished_total",
        "Generations that ended with a whole answer." },

    [NGX_CHAT_GENERATION_FAILED] = { "chat_generations_failed_total",
        "Generations that ended in an error." },

    [NGX_CHAT_GENERATION_CANCELLED] = { "chat_generations_cancelled_total",
        "Generations that were given up since nobody listened." },

    [NGX_CHAT_GENERATION_HANDED_OVER] = { "chat_generations_handed_over_total",
        "Generations that were left to another process." },

    [NGX_CHAT_GENERATION_RESTARTED] = { "chat_generations_restarted_total",
        "Times that a generation began its text again." }
};


static ngx_str_t  ngx_http_chat_metrics_paths[NGX_CHAT_PATHS] = {
    [NGX_CHAT_PATH_LED] = ngx_string("led"),
    [NGX_CHAT_PATH_QUEUED] = ngx_string("queued"),
    [NGX_CHAT_PATH_DIRECT] = ngx_string("direct")
};


ngx_int_t
ngx_http_chat_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_buf_t                  *b;
    ngx_http_chat_main_conf_t  *chmcf;

    rc = ngx_http_chat_page_check(r);

    if (rc != NGX_OK) {
        return rc;
    }

    chmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    b = ngx_http_chat_metrics_create_body(r, chmcf->metrics);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_chat_page_send(r, NGX_HTTP_OK,
                                   &ngx_http_chat_metrics_type, b);
}


static ngx_buf_t *
ngx_http_chat_metrics_create_body(ngx_http_request_t *r,
    ngx_chat_metrics_zone_t *zone)
{
    size_t                          len;
    ngx_buf_t                      *b;
    ngx_str_t                       name;
    ngx_uint_t                      n;
    ngx_chat_metrics_block_t       *sum;
    ngx_http_chat_metrics_text_t    t;
    ngx_http_chat_metrics_label_t   build;

    for (n = 0;
         zone && ngx_chat_metrics_zone_get_name(zone, n, &name) == NGX_OK;
         n++)
    {
        /* void */
    }

    len = NGX_HTTP_CHAT_METRICS_SIZE + (n + 1) * NGX_HTTP_CHAT_METRICS_PROVIDER;

    b = ngx_create_temp_buf(r->pool, len);
    sum = ngx_palloc(r->pool, sizeof(ngx_chat_metrics_block_t));

    if (b == NULL || sum == NULL) {
        return NULL;
    }

    ngx_memzero(&t, sizeof(ngx_http_chat_metrics_text_t));

    t.pos = b->pos;
    t.last = b->end;

    build.name = "nginx";
    ngx_str_set(&build.value, NGINX_VERSION);

    ngx_http_chat_metrics_text_family(&t, "chat_build_info", "gauge",
                                      "What the module was built for.");
    ngx_http_chat_metrics_text_sample(&t, &build, 1, 1, 0);

    if (zone) {
        ngx_chat_metrics_zone_sum(zone, sum);
        ngx_http_chat_metrics_write(&t, zone, sum);
    }

    if (t.full) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "chat metrics do not fit into %uz bytes", len);
        return NULL;
    }

    b->last = t.pos;

    return b;
}


static void
ngx_http_chat_metrics_write(ngx_http_chat_metrics_text_t *t,
    ngx_chat_metrics_zone_t *zone, ngx_chat_metrics_block_t *sum)
{
    ngx_http_chat_metrics_write_requests(t, &sum->counters);

    ngx_http_chat_metrics_write_items(t, ngx_http_chat_metrics_counts,
                                      "counter", sum->counters.counts);

    ngx_http_chat_metrics_write_generations(t, &sum->counters);
    ngx_http_chat_metrics_write_times(t, &sum->counters);
    ngx_http_chat_metrics_write_providers(t, zone, sum);

    ngx_http_chat_metrics_write_zone(t);

    ngx_http_chat_metrics_write_items(t, ngx_http_chat_metrics_gauges,
                                      "gauge", sum->gauges.values);

    ngx_http_chat_metrics_text_family(t, "chat_queue_oldest_seconds", "gauge",
                               "For how long the first of these has waited.");
    ngx_http_chat_metrics_text_sample(t, NULL, 0,
                                      sum->gauges.values[NGX_CHAT_GAUGE_OLDEST],
                                      NGX_HTTP_CHAT_METRICS_US);
}


static void
ngx_http_chat_metrics_write_items(ngx_http_chat_metrics_text_t *t,
    ngx_http_chat_metrics_item_t *item, const char *type,
    ngx_atomic_t *values)
{
    ngx_http_chat_metrics_label_t  label;

    for ( /* void */ ; item->name || item->label; item++) {

        if (item->name) {
            ngx_http_chat_metrics_text_family(t, item->name, type,
                                              item->help);
        }

        label.name = item->label;
        label.value = item->value;

        ngx_http_chat_metrics_text_sample(t, &label, item->label ? 1 : 0,
                                          values[item->index], 0);
    }
}


/* of a zone that is off: zeros */

static void
ngx_http_chat_metrics_write_zone(ngx_http_chat_metrics_text_t *t)
{
    ngx_atomic_t           gauges[NGX_HTTP_CHAT_METRICS_ZONE_GAUGES];
    ngx_chat_tier_state_t  state;

    ngx_memzero(&state, sizeof(ngx_chat_tier_state_t));

    if (ngx_http_chat_worker_zone) {
        ngx_chat_tier_get_state(ngx_http_chat_worker_zone, &state);
    }

    gauges[NGX_HTTP_CHAT_METRICS_ZONE_SIZE] = state.size;
    gauges[NGX_HTTP_CHAT_METRICS_ZONE_USED] = state.used;
    gauges[NGX_HTTP_CHAT_METRICS_ZONE_ANSWERS] = state.entries;

    ngx_http_chat_metrics_write_items(t, ngx_http_chat_metrics_zone_gauges,
                                      "gauge", gauges);

    ngx_http_chat_metrics_write_items(t, ngx_http_chat_metrics_zone_counts,
                                      "counter", state.counts);
}


static void
ngx_http_chat_metrics_write_requests(ngx_http_chat_metrics_text_t *t,
    ngx_chat_metrics_counters_t *c)
{
    ngx_str_t                      *code;
    ngx_uint_t                      e;
    ngx_atomic_uint_t               errors;
    ngx_http_chat_metrics_label_t   label;

    errors = 0;

    for (e = 0; e < NGX_CHAT_METRICS_CAUSES; e++) {
        errors += c->errors[e];
    }

    ngx_http_chat_metrics_text_family(t, "chat_requests_total", "counter",
                            "Requests that have ended, each with one result.");

    ngx_http_chat_metrics_write_items(t, ngx_http_chat_metrics_results,
                                      "counter", c->counts);

    label.name = "result";
    ngx_str_set(&label.value, "error");

    ngx_http_chat_metrics_text_sample(t, &label, 1, errors, 0);

    ngx_http_chat_metrics_text_family(t, "chat_request_errors_total",
                                "counter", "Requests that ended in an error.");

    label.name = "code";

    for (e = NGX_CHAT_E_NONE; e < NGX_CHAT_E_MAX; e++) {
        code = ngx_chat_error_code((ngx_chat_error_e) e);

        /* some share a code, and are counted as the first one */

        if (e != NGX_CHAT_E_NONE && ngx_chat_error_find(code) != e) {
            continue;
        }

        label.value = code->len ? *code : ngx_http_chat_metrics_other;

        ngx_http_chat_metrics_text_sample(t, &label, 1, c->errors[e], 0);
    }
}


static void
ngx_http_chat_metrics_write_generations(ngx_http_chat_metrics_text_t *t,
    ngx_chat_metrics_counters_t *c)
{
    ngx_uint_t                      i, path;
    ngx_http_chat_metrics_label_t   label;

    label.name = "path";

    for (i = 0; i < NGX_CHAT_GENERATIONS; i++) {
        ngx_http_chat_metrics_text_family(t,
                                          ngx_http_chat_metrics_events[i][0],
                                          "counter",
                                          ngx_http_chat_metrics_events[i][1]);

        for (path = 0; path < NGX_CHAT_PATHS; path++) {
            label.value = ngx_http_chat_metrics_paths[path];

            ngx_http_chat_metrics_text_sample(t, &label, 1,
                                              c->generations[path][i], 0);
        }
    }
}


static void
ngx_http_chat_metrics_write_times(ngx_http_chat_metrics_text_t *t,
    ngx_chat_metrics_counters_t *c)
{
    ngx_chat_metrics_histogram_t  *times;

    times = c->times;

    ngx_http_chat_metrics_text_histogram(t,
        "chat_time_to_first_event_seconds",
        "From a question to the first event for its client.",
        NGX_CHAT_TIME_FIRST_EVENT, &times[NGX_CHAT_TIME_FIRST_EVENT]);

    ngx_http_chat_metrics_text_histogram(t,
        "chat_time_to_first_token_seconds",
        "From a question to the first chunk for its client.",
        NGX_CHAT_TIME_FIRST_TOKEN, &times[NGX_CHAT_TIME_FIRST_TOKEN]);

    ngx_http_chat_metrics_text_histogram(t,
        "chat_time_between_tokens_seconds",
        "From one chunk of a provider to the next.",
        NGX_CHAT_TIME_BETWEEN_TOKENS, &times[NGX_CHAT_TIME_BETWEEN_TOKENS]);

    ngx_http_chat_metrics_text_histogram(t,
        "chat_generation_seconds",
        "Whole answers, from the first call to a provider to their end.",
        NGX_CHAT_TIME_GENERATION, &times[NGX_CHAT_TIME_GENERATION]);

    ngx_http_chat_metrics_text_histogram(t,
        "chat_redis_round_trip_seconds",
        "From a command to its reply, as the process sees it.",
        NGX_CHAT_TIME_ROUND_TRIP, &times[NGX_CHAT_TIME_ROUND_TRIP]);
}


static void
ngx_http_chat_metrics_write_providers(ngx_http_chat_metrics_text_t *t,
    ngx_chat_metrics_zone_t *zone, ngx_chat_metrics_block_t *sum)
{
    ngx_http_chat_metrics_text_family(t, "chat_provider_calls_total",
        "counter", "Calls to providers that have ended, by HTTP status.");
    ngx_http_chat_metrics_write_family(t, zone, sum,
                                       ngx_http_chat_metrics_write_calls);

    ngx_http_chat_metrics_text_family(t, "chat_tokens_total", "counter",
        "Tokens that providers have billed, as they say.");
    ngx_http_chat_metrics_write_family(t, zone, sum,
                                       ngx_http_chat_metrics_write_used);

    ngx_http_chat_metrics_text_family(t, "chat_cost_total", "counter",
        "What these have cost, as far as cost is configured.");
    ngx_http_chat_metrics_write_family(t, zone, sum,
                                       ngx_http_chat_metrics_write_cost);

    ngx_http_chat_metrics_text_family(t, "chat_saved_tokens_total", "counter",
        "Tokens that were not billed again, since the answer was cached.");
    ngx_http_chat_metrics_write_family(t, zone, sum,
                                       ngx_http_chat_metrics_write_saved);

    ngx_http_chat_metrics_text_family(t, "chat_saved_cost_total", "counter",
        "What these would have cost.");
    ngx_http_chat_metrics_write_family(t, zone, sum,
                                       ngx_http_chat_metrics_write_saved_cost);

    ngx_http_chat_metrics_text_family(t, "chat_provider_down", "gauge",
        "Processes that hold the provider to be down: max_fails.");
    ngx_http_chat_metrics_write_family(t, zone, sum,
                                       ngx_http_chat_metrics_write_down);
}


static void
ngx_http_chat_metrics_write_family(ngx_http_chat_metrics_text_t *t,
    ngx_chat_metrics_zone_t *zone, ngx_chat_metrics_block_t *sum,
    ngx_http_chat_metrics_provider_pt handler)
{
    ngx_str_t   name;
    ngx_uint_t  i;

    for (i = 0; ngx_chat_metrics_zone_get_name(zone, i, &name) == NGX_OK; i++) {
        handler(t, &name, sum, i);
    }

    handler(t, &ngx_http_chat_metrics_other, sum, NGX_CHAT_METRICS_PROVIDERS);
}


/* codes that never came are left out, but for that of an answer */

static void
ngx_http_chat_metrics_write_calls(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_block_t *sum, ngx_uint_t i)
{
    u_char                          code[NGX_INT_T_LEN];
    ngx_uint_t                      n, status;
    ngx_chat_metrics_provider_t    *pv;
    ngx_http_chat_metrics_label_t   labels[2];

    pv = &sum->counters.providers[i];

    labels[0].name = "provider";
    labels[0].value = *name;
    labels[1].name = "code";

    for (n = 0; n < NGX_CHAT_METRICS_CODES; n++) {
        status = ngx_chat_metrics_get_status(n);

        if (pv->calls[n] == 0 && status != NGX_HTTP_OK) {
            continue;
        }

        switch (status) {

        case 0:
            ngx_str_set(&labels[1].value, "none");
            break;

        case 1:
            labels[1].value = ngx_http_chat_metrics_other;
            break;

        default:
            labels[1].value.data = code;
            labels[1].value.len = ngx_sprintf(code, "%ui", status) - code;
        }

        ngx_http_chat_metrics_text_sample(t, labels, 2, pv->calls[n], 0);
    }
}


static void
ngx_http_chat_metrics_write_used(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_block_t *sum, ngx_uint_t i)
{
    ngx_http_chat_metrics_write_tokens(t, name,
                                       &sum->counters.providers[i].used);
}


static void
ngx_http_chat_metrics_write_saved(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_block_t *sum, ngx_uint_t i)
{
    ngx_http_chat_metrics_write_tokens(t, name,
                                       &sum->counters.providers[i].saved);
}


static void
ngx_http_chat_metrics_write_tokens(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_tokens_t *tokens)
{
    ngx_http_chat_metrics_label_t  labels[2];

    labels[0].name = "provider";
    labels[0].value = *name;
    labels[1].name = "type";

    ngx_str_set(&labels[1].value, "input");
    ngx_http_chat_metrics_text_sample(t, labels, 2, tokens->in, 0);

    ngx_str_set(&labels[1].value, "output");
    ngx_http_chat_metrics_text_sample(t, labels, 2, tokens->out, 0);
}


static void
ngx_http_chat_metrics_write_cost(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_block_t *sum, ngx_uint_t i)
{
    ngx_http_chat_metrics_write_provider(t, name,
                                      sum->counters.providers[i].used.cost,
                                      NGX_HTTP_CHAT_METRICS_NANO);
}


static void
ngx_http_chat_metrics_write_saved_cost(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_block_t *sum, ngx_uint_t i)
{
    ngx_http_chat_metrics_write_provider(t, name,
                                      sum->counters.providers[i].saved.cost,
                                      NGX_HTTP_CHAT_METRICS_NANO);
}


static void
ngx_http_chat_metrics_write_down(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_chat_metrics_block_t *sum, ngx_uint_t i)
{
    ngx_http_chat_metrics_write_provider(t, name, sum->gauges.down[i], 0);
}


static void
ngx_http_chat_metrics_write_provider(ngx_http_chat_metrics_text_t *t,
    ngx_str_t *name, ngx_atomic_uint_t value, ngx_uint_t digits)
{
    ngx_http_chat_metrics_label_t  label;

    label.name = "provider";
    label.value = *name;

    ngx_http_chat_metrics_text_sample(t, &label, 1, value, digits);
}
