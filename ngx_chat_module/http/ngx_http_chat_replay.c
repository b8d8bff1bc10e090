
#include "ngx_http_chat_replay.h"
#include "ngx_http_chat_ctx.h"
#include "ngx_http_chat_header.h"
#include "../codec/ngx_chat_answer.h"
#include "../codec/ngx_chat_frame.h"
#include "../codec/ngx_chat_json.h"
#include "../codec/ngx_chat_str.h"


static ngx_int_t ngx_http_chat_answer_meta(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_answer_t *answer);
static ngx_int_t ngx_http_chat_answer_word(ngx_http_request_t *r,
    ngx_str_t *dst, ngx_str_t *src);
static ngx_int_t ngx_http_chat_answer_buf(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_answer_t *answer);
static u_char *ngx_http_chat_write_answer(u_char *p,
    ngx_chat_answer_t *answer);


void
ngx_http_chat_send_answer(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chat_answer_t *answer)
{
    ngx_int_t   rc;
    ngx_buf_t  *b;

    if (ngx_http_chat_answer_meta(r, ctx, answer) != NGX_OK
        || ngx_http_chat_answer_buf(r, ctx, answer) != NGX_OK)
    {
        ngx_http_chat_ctx_error(ctx, NGX_CHAT_E_INTERNAL);
        ngx_http_chat_finalize(r, ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    b = ctx->out->buf;

    rc = ngx_http_chat_send_header(r, ctx, b->last - b->pos);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_chat_finalize(r, ctx, rc);
        return;
    }

    ngx_str_set(&ctx->status, "completed");
    ctx->terminal = 1;

    r->connection->log->action = "sending an answer to client";

    rc = ngx_http_output_filter(r, ctx->out);

    /* for the log: whatever is left in it was not sent */

    ctx->busy = ctx->out;
    ctx->out = NULL;

    ngx_http_chat_finalize(r, ctx, rc);
}


/* the answer is gone after the verdict; its texts are copied */

static ngx_int_t
ngx_http_chat_answer_meta(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chat_answer_t *answer)
{
    if (answer->gen.len != NGX_CHAT_ID_LEN) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "cached answer has an invalid generation");
        return NGX_ERROR;
    }

    ngx_memcpy(ctx->id, answer->gen.data, NGX_CHAT_ID_LEN);

    if (ngx_http_chat_answer_word(r, &ctx->provider, &answer->provider)
        != NGX_OK
        || ngx_http_chat_answer_word(r, &ctx->model, &answer->model) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->ttl = (answer->ttl < 0) ? -1 : (answer->ttl + 500) / 1000;
    ctx->first_chunk = ctx->waited;
    ctx->has_first_chunk = 1;
    ctx->chunks = answer->chunks;

    return NGX_OK;
}


/* these are variables, which may become headers: no line ends in them */

static ngx_int_t
ngx_http_chat_answer_word(ngx_http_request_t *r, ngx_str_t *dst,
    ngx_str_t *src)
{
    if (src->len == 0) {
        return NGX_OK;
    }

    dst->data = ngx_pnalloc(r->pool, src->len);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    dst->len = src->len;

    (void) ngx_chat_str_copy_word(dst->data, src->data, src->len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_answer_buf(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chat_answer_t *answer)
{
    size_t             len, text;
    ngx_buf_t         *b;
    ngx_chain_t       *cl;
    ngx_chat_event_t   ev;

    /* the text is there twice, once in pieces, and is measured once */

    text = ngx_chat_json_escaped_len(answer->text.data, answer->text.len);

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_PROCESSING;
    len = ngx_chat_frame_len(&ev);

    ev.status = NGX_CHAT_STREAMING;
    len += answer->chunks * ngx_chat_frame_len(&ev) + text;

    ev.status = NGX_CHAT_COMPLETED;
    ev.code = answer->finish;
    len += ngx_chat_frame_len(&ev) + text;

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_http_chat_write_answer(b->last, answer);
    b->last_buf = 1;
    b->last_in_chain = 1;

    ctx->bytes = b->last - b->pos;

    cl->buf = b;
    cl->next = NULL;

    ctx->out = cl;

    return NGX_OK;
}


static u_char *
ngx_http_chat_write_answer(u_char *p, ngx_chat_answer_t *answer)
{
    size_t             len;
    ngx_str_t          cuts;
    ngx_chat_event_t   ev;

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_PROCESSING;
    p = ngx_chat_frame_write(p, &ev);

    ev.status = NGX_CHAT_STREAMING;
    ev.text.data = answer->text.data;

    cuts = answer->cuts;

    while (ngx_chat_answer_cut(&cuts, &len) == NGX_OK) {
        ev.text.len = len;
        p = ngx_chat_frame_write(p, &ev);
        ev.text.data += len;
    }

    ev.status = NGX_CHAT_COMPLETED;
    ev.text = answer->text;
    ev.code = answer->finish;

    return ngx_chat_frame_write(p, &ev);
}
