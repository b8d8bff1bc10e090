
/*
 * The filler's verbs on a generation: claim it, write it, end it.  They
 * are repeated after a lost connection for as long as retry_time says, since a
 * filler has nothing better to do than to save what it was paid for.
 *
 * A label names an attempt, that is, what follows a "processing": the texts of
 * one call to a provider.  "<leader>.<k>": who calls, a worker or a filler's
 * job, and the how-manieth of its attempts it is.  A led generation is filled
 * by whoever has the label of its leader and the highest fill number; with the
 * label of the attempt that is being written it goes on behind the bytes that
 * are there.
 *
 * NGX_DECLINED in a handler is LOST: the token is not the writer's any more
 * (or the generation is gone or ended), and nothing was changed.
 */


#ifndef _NGX_CHAT_STORE_FILLER_H_INCLUDED_
#define _NGX_CHAT_STORE_FILLER_H_INCLUDED_


#include "ngx_chat_store_tasks.h"


#define NGX_CHAT_JOB_TOKEN_LEN  (NGX_CHAT_TOKEN_LEN + 1 + NGX_INT64_LEN)
#define NGX_CHAT_LABEL_LEN      (NGX_CHAT_JOB_TOKEN_LEN + 1 + NGX_INT64_LEN)


/* a job's lease on a generation; outlives the calls made with it */
typedef struct {
    ngx_chat_gen_t         gen;
    u_char                 token[NGX_CHAT_JOB_TOKEN_LEN];  /* process.number */
    size_t                 token_len;
    uint64_t               n;      /* events in Redis, as the job knows */
} ngx_chat_lease_t;


typedef enum {
    NGX_CHAT_CLAIM_RUN = 0,        /* the generation is ours to write */
    NGX_CHAT_CLAIM_BUSY,           /* another writes it: look again later */
    NGX_CHAT_CLAIM_DUP,            /* another task entry has it: done */
    NGX_CHAT_CLAIM_DONE,           /* ended, now or before: done */
    NGX_CHAT_CLAIM_GONE            /* done */
} ngx_chat_claim_e;


typedef struct {
    ngx_str_t              task;         /* the queue entry's id; empty: none,
                                            as a lane has brought it */
    ngx_chat_queue_e       queue;        /* of the entry */
    ngx_str_t              predecessor;  /* token of a dead process, or of a
                                            job: its lease does not count; or
                                            empty */
    ngx_str_t              label;        /* of the attempt that is to come */
    ngx_uint_t             fill;         /* number of the fill; 0: no lane's */
    ngx_msec_t             budget;       /* time for the job in all */
    ngx_uint_t             alone;        /* no other job runs in this process */
} ngx_chat_claim_t;


typedef struct {
    ngx_chat_claim_e       result;
    ngx_uint_t             tries;    /* with this one */
    size_t                 bytes;    /* of this attempt's text, already there */
    ngx_str_t              task;     /* queue entry that is the generation's;
                                        empty: none; valid in the handler */
    ngx_chat_queue_e       queue;    /* of the entry */
    unsigned               joined:1;  /* somebody has, elsewhere */
} ngx_chat_claimed_t;

/* rc NGX_OK: claimed, with RUN as a whole, and lease->n is set */
typedef void (*ngx_chat_claim_pt)(void *data, ngx_int_t rc,
    ngx_chat_claimed_t *claimed);

ngx_chat_call_t *ngx_chat_store_claim(ngx_chat_store_t *st,
    ngx_chat_lease_t *lease, ngx_chat_claim_t *claim, ngx_msec_t retry_time,
    ngx_chat_claim_pt handler, void *data);


typedef struct {
    u_char                *text;         /* the chunks, end to end */
    uint32_t              *chunk_lens;   /* length of each */
    ngx_uint_t             count;        /* 0: renewal alone */
    ngx_str_t              label;        /* of the attempt that begins here: a
                                            "processing" goes first; empty: it
                                            goes on */
    ngx_str_t              task;         /* queue entry that is the generation's
                                            from now on; empty: as it is */
    ngx_chat_queue_e       queue;        /* of the entry */
    unsigned               renew:1;      /* the lease too */
    unsigned               give_back:1;  /* lease 0: who wants may claim */
} ngx_chat_append_t;

/*
 * NGX_OK: written, lease->n has moved on; listeners: subscribers that got it,
 * or with no chunks that are there, at least 1 if somebody has joined within
 * NGX_CHAT_SILENCE; stop: somebody asked to stop it (DELETE).
 * NGX_BUSY: GAP, the numbers do not fit, and the job is to fail.
 */
typedef void (*ngx_chat_append_pt)(void *data, ngx_int_t rc,
    ngx_uint_t listeners, ngx_uint_t stop);

ngx_chat_call_t *ngx_chat_store_append(ngx_chat_store_t *st,
    ngx_chat_lease_t *lease, ngx_chat_append_t *append, ngx_msec_t retry_time,
    ngx_chat_append_pt handler, void *data);


typedef struct {
    ngx_str_t              text;
    uint32_t              *chunk_lens;
    ngx_uint_t             count;
    ngx_msec_t             ttl;          /* 0: not to be cached */
    ngx_msec_t             stale;        /* kept for so long behind it */
    ngx_str_t              finish;
    ngx_str_t              provider;
    ngx_str_t              model;
    ngx_str_t              usage;        /* JSON or empty */
} ngx_chat_finish_t;

/* NGX_OK, NGX_DECLINED, NGX_BUSY as above */
typedef void (*ngx_chat_ended_pt)(void *data, ngx_int_t rc);

ngx_chat_call_t *ngx_chat_store_finish(ngx_chat_store_t *st,
    ngx_chat_lease_t *lease, ngx_chat_finish_t *finish, ngx_msec_t retry_time,
    ngx_chat_ended_pt handler, void *data);

ngx_chat_call_t *ngx_chat_store_fail(ngx_chat_store_t *st,
    ngx_chat_lease_t *lease, ngx_chat_error_e error, ngx_msec_t retry_time,
    ngx_chat_ended_pt handler, void *data);

/*
 * Ends it as cancelled if nobody listened for grace.  NGX_OK: ended;
 * NGX_AGAIN: somebody does; NGX_DECLINED: LOST.
 */
ngx_chat_call_t *ngx_chat_store_cancel(ngx_chat_store_t *st,
    ngx_chat_lease_t *lease, ngx_msec_t grace, ngx_chat_ended_pt handler,
    void *data);


#endif /* _NGX_CHAT_STORE_FILLER_H_INCLUDED_ */
