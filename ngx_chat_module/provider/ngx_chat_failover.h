
/*
 * Which of its providers a question asks next: the first that seems to work,
 * then the others, then all of them once more after a while.  Filler and
 * direct path follow the same rule, with peers of their own.
 */


#ifndef _NGX_CHAT_FAILOVER_H_INCLUDED_
#define _NGX_CHAT_FAILOVER_H_INCLUDED_


#include "ngx_chat_peers.h"


/* a provider of the question */
typedef struct {
    ngx_chat_peer_t    *peer;
    ngx_uint_t          asked;      /* how often */
    ngx_uint_t          round;      /* of the next time */
    ngx_msec_t          after;      /* and not before this */
    unsigned            wait:1;     /* after is set */
    unsigned            out:1;      /* not asked any more */
    unsigned            fp_mismatch:1;  /* fingerprint is not the asker's */
} ngx_chat_candidate_t;


typedef struct {
    ngx_chat_candidate_t  *candidate;  /* the one that is asked */
    ngx_chat_candidate_t  *candidates;  /* in order of preference */
    ngx_uint_t             n;
    ngx_uint_t             round;   /* through the candidates */
    ngx_msec_t             budget;  /* for all calls together */
    ngx_msec_t             deadline;
    ngx_msec_t             started;  /* the call */
    ngx_log_t             *log;
} ngx_chat_failover_t;


/* result of a call */
typedef struct {
    ngx_msec_t          retry_after;  /* 0: not said */
    unsigned            answered:1;   /* the whole of it */
    unsigned            final:1;      /* the question's fault: for all */
    unsigned            local_fault:1;  /* error is ours, not the provider's */
    unsigned            retry:1;      /* worth another try */
} ngx_chat_outcome_t;


/* room for so many candidates; NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_failover_init(ngx_chat_failover_t *c, ngx_uint_t max,
    ngx_pool_t *pool, ngx_log_t *log);

/* the last one so far; NULL: it is among them already */
ngx_chat_candidate_t *ngx_chat_failover_add(ngx_chat_failover_t *c,
    ngx_chat_peer_t *peer);

/* none of them was asked yet, and the time of all begins now */
void ngx_chat_failover_reset(ngx_chat_failover_t *c);

/*
 * Sets candidate.  NGX_OK: to be asked now; NGX_AGAIN: to be called again in
 * *delay ms; NGX_DECLINED: none is left, or no time.
 */
ngx_int_t ngx_chat_failover_next(ngx_chat_failover_t *c, ngx_msec_t *delay);

/* ms for the call to candidate, at least 1 */
ngx_msec_t ngx_chat_failover_left(ngx_chat_failover_t *c);

/* the call to candidate has ended: what follows for it, and for its peer */
void ngx_chat_failover_report(ngx_chat_failover_t *c,
    ngx_chat_outcome_t *outcome);


#endif /* _NGX_CHAT_FAILOVER_H_INCLUDED_ */
