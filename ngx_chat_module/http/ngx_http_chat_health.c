
#include "ngx_http_chat_health.h"
#include "provider/ngx_http_chat_worker.h"
#include "../hub/ngx_chat_stow.h"
#include "ngx_http_chat_ctx.h"
#include "provider/ngx_http_chat_direct.h"
#include "ngx_http_chat_page.h"
#include "../provider/ngx_chat_peers.h"
#include "../codec/ngx_chat_json.h"


/* seconds: a filler with an older pulse counts as not running */
#define NGX_HTTP_CHAT_HEALTH_PULSE  10


typedef struct {
    ngx_uint_t             running;    /* fillers that take tasks */
    ngx_uint_t             connected;  /* of these, with Redis */
    ngx_uint_t             queued;
} ngx_http_chat_health_fillers_t;


/* overall health: status and texts of the response */
typedef struct {
    ngx_uint_t             status;
    ngx_str_t              word;
    ngx_str_t              reason;
    ngx_str_t              refusal;    /* error code from Redis */
} ngx_http_chat_health_result_t;


/* a provider as this worker sees it, and all fillers that take tasks */
typedef struct {
    ngx_uint_t             known;      /* to so many processes */
    ngx_uint_t             asked;      /* by so many */
    ngx_uint_t             down;       /* of these */
    ngx_uint_t             limited;
    ngx_uint_t             answers;
    ngx_uint_t             failures;
} ngx_http_chat_provider_sum_t;


static ngx_uint_t ngx_http_chat_health_is_alive(ngx_chat_slot_t *slot);
static void ngx_http_chat_health_count_fillers(ngx_chat_slot_t *slot,
    ngx_http_chat_health_fillers_t *fillers);
static void ngx_http_chat_health_set_result(ngx_http_chat_health_result_t *v,
    ngx_http_chat_main_conf_t *chmcf, ngx_chat_hub_state_t *state,
    ngx_http_chat_health_fillers_t *fillers);
static ngx_uint_t ngx_http_chat_health_check_redis(
    ngx_http_chat_health_result_t *v, ngx_chat_hub_state_t *state,
    ngx_uint_t direct);
static ngx_buf_t *ngx_http_chat_health_create_body(ngx_http_request_t *r,
    ngx_chat_slot_t *slot, ngx_chat_hub_state_t *state,
    ngx_http_chat_health_fillers_t *fillers, ngx_http_chat_health_result_t *v);
static size_t ngx_http_chat_health_full_len(ngx_array_t *providers,
    ngx_chat_hub_state_t *state);
static u_char *ngx_http_chat_health_write_full(u_char *p, ngx_chat_slot_t *slot,
    ngx_array_t *providers, ngx_chat_hub_state_t *state,
    ngx_http_chat_health_fillers_t *fillers);
static u_char *ngx_http_chat_health_write_zone(u_char *p);
static u_char *ngx_http_chat_health_write_slots(u_char *p,
    ngx_chat_slot_t *slot);
static u_char *ngx_http_chat_health_write_providers(u_char *p,
    ngx_chat_slot_t *slot, ngx_array_t *providers);
static void ngx_http_chat_health_add_fillers(ngx_chat_slot_t *slot,
    ngx_str_t *name, ngx_http_chat_provider_sum_t *sum);
static void ngx_http_chat_health_add_own(ngx_str_t *name,
    ngx_http_chat_provider_sum_t *sum);
static void ngx_http_chat_health_add(ngx_http_chat_provider_sum_t *sum,
    ngx_chat_slot_provider_t *pv);


static const char  *ngx_http_chat_health_states[] = {
    [NGX_CHAT_SLOT_FREE] = "free",
    [NGX_CHAT_SLOT_STARTING] = "starting",
    [NGX_CHAT_SLOT_RUNNING] = "running",
    [NGX_CHAT_SLOT_DRAINING] = "draining"
};

static ngx_str_t  ngx_http_chat_health_type = ngx_string("application/json");


ngx_int_t
ngx_http_chat_health_handler(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_buf_t                      *b;
    ngx_chat_slot_t                *slot;
    ngx_chat_hub_state_t            state;
    ngx_http_chat_health_fillers_t  fillers;
    ngx_http_chat_health_result_t   result;
    ngx_http_chat_main_conf_t      *chmcf;

    rc = ngx_http_chat_page_check(r);

    if (rc != NGX_OK) {
        return rc;
    }

    chmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    ngx_memzero(&state, sizeof(ngx_chat_hub_state_t));
    ngx_memzero(&fillers, sizeof(ngx_http_chat_health_fillers_t));

    slot = NULL;

    if (chmcf->scoreboard) {
        slot = ngx_chat_scoreboard_slots(chmcf->scoreboard);
        ngx_http_chat_health_count_fillers(slot, &fillers);
    }

    if (ngx_http_chat_hub) {
        ngx_chat_hub_get_state(ngx_http_chat_hub, &state);
    }

    ngx_http_chat_health_set_result(&result, chmcf, &state, &fillers);

    b = ngx_http_chat_health_create_body(r, slot, &state, &fillers, &result);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_chat_page_send(r, result.status,
                                   &ngx_http_chat_health_type, b);
}


static ngx_uint_t
ngx_http_chat_health_is_alive(ngx_chat_slot_t *slot)
{
    return slot->state == NGX_CHAT_SLOT_RUNNING
           && ngx_time() - (time_t) slot->pulse <= NGX_HTTP_CHAT_HEALTH_PULSE;
}


static void
ngx_http_chat_health_count_fillers(ngx_chat_slot_t *slot,
    ngx_http_chat_health_fillers_t *fillers)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS; i++) {

        if (!ngx_http_chat_health_is_alive(&slot[i])) {
            continue;
        }

        fillers->running++;

        if (slot[i].redis) {
            fillers->connected++;
        }

        /* all see the same queue, some later than others */

        fillers->queued = ngx_max(fillers->queued, slot[i].queued);
    }
}


static void
ngx_http_chat_health_set_result(ngx_http_chat_health_result_t *v,
    ngx_http_chat_main_conf_t *chmcf, ngx_chat_hub_state_t *state,
    ngx_http_chat_health_fillers_t *fillers)
{
    v->status = NGX_HTTP_OK;

    ngx_str_set(&v->word, "degraded");
    ngx_str_null(&v->reason);
    ngx_str_null(&v->refusal);

    if (ngx_http_chat_hub == NULL) {
        v->status = NGX_HTTP_SERVICE_UNAVAILABLE;
        ngx_str_set(&v->word, "unavailable");
        ngx_str_set(&v->reason, "no location says chat");
        return;
    }

    if (chmcf->redis_off) {
        ngx_str_set(&v->word, "ok");
        return;
    }

    if (ngx_http_chat_health_check_redis(v, state, chmcf->direct)) {
        return;
    }

    if (!state->broker) {
        ngx_str_set(&v->reason, "the broker is down: nothing can be queued");

    } else if (state->no_tasks->len) {
        v->refusal = *state->no_tasks;
        ngx_str_set(&v->reason,
                    "the broker refuses tasks: nothing can be queued");

    } else if (fillers->running == 0) {
        ngx_str_set(&v->reason,
                    "no filler is running: only cached answers");

    } else if (fillers->connected == 0) {
        ngx_str_set(&v->reason,
                    "no filler reaches Redis: only cached answers");

    } else if (state->partial) {
        ngx_str_set(&v->reason, "Redis is a part of a Redis Cluster: "
                                "what belongs to others is refused");

    } else {
        ngx_str_set(&v->word, "ok");
    }
}


/* connected is not enough: what was asked of it last must have been done */

static ngx_uint_t
ngx_http_chat_health_check_redis(ngx_http_chat_health_result_t *v,
    ngx_chat_hub_state_t *state, ngx_uint_t direct)
{
    if (state->redis && !state->redis_down && state->no_reads->len == 0) {

        if (state->no_writes->len == 0) {
            return 0;
        }

        v->refusal = *state->no_writes;

        if (direct) {
            ngx_str_set(&v->reason,
                        "Redis refuses writes: providers are asked directly, "
                        "nothing more is cached");

        } else {
            ngx_str_set(&v->reason,
                        "Redis refuses writes: only cached answers");
        }

        return 1;
    }

    if (state->redis && !state->redis_down) {
        v->refusal = *state->no_reads;
    }

    if (direct) {
        ngx_str_set(&v->reason, "Redis is down: providers are asked directly, "
                                "nothing is cached");
        return 1;
    }

    v->status = NGX_HTTP_SERVICE_UNAVAILABLE;
    ngx_str_set(&v->word, "unavailable");
    ngx_str_set(&v->reason, "Redis is down");

    return 1;
}


static ngx_buf_t *
ngx_http_chat_health_create_body(ngx_http_request_t *r, ngx_chat_slot_t *slot,
    ngx_chat_hub_state_t *state, ngx_http_chat_health_fillers_t *fillers,
    ngx_http_chat_health_result_t *v)
{
    size_t                      len;
    ngx_buf_t                  *b;
    ngx_http_chat_loc_conf_t   *chlcf;
    ngx_http_chat_main_conf_t  *chmcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    chmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    len = sizeof("{\"status\": \"\", \"reason\": \"\", "
                 "\"refusal\": \"\"}") - 1
          + v->word.len + v->reason.len + v->refusal.len;

    if (chlcf->health == NGX_HTTP_CHAT_HEALTH_FULL) {
        len += ngx_http_chat_health_full_len(&chmcf->providers, state);
    }

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NULL;
    }

    b->last = ngx_sprintf(b->last, "{\"status\": \"%V\"", &v->word);

    if (v->reason.len) {
        b->last = ngx_sprintf(b->last, ", \"reason\": \"%V\"", &v->reason);
    }

    if (v->refusal.len) {
        b->last = ngx_sprintf(b->last, ", \"refusal\": \"%V\"",
                              &v->refusal);
    }

    if (chlcf->health == NGX_HTTP_CHAT_HEALTH_FULL) {
        b->last = ngx_http_chat_health_write_full(b->last, slot,
                                                  &chmcf->providers,
                                                  state, fillers);
    }

    *b->last++ = '}';

    return b;
}


static size_t
ngx_http_chat_health_full_len(ngx_array_t *providers,
    ngx_chat_hub_state_t *state)
{
    size_t                 len;
    ngx_uint_t             i;
    ngx_chat_provider_t  **pv;

    len = sizeof(", \"redis\": \"down\", \"broker\": \"down\", "
                 "\"subscriber\": \"down\", \"fillers\": [], "
                 "\"providers\": [], \"queue\": , \"live\": , "
                 "\"led\": , \"updates\": , \"direct\": , \"eviction\": \"\", "
                 "\"breaker\": \"closed\", \"zone\": {\"state\": \"idle\", "
                 "\"answers\": , \"size\": , \"used\": }") - 1
          + 8 * NGX_INT_T_LEN
          + NGX_CHAT_SCOREBOARD_SLOTS
            * (sizeof("{\"pid\": , \"state\": \"starting\", \"beat\": , "
                      "\"redis\": \"down\", \"running\": }, ") - 1
               + 3 * NGX_ATOMIC_T_LEN);

    pv = providers->elts;

    for (i = 0; i < providers->nelts; i++) {
        len += sizeof("{\"name\": \"\", \"model\": \"\", "
                      "\"state\": \"limited\", \"answers\": , "
                      "\"failures\": }, ") - 1
               + 2 * NGX_INT_T_LEN
               + pv[i]->name.len
               + ngx_chat_json_escaped_len(pv[i]->model.data,
                                           pv[i]->model.len);
    }

    if (state->policy) {
        len += ngx_chat_json_escaped_len(state->policy->data,
                                         state->policy->len);
    }

    return len;
}


static u_char *
ngx_http_chat_health_write_full(u_char *p, ngx_chat_slot_t *slot,
    ngx_array_t *providers, ngx_chat_hub_state_t *state,
    ngx_http_chat_health_fillers_t *fillers)
{
    const char  *down;

    down = state->off ? "off" : "down";

    p = ngx_sprintf(p, ", \"redis\": \"%s\", \"broker\": \"%s\", "
                    "\"subscriber\": \"%s\", \"fillers\": [",
                    state->redis ? "up" : down, state->broker ? "up" : down,
                    state->pubsub ? "up" : down);

    if (slot) {
        p = ngx_http_chat_health_write_slots(p, slot);
    }

    p = ngx_sprintf(p, "], \"providers\": [");

    if (slot) {
        p = ngx_http_chat_health_write_providers(p, slot, providers);
    }

    p = ngx_sprintf(p, "], \"queue\": %ui, \"live\": %ui, \"led\": %ui, "
                    "\"updates\": %ui, \"direct\": %ui, \"eviction\": \"",
                    fillers->queued, state->channels, state->leads,
                    state->updates, ngx_http_chat_direct_calls());

    if (state->policy) {
        p = ngx_chat_json_escape(p, state->policy->data, state->policy->len);
    }

    p = ngx_sprintf(p, "\", \"breaker\": \"%s\"",
                    state->redis_down ? "open" : "closed");

    return ngx_http_chat_health_write_zone(p);
}


/* idle: Redis does not tell of changes, so it is asked itself */

static u_char *
ngx_http_chat_health_write_zone(u_char *p)
{
    ngx_chat_tier_t        *zone;
    ngx_chat_tier_state_t   state;

    ngx_memzero(&state, sizeof(ngx_chat_tier_state_t));

    zone = ngx_http_chat_worker_zone;

    if (zone) {
        ngx_chat_tier_get_state(zone, &state);
    }

    return ngx_sprintf(p, ", \"zone\": {\"state\": \"%s\", "
                       "\"answers\": %ui, \"size\": %uz, \"used\": %uz}",
                       zone == NULL ? "off"
                       : ngx_chat_hub_get_zone(ngx_http_chat_hub) ? "on"
                                                                  : "idle",
                       state.entries, state.size, state.used);
}


static u_char *
ngx_http_chat_health_write_slots(u_char *p, ngx_chat_slot_t *slot)
{
    time_t              beat;
    ngx_uint_t          i, n;
    ngx_atomic_uint_t   state;

    n = 0;

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS; i++) {

        /* the filler may write at the same time */

        state = slot[i].state;

        if (state == NGX_CHAT_SLOT_FREE || state > NGX_CHAT_SLOT_DRAINING) {
            continue;
        }

        beat = ngx_time() - (time_t) slot[i].pulse;

        p = ngx_sprintf(p, "%s{\"pid\": %uA, \"state\": \"%s\", "
                        "\"beat\": %T, \"redis\": \"%s\", "
                        "\"running\": %uA}",
                        n++ ? ", " : "", slot[i].pid,
                        ngx_http_chat_health_states[state], ngx_max(beat, 0),
                        slot[i].redis ? "up" : "down", slot[i].running);
    }

    return p;
}


static u_char *
ngx_http_chat_health_write_providers(u_char *p, ngx_chat_slot_t *slot,
    ngx_array_t *providers)
{
    const char                     *state;
    ngx_uint_t                      i;
    ngx_chat_provider_t           **pv;
    ngx_http_chat_provider_sum_t    sum;

    pv = providers->elts;

    for (i = 0; i < providers->nelts; i++) {

        ngx_memzero(&sum, sizeof(ngx_http_chat_provider_sum_t));

        ngx_http_chat_health_add_fillers(slot, &pv[i]->name, &sum);
        ngx_http_chat_health_add_own(&pv[i]->name, &sum);

        /* as long as one process asks it first, it is up */

        if (sum.known == 0) {
            state = "unknown";

        } else if (sum.down + sum.limited == 0
                   || sum.down + sum.limited < sum.asked)
        {
            state = "up";

        } else {
            state = sum.down ? "down" : "limited";
        }

        p = ngx_sprintf(p, "%s{\"name\": \"%V\", \"model\": \"",
                        i ? ", " : "", &pv[i]->name);
        p = ngx_chat_json_escape(p, pv[i]->model.data, pv[i]->model.len);
        p = ngx_sprintf(p, "\", \"state\": \"%s\", \"answers\": %ui, "
                        "\"failures\": %ui}",
                        state, sum.answers, sum.failures);
    }

    return p;
}


static void
ngx_http_chat_health_add_fillers(ngx_chat_slot_t *slot, ngx_str_t *name,
    ngx_http_chat_provider_sum_t *sum)
{
    ngx_uint_t                  i, n;
    ngx_atomic_uint_t           key;
    ngx_chat_slot_provider_t   *pv;

    key = ngx_chat_scoreboard_provider_key(name);

    for (i = 0; i < NGX_CHAT_SCOREBOARD_SLOTS; i++) {

        if (!ngx_http_chat_health_is_alive(&slot[i])) {
            continue;
        }

        pv = slot[i].providers;

        for (n = 0;
         n < NGX_CHAT_SCOREBOARD_PROVIDERS && pv[n].key != key;
         n++)
    {
            /* void */
        }

        if (n == NGX_CHAT_SCOREBOARD_PROVIDERS) {
            continue;
        }

        ngx_http_chat_health_add(sum, &pv[n]);
    }
}


static void
ngx_http_chat_health_add_own(ngx_str_t *name, ngx_http_chat_provider_sum_t *sum)
{
    ngx_chat_peer_t           *peer;
    ngx_chat_slot_provider_t   pv;

    peer = ngx_chat_peers_find(ngx_http_chat_peers, name);

    if (peer) {
        ngx_chat_peer_show(peer, &pv);
        ngx_http_chat_health_add(sum, &pv);
    }
}


static void
ngx_http_chat_health_add(ngx_http_chat_provider_sum_t *sum,
    ngx_chat_slot_provider_t *pv)
{
    sum->known++;
    sum->asked += (pv->answers || pv->failures);
    sum->answers += pv->answers;
    sum->failures += pv->failures;

    if ((time_t) pv->limited_until > ngx_time()) {
        sum->limited++;

    } else if ((time_t) pv->down_until > ngx_time()) {
        sum->down++;
    }
}
