
#include "ngx_chat_metrics.h"

#include <time.h>


static ngx_uint_t ngx_chat_metrics_find(ngx_str_t *provider);


static ngx_chat_metrics_block_t   ngx_chat_metrics_unread;
static ngx_chat_metrics_names_t   ngx_chat_metrics_no_names;

static ngx_chat_metrics_block_t  *ngx_chat_metrics = &ngx_chat_metrics_unread;
static ngx_chat_metrics_names_t  *ngx_chat_metrics_names =
                                                    &ngx_chat_metrics_no_names;


/* us, ascending; zeros fill the rest of a row */

static const uint64_t
    ngx_chat_metrics_bounds[NGX_CHAT_TIMES][NGX_CHAT_METRICS_BUCKETS] =
{
    [NGX_CHAT_TIME_FIRST_EVENT] = {
        1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
        1000000, 2500000, 5000000, 10000000, 30000000, 60000000 },

    [NGX_CHAT_TIME_FIRST_TOKEN] = {
        1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
        1000000, 2500000, 5000000, 10000000, 30000000, 60000000 },

    [NGX_CHAT_TIME_BETWEEN_TOKENS] = {
        1000, 2500, 5000, 10000, 25000, 50000, 75000, 100000, 250000, 500000,
        1000000, 2500000, 5000000, 10000000, 30000000 },

    [NGX_CHAT_TIME_GENERATION] = {
        50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
        20000000, 30000000, 60000000, 120000000, 300000000, 600000000 },

    [NGX_CHAT_TIME_ROUND_TRIP] = {
        50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000,
        250000, 500000, 1000000 }
};


/* the first: no status; the second: any that is not here */

static const ngx_uint_t  ngx_chat_metrics_statuses[NGX_CHAT_METRICS_CODES] = {
    0, 1, 200, 301, 302, 307, 308, 400, 401, 402, 403, 404, 408, 409, 413, 415,
    422, 429, 500, 502, 503, 504, 524, 529
};


void
ngx_chat_metrics_count(ngx_chat_metrics_count_e count)
{
    ngx_chat_metrics->counters.counts[count]++;
}


void
ngx_chat_metrics_count_error(ngx_uint_t cause)
{
    if (cause >= NGX_CHAT_METRICS_CAUSES) {
        cause = 0;
    }

    ngx_chat_metrics->counters.errors[cause]++;
}


void
ngx_chat_metrics_count_generation(ngx_chat_metrics_path_e path,
    ngx_chat_metrics_generation_e what)
{
    ngx_chat_metrics->counters.generations[path][what]++;
}


void
ngx_chat_metrics_count_call(ngx_str_t *provider, ngx_uint_t status)
{
    ngx_uint_t                    i;
    ngx_chat_metrics_provider_t  *pv;

    pv = &ngx_chat_metrics->counters.providers[ngx_chat_metrics_find(provider)];

    for (i = 0; i < NGX_CHAT_METRICS_CODES; i++) {

        if (ngx_chat_metrics_statuses[i] == status) {
            pv->calls[i]++;
            return;
        }
    }

    pv->calls[1]++;
}


void
ngx_chat_metrics_count_tokens(ngx_str_t *provider, ngx_uint_t saved,
    ngx_chat_metrics_tokens_t *tokens)
{
    ngx_chat_metrics_tokens_t    *sum;
    ngx_chat_metrics_provider_t  *pv;

    pv = &ngx_chat_metrics->counters.providers[ngx_chat_metrics_find(provider)];
    sum = saved ? &pv->saved : &pv->used;

    sum->in += tokens->in;
    sum->out += tokens->out;
    sum->cost += tokens->cost;
}


void
ngx_chat_metrics_observe(ngx_chat_metrics_time_e time, uint64_t us)
{
    ngx_uint_t                     i;
    const uint64_t                *bounds;
    ngx_chat_metrics_histogram_t  *histogram;

    bounds = ngx_chat_metrics_bounds[time];
    histogram = &ngx_chat_metrics->counters.times[time];

    for (i = 0; i < NGX_CHAT_METRICS_BUCKETS && bounds[i]; i++) {

        if (us <= bounds[i]) {
            break;
        }
    }

    histogram->buckets[i]++;
    histogram->sum += us;
}


void
ngx_chat_metrics_move(ngx_chat_metrics_gauge_e gauge, ngx_int_t n)
{
    ngx_chat_metrics->gauges.values[gauge] += n;
}


void
ngx_chat_metrics_set(ngx_chat_metrics_gauge_e gauge, ngx_uint_t n)
{
    ngx_chat_metrics->gauges.values[gauge] = n;
}


void
ngx_chat_metrics_set_down(ngx_str_t *provider, time_t until)
{
    ngx_chat_metrics->gauges.down[ngx_chat_metrics_find(provider)] = until;
}


static ngx_uint_t
ngx_chat_metrics_find(ngx_str_t *provider)
{
    ngx_uint_t                 i, n;
    ngx_chat_metrics_names_t  *names;

    names = ngx_chat_metrics_names;
    n = names->n;

    for (i = 0; i < n; i++) {

        if (names->lens[i] == provider->len
            && ngx_memcmp(names->names[i], provider->data, provider->len) == 0)
        {
            return i;
        }
    }

    return NGX_CHAT_METRICS_PROVIDERS;
}


uint64_t
ngx_chat_metrics_clock(void)
{
    struct timespec  ts;

    if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1) {
        return 0;
    }

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


uint64_t
ngx_chat_metrics_get_bound(ngx_chat_metrics_time_e time, ngx_uint_t i)
{
    return (i < NGX_CHAT_METRICS_BUCKETS) ? ngx_chat_metrics_bounds[time][i]
                                          : 0;
}


ngx_uint_t
ngx_chat_metrics_get_status(ngx_uint_t i)
{
    return ngx_chat_metrics_statuses[i];
}


void
ngx_chat_metrics_use(ngx_chat_metrics_block_t *block,
    ngx_chat_metrics_names_t *names)
{
    ngx_chat_metrics = block ? block : &ngx_chat_metrics_unread;
    ngx_chat_metrics_names = names;
}
