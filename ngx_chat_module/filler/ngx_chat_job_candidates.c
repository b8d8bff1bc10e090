
#include "ngx_chat_job_private.h"


#define NGX_CHAT_JOB_NAME  64


static ngx_int_t ngx_chat_job_candidates_next(ngx_str_t *list, ngx_str_t *name,
    ngx_str_t *fp);
static void ngx_chat_job_candidates_add_one(ngx_chat_job_t *job,
    ngx_str_t *name, ngx_str_t *fp);
static void ngx_chat_job_candidates_log_unknown(ngx_chat_job_t *job,
    ngx_str_t *name);


void
ngx_chat_job_candidates_add(ngx_chat_job_t *job)
{
    ngx_str_t  list, name, fp;

    list = job->task.providers;

    while (ngx_chat_job_candidates_next(&list, &name, &fp) == NGX_OK) {
        ngx_chat_job_candidates_add_one(job, &name, &fp);
    }

    if (job->conversation->failover.n == 0) {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "chat question has no provider that is configured "
                      "here: hosts that share a broker share their providers");
    }
}


/*
 * A worker that leads has settings of its own, perhaps of another configuration
 * than this one: then any time that a provider has here is better than none.
 */

ngx_msec_t
ngx_chat_job_candidates_get_budget(ngx_chat_job_t *job)
{
    ngx_str_t         list, name, fp;
    ngx_uint_t        i;
    ngx_msec_t        budget, most;
    ngx_chat_peer_t  *peers, *peer;

    budget = 0;
    list = job->task.providers;

    while (ngx_chat_job_candidates_next(&list, &name, &fp) == NGX_OK) {
        peer = ngx_chat_peers_find(job->jobs->peers, &name);

        if (peer) {
            budget = ngx_max(budget, peer->provider->total_timeout);
        }
    }

    if (budget) {
        return budget;
    }

    most = 0;
    peers = job->jobs->peers->elts;

    for (i = 0; i < job->jobs->peers->nelts; i++) {
        most = ngx_max(most, peers[i].provider->total_timeout);
    }

    return most;
}


/* of "name=fp name=fp"; NGX_OK, NGX_DONE */

static ngx_int_t
ngx_chat_job_candidates_next(ngx_str_t *list, ngx_str_t *name, ngx_str_t *fp)
{
    u_char  *p, *last, *end;

    while (list->len) {
        p = list->data;
        last = p + list->len;

        end = ngx_strlchr(p, last, ' ');
        if (end == NULL) {
            end = last;
        }

        name->data = p;
        fp->data = ngx_strlchr(p, end, '=');

        if (fp->data == NULL) {
            fp->data = end;
        }

        name->len = fp->data - name->data;

        if (fp->data < end) {
            fp->data++;
        }

        fp->len = end - fp->data;

        list->data = ngx_min(end + 1, last);
        list->len = last - list->data;

        if (name->len) {
            return NGX_OK;
        }
    }

    return NGX_DONE;
}


static void
ngx_chat_job_candidates_add_one(ngx_chat_job_t *job, ngx_str_t *name,
    ngx_str_t *fp)
{
    ngx_chat_peer_t       *peer;
    ngx_chat_candidate_t  *candidate;
    ngx_chat_provider_t   *pv;

    peer = ngx_chat_peers_find(job->jobs->peers, name);

    if (peer == NULL) {
        ngx_chat_job_candidates_log_unknown(job, name);
        return;
    }

    candidate = ngx_chat_failover_add(&job->conversation->failover, peer);

    if (candidate == NULL) {
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat candidate \"%V\"", name);

    pv = peer->provider;

    if (fp->len == NGX_CHAT_FP_LEN
        && ngx_memcmp(fp->data, pv->fp, NGX_CHAT_FP_LEN) == 0)
    {
        return;
    }

    candidate->fp_mismatch = 1;

    if (!peer->mismatch_logged) {
        peer->mismatch_logged = 1;

        ngx_log_error(NGX_LOG_WARN, &job->log, 0,
                      "chat provider \"%V\" is configured differently where "
                      "the question was asked: its answers are not cached",
                      &pv->name);
    }
}


/* the name is somebody else's: it goes into the log with care */

static void
ngx_chat_job_candidates_log_unknown(ngx_chat_job_t *job, ngx_str_t *name)
{
    size_t     i;
    ngx_str_t  shown;

    shown.len = ngx_min(name->len, NGX_CHAT_JOB_NAME);
    shown.data = name->data;

    for (i = 0; i < shown.len; i++) {
        if (shown.data[i] < ' ') {
            shown.len = i;
        }
    }

    ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                  "chat provider \"%V\" is not configured here", &shown);
}
