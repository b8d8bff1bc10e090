
/*
 * A job as its parts see it: ngx_chat_job.c is the state machine and calls the
 * others, which report to it.  Its texts come from a source:
 * ngx_chat_job_ask.c converses with providers, ngx_chat_job_candidates.c says
 * which of them may be asked; ngx_chat_job_led.c takes what a worker sends, and
 * ngx_chat_job_orphan.c decides what follows when there is no worker any more.
 * ngx_chat_job_write.c brings what came into Redis, ngx_chat_job_renewal.c does
 * what is due by the clock, ngx_chat_job_insure.c queues a led job's task, and
 * ngx_chat_jobs.c knows all of them.
 *
 * A function that may end the job is the last thing its caller does.
 */


#ifndef _NGX_CHAT_JOB_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_JOB_PRIVATE_H_INCLUDED_


#include "ngx_chat_job_source.h"
#include "../provider/ngx_chat_conversation.h"
#include "../shm/ngx_chat_metrics.h"
#include "../codec/ngx_chat_bytes.h"

#include <ngx_event.h>


/* how long a command is repeated: who cannot write for so long is replaced */
#define NGX_CHAT_JOB_RETRY  (NGX_CHAT_LEASE + NGX_CHAT_MARGIN)

/* of a job that asks: a pool with room for the conversation */
#define NGX_CHAT_JOB_POOL   4096


typedef struct ngx_chat_job_led_s  ngx_chat_job_led_t;


typedef enum {
    NGX_CHAT_JOB_CLAIMING = 0,
    NGX_CHAT_JOB_RUNNING,          /* ours to write */
    NGX_CHAT_JOB_LEAVING           /* nothing is left but the queue entry */
} ngx_chat_job_state_e;


/* reports to the state machine; each may end the job */
typedef struct {
    /* the generation has ended, or the entry is of no use */
    void                     (*done)(ngx_chat_job_t *job,
                                 ngx_chat_job_outcome_e outcome);

    /* the lease is not ours any more */
    void                     (*lost)(ngx_chat_job_t *job);

    /* rc of the store: what was to be written is not */
    void                     (*broken)(ngx_chat_job_t *job, ngx_int_t rc);

    /* NGX_OK: the lease has ended, as the job is given back */
    void                     (*returned)(ngx_chat_job_t *job, ngx_int_t rc);

    /* not even the end could be written */
    void                     (*given_up)(ngx_chat_job_t *job);
} ngx_chat_job_ops_t;


struct ngx_chat_job_s {
    ngx_chat_jobs_t           *jobs;
    ngx_pool_t                *pool;
    ngx_chat_call_t           *write;      /* the one command in flight */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                  ident;

    const ngx_chat_job_ops_t  *ops;
    ngx_queue_t                queue;
    ngx_log_t                  log;
    ngx_chat_job_state_e       state;
    ngx_chat_task_entry_t      task;       /* entry: empty if in no queue */
    ngx_chat_lease_t           lease;
    const char                *why;        /* not written */

    /* of the attempt that is being written, or of the one to come */
    ngx_str_t                  label;
    ngx_uint_t                 attempts;   /* of a job that asks */
    u_char                     label_buf[NGX_CHAT_LABEL_LEN];

    /* the source */
    const ngx_chat_job_source_t  *source;
    ngx_chat_conversation_t   *conversation;  /* NULL: providers not asked */
    ngx_chat_job_led_t        *led;        /* NULL: never was */
    ngx_chat_job_answer_t      answer;     /* once answered */
    ngx_event_t                event;      /* posted: something came */

    /* the answer: the text in one piece, and the length of each chunk */
    ngx_chat_bytes_t           text;
    ngx_chat_bytes_t           chunk_lens;  /* of uint32_t */

    /* Redis' side */
    ngx_uint_t                 next;       /* the first chunk not sent */
    size_t                     offset;     /* where it begins in text */
    ngx_chat_call_t           *insure;     /* in flight */
    ngx_event_t                renewal;
    ngx_msec_t                 abandoned;  /* no_subscribers since then */

    ngx_chat_error_e           error;      /* code to end with, if any */

    unsigned                   answered:1;  /* and text is the whole answer */
    unsigned                   broken:1;   /* no chunks any more, only fail */
    unsigned                   no_retry:1;  /* Redis has been waited for */
    unsigned                   restart:1;  /* the next chunk starts over */
    unsigned                   sent_any:1;  /* chunks were sent since then */
    unsigned                   renew:1;    /* the lease is due */
    unsigned                   no_subscribers:1;  /* of the last append */
    unsigned                   cancel:1;   /* to be asked about that */
    unsigned                   give_back:1;
    unsigned                   lost:1;     /* once already */
    unsigned                   entered:1;  /* task.entry is not in Redis yet */
    unsigned                   uninsured:1;  /* till the next renewal */
    unsigned                   stray:1;    /* the source is to settle it */
    unsigned                   counted:1;  /* as begun, and not as ended yet */
};


/*
 * ngx_chat_job.c: a job with a copy of the task, not claimed yet, in a pool
 * that begins with this size; NULL: no memory
 */
ngx_chat_job_t *ngx_chat_job_create(ngx_chat_jobs_t *jobs,
    ngx_chat_task_entry_t *task, const ngx_chat_job_source_t *source,
    size_t size);

/* with a new token; NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_job_claim(ngx_chat_job_t *job);

/* goes on with another source */
void ngx_chat_job_set_source(ngx_chat_job_t *job,
    const ngx_chat_job_source_t *source);

/* without and with a report to the owner of all jobs */
void ngx_chat_job_free(ngx_chat_job_t *job);
void ngx_chat_job_end(ngx_chat_job_t *job);


/* ngx_chat_job_ask.c: the conversation; NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_job_ask_prepare(ngx_chat_job_t *job);

extern const ngx_chat_job_source_t  ngx_chat_job_ask_source;

/*
 * ngx_chat_job_candidates.c: adds the task's providers that are known here to
 * the conversation; none is no error, but logged
 */
void ngx_chat_job_candidates_add(ngx_chat_job_t *job);

/* the time that they have for an answer, as far as is known here */
ngx_msec_t ngx_chat_job_candidates_get_budget(ngx_chat_job_t *job);


/* ngx_chat_job_renewal.c: renewals of the lease begin, after its time */
void ngx_chat_job_renewal_init(ngx_chat_job_t *job);
void ngx_chat_job_renewal_start(ngx_chat_job_t *job);
void ngx_chat_job_renewal_stop(ngx_chat_job_t *job);

/* nobody listens: when that has lasted, the job is to be cancelled */
void ngx_chat_job_renewal_set_abandoned(ngx_chat_job_t *job);


/*
 * ngx_chat_job_insure.c: queues the task of a led job, unless it is; then
 * ngx_chat_job_write() is called
 */
void ngx_chat_job_insure(ngx_chat_job_t *job);

/* takes over a queue entry of the job's generation */
void ngx_chat_job_insure_adopt(ngx_chat_job_t *job, ngx_chat_queue_e queue,
    ngx_str_t *entry);


/* ngx_chat_jobs.c: the one with this entry, or NULL */
ngx_chat_job_t *ngx_chat_jobs_find_entry(ngx_chat_jobs_t *jobs,
    ngx_chat_task_entry_t *task);

/* another of the generation, without an entry so far; or NULL */
ngx_chat_job_t *ngx_chat_jobs_find_heir(ngx_chat_job_t *job);

/* is the job alone in this process, of those that ask? */
ngx_uint_t ngx_chat_jobs_is_alone(ngx_chat_job_t *job);

/*
 * ngx_chat_job_report.c: counts generations that jobs ask for, and their ends,
 * once; one that begins again was claimed again, or asks another provider
 */
void ngx_chat_job_report_begin(ngx_chat_job_t *job);
void ngx_chat_job_report_end(ngx_chat_job_t *job,
    ngx_chat_metrics_generation_e how);

/* does whatever is next, unless a command is in flight; may end the job */
void ngx_chat_job_write(ngx_chat_job_t *job);


#endif /* _NGX_CHAT_JOB_PRIVATE_H_INCLUDED_ */
