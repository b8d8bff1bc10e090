
#include "ngx_chat_failover.h"


#define NGX_CHAT_FAILOVER_BACKOFF      200      /* ms, doubling */
#define NGX_CHAT_FAILOVER_BACKOFF_MAX  10000


static ngx_chat_candidate_t *ngx_chat_failover_pick(ngx_chat_failover_t *c,
    ngx_uint_t usable);
static ngx_int_t ngx_chat_failover_round(ngx_chat_failover_t *c,
    ngx_msec_t *delay);
static ngx_msec_t ngx_chat_failover_wait(ngx_chat_candidate_t *option);


ngx_int_t
ngx_chat_failover_init(ngx_chat_failover_t *c, ngx_uint_t max, ngx_pool_t *pool,
    ngx_log_t *log)
{
    ngx_memzero(c, sizeof(ngx_chat_failover_t));

    c->log = log;
    c->options = ngx_pcalloc(pool,
                             ngx_max(max, 1) * sizeof(ngx_chat_candidate_t));

    return c->options ? NGX_OK : NGX_ERROR;
}


ngx_chat_candidate_t *
ngx_chat_failover_add(ngx_chat_failover_t *c, ngx_chat_peer_t *peer)
{
    ngx_uint_t             i;
    ngx_chat_candidate_t  *option;

    for (i = 0; i < c->n; i++) {
        if (c->options[i].peer == peer) {
            return NULL;
        }
    }

    option = &c->options[c->n++];
    option->peer = peer;

    c->budget = ngx_max(c->budget, peer->provider->total_timeout);

    return option;
}


void
ngx_chat_failover_anew(ngx_chat_failover_t *c)
{
    ngx_uint_t             i;
    ngx_chat_candidate_t  *option;

    for (i = 0; i < c->n; i++) {
        option = &c->options[i];

        option->asked = 0;
        option->round = 0;
        option->wait = 0;
        option->out = 0;
    }

    c->option = NULL;
    c->round = 0;
    c->deadline = ngx_current_msec + c->budget;
}


ngx_int_t
ngx_chat_failover_next(ngx_chat_failover_t *c, ngx_msec_t *delay)
{
    ngx_chat_candidate_t  *option;

    if ((ngx_msec_int_t) (c->deadline - ngx_current_msec) <= 0) {
        return NGX_DECLINED;
    }

    option = ngx_chat_failover_pick(c, 1);

    /* better one that does not seem to work than none */

    if (option == NULL) {
        option = ngx_chat_failover_pick(c, 0);
    }

    if (option == NULL) {
        return ngx_chat_failover_round(c, delay);
    }

    if (c->option && c->option != option) {
        ngx_log_error(NGX_LOG_NOTICE, c->log, 0,
                      "provider \"%V\" is asked instead of \"%V\"",
                      &option->peer->provider->name,
                      &c->option->peer->provider->name);
    }

    option->asked++;
    option->round = c->round + 1;

    c->option = option;
    c->started = ngx_current_msec;

    ngx_chat_peer_asked(option->peer);

    return NGX_OK;
}


static ngx_chat_candidate_t *
ngx_chat_failover_pick(ngx_chat_failover_t *c, ngx_uint_t usable)
{
    ngx_uint_t             i;
    ngx_chat_candidate_t  *option;

    for (i = 0; i < c->n; i++) {
        option = &c->options[i];

        if (option->out
            || option->round > c->round
            || ngx_chat_failover_wait(option) > 0
            || (usable && !ngx_chat_peer_usable(option->peer)))
        {
            continue;
        }

        return option;
    }

    return NULL;
}


static ngx_int_t
ngx_chat_failover_round(ngx_chat_failover_t *c, ngx_msec_t *delay)
{
    ngx_uint_t             i;
    ngx_msec_t             wait, least;
    ngx_msec_int_t         left;
    ngx_chat_candidate_t  *option, *next;

    next = NULL;
    least = 0;

    for (i = 0; i < c->n; i++) {
        option = &c->options[i];

        if (option->out) {
            continue;
        }

        wait = ngx_chat_failover_wait(option);

        if (next == NULL || wait < least) {
            next = option;
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
                  "provider \"%V\" is asked again in %M ms, retry %ui",
                  &next->peer->provider->name, *delay, c->round);

    return NGX_AGAIN;
}


static ngx_msec_t
ngx_chat_failover_wait(ngx_chat_candidate_t *option)
{
    ngx_msec_int_t  left;

    if (!option->wait) {
        return 0;
    }

    left = (ngx_msec_int_t) (option->after - ngx_current_msec);

    return (left > 0) ? (ngx_msec_t) left : 0;
}


ngx_msec_t
ngx_chat_failover_left(ngx_chat_failover_t *c)
{
    ngx_msec_int_t        left;
    ngx_chat_provider_t  *pv;

    pv = c->option->peer->provider;

    left = (ngx_msec_int_t) (c->deadline - ngx_current_msec);
    left = ngx_min(left, (ngx_msec_int_t) pv->total_timeout);

    return (ngx_msec_t) ngx_max(left, 1);
}


void
ngx_chat_failover_judge(ngx_chat_failover_t *c, ngx_chat_outcome_t *outcome)
{
    ngx_uint_t             i;
    ngx_chat_peer_t       *peer;
    ngx_chat_candidate_t  *option;

    option = c->option;
    peer = option->peer;

    if (outcome->answered) {
        peer->answers++;
        ngx_chat_peer_works(peer, c->started);
        return;
    }

    if (outcome->final) {

        for (i = 0; i < c->n; i++) {
            c->options[i].out = 1;
        }

        ngx_chat_peer_works(peer, c->started);
        return;
    }

    if (!outcome->innocent) {
        ngx_chat_peer_failed(peer, outcome->retry_after);
    }

    if (!outcome->retry || option->asked > peer->provider->retries) {
        option->out = 1;
    }

    option->wait = (outcome->retry_after != 0);
    option->after = ngx_current_msec + outcome->retry_after;
}
