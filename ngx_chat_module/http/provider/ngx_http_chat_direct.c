
#include "ngx_http_chat_direct.h"
#include "ngx_http_chat_maker.h"
#include "ngx_http_chat_worker.h"


static ngx_atomic_t  ngx_http_chat_directs;


ngx_uint_t
ngx_http_chat_is_direct(ngx_http_request_t *r)
{
    ngx_http_chat_ctx_t        *ctx;
    ngx_http_chat_loc_conf_t   *chlcf;
    ngx_http_chat_main_conf_t  *chmcf;

    ctx = ngx_http_get_module_ctx(r, ngx_chat_module);
    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    chmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    /* limited questions need Redis, which keeps the counts */

    return (!chlcf->cache && ctx->asked->limit.interval == 0)
           || chmcf->redis_off;
}


ngx_uint_t
ngx_http_chat_may_direct(ngx_http_request_t *r)
{
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    return chlcf->redis_down == NGX_HTTP_CHAT_REDIS_DOWN_DIRECT;
}


ngx_uint_t
ngx_http_chat_direct_calls(void)
{
    return ngx_http_chat_directs;
}


ngx_chat_channel_t *
ngx_http_chat_direct_start(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chat_error_e *e)
{
    ngx_chat_channel_t         *ch;
    ngx_chat_question_t        *qn;
    ngx_http_chat_maker_t      *m;
    ngx_http_chat_main_conf_t  *chmcf;

    qn = ctx->asked;

    if (qn->mode == NGX_CHAT_ASK_CACHED) {
        ch = ngx_chat_hub_find(ngx_http_chat_hub, qn->h, qn->fp);

        if (ch) {
            ctx->collapsed = 1;
            return ch;
        }
    }

    chmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    if (ngx_http_chat_directs >= chmcf->direct_limit) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "chat question is refused: %ui questions are asked "
                      "directly already: chat_direct_limit",
                      chmcf->direct_limit);

        *e = ngx_http_chat_is_direct(r) ? NGX_CHAT_E_QUEUE_FULL
                                        : NGX_CHAT_E_REDIS_DOWN;
        return NULL;
    }

    *e = NGX_CHAT_E_INTERNAL;

    if (qn->complete(qn->data) == NULL) {
        return NULL;
    }

    m = ngx_http_chat_maker_create(r, qn);
    if (m == NULL) {
        return NULL;
    }

    ch = ngx_http_chat_maker_start(m, qn->h, qn->fp,
                                   qn->mode == NGX_CHAT_ASK_CACHED,
                                   &ngx_http_chat_directs);

    if (ch) {
        ctx->collapsed = 0;
    }

    return ch;
}
