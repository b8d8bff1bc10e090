
#include "ngx_chat_trace.h"


#define NGX_CHAT_TRACE_MAX     128

/* version-trace_id-parent_id-flags */
#define NGX_CHAT_TRACE_ID      3
#define NGX_CHAT_TRACE_SPAN    36
#define NGX_CHAT_TRACE_FLAGS   53
#define NGX_CHAT_TRACE_PARENT  55


static ngx_uint_t ngx_chat_trace_is_hex(u_char *p, size_t len);
static ngx_uint_t ngx_chat_trace_is_zero(u_char *p, size_t len);


ngx_int_t
ngx_chat_trace_check_id(ngx_str_t *id)
{
    size_t  i;

    if (id->len > NGX_CHAT_TRACE_MAX) {
        return NGX_ERROR;
    }

    for (i = 0; i < id->len; i++) {
        if (id->data[i] <= ' ' || id->data[i] > '~') {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_trace_check_parent(ngx_str_t *parent)
{
    u_char  *p;

    p = parent->data;

    if (parent->len < NGX_CHAT_TRACE_PARENT
        || ngx_chat_trace_check_id(parent) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (p[NGX_CHAT_TRACE_ID - 1] != '-' || p[NGX_CHAT_TRACE_SPAN - 1] != '-'
        || p[NGX_CHAT_TRACE_FLAGS - 1] != '-'
        || !ngx_chat_trace_is_hex(p, 2)
        || !ngx_chat_trace_is_hex(p + NGX_CHAT_TRACE_ID, 32)
        || !ngx_chat_trace_is_hex(p + NGX_CHAT_TRACE_SPAN, 16)
        || !ngx_chat_trace_is_hex(p + NGX_CHAT_TRACE_FLAGS, 2))
    {
        return NGX_ERROR;
    }

    /* version ff is none, and ids of zeros are those of nobody */

    if (ngx_memcmp(p, "ff", 2) == 0
        || ngx_chat_trace_is_zero(p + NGX_CHAT_TRACE_ID, 32)
        || ngx_chat_trace_is_zero(p + NGX_CHAT_TRACE_SPAN, 16))
    {
        return NGX_ERROR;
    }

    if (parent->len > NGX_CHAT_TRACE_PARENT
        && (ngx_chat_trace_is_zero(p, 2) || p[NGX_CHAT_TRACE_PARENT] != '-'))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* in lower case, as the standard demands */

static ngx_uint_t
ngx_chat_trace_is_hex(u_char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {

        if ((p[i] < '0' || p[i] > '9') && (p[i] < 'a' || p[i] > 'f')) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_chat_trace_is_zero(u_char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {

        if (p[i] != '0') {
            return 0;
        }
    }

    return 1;
}
