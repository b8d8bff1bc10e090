
#include "ngx_http_chat_ctx.h"


static void ngx_http_chat_ctx_cleanup(void *data);
static void ngx_http_chat_ctx_detach(void *data);
static ngx_uint_t ngx_http_chat_ctx_unsent(ngx_http_chat_ctx_t *ctx);


ngx_http_chat_ctx_t *
ngx_http_chat_ctx_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *pcln;
    ngx_http_cleanup_t   *cln;
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_chat_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    pcln = ngx_pool_cleanup_add(r->pool, 0);
    if (pcln == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    ctx->request = r;

    pcln->handler = ngx_http_chat_ctx_detach;
    pcln->data = ctx;

    (*ngx_http_chat_requests)++;

    cln->handler = ngx_http_chat_ctx_cleanup;
    cln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_chat_module);

    return ctx;
}


ngx_http_chat_ctx_t *
ngx_http_chat_ctx_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *pcln;
    ngx_http_chat_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_chat_module);

    if (ctx || (!r->internal && !r->filter_finalize)) {
        return ctx;
    }

    /* an internal redirect clears the contexts of all modules */

    for (pcln = r->pool->cleanup; pcln; pcln = pcln->next) {
        if (pcln->handler == ngx_http_chat_ctx_detach) {
            return pcln->data;
        }
    }

    return NULL;
}


void
ngx_http_chat_ctx_error(ngx_http_chat_ctx_t *ctx, ngx_chat_error_e e)
{
    ctx->error = e;
    ctx->code = *ngx_chat_error_code(e);

    ngx_str_set(&ctx->status, "error");
}


void
ngx_http_chat_ctx_stop(ngx_http_chat_ctx_t *ctx)
{
    if (ctx->finalized) {
        return;
    }

    ctx->finalized = 1;

    if (ctx->ask) {
        ngx_chat_hub_forget(ctx->ask);
        ctx->ask = NULL;
    }

    if (ctx->heartbeat.timer_set) {
        ngx_del_timer(&ctx->heartbeat);
    }
}


void
ngx_http_chat_finalize(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_int_t rc)
{
    ngx_http_chat_ctx_stop(ctx);
    ngx_http_finalize_request(r, rc);
}


/* the request ends, by itself or not; the log is written after this */

static void
ngx_http_chat_ctx_cleanup(void *data)
{
    ngx_http_chat_ctx_t  *ctx = data;

    ngx_http_chat_ctx_stop(ctx);

    if (ctx->status.len == 0 || ngx_http_chat_ctx_unsent(ctx)) {
        ngx_str_set(&ctx->status, "gone");
    }
}


static void
ngx_http_chat_ctx_detach(void *data)
{
    ngx_http_chat_ctx_t  *ctx = data;

    ngx_http_chat_ctx_stop(ctx);

    (*ngx_http_chat_requests)--;

    if (ctx->sub) {
        ngx_chat_hub_detach(ctx->sub);
        ctx->sub = NULL;
    }
}


/* did the client leave before it had all of the stream? */

static ngx_uint_t
ngx_http_chat_ctx_unsent(ngx_http_chat_ctx_t *ctx)
{
    ngx_chain_t  *cl;

    if (!ctx->terminal) {
        return 0;
    }

    if (ctx->request->out) {
        return 1;
    }

    for (cl = ctx->busy; cl; cl = cl->next) {
        if (ngx_buf_size(cl->buf) != 0) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_chat_add_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.len = ngx_strlen(name);
    h->key.data = (u_char *) name;
    h->value = *value;

    return NGX_OK;
}
