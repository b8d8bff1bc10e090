
/*
 * Sources of a job's texts: ngx_chat_job_ask.c, which converses with providers,
 * and ngx_chat_job_led.c, where a worker does.
 */


#ifndef _NGX_CHAT_JOB_SOURCE_H_INCLUDED_
#define _NGX_CHAT_JOB_SOURCE_H_INCLUDED_


#include "ngx_chat_job.h"


/* a generation that is over, as far as the job knows */
typedef enum {
    NGX_CHAT_JOB_WRITTEN = 0,      /* ended in Redis as at its source */
    NGX_CHAT_JOB_CANCELLED,
    NGX_CHAT_JOB_NOT_WRITTEN
} ngx_chat_job_outcome_e;


/*
 * Where the texts come from.  A source adds them to the job, sets answer and
 * answered, or error, when there are no more, and posts the job's event or
 * calls ngx_chat_job_write() for what follows.
 */
typedef struct {
    /*
     * label, fill, predecessor and budget of a claim; predecessor is the job's
     * own former token until then
     */
    void                     (*claim)(ngx_chat_job_t *job,
                                 ngx_chat_claim_t *claim);

    /* the generation is the job's: texts may come, and are written */
    void                     (*run)(ngx_chat_job_t *job,
                                 ngx_chat_claimed_t *claimed);

    /* of an append: who got it; stop: somebody has asked for the end */
    void                     (*appended)(ngx_chat_job_t *job,
                                 ngx_uint_t listeners, ngx_uint_t stop);

    /* to cancel it was refused; NGX_AGAIN: as somebody listens */
    void                     (*heard)(ngx_chat_job_t *job, ngx_int_t rc);

    /*
     * The filler leaves, or the worker that leads is lost: what becomes of a
     * stray job, with no command in flight; may end it.
     */
    void                     (*settle)(ngx_chat_job_t *job);

    /* no text is wanted any more; not from inside libcurl */
    void                     (*stop)(ngx_chat_job_t *job);

    /* at the end, or shortly before; may be called again */
    void                     (*over)(ngx_chat_job_t *job,
                                 ngx_chat_job_outcome_e outcome);

    ngx_uint_t                 led;        /* by a worker */
} ngx_chat_job_source_t;


/* how a whole answer has ended */
typedef struct {
    ngx_str_t                  finish;     /* reason */
    ngx_str_t                  provider;
    ngx_str_t                  model;
    ngx_str_t                  usage;
    unsigned                   foreign:1;  /* fingerprint is not the asker's */
} ngx_chat_job_answer_t;


#endif /* _NGX_CHAT_JOB_SOURCE_H_INCLUDED_ */
