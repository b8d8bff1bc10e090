
/*
 * A generation's job, a state machine: claim, call the provider, append
 * what comes (one append in flight, the next carries what came meanwhile),
 * finish or fail, and be done with the task.  The lease is renewed while the
 * provider is silent.
 */


#ifndef _NGX_CHAT_JOB_H_INCLUDED_
#define _NGX_CHAT_JOB_H_INCLUDED_


#include "ngx_chat_filler.h"
#include "ngx_chat_curl.h"
#include "../provider/ngx_chat_peers.h"
#include "../store/ngx_chat_store_filler.h"
#include "../store/ngx_chat_store_tasks.h"


typedef struct ngx_chat_job_s  ngx_chat_job_t;


/* state shared by all jobs of a filler */
typedef struct {
    ngx_chat_filler_conf_t  *conf;
    ngx_chat_store_t         store;
    ngx_chat_curl_t         *curl;
    ngx_array_t             *peers;      /* of ngx_chat_peer_t */
    ngx_queue_t              jobs;       /* of ngx_chat_job_t */
    ngx_uint_t               running;
    uint64_t                 serial;     /* the next job's number */
    u_char                   token[NGX_CHAT_TOKEN_LEN];
    ngx_str_t                predecessor;

    /* a job has ended: there is room for another task */
    void                   (*ended)(void *data);
    void                    *data;
    ngx_log_t               *log;

    unsigned                 leaving:1;  /* all are given back */
} ngx_chat_jobs_t;


/*
 * Starts a job for a task, all copied.  NGX_OK; NGX_DECLINED: this entry has
 * a job already; NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_job_start(ngx_chat_jobs_t *jobs,
    ngx_chat_task_entry_t *task);

/* the queue entries of all jobs that were claimed, for keeping them ours */
ngx_uint_t ngx_chat_job_entries(ngx_chat_jobs_t *jobs, ngx_str_t *entries,
    ngx_uint_t max);

/* gives back what runs and what comes; each job ends by itself soon after */
void ngx_chat_job_give_back_all(ngx_chat_jobs_t *jobs);


#endif /* _NGX_CHAT_JOB_H_INCLUDED_ */
