
/*
 * A job for a generation that a worker leads: the worker asks the provider, and
 * sends what comes over a lane; the job writes it, entry by entry.  As it may
 * come again, over another lane to another filler, the job can go on where the
 * one before has stopped.
 *
 * The owner of the lane passes on what comes for the job.  Inside of that
 * nothing is reported, and no job ends.
 */


#ifndef _NGX_CHAT_JOB_LED_H_INCLUDED_
#define _NGX_CHAT_JOB_LED_H_INCLUDED_


#include "ngx_chat_job.h"
#include "../lane/ngx_chat_lane_record.h"


/*
 * News for the worker: KEPT, LISTENERS with n (0 or 1), STOP, HEARD; and once,
 * as the last: DONE, CANCELLED, or NOT_KEPT with the reason.
 */
typedef void (*ngx_chat_job_report_pt)(void *data, ngx_chat_lane_type_e type,
    ngx_uint_t n, const char *why);

/*
 * Starts a job for a generation, all copied.  One whose lane has ended a moment
 * ago is replaced, if there is one.  NULL: no memory.
 */
ngx_chat_job_t *ngx_chat_job_led_start(ngx_chat_jobs_t *jobs,
    ngx_chat_lane_fill_t *fill, ngx_chat_job_report_pt report, void *data);

/* records of the generation; the text is not empty */
void ngx_chat_job_led_text(ngx_chat_job_t *job, ngx_str_t *text);
void ngx_chat_job_led_restart(ngx_chat_job_t *job, ngx_str_t *label);
void ngx_chat_job_led_complete(ngx_chat_job_t *job,
    ngx_chat_lane_complete_t *complete);
void ngx_chat_job_led_fail(ngx_chat_job_t *job, ngx_chat_error_e error);
void ngx_chat_job_led_idle(ngx_chat_job_t *job);

/*
 * The worker cannot ask: it is asked here, and reported as not kept once there
 * is a task for it.
 */
void ngx_chat_job_led_hand_over(ngx_chat_job_t *job);

/* the lane has ended: no report any more */
void ngx_chat_job_led_leave(ngx_chat_job_t *job);


#endif /* _NGX_CHAT_JOB_LED_H_INCLUDED_ */
