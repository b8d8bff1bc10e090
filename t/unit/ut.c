
#include "ut.h"

#include <stdio.h>
#include <stdlib.h>


static void ut_feed(ut_cut_t *ops, void *data, const u_char *p, size_t len);


static ngx_uint_t  ut_count;
static ngx_uint_t  ut_failed;


void
ut_ok(ngx_uint_t ok, const char *name)
{
    ut_count++;

    if (!ok) {
        ut_failed++;
    }

    printf("%sok %u - %s\n", ok ? "" : "not ", (unsigned) ut_count, name);
    fflush(stdout);
}


int
ut_done(void)
{
    printf("1..%u\n", (unsigned) ut_count);

    return ut_failed ? 1 : 0;
}


ngx_str_t
ut_str(const char *s)
{
    return ut_bytes(s, strlen(s));
}


ngx_str_t
ut_bytes(const void *p, size_t len)
{
    ngx_str_t  s;

    s.len = len;
    s.data = malloc(len ? len : 1);

    if (s.data == NULL) {
        abort();
    }

    if (len) {
        memcpy(s.data, p, len);
        return s;
    }

    /* an empty string has nothing that could be read */

    free(s.data);
    s.data = NULL;

    return s;
}


void
ut_free(ngx_str_t *s)
{
    free(s->data);

    s->data = NULL;
    s->len = 0;
}


ngx_str_t
ut_repeat(const char *s, size_t n)
{
    size_t     i, len;
    ngx_str_t  r;

    len = strlen(s);

    r.len = n * len;
    r.data = malloc(r.len);

    if (r.data == NULL) {
        abort();
    }

    for (i = 0; i < n; i++) {
        memcpy(r.data + i * len, s, len);
    }

    return r;
}


ngx_uint_t
ut_is(ngx_str_t *s, const char *text)
{
    return s->len == strlen(text)
           && (s->len == 0 || memcmp(s->data, text, s->len) == 0);
}


ngx_uint_t
ut_same(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}


ngx_pool_t *
ut_pool(void)
{
    ngx_pool_t  *pool;

    pool = ngx_create_pool(1024, ngx_cycle->log);

    if (pool == NULL) {
        abort();
    }

    return pool;
}


ngx_uint_t
ut_cut(ut_cut_t *ops, const void *p, size_t len)
{
    void        *data;
    size_t       i;
    ngx_uint_t   ok;

    data = ops->start();
    ut_feed(ops, data, p, len);
    ok = ops->check(data);
    ops->stop(data);

    data = ops->start();

    for (i = 0; i < len; i++) {
        ut_feed(ops, data, (u_char *) p + i, 1);
    }

    ok &= ops->check(data);
    ops->stop(data);

    for (i = 1; i < len; i++) {
        data = ops->start();

        ut_feed(ops, data, p, i);
        ut_feed(ops, data, (u_char *) p + i, len - i);

        ok &= ops->check(data);
        ops->stop(data);
    }

    return ok;
}


static void
ut_feed(ut_cut_t *ops, void *data, const u_char *p, size_t len)
{
    ngx_str_t  s;

    s = ut_bytes(p, len);
    ops->feed(data, s.data, s.len);
    ut_free(&s);
}
