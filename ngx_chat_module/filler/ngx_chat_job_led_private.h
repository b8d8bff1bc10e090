
/*
 * The part of a led job that others have not: ngx_chat_job_led.c takes what the
 * worker sends, ngx_chat_job_orphan.c is about jobs whose lane has ended.
 */


#ifndef _NGX_CHAT_JOB_LED_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_JOB_LED_PRIVATE_H_INCLUDED_


#include "ngx_chat_job_led.h"
#include "ngx_chat_job_private.h"


/* ms: a worker may have closed the lane alone, and comes with another one */
#define NGX_CHAT_JOB_ORPHAN_WAIT  1000


struct ngx_chat_job_led_s {
    ngx_chat_job_report_pt     report;     /* NULL: there is no lane */
    void                      *data;
    ngx_uint_t                 fill;
    size_t                     skip;       /* bytes to come that are there */

    ngx_queue_t                queue;      /* in jobs->orphans */
    ngx_event_t                wait;       /* for another fill */

    unsigned                   kept:1;     /* reported */
    unsigned                   listeners:1;  /* reported likewise */
    unsigned                   joined:1;   /* somebody listened, elsewhere */
    unsigned                   stopped:1;  /* somebody has asked for it */
    unsigned                   orphan:1;
    unsigned                   handed_over:1;
    unsigned                   heard:1;    /* was not cancelled */
};


/*
 * An orphan waits for another fill, for so long and no longer than a moment;
 * then it is a stray job.
 */
void ngx_chat_job_orphan_init(ngx_chat_job_t *job);
void ngx_chat_job_orphan_start(ngx_chat_job_t *job, ngx_msec_t wait);
void ngx_chat_job_orphan_stop(ngx_chat_job_t *job);

/* of this generation; NULL: none */
ngx_chat_job_t *ngx_chat_job_orphan_find(ngx_chat_jobs_t *jobs, u_char *id);

/* another job has taken over; this one ends, without a command */
void ngx_chat_job_orphan_leave(ngx_chat_job_t *job);

/* as of a source */
void ngx_chat_job_orphan_run(ngx_chat_job_t *job);
void ngx_chat_job_orphan_heard(ngx_chat_job_t *job);
void ngx_chat_job_orphan_settle(ngx_chat_job_t *job);


#endif /* _NGX_CHAT_JOB_LED_PRIVATE_H_INCLUDED_ */
