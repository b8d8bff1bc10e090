
#include "ngx_chat_lane_record.h"


static u_char *ngx_chat_lane_record_write_u64(u_char *p, uint64_t n);
static u_char *ngx_chat_lane_record_write_str(u_char *p, ngx_str_t *s);
static ngx_int_t ngx_chat_lane_record_take(ngx_str_t *rest, void *dst,
    size_t len);
static ngx_int_t ngx_chat_lane_record_take_u64(ngx_str_t *rest, uint64_t max,
    uint64_t *n);
static ngx_int_t ngx_chat_lane_record_take_str(ngx_str_t *rest, ngx_str_t *s);
static ngx_uint_t ngx_chat_lane_record_is_hex(u_char *p, size_t len);


size_t
ngx_chat_lane_fill_len(ngx_chat_lane_fill_t *fill)
{
    return NGX_CHAT_HASH_LEN + NGX_CHAT_ID_LEN + NGX_CHAT_FP_LEN
           + 6 * sizeof(uint64_t)
           + 4 * sizeof(uint32_t)
           + fill->label.len + fill->providers.len
           + fill->trace.request_id.len + fill->trace.traceparent.len;
}


u_char *
ngx_chat_lane_fill_write(u_char *p, ngx_chat_lane_fill_t *fill)
{
    p = ngx_cpymem(p, fill->h, NGX_CHAT_HASH_LEN);
    p = ngx_cpymem(p, fill->id, NGX_CHAT_ID_LEN);
    p = ngx_cpymem(p, fill->fp, NGX_CHAT_FP_LEN);

    p = ngx_chat_lane_record_write_u64(p, fill->fill);
    p = ngx_chat_lane_record_write_u64(p, fill->ttl);
    p = ngx_chat_lane_record_write_u64(p, fill->stale);
    p = ngx_chat_lane_record_write_u64(p, fill->max_answer);
    p = ngx_chat_lane_record_write_u64(p, fill->cancel);
    p = ngx_chat_lane_record_write_u64(p, fill->grace);

    p = ngx_chat_lane_record_write_str(p, &fill->label);
    p = ngx_chat_lane_record_write_str(p, &fill->providers);

    p = ngx_chat_lane_record_write_str(p, &fill->trace.request_id);

    return ngx_chat_lane_record_write_str(p, &fill->trace.traceparent);
}


ngx_int_t
ngx_chat_lane_fill_read(ngx_str_t *body, ngx_chat_lane_fill_t *fill)
{
    uint64_t   number, ttl, stale, max_answer, cancel, grace;
    ngx_str_t  rest;

    rest = *body;

    if (ngx_chat_lane_record_take(&rest, fill->h, NGX_CHAT_HASH_LEN) != NGX_OK
        || ngx_chat_lane_record_take(&rest, fill->id, NGX_CHAT_ID_LEN)
           != NGX_OK
        || ngx_chat_lane_record_take(&rest, fill->fp, NGX_CHAT_FP_LEN)
           != NGX_OK
        || !ngx_chat_lane_record_is_hex(fill->h, NGX_CHAT_HASH_LEN)
        || !ngx_chat_lane_record_is_hex(fill->id, NGX_CHAT_ID_LEN)
        || !ngx_chat_lane_record_is_hex(fill->fp, NGX_CHAT_FP_LEN))
    {
        return NGX_ERROR;
    }

    if (ngx_chat_lane_record_take_u64(&rest, NGX_MAX_INT_T_VALUE, &number)
        != NGX_OK
        || number == 0
        || ngx_chat_lane_record_take_u64(&rest, NGX_CHAT_TIME_MAX, &ttl)
           != NGX_OK
        || ngx_chat_lane_record_take_u64(&rest, NGX_CHAT_TIME_MAX, &stale)
           != NGX_OK
        || ngx_chat_lane_record_take_u64(&rest, NGX_MAX_INT_T_VALUE,
                                         &max_answer) != NGX_OK
        || ngx_chat_lane_record_take_u64(&rest, 1, &cancel) != NGX_OK
        || ngx_chat_lane_record_take_u64(&rest, NGX_CHAT_TIME_MAX, &grace)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_chat_lane_record_take_str(&rest, &fill->label) != NGX_OK
        || ngx_chat_lane_label_read(&fill->label, &fill->label) != NGX_OK
        || ngx_chat_lane_record_take_str(&rest, &fill->providers) != NGX_OK
        || ngx_chat_lane_record_take_str(&rest, &fill->trace.request_id)
           != NGX_OK
        || ngx_chat_lane_record_take_str(&rest, &fill->trace.traceparent)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    fill->fill = number;
    fill->ttl = ttl;
    fill->stale = stale;
    fill->max_answer = max_answer;
    fill->cancel = cancel;
    fill->grace = grace;
    fill->messages = rest;

    return NGX_OK;
}


ngx_int_t
ngx_chat_lane_label_read(ngx_str_t *body, ngx_str_t *label)
{
    if (body->len == 0 || body->len > NGX_CHAT_LANE_LABEL) {
        return NGX_ERROR;
    }

    *label = *body;

    return NGX_OK;
}


size_t
ngx_chat_lane_complete_len(ngx_chat_lane_complete_t *complete)
{
    return 4 * sizeof(uint32_t)
           + complete->finish.len + complete->provider.len
           + complete->model.len + complete->usage.len;
}


u_char *
ngx_chat_lane_complete_write(u_char *p, ngx_chat_lane_complete_t *complete)
{
    p = ngx_chat_lane_record_write_str(p, &complete->finish);
    p = ngx_chat_lane_record_write_str(p, &complete->provider);
    p = ngx_chat_lane_record_write_str(p, &complete->model);

    return ngx_chat_lane_record_write_str(p, &complete->usage);
}


ngx_int_t
ngx_chat_lane_complete_read(ngx_str_t *body, ngx_chat_lane_complete_t *complete)
{
    ngx_str_t  rest;

    rest = *body;

    if (ngx_chat_lane_record_take_str(&rest, &complete->finish) != NGX_OK
        || ngx_chat_lane_record_take_str(&rest, &complete->provider) != NGX_OK
        || ngx_chat_lane_record_take_str(&rest, &complete->model) != NGX_OK
        || ngx_chat_lane_record_take_str(&rest, &complete->usage) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return rest.len ? NGX_ERROR : NGX_OK;
}


u_char *
ngx_chat_lane_number_write(u_char *p, uint32_t n)
{
    return ngx_cpymem(p, &n, sizeof(uint32_t));
}


ngx_int_t
ngx_chat_lane_number_read(ngx_str_t *body, uint32_t *n)
{
    if (body->len != sizeof(uint32_t)) {
        return NGX_ERROR;
    }

    ngx_memcpy(n, body->data, sizeof(uint32_t));

    return NGX_OK;
}


ngx_int_t
ngx_chat_lane_chunk_read(ngx_str_t *body, ngx_chat_lane_kind_e *kind,
    ngx_str_t *text)
{
    uint32_t   n;
    ngx_str_t  rest;

    rest = *body;

    if (ngx_chat_lane_record_take(&rest, &n, sizeof(uint32_t)) != NGX_OK
        || n >= NGX_CHAT_LANE_KINDS)
    {
        return NGX_ERROR;
    }

    *kind = n;
    *text = rest;

    return NGX_OK;
}


ngx_int_t
ngx_chat_lane_fail_read(ngx_str_t *body, ngx_chat_error_e *error)
{
    uint32_t  n;

    if (ngx_chat_lane_number_read(body, &n) != NGX_OK
        || n == NGX_CHAT_E_NONE || n >= NGX_CHAT_E_MAX)
    {
        return NGX_ERROR;
    }

    *error = n;

    return NGX_OK;
}


static u_char *
ngx_chat_lane_record_write_u64(u_char *p, uint64_t n)
{
    return ngx_cpymem(p, &n, sizeof(uint64_t));
}


static u_char *
ngx_chat_lane_record_write_str(u_char *p, ngx_str_t *s)
{
    p = ngx_chat_lane_number_write(p, s->len);

    return s->len ? ngx_cpymem(p, s->data, s->len) : p;
}


static ngx_int_t
ngx_chat_lane_record_take(ngx_str_t *rest, void *dst, size_t len)
{
    if (rest->len < len) {
        return NGX_ERROR;
    }

    ngx_memcpy(dst, rest->data, len);

    rest->data += len;
    rest->len -= len;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_lane_record_take_u64(ngx_str_t *rest, uint64_t max, uint64_t *n)
{
    if (ngx_chat_lane_record_take(rest, n, sizeof(uint64_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    return *n > max ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_chat_lane_record_take_str(ngx_str_t *rest, ngx_str_t *s)
{
    uint32_t  len;

    if (ngx_chat_lane_record_take(rest, &len, sizeof(uint32_t)) != NGX_OK
        || len > rest->len)
    {
        return NGX_ERROR;
    }

    s->data = rest->data;
    s->len = len;

    rest->data += len;
    rest->len -= len;

    return NGX_OK;
}


/* names become parts of keys */

static ngx_uint_t
ngx_chat_lane_record_is_hex(u_char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {

        if ((p[i] < '0' || p[i] > '9') && (p[i] < 'a' || p[i] > 'f')) {
            return 0;
        }
    }

    return 1;
}
