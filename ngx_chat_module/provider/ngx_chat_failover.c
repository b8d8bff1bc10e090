
#include "ngx_chat_failover.h"


#define NGX_CHAT_FAILOVER_BACKOFF      200      /* ms, doubling */
#define NGX_CHAT_FAILOVER_BACKOFF_MAX  10000


static ngx_chat_candidate_t *ngx_chat_failover_pick(ngx_chat_failover_t *c,
    ngx_uint_t usable);
static ngx_int_t ngx_chat_failover_next_round(ngx_chat_failover_t *c,
    ngx_msec_t *delay);
static ngx_msec_t ngx_chat_failover_wait(ngx_chat_candidate_t *candidate);


ngx_int_t
ngx_chat_failover_init(ngx_chat_failover_t *c, ngx_uint_t max, ngx_pool_t *pool,
    ngx_log_t *log)
{
    ngx_memzero(c, sizeof(ngx_chat_failover_t));

    c->log = log;
    c->candidates = ngx_pcalloc(pool,
                                ngx_max(max, 1) * sizeof(ngx_chat_candidate_t));

    return c->candidates ? NGX_OK : NGX_ERROR;
}


ngx_chat_candidate_t *
ngx_chat_failover_add(ngx_chat_failover_t *c, ngx_chat_peer_t *peer)
{
    ngx_uint_t             i;
    ngx_chat_candidate_t  *candidate;

    for (i = 0; i < c->n; i++) {
        if (c->candidates[i].peer == peer) {
            return NULL;
        }
    }

    candidate = &c->candidates[c->n++];
    candidate->peer = peer;

    c->budget = ngx_max(c->budget, peer->provider->total_timeout);

    return candidate;
}


void
ngx_chat_failover_reset(ngx_chat_failover_t *c)
{
    ngx_uint_t             i;
    ngx_chat_candidate_t  *candidate;

    for (i = 0; i < c->n; i++) {
        candidate = &c->candidates[i];

        candidate->asked = 0;
        candidate->round = 0;
        candidate->wait = 0;
        candidate->out = 0;
    }

    c->candidate = NULL;
    c->round = 0;
    c->deadline = ngx_current_msec + c->budget;
}


ngx_int_t
ngx_chat_failover_next(ngx_chat_failover_t *c, ngx_msec_t *delay)
{
    ngx_chat_candidate_t  *candidate;

    if ((ngx_msec_int_t) (c->deadline - ngx_current_msec) <= 0) {
        return NGX_DECLINED;
    }

    candidate = ngx_chat_failover_pick(c, 1);

    /* better one that does not seem to work than none */

    if (candidate == NULL) {
        candidate = ngx_chat_failover_pick(c, 0);
    }

    if (candidate == NULL) {
        return ngx_chat_failover_next_round(c, delay);
    }

    if (c->candidate && c->candidate != candidate) {
        ngx_log_error(NGX_LOG_NOTICE, c->log, 0,
                      "chat provider \"%V\" is asked instead of \"%V\"",
                      &candidate->peer->provider->name,
                      &c->candidate->peer->provider->name);
    }

    candidate->asked++;
    candidate->round = c->round + 1;

    c->candidate = candidate;
    c->started = ngx_current_msec;

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, c->log, 0,
                   "chat failover asks \"%V\", round:%ui fails:%ui down:%d",
                   &candidate->peer->provider->name, c->round,
                   candidate->peer->fails, (int) candidate->peer->down);

    ngx_chat_peer_report_call(candidate->peer);

    return NGX_OK;
}


static ngx_chat_candidate_t *
ngx_chat_failover_pick(ngx_chat_failover_t *c, ngx_uint_t usable)
{
    ngx_uint_t             i;
    ngx_chat_candidate_t  *candidate;

    for (i = 0; i < c->n; i++) {
        candidate = &c->candidates[i];

        if (candidate->out
            || candidate->round > c->round
            || ngx_chat_failover_wait(candidate) > 0
            || (usable && !ngx_chat_peer_is_usable(candidate->peer)))
        {
            continue;
        }

        return candidate;
    }

    return NULL;
}


static ngx_int_t
ngx_chat_failover_next_round(ngx_chat_failover_t *c, ngx_msec_t *delay)
{
    ngx_uint_t             i;
    ngx_msec_t             wait, least;
    ngx_msec_int_t         left;
    ngx_chat_candidate_t  *candidate, *next;

    next = NULL;
    least = 0;

    for (i = 0; i < c->n; i++) {
        candidate = &c->candidates[i];

        if (candidate->out) {
            continue;
        }

        wait = ngx_chat_failover_wait(candidate);

        if (next == NULL || wait < least) {
            next = candidate;
            least = wait;
        }
    }

    if (next == NULL || least > NGX_CHAT_FAILOVER_BACKOFF_MAX) {
        return NGX_DECLINED;
    }

    *delay = NGX_CHAT_FAILOVER_BACKOFF << ngx_min(c->round, 6);
    *delay = ngx_min(*delay, NGX_CHAT_FAILOVER_BACKOFF_MAX);
    *delay = ngx_max(*delay, least);

    left = (ngx_msec_int_t) (c->deadline - ngx_current_msec);

    if (left <= (ngx_msec_int_t) *delay) {
        return NGX_DECLINED;
    }

    c->round++;

    ngx_log_error(NGX_LOG_NOTICE, c->log, 0,
                  "chat provider \"%V\" is asked again in %M ms, retry %ui",
                  &next->peer->provider->name, *delay, c->round);

    return NGX_AGAIN;
}


static ngx_msec_t
ngx_chat_failover_wait(ngx_chat_candidate_t *candidate)
{
    ngx_msec_int_t  left;

    if (!candidate->wait) {
        return 0;
    }

    left = (ngx_msec_int_t) (candidate->after - ngx_current_msec);

    return (left > 0) ? (ngx_msec_t) left : 0;
}


ngx_msec_t
ngx_chat_failover_left(ngx_chat_failover_t *c)
{
    ngx_msec_int_t        left;
    ngx_chat_provider_t  *pv;

    pv = c->candidate->peer->provider;

    left = (ngx_msec_int_t) (c->deadline - ngx_current_msec);
    left = ngx_min(left, (ngx_msec_int_t) pv->total_timeout);

    return (ngx_msec_t) ngx_max(left, 1);
}


void
ngx_chat_failover_report(ngx_chat_failover_t *c, ngx_chat_outcome_t *outcome)
{
    ngx_uint_t             i;
    ngx_chat_peer_t       *peer;
    ngx_chat_candidate_t  *candidate;

    candidate = c->candidate;
    peer = candidate->peer;

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, c->log, 0,
                   "chat failover report \"%V\", answered:%d final:%d "
                   "retry:%d", &peer->provider->name,
                   (int) outcome->answered, (int) outcome->final,
                   (int) outcome->retry);

    if (outcome->answered) {
        peer->answers++;
        ngx_chat_peer_report_success(peer, c->started);
        return;
    }

    if (outcome->final) {

        for (i = 0; i < c->n; i++) {
            c->candidates[i].out = 1;
        }

        ngx_chat_peer_report_success(peer, c->started);
        return;
    }

    if (!outcome->local_fault) {
        ngx_chat_peer_report_failure(peer, outcome->retry_after);
    }

    if (!outcome->retry || candidate->asked > peer->provider->retries) {
        candidate->out = 1;
    }

    candidate->wait = (outcome->retry_after != 0);
    candidate->after = ngx_current_msec + outcome->retry_after;
}
