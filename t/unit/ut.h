
/*
 * A unit test is a program that prints TAP: one line of English and one
 * condition each.  Input that a parser reads is copied to a heap block of its
 * exact size, so that a sanitizer sees one byte read too far.
 */


#ifndef _UT_H_INCLUDED_
#define _UT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* prints "ok" or "not ok" */
void ut_ok(ngx_uint_t ok, const char *name);

/* the plan; the exit status of the program */
int ut_done(void);

/* a string literal, or any bytes, as ngx_str_t on the heap */
ngx_str_t ut_str(const char *s);
ngx_str_t ut_bytes(const void *p, size_t len);
void ut_free(ngx_str_t *s);

/* n times s */
ngx_str_t ut_repeat(const char *s, size_t n);

ngx_uint_t ut_is(ngx_str_t *s, const char *text);
ngx_uint_t ut_same(ngx_str_t *a, ngx_str_t *b);

ngx_pool_t *ut_pool(void);

/*
 * Feeds input in pieces to feed(), each a heap block of its own: whole, byte
 * by byte, and cut in two at every position, starting afresh each time.
 * Returns whether check(), called after the last piece, said so every time.
 */
typedef struct {
    void       *(*start)(void);
    void        (*feed)(void *data, u_char *p, size_t len);
    ngx_uint_t  (*check)(void *data);
    void        (*stop)(void *data);
} ut_cut_t;

ngx_uint_t ut_cut(ut_cut_t *ops, const void *p, size_t len);


/* the allocation that fails next, counted down from here; 0: none */
extern ngx_uint_t  ut_fail_alloc;

/* asked of all pools, and not free */
extern size_t      ut_pool_bytes;

/* the address that ngx_parse_url() was asked for last */
extern char  ut_address[256];


#endif /* _UT_H_INCLUDED_ */
