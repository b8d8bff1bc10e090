
#include "ngx_chat_job_private.h"


void
ngx_chat_job_report_begin(ngx_chat_job_t *job)
{
    ngx_chat_metrics_count_generation(NGX_CHAT_PATH_QUEUED,
                                      job->counted
                                      ? NGX_CHAT_GENERATION_RESTARTED
                                      : NGX_CHAT_GENERATION_STARTED);
    job->counted = 1;
}


void
ngx_chat_job_report_end(ngx_chat_job_t *job,
    ngx_chat_metrics_generation_e how)
{
    if (job->counted) {
        job->counted = 0;
        ngx_chat_metrics_count_generation(NGX_CHAT_PATH_QUEUED, how);
    }
}
