
#include "ngx_chat_peers.h"
#include "../shm/ngx_chat_metrics.h"


/* upper limit of a peer's Retry-After, ms: a longer one is cut to it */
#define NGX_CHAT_PEER_RETRY_AFTER  (60 * 60 * 1000)


static void ngx_chat_peer_set_down(ngx_chat_peer_t *peer);
static ngx_uint_t ngx_chat_peer_is_before(ngx_msec_t ms);
static ngx_atomic_uint_t ngx_chat_peer_until(ngx_msec_t ms);


ngx_array_t *
ngx_chat_peers_create(ngx_array_t *providers, ngx_pool_t *pool)
{
    ngx_uint_t             i;
    ngx_array_t           *peers;
    ngx_chat_peer_t       *peer;
    ngx_chat_provider_t  **pv;

    peers = ngx_array_create(pool, ngx_max(providers->nelts, 1),
                             sizeof(ngx_chat_peer_t));
    if (peers == NULL) {
        return NULL;
    }

    pv = providers->elts;

    for (i = 0; i < providers->nelts; i++) {
        peer = ngx_array_push(peers);
        if (peer == NULL) {
            return NULL;
        }

        ngx_memzero(peer, sizeof(ngx_chat_peer_t));

        peer->provider = pv[i];
    }

    return peers;
}


ngx_chat_peer_t *
ngx_chat_peers_find(ngx_array_t *peers, ngx_str_t *name)
{
    ngx_str_t        *s;
    ngx_uint_t        i;
    ngx_chat_peer_t  *peer;

    peer = peers->elts;

    for (i = 0; i < peers->nelts; i++) {
        s = &peer[i].provider->name;

        if (s->len == name->len
            && ngx_strncmp(s->data, name->data, name->len) == 0)
        {
            return &peer[i];
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_chat_peer_is_before(ngx_msec_t ms)
{
    return (ngx_msec_int_t) (ms - ngx_current_msec) > 0;
}


ngx_uint_t
ngx_chat_peer_is_usable(ngx_chat_peer_t *peer)
{
    if (peer->limited && ngx_chat_peer_is_before(peer->limited_until)) {
        return 0;
    }

    return !peer->down || !ngx_chat_peer_is_before(peer->down_until);
}


void
ngx_chat_peer_report_call(ngx_chat_peer_t *peer)
{
    if (peer->limited && !ngx_chat_peer_is_before(peer->limited_until)) {
        peer->limited = 0;
    }

    if (peer->down && !ngx_chat_peer_is_before(peer->down_until)) {
        ngx_chat_peer_set_down(peer);
    }
}


void
ngx_chat_peer_report_success(ngx_chat_peer_t *peer, ngx_msec_t started)
{
    /* a call begun before the latest failure says nothing about now */

    if (peer->failed && (ngx_msec_int_t) (started - peer->last) < 0) {
        return;
    }

    if (peer->down) {
        ngx_chat_metrics_set_down(&peer->provider->name, 0);
    }

    peer->fails = 0;
    peer->failed = 0;
    peer->down = 0;
    peer->limited = 0;
}


void
ngx_chat_peer_report_failure(ngx_chat_peer_t *peer, ngx_msec_t retry_after)
{
    ngx_chat_provider_t  *pv;

    pv = peer->provider;

    peer->failures++;

    if (peer->fails == 0
        || ngx_current_msec - peer->first > pv->fail_timeout)
    {
        peer->fails = 0;
        peer->first = ngx_current_msec;
    }

    peer->fails++;
    peer->failed = 1;
    peer->last = ngx_current_msec;

    if (retry_after) {
        retry_after = ngx_min(retry_after, NGX_CHAT_PEER_RETRY_AFTER);

        peer->limited = 1;
        peer->limited_until = ngx_current_msec + retry_after;
    }

    /* a single failure keeps a peer down, also when fails has started over */

    if (pv->max_fails && (peer->down || peer->fails >= pv->max_fails)) {
        peer->down = 1;
        ngx_chat_peer_set_down(peer);
    }
}


static void
ngx_chat_peer_set_down(ngx_chat_peer_t *peer)
{
    peer->down_until = ngx_current_msec + peer->provider->fail_timeout;

    ngx_chat_metrics_set_down(&peer->provider->name,
                              (time_t) ngx_chat_peer_until(peer->down_until));
}


void
ngx_chat_peers_show(ngx_array_t *peers, ngx_chat_slot_t *slot)
{
    ngx_uint_t        i;
    ngx_chat_peer_t  *peer;

    peer = peers->elts;

    for (i = 0; i < ngx_min(peers->nelts, NGX_CHAT_SCOREBOARD_PROVIDERS); i++) {
        ngx_chat_peer_show(&peer[i], &slot->providers[i]);
    }
}


void
ngx_chat_peer_show(ngx_chat_peer_t *peer, ngx_chat_slot_provider_t *shown)
{
    shown->down_until = peer->down
                        ? ngx_chat_peer_until(peer->down_until) : 0;
    shown->limited_until = peer->limited
                           ? ngx_chat_peer_until(peer->limited_until) : 0;

    shown->answers = peer->answers;
    shown->failures = peer->failures;
    shown->key = ngx_chat_scoreboard_provider_key(&peer->provider->name);
}


/* seconds since the epoch; 0: that is over */

static ngx_atomic_uint_t
ngx_chat_peer_until(ngx_msec_t ms)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (ms - ngx_current_msec);

    return (left > 0) ? (ngx_atomic_uint_t) (ngx_time() + (left + 999) / 1000)
                      : 0;
}
