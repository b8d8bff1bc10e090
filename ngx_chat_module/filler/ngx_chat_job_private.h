
/*
 * A job as its parts see it: ngx_chat_job.c takes the task and claims its
 * generation, ngx_chat_job_candidates.c says which providers may be asked for
 * it, ngx_chat_job_ask.c asks them, ngx_chat_job_write.c brings what came into
 * Redis.
 *
 * A function that may end the job is the last thing its caller does.
 */


#ifndef _NGX_CHAT_JOB_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_JOB_PRIVATE_H_INCLUDED_


#include "ngx_chat_job.h"
#include "../provider/ngx_chat_conversation.h"
#include "../codec/ngx_chat_bytes.h"

#include <ngx_event.h>


/* how long a command is repeated: who cannot write for so long is replaced */
#define NGX_CHAT_JOB_PATIENCE  (NGX_CHAT_LEASE + NGX_CHAT_MARGIN)


typedef enum {
    NGX_CHAT_JOB_CLAIMING = 0,
    NGX_CHAT_JOB_RUNNING,          /* ours to write */
    NGX_CHAT_JOB_LEAVING           /* nothing is left but the queue entry */
} ngx_chat_job_state_e;


struct ngx_chat_job_s {
    ngx_chat_jobs_t           *jobs;
    ngx_pool_t                *pool;
    ngx_chat_call_t           *write;      /* the one command in flight */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                  ident;

    ngx_queue_t                queue;
    ngx_log_t                  log;
    ngx_chat_job_state_e       state;
    ngx_chat_task_entry_t      task;
    ngx_chat_lease_t           grip;

    /* the providers' side */
    ngx_chat_conversation_t    conversation;
    ngx_chat_provider_result_t  result;    /* once answered */
    ngx_event_t                event;      /* posted: a text came */

    /* the answer: the text in one piece, and the length of each chunk */
    ngx_chat_bytes_t           text;
    ngx_chat_bytes_t           chunk_lens;  /* of uint32_t */

    /* Redis' side */
    ngx_uint_t                 next;       /* the first chunk not sent */
    size_t                     offset;     /* where it begins in text */
    ngx_event_t                renewal;
    ngx_msec_t                 deserted;   /* unheard since then */

    ngx_chat_error_e           error;      /* code to end with, if any */

    unsigned                   answered:1;  /* and text is the whole answer */
    unsigned                   broken:1;   /* no chunks any more, only fail */
    unsigned                   hasty:1;    /* Redis has been waited for */
    unsigned                   fresh:1;    /* the next chunk starts over */
    unsigned                   begun:1;    /* chunks were sent since then */
    unsigned                   renew:1;    /* the lease is due */
    unsigned                   unheard:1;  /* no listeners */
    unsigned                   cancel:1;   /* to be asked about that */
    unsigned                   give_back:1;
    unsigned                   lost:1;     /* once already */
};


/* NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_job_prepare(ngx_chat_job_t *job);


/*
 * Adds the task's providers that are known here to the conversation; none is
 * no error, but logged.
 */
void ngx_chat_job_candidates(ngx_chat_job_t *job);


/* forgets the chunks; what clients have of them goes with a "processing" */
void ngx_chat_job_start_over(ngx_chat_job_t *job);

/* no more is expected from the provider; not from inside libcurl */
void ngx_chat_job_stop_asking(ngx_chat_job_t *job);

/* does whatever is next, unless a command is in flight */
void ngx_chat_job_write(ngx_chat_job_t *job);

/* the last append had no listeners: a grace of silence may cancel the job */
void ngx_chat_job_unheard(ngx_chat_job_t *job);

/* begins (again), with a grip of its own; NGX_ERROR: could not be sent */
ngx_int_t ngx_chat_job_claim(ngx_chat_job_t *job);

/* the generation has ended: the queue entry goes, then the job */
void ngx_chat_job_done(ngx_chat_job_t *job);

/* the job goes, its queue entry stays */
void ngx_chat_job_end(ngx_chat_job_t *job);


#endif /* _NGX_CHAT_JOB_PRIVATE_H_INCLUDED_ */
