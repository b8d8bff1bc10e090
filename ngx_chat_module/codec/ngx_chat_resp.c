
#include "ngx_chat_resp.h"
#include "ngx_chat_str.h"

#include <hiredis/hiredis.h>


/* the most bytes of a line with a length */
#define NGX_CHAT_RESP_HEAD          (1 + NGX_SIZE_T_LEN + 2)

/* bytes of the shortest element on the wire: "+\r\n" */
#define NGX_CHAT_RESP_MIN_ELEMENT   3

/* elements in a reply, each of them about 64 bytes of memory */
#define NGX_CHAT_RESP_MAX_ELEMENTS  (256 * 1024)

/* arrays in arrays: one less than the limit of hiredis 0.14 */
#define NGX_CHAT_RESP_MAX_DEPTH     7

/* length of a simple string, an error, or a length */
#define NGX_CHAT_RESP_MAX_LINE      (64 * 1024)


#if (HIREDIS_MAJOR >= 1)
typedef size_t  ngx_chat_resp_count_t;
#else
typedef int     ngx_chat_resp_count_t;
#endif


struct ngx_chat_resp_s {
    redisReader                *reader;
    redisReplyObjectFunctions   fn;

    void                     *(*create_array)(const redisReadTask *task,
                                              ngx_chat_resp_count_t n);

    size_t                      max;
    size_t                      fed;    /* since the last whole reply */
    size_t                      elements;   /* announced in this reply */
    unsigned                    broken:1;
};


static u_char *ngx_chat_resp_write_head(u_char *p, u_char type, size_t n);
static void *ngx_chat_resp_create_array_handler(const redisReadTask *task,
    ngx_chat_resp_count_t n);
static ngx_uint_t ngx_chat_resp_is_endless(redisReader *reader);


ngx_int_t
ngx_chat_resp_format(ngx_chat_bytes_t *out, ngx_str_t *argv, ngx_uint_t argc)
{
    size_t       len;
    u_char      *p;
    ngx_uint_t   i;

    len = NGX_CHAT_RESP_HEAD;

    for (i = 0; i < argc; i++) {
        len += NGX_CHAT_RESP_HEAD + argv[i].len + sizeof(CRLF) - 1;
    }

    if (ngx_chat_bytes_reserve(out, len) != NGX_OK) {
        return NGX_ERROR;
    }

    p = out->data + out->len;
    p = ngx_chat_resp_write_head(p, '*', argc);

    for (i = 0; i < argc; i++) {
        p = ngx_chat_resp_write_head(p, '$', argv[i].len);
        p = ngx_cpymem(p, argv[i].data, argv[i].len);

        *p++ = CR;
        *p++ = LF;
    }

    out->len = p - out->data;

    return NGX_OK;
}


static u_char *
ngx_chat_resp_write_head(u_char *p, u_char type, size_t n)
{
    u_char  *d, digits[NGX_SIZE_T_LEN];

    d = digits + sizeof(digits);

    do {
        *--d = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    *p++ = type;
    p = ngx_cpymem(p, d, digits + sizeof(digits) - d);

    *p++ = CR;
    *p++ = LF;

    return p;
}


ngx_chat_resp_t *
ngx_chat_resp_create(size_t max)
{
    ngx_chat_resp_t  *rp;

    rp = ngx_calloc(sizeof(ngx_chat_resp_t), ngx_cycle->log);
    if (rp == NULL) {
        return NULL;
    }

    rp->reader = redisReaderCreate();
    if (rp->reader == NULL) {
        ngx_free(rp);
        return NULL;
    }

    rp->max = max;

    /* hiredis' functions, with a check before an array is allocated */

    rp->fn = *rp->reader->fn;
    rp->create_array = rp->fn.createArray;
    rp->fn.createArray = ngx_chat_resp_create_array_handler;

    rp->reader->fn = &rp->fn;
    rp->reader->privdata = rp;

    return rp;
}


void
ngx_chat_resp_free(ngx_chat_resp_t *rp)
{
    redisReaderFree(rp->reader);
    ngx_free(rp);
}


/*
 * An array takes memory before its elements are there, so the elements that a
 * reply announces are counted; hiredis frees arrays in arrays by recursion, so
 * their depth is limited.  Maps, sets and pushes, which come here too, are not
 * of RESP2.
 */

static void *
ngx_chat_resp_create_array_handler(const redisReadTask *task,
    ngx_chat_resp_count_t n)
{
    size_t                max;
    ngx_uint_t            depth;
    ngx_chat_resp_t      *rp = task->privdata;
    const redisReadTask  *t;

    depth = 0;

    for (t = task; t; t = t->parent) {
        depth++;
    }

    if (depth == 1) {
        rp->elements = 0;
    }

    max = ngx_min(rp->max / NGX_CHAT_RESP_MIN_ELEMENT,
                  NGX_CHAT_RESP_MAX_ELEMENTS);

    if (task->type != REDIS_REPLY_ARRAY
        || depth > NGX_CHAT_RESP_MAX_DEPTH
        || (size_t) n > max - rp->elements)
    {
        return NULL;
    }

    rp->elements += n;

    return rp->create_array(task, n);
}


/* a line without an end, which hiredis would search from its start each time */

static ngx_uint_t
ngx_chat_resp_is_endless(redisReader *reader)
{
    u_char  *p, *last;

    if (reader->len - reader->pos <= NGX_CHAT_RESP_MAX_LINE) {
        return 0;
    }

    p = (u_char *) reader->buf + reader->pos;
    last = p + NGX_CHAT_RESP_MAX_LINE;

    for ( ;; ) {
        p = ngx_strlchr(p, last, CR);

        if (p == NULL) {
            return 1;
        }

        p++;

        if (*p == LF) {
            return 0;
        }
    }
}


ngx_int_t
ngx_chat_resp_feed(ngx_chat_resp_t *rp, u_char *p, size_t len)
{
    if (rp->broken) {
        return NGX_ERROR;
    }

    if (len == 0) {
        return NGX_OK;
    }

    if (redisReaderFeed(rp->reader, (char *) p, len) != REDIS_OK) {
        rp->broken = 1;
        return NGX_ERROR;
    }

    rp->fed += len;

    return NGX_OK;
}


ngx_int_t
ngx_chat_resp_next(ngx_chat_resp_t *rp, ngx_chat_reply_t **reply)
{
    void    *r;
    size_t   unread;

    if (rp->broken) {
        return NGX_ERROR;
    }

    r = NULL;

    if (redisReaderGetReply(rp->reader, &r) != REDIS_OK) {
        goto broken;
    }

    if (r == NULL) {

        if (rp->fed > rp->max || ngx_chat_resp_is_endless(rp->reader)) {
            goto broken;
        }

        return NGX_AGAIN;
    }

    unread = rp->reader->len - rp->reader->pos;

    if (rp->fed - unread > rp->max) {
        goto broken;
    }

    rp->fed = unread;

    *reply = r;

    return NGX_OK;

broken:

    rp->broken = 1;

    ngx_chat_reply_free(r);

    return NGX_ERROR;
}


void
ngx_chat_reply_free(ngx_chat_reply_t *reply)
{
    if (reply) {
        freeReplyObject(reply);
    }
}


ngx_int_t
ngx_chat_reply_str(ngx_chat_reply_t *reply, ngx_str_t *s)
{
    if (reply == NULL
        || (reply->type != REDIS_REPLY_STRING
            && reply->type != REDIS_REPLY_STATUS))
    {
        return NGX_DECLINED;
    }

    s->len = reply->len;
    s->data = (u_char *) reply->str;

    return NGX_OK;
}


ngx_int_t
ngx_chat_reply_int(ngx_chat_reply_t *reply, int64_t *n)
{
    u_char     *p, *last;
    uint64_t    value;
    ngx_str_t   s;

    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        *n = reply->integer;
        return NGX_OK;
    }

    if (ngx_chat_reply_str(reply, &s) != NGX_OK) {
        return NGX_DECLINED;
    }

    p = s.data;
    last = s.data + s.len;

    if (ngx_chat_str_read_number(&p, last, INT64_MAX, &value) != NGX_OK
        || p != last)
    {
        return NGX_DECLINED;
    }

    *n = (int64_t) value;

    return NGX_OK;
}


ngx_int_t
ngx_chat_reply_error(ngx_chat_reply_t *reply, ngx_str_t *s)
{
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR) {
        return NGX_DECLINED;
    }

    s->len = reply->len;
    s->data = (u_char *) reply->str;

    return NGX_OK;
}


ngx_uint_t
ngx_chat_reply_count(ngx_chat_reply_t *reply)
{
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        return 0;
    }

    return reply->elements;
}


ngx_chat_reply_t *
ngx_chat_reply_at(ngx_chat_reply_t *reply, ngx_uint_t i)
{
    if (i >= ngx_chat_reply_count(reply)) {
        return NULL;
    }

    return reply->element[i];
}


/* hiredis passes over an element that is gone */

ngx_chat_reply_t *
ngx_chat_reply_take(ngx_chat_reply_t *reply, ngx_str_t *s)
{
    ngx_uint_t         i, n;
    ngx_chat_reply_t  *element;

    n = ngx_chat_reply_count(reply);

    for (i = 0; i < n; i++) {
        element = reply->element[i];

        if (element && element->type == REDIS_REPLY_STRING
            && (u_char *) element->str == s->data)
        {
            reply->element[i] = NULL;
            return element;
        }
    }

    return NULL;
}


ngx_int_t
ngx_chat_reply_field(ngx_chat_reply_t *reply, const char *name,
    ngx_str_t *value)
{
    ngx_str_t   field;
    ngx_uint_t  i, n;

    n = ngx_chat_reply_count(reply);

    for (i = 0; i + 1 < n; i += 2) {

        if (ngx_chat_reply_str(reply->element[i], &field) != NGX_OK
            || !ngx_chat_str_is(&field, name))
        {
            continue;
        }

        return ngx_chat_reply_str(reply->element[i + 1], value);
    }

    return NGX_DECLINED;
}
