
/*
 * The few functions of nginx that codecs call, so that unit tests link
 * without nginx.  A pool is a list of heap blocks: a sanitizer sees each.
 */


#include "ut.h"

#include <stdlib.h>


/* the list's item comes first: nginx' own code may walk along it */
typedef struct {
    ngx_pool_large_t  large;
    size_t            size;
} ut_piece_t;


static void *ut_alloc(size_t size);
static void ut_free_pieces(ngx_pool_t *pool);


static ngx_log_t     ut_log;
static ngx_cycle_t   ut_cycle = { .log = &ut_log };

volatile ngx_cycle_t  *ngx_cycle = &ut_cycle;

ngx_uint_t  ut_fail_alloc;
size_t      ut_pool_bytes;


static void *
ut_alloc(size_t size)
{
    if (ut_fail_alloc && --ut_fail_alloc == 0) {
        return NULL;
    }

    return malloc(size);
}


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    return ut_alloc(size);
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    void  *p;

    p = ut_alloc(size);

    if (p) {
        memset(p, 0, size);
    }

    return p;
}


ngx_pool_t *
ngx_create_pool(size_t size, ngx_log_t *log)
{
    ngx_pool_t  *pool;

    pool = ngx_calloc(sizeof(ngx_pool_t), log);

    if (pool) {
        pool->log = log;
    }

    return pool;
}


void
ngx_destroy_pool(ngx_pool_t *pool)
{
    ut_free_pieces(pool);
    free(pool);
}


void
ngx_reset_pool(ngx_pool_t *pool)
{
    ut_free_pieces(pool);
}


static void
ut_free_pieces(ngx_pool_t *pool)
{
    ngx_pool_large_t  *l, *next;

    for (l = pool->large; l; l = next) {
        next = l->next;
        ut_pool_bytes -= ((ut_piece_t *) l)->size;
        free(l->alloc);
        free(l);
    }

    pool->large = NULL;
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    ut_piece_t  *piece;

    piece = malloc(sizeof(ut_piece_t));

    if (piece == NULL) {
        return NULL;
    }

    piece->large.alloc = ut_alloc(size);

    if (piece->large.alloc == NULL) {
        free(piece);
        return NULL;
    }

    piece->size = size;
    ut_pool_bytes += size;

    piece->large.next = pool->large;
    pool->large = &piece->large;

    return piece->large.alloc;
}


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


u_char *
ngx_pstrdup(ngx_pool_t *pool, ngx_str_t *src)
{
    u_char  *dst;

    dst = ngx_pnalloc(pool, src->len);
    if (dst == NULL) {
        return NULL;
    }

    ngx_memcpy(dst, src->data, src->len);

    return dst;
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    void  *p;

    p = ngx_palloc(pool, size);

    if (p) {
        memset(p, 0, size);
    }

    return p;
}


ngx_array_t *
ngx_array_create(ngx_pool_t *p, ngx_uint_t n, size_t size)
{
    ngx_array_t  *a;

    a = ngx_palloc(p, sizeof(ngx_array_t));

    if (a == NULL || ngx_array_init(a, p, n, size) != NGX_OK) {
        return NULL;
    }

    return a;
}


void *
ngx_array_push(ngx_array_t *a)
{
    void  *elts;

    if (a->nelts == a->nalloc) {
        elts = ngx_palloc(a->pool, 2 * a->nalloc * a->size);

        if (elts == NULL) {
            return NULL;
        }

        memcpy(elts, a->elts, a->nelts * a->size);

        a->elts = elts;
        a->nalloc *= 2;
    }

    return (u_char *) a->elts + a->size * a->nelts++;
}


/* n: length of the text without its last byte, as everywhere in nginx */

u_char *
ngx_strlcasestrn(u_char *s1, u_char *last, u_char *s2, size_t n)
{
    for ( /* void */ ; (size_t) (last - s1) > n; s1++) {

        if (strncasecmp((char *) s1, (char *) s2, n + 1) == 0) {
            return s1;
        }
    }

    return NULL;
}


u_char *
ngx_hex_dump(u_char *dst, u_char *src, size_t len)
{
    static u_char  hex[] = "0123456789abcdef";

    while (len--) {
        *dst++ = hex[*src >> 4];
        *dst++ = hex[*src++ & 0xf];
    }

    return dst;
}


/* logging macros look at the level first, which is 0 here */

void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
}


/* the few formats that the tested code uses */

u_char *
ngx_sprintf(u_char *buf, const char *fmt, ...)
{
    char        number[NGX_INT_T_LEN + 1];
    size_t      len;
    va_list     args;
    ngx_str_t  *s;

    va_start(args, fmt);

    for ( /* void */ ; *fmt; fmt++) {

        if (*fmt != '%') {
            *buf++ = (u_char) *fmt;
            continue;
        }

        switch (*++fmt) {

        case 'V':
            s = va_arg(args, ngx_str_t *);
            buf = ngx_cpymem(buf, s->data, s->len);
            break;

        case 'u':
            len = sprintf(number, "%lu",
                          (*++fmt == 'D')
                              ? (unsigned long) va_arg(args, uint32_t)
                              : (unsigned long) va_arg(args, ngx_uint_t));
            buf = ngx_cpymem(buf, number, len);
            break;

        case '*':
            fmt++;
            len = va_arg(args, size_t);
            buf = ngx_cpymem(buf, va_arg(args, u_char *), len);
            break;

        case 'Z':
            *buf++ = '\0';
            break;

        default:
            abort();
        }
    }

    va_end(args);

    return buf;
}
