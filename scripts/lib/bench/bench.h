
/*
 * For the load generator and the provider of scripts/bench: a clock, a buffer
 * that grows, a reader of JSON, and the text of answers.
 */

#ifndef _BENCH_H_INCLUDED_
#define _BENCH_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


typedef struct {
    char        *start;
    size_t       pos;                    /* consumed up to here */
    size_t       last;
    size_t       size;
} bench_buf_t;


typedef struct {
    const char  *pos;
    const char  *last;
} bench_json_t;


/* CLOCK_MONOTONIC in nanoseconds */
uint64_t bench_now(void);

/* prints, and exits with 2 */
void bench_die(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* as many open files as this process may have, and no SIGPIPE */
void bench_process(void);


static inline char *
bench_buf_head(bench_buf_t *b)
{
    return b->start + b->pos;
}


static inline size_t
bench_buf_used(bench_buf_t *b)
{
    return b->last - b->pos;
}


void bench_buf_reserve(bench_buf_t *b, size_t extra);
void bench_buf_add(bench_buf_t *b, const void *data, size_t n);
void bench_buf_str(bench_buf_t *b, const char *s);
void bench_buf_printf(bench_buf_t *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void bench_buf_eat(bench_buf_t *b, size_t n);
void bench_buf_clear(bench_buf_t *b);
void bench_buf_free(bench_buf_t *b);


/*
 * Objects:
 *
 *     first = 1;
 *     while ((rc = bench_json_key(j, &first, key, sizeof(key))) == 1) { ... }
 *
 * and arrays with bench_json_elem().  Each value has to be consumed.  rc is 0
 * at the closing bracket, and -1 where the input is malformed.
 */

int bench_json_key(bench_json_t *j, int *first, char *key, size_t size);
int bench_json_elem(bench_json_t *j, int *first);
int bench_json_string(bench_json_t *j, bench_buf_t *out);
int bench_json_skip(bench_json_t *j);
int bench_json_end(bench_json_t *j);
char bench_json_peek(bench_json_t *j);


/*
 * The answer to a question is known to both sides.  A chunk may begin with the
 * time at which it was sent, BENCH_STAMP bytes; the rest of it is a piece of a
 * fixed text, from a place that depends on the question and on its number.
 */

#define BENCH_STAMP      14
#define BENCH_MAX_CHUNK  65536

uint32_t bench_seed(const char *question, size_t n);
const char *bench_piece(uint32_t seed, unsigned i);
void bench_stamp_write(char *p, uint64_t now);

/* the time, or 0 if that is no stamp */
uint64_t bench_stamp_read(const char *p, size_t n);


#endif /* _BENCH_H_INCLUDED_ */
