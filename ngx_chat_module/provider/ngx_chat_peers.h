
/*
 * Health of each provider, as a process that asks it, filler or worker,
 * knows from its own calls alone: failures within fail_timeout, and a
 * Retry-After that is not over.  All questions of the process share it; it
 * decides in which order they try their providers, and nothing else.
 */


#ifndef _NGX_CHAT_PEERS_H_INCLUDED_
#define _NGX_CHAT_PEERS_H_INCLUDED_


#include "../shm/ngx_chat_scoreboard.h"
#include "ngx_chat_provider.h"


typedef struct {
    ngx_chat_provider_t   *provider;

    ngx_uint_t             fails;      /* since first */
    ngx_msec_t             first;
    ngx_msec_t             last;       /* when it failed last */
    ngx_msec_t             down_until;
    ngx_msec_t             limited_until;

    ngx_uint_t             answers;    /* for the health page */
    ngx_uint_t             failures;

    unsigned               failed:1;   /* ever: last is set */
    unsigned               down:1;     /* max_fails is reached */
    unsigned               limited:1;  /* Retry-After was received */
    unsigned               mismatch_logged:1;  /* of the fingerprint */
} ngx_chat_peer_t;


/* an array of ngx_chat_peer_t in the order of providers; NULL: no memory */
ngx_array_t *ngx_chat_peers_create(ngx_array_t *providers, ngx_pool_t *pool);

/* NULL: not configured here */
ngx_chat_peer_t *ngx_chat_peers_find(ngx_array_t *peers, ngx_str_t *name);

/* is the peer worth asking before others? */
ngx_uint_t ngx_chat_peer_is_usable(ngx_chat_peer_t *peer);

/* a call begins; to a peer that was down, a probe: it stays down meanwhile */
void ngx_chat_peer_report_call(ngx_chat_peer_t *peer);

/*
 * A call begun at started has shown that it works, or that it does not.
 * retry_after: ms, 0: not said.
 */
void ngx_chat_peer_report_success(ngx_chat_peer_t *peer, ngx_msec_t started);
void ngx_chat_peer_report_failure(ngx_chat_peer_t *peer,
    ngx_msec_t retry_after);

/* as the health page has it */
void ngx_chat_peer_show(ngx_chat_peer_t *peer,
    ngx_chat_slot_provider_t *shown);
void ngx_chat_peers_show(ngx_array_t *peers, ngx_chat_slot_t *slot);


#endif /* _NGX_CHAT_PEERS_H_INCLUDED_ */
