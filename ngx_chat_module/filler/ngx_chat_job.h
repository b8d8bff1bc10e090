
/*
 * A generation's job, a state machine: claim, append the texts that come (one
 * append in flight, the next carries what came meanwhile), finish or fail, and
 * be done with the task.  The lease is renewed while no text comes.
 *
 * Texts have one of two sources: the job asks providers by itself, or a worker
 * that leads the generation sends them over a lane.  Such a job of the latter
 * kind becomes one of the former if its worker is lost.
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
    ngx_queue_t              orphans;    /* may yet be led again */
    ngx_uint_t               running;    /* jobs that ask providers */
    ngx_uint_t               over;       /* of them: only entries are left */
    ngx_uint_t               led;        /* jobs that workers lead */
    ngx_atomic_t            *places;     /* the scoreboard's, or NULL */
    uint64_t                 serial;     /* the next job's number */
    u_char                   token[NGX_CHAT_TOKEN_LEN];
    ngx_str_t                predecessor;
    time_t                   uninsured;  /* when that was last logged */

    /* a job has ended: there is room for another task */
    void                   (*ended)(void *data);

    /* running, over or led is another one, or *places was taken in vain */
    void                   (*counted)(void *data);

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

/*
 * How many more jobs may ask providers: as many as this filler runs at once,
 * and as the instance does with its workers.
 */
ngx_uint_t ngx_chat_jobs_get_room(ngx_chat_jobs_t *jobs);

/*
 * Takes a place for the job that is started next: no worker takes it meanwhile.
 * NGX_OK; NGX_DECLINED: there is none.  If no job is started,
 * ngx_chat_jobs_recount() gives it back.
 */
ngx_int_t ngx_chat_jobs_take_place(ngx_chat_jobs_t *jobs);
void ngx_chat_jobs_recount(ngx_chat_jobs_t *jobs);

/*
 * Generations whose provider is asked.  A job that has only its entry left is
 * running, and asks no more: while the broker is down that lasts for long.
 */
ngx_uint_t ngx_chat_jobs_count_asking(ngx_chat_jobs_t *jobs);

/* entries in a queue of jobs that were claimed, for keeping them ours */
ngx_uint_t ngx_chat_jobs_get_entries(ngx_chat_jobs_t *jobs,
    ngx_chat_queue_e queue, ngx_str_t *entries, ngx_uint_t max);

/*
 * Gives back what runs and what comes, but for what workers lead; each job ends
 * by itself soon after.
 */
void ngx_chat_jobs_give_back(ngx_chat_jobs_t *jobs);


#endif /* _NGX_CHAT_JOB_H_INCLUDED_ */
