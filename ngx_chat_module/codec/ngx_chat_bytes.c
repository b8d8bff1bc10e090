
#include "ngx_chat_bytes.h"


#define NGX_CHAT_BYTES_MIN  64


ngx_int_t
ngx_chat_bytes_reserve(ngx_chat_bytes_t *b, size_t n)
{
    size_t   need, size;
    u_char  *p;

    if (b->max && (b->len > b->max || n > b->max - b->len)) {
        return NGX_DECLINED;
    }

    if (n <= b->size - b->len) {
        return NGX_OK;
    }

    if (n > NGX_MAX_SIZE_T_VALUE - b->len) {
        return NGX_ERROR;
    }

    need = b->len + n;

    size = (b->size > NGX_MAX_SIZE_T_VALUE / 2) ? need : b->size * 2;
    size = ngx_max(size, NGX_CHAT_BYTES_MIN);

    if (b->max) {
        size = ngx_min(size, b->max);
    }

    size = ngx_max(size, need);

    p = ngx_alloc(size, ngx_cycle->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (b->data) {
        ngx_memcpy(p, b->data, b->len);
        ngx_free(b->data);
    }

    b->data = p;
    b->size = size;

    return NGX_OK;
}


ngx_int_t
ngx_chat_bytes_append(ngx_chat_bytes_t *b, const void *p, size_t n)
{
    ngx_int_t  rc;

    rc = ngx_chat_bytes_reserve(b, n);

    if (rc != NGX_OK || n == 0) {
        return rc;
    }

    ngx_memcpy(b->data + b->len, p, n);
    b->len += n;

    return NGX_OK;
}


void
ngx_chat_bytes_free(ngx_chat_bytes_t *b)
{
    if (b->data) {
        ngx_free(b->data);
    }

    b->data = NULL;
    b->len = 0;
    b->size = 0;
}
