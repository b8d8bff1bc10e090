
#include "ngx_chat_job_private.h"


#define NGX_CHAT_JOB_BACKOFF      200      /* ms, doubling */
#define NGX_CHAT_JOB_BACKOFF_MAX  10000
#define NGX_CHAT_JOB_NAME         64


static void ngx_chat_job_add_option(ngx_chat_job_t *job, ngx_str_t *name,
    ngx_str_t *fp);
static void ngx_chat_job_unknown(ngx_chat_job_t *job, ngx_str_t *name);
static ngx_chat_job_option_t *ngx_chat_job_pick(ngx_chat_job_t *job,
    ngx_uint_t usable);
static ngx_int_t ngx_chat_job_next_round(ngx_chat_job_t *job,
    ngx_msec_t *delay);
static ngx_msec_t ngx_chat_job_wait(ngx_chat_job_option_t *option);


/* "name=fp name=fp" */

ngx_int_t
ngx_chat_job_options(ngx_chat_job_t *job)
{
    u_char     *p, *last, *end;
    ngx_str_t   name, fp;

    job->options = ngx_pcalloc(job->pool, ngx_max(job->jobs->peers->nelts, 1)
                                          * sizeof(ngx_chat_job_option_t));
    if (job->options == NULL) {
        return NGX_ERROR;
    }

    p = job->task.providers.data;
    last = p + job->task.providers.len;

    while (p < last) {

        end = ngx_strlchr(p, last, ' ');
        if (end == NULL) {
            end = last;
        }

        name.data = p;
        fp.data = ngx_strlchr(p, end, '=');

        if (fp.data == NULL) {
            fp.data = end;
        }

        name.len = fp.data - name.data;

        if (fp.data < end) {
            fp.data++;
        }

        fp.len = end - fp.data;

        if (name.len) {
            ngx_chat_job_add_option(job, &name, &fp);
        }

        p = end + 1;
    }

    if (job->noptions == 0) {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "no provider that the question names is configured "
                      "here: hosts that share a broker share their providers");
    }

    return NGX_OK;
}


static void
ngx_chat_job_add_option(ngx_chat_job_t *job, ngx_str_t *name, ngx_str_t *fp)
{
    ngx_uint_t              i;
    ngx_chat_peer_t        *peer;
    ngx_chat_provider_t    *pv;
    ngx_chat_job_option_t  *option;

    peer = ngx_chat_peers_find(job->jobs->peers, name);

    if (peer == NULL) {
        ngx_chat_job_unknown(job, name);
        return;
    }

    for (i = 0; i < job->noptions; i++) {
        if (job->options[i].peer == peer) {
            return;
        }
    }

    pv = peer->provider;

    option = &job->options[job->noptions++];
    option->peer = peer;

    job->budget = ngx_max(job->budget, pv->total_timeout);

    if (fp->len == NGX_CHAT_FP_LEN
        && ngx_memcmp(fp->data, pv->fp, NGX_CHAT_FP_LEN) == 0)
    {
        return;
    }

    option->foreign = 1;

    if (!peer->told) {
        peer->told = 1;

        ngx_log_error(NGX_LOG_WARN, &job->log, 0,
                      "provider \"%V\" is configured differently where the "
                      "question was asked: its answers are not cached",
                      &pv->name);
    }
}


/* the name is somebody else's: it goes into the log with care */

static void
ngx_chat_job_unknown(ngx_chat_job_t *job, ngx_str_t *name)
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
                  "provider \"%V\" is not configured here", &shown);
}


void
ngx_chat_job_choose_anew(ngx_chat_job_t *job)
{
    ngx_uint_t              i;
    ngx_chat_job_option_t  *option;

    for (i = 0; i < job->noptions; i++) {
        option = &job->options[i];

        option->asked = 0;
        option->round = 0;
        option->wait = 0;
        option->out = 0;
    }

    job->option = NULL;
    job->round = 0;
    job->deadline = ngx_current_msec + job->budget;
}


ngx_int_t
ngx_chat_job_choose(ngx_chat_job_t *job, ngx_msec_t *delay)
{
    ngx_chat_job_option_t  *option;

    if ((ngx_msec_int_t) (job->deadline - ngx_current_msec) <= 0) {
        return NGX_DECLINED;
    }

    option = ngx_chat_job_pick(job, 1);

    /* better one that does not seem to work than none */

    if (option == NULL) {
        option = ngx_chat_job_pick(job, 0);
    }

    if (option == NULL) {
        return ngx_chat_job_next_round(job, delay);
    }

    if (job->option && job->option != option) {
        ngx_log_error(NGX_LOG_NOTICE, &job->log, 0,
                      "provider \"%V\" is asked instead of \"%V\"",
                      &option->peer->provider->name,
                      &job->option->peer->provider->name);
    }

    option->asked++;
    option->round = job->round + 1;
    job->option = option;

    ngx_chat_peer_asked(option->peer);

    return NGX_OK;
}


static ngx_chat_job_option_t *
ngx_chat_job_pick(ngx_chat_job_t *job, ngx_uint_t usable)
{
    ngx_uint_t              i;
    ngx_chat_job_option_t  *option;

    for (i = 0; i < job->noptions; i++) {
        option = &job->options[i];

        if (option->out
            || option->round > job->round
            || ngx_chat_job_wait(option) > 0
            || (usable && !ngx_chat_peer_usable(option->peer)))
        {
            continue;
        }

        return option;
    }

    return NULL;
}


static ngx_int_t
ngx_chat_job_next_round(ngx_chat_job_t *job, ngx_msec_t *delay)
{
    ngx_uint_t              i;
    ngx_msec_t              wait, least;
    ngx_msec_int_t          left;
    ngx_chat_job_option_t  *option, *next;

    next = NULL;
    least = 0;

    for (i = 0; i < job->noptions; i++) {
        option = &job->options[i];

        if (option->out) {
            continue;
        }

        wait = ngx_chat_job_wait(option);

        if (next == NULL || wait < least) {
            next = option;
            least = wait;
        }
    }

    if (next == NULL || least > NGX_CHAT_JOB_BACKOFF_MAX) {
        return NGX_DECLINED;
    }

    *delay = NGX_CHAT_JOB_BACKOFF << ngx_min(job->round, 6);
    *delay = ngx_min(*delay, NGX_CHAT_JOB_BACKOFF_MAX);
    *delay = ngx_max(*delay, least);

    left = (ngx_msec_int_t) (job->deadline - ngx_current_msec);

    if (left <= (ngx_msec_int_t) *delay) {
        return NGX_DECLINED;
    }

    job->round++;

    ngx_log_error(NGX_LOG_NOTICE, &job->log, 0,
                  "provider \"%V\" is asked again in %M ms, retry %ui",
                  &next->peer->provider->name, *delay, job->round);

    return NGX_AGAIN;
}


static ngx_msec_t
ngx_chat_job_wait(ngx_chat_job_option_t *option)
{
    ngx_msec_int_t  left;

    if (!option->wait) {
        return 0;
    }

    left = (ngx_msec_int_t) (option->after - ngx_current_msec);

    return (left > 0) ? (ngx_msec_t) left : 0;
}


void
ngx_chat_job_judge(ngx_chat_job_t *job)
{
    ngx_uint_t                i;
    ngx_chat_peer_t          *peer;
    ngx_chat_job_option_t    *option;
    ngx_chat_provider_end_t  *end;

    end = &job->end;
    option = job->option;
    peer = option->peer;

    if (end->error == NGX_CHAT_E_NONE) {
        peer->answers++;
        ngx_chat_peer_works(peer, job->started);
        return;
    }

    if (end->final) {

        for (i = 0; i < job->noptions; i++) {
            job->options[i].out = 1;
        }

        ngx_chat_peer_works(peer, job->started);
        return;
    }

    /* what is wrong here says nothing about the provider */

    if (end->error != NGX_CHAT_E_INTERNAL) {
        ngx_chat_peer_failed(peer, end->retry_after);
    }

    if (!end->retry || option->asked > peer->provider->retries) {
        option->out = 1;
    }

    option->wait = (end->retry_after != 0);
    option->after = ngx_current_msec + end->retry_after;
}
