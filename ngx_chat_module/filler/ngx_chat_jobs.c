
#include "ngx_chat_job.h"
#include "ngx_chat_job_private.h"


static ngx_uint_t ngx_chat_jobs_same_entry(ngx_chat_job_t *job,
    ngx_chat_task_entry_t *task);


ngx_uint_t
ngx_chat_jobs_get_room(ngx_chat_jobs_t *jobs)
{
    ngx_uint_t               asking, all;
    ngx_chat_filler_conf_t  *conf;

    conf = jobs->conf;

    asking = ngx_chat_jobs_count_asking(jobs);
    all = ngx_chat_scoreboard_count_generations(conf->scoreboard);

    if (asking >= conf->concurrency || all >= conf->generations) {
        return 0;
    }

    return ngx_min(conf->concurrency - asking, conf->generations - all);
}


ngx_int_t
ngx_chat_jobs_take_place(ngx_chat_jobs_t *jobs)
{
    ngx_atomic_t             unseen;
    ngx_chat_filler_conf_t  *conf;

    conf = jobs->conf;

    if (ngx_chat_jobs_count_asking(jobs) >= conf->concurrency) {
        return NGX_DECLINED;
    }

    unseen = 0;

    return ngx_chat_scoreboard_take_place(conf->scoreboard,
                                          jobs->places ? jobs->places : &unseen,
                                          conf->generations);
}


void
ngx_chat_jobs_recount(ngx_chat_jobs_t *jobs)
{
    if (jobs->counted) {
        jobs->counted(jobs->data);
    }
}


ngx_uint_t
ngx_chat_jobs_count_asking(ngx_chat_jobs_t *jobs)
{
    return jobs->running - jobs->over;
}


ngx_uint_t
ngx_chat_jobs_get_entries(ngx_chat_jobs_t *jobs, ngx_chat_queue_e queue,
    ngx_str_t *entries, ngx_uint_t max)
{
    ngx_uint_t       n;
    ngx_queue_t     *q;
    ngx_chat_job_t  *job;

    n = 0;

    for (q = ngx_queue_head(&jobs->jobs);
         q != ngx_queue_sentinel(&jobs->jobs) && n < max;
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_chat_job_t, queue);

        /* before the claim it may be another's, and after the end no one's */

        if (job->state == NGX_CHAT_JOB_RUNNING
            && job->task.entry.len
            && job->task.queue == queue)
        {
            entries[n++] = job->task.entry;
        }
    }

    return n;
}


void
ngx_chat_jobs_give_back(ngx_chat_jobs_t *jobs)
{
    ngx_queue_t     *q;
    ngx_chat_job_t  *job;

    jobs->leaving = 1;

    q = ngx_queue_head(&jobs->jobs);

    while (q != ngx_queue_sentinel(&jobs->jobs)) {
        job = ngx_queue_data(q, ngx_chat_job_t, queue);
        q = ngx_queue_next(q);

        if (job->answered || job->error != NGX_CHAT_E_NONE) {
            /* the job is about to end by itself */
            continue;
        }

        job->stray = 1;

        ngx_chat_job_write(job);
    }
}


ngx_chat_job_t *
ngx_chat_jobs_find_entry(ngx_chat_jobs_t *jobs, ngx_chat_task_entry_t *task)
{
    ngx_queue_t     *q;
    ngx_chat_job_t  *job;

    for (q = ngx_queue_head(&jobs->jobs);
         q != ngx_queue_sentinel(&jobs->jobs);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_chat_job_t, queue);

        if (ngx_chat_jobs_same_entry(job, task)) {
            return job;
        }
    }

    return NULL;
}


/* of each queue, as their entries may have the same ids */

static ngx_uint_t
ngx_chat_jobs_same_entry(ngx_chat_job_t *job, ngx_chat_task_entry_t *task)
{
    return job->task.queue == task->queue
           && job->task.entry.len == task->entry.len
           && ngx_memcmp(job->task.entry.data, task->entry.data,
                         task->entry.len)
              == 0;
}


ngx_chat_job_t *
ngx_chat_jobs_find_heir(ngx_chat_job_t *job)
{
    ngx_queue_t      *q;
    ngx_chat_job_t   *other;
    ngx_chat_jobs_t  *jobs;

    jobs = job->jobs;

    for (q = ngx_queue_head(&jobs->jobs);
         q != ngx_queue_sentinel(&jobs->jobs);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_chat_job_t, queue);

        if (other != job
            && other->state != NGX_CHAT_JOB_LEAVING
            && other->task.entry.len == 0
            && other->insure == NULL
            && ngx_memcmp(other->task.gen.id, job->task.gen.id,
                          NGX_CHAT_ID_LEN)
               == 0)
        {
            return other;
        }
    }

    return NULL;
}


/*
 * Of several jobs that are claimed at the same time the first is alone, or none
 * ever would be.  Those that workers lead do not count: they are written by
 * another filler if this one dies.
 */

ngx_uint_t
ngx_chat_jobs_is_alone(ngx_chat_job_t *job)
{
    ngx_uint_t       before;
    ngx_queue_t     *q;
    ngx_chat_job_t  *other;

    before = 1;

    for (q = ngx_queue_head(&job->jobs->jobs);
         q != ngx_queue_sentinel(&job->jobs->jobs);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_chat_job_t, queue);

        if (other == job) {
            before = 0;
            continue;
        }

        if (other->source->led) {
            continue;
        }

        if (before || other->state == NGX_CHAT_JOB_RUNNING) {
            return 0;
        }
    }

    return 1;
}
