
#define _GNU_SOURCE

#include "bench.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>


#define BENCH_PLACES  4096


uint64_t
bench_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}


void
bench_die(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fputc('\n', stderr);
    exit(2);
}


void
bench_process(void)
{
    struct rlimit  rl;

    signal(SIGPIPE, SIG_IGN);

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
    }
}


void
bench_buf_reserve(bench_buf_t *b, size_t extra)
{
    size_t  size;

    if (b->pos == b->last) {
        b->pos = 0;
        b->last = 0;
    }

    if (b->size - b->last >= extra) {
        return;
    }

    if (b->pos) {
        memmove(b->start, b->start + b->pos, b->last - b->pos);
        b->last -= b->pos;
        b->pos = 0;
    }

    size = b->size ? b->size : 512;

    while (size - b->last < extra) {
        size *= 2;
    }

    if (size == b->size) {
        return;
    }

    b->start = realloc(b->start, size);

    if (b->start == NULL) {
        bench_die("out of memory");
    }

    b->size = size;
}


void
bench_buf_add(bench_buf_t *b, const void *data, size_t n)
{
    bench_buf_reserve(b, n);
    memcpy(b->start + b->last, data, n);
    b->last += n;
}


void
bench_buf_str(bench_buf_t *b, const char *s)
{
    bench_buf_add(b, s, strlen(s));
}


void
bench_buf_printf(bench_buf_t *b, const char *fmt, ...)
{
    int      n;
    char     text[1024];
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    if (n < 0 || (size_t) n >= sizeof(text)) {
        bench_die("too long: %s", fmt);
    }

    bench_buf_add(b, text, (size_t) n);
}


void
bench_buf_eat(bench_buf_t *b, size_t n)
{
    b->pos += n;
}


void
bench_buf_clear(bench_buf_t *b)
{
    b->pos = 0;
    b->last = 0;
}


void
bench_buf_free(bench_buf_t *b)
{
    free(b->start);
    memset(b, 0, sizeof(bench_buf_t));
}


uint32_t
bench_seed(const char *question, size_t n)
{
    size_t    i;
    uint32_t  hash;

    hash = 2166136261u;

    for (i = 0; i < n; i++) {
        hash = (hash ^ (unsigned char) question[i]) * 16777619u;
    }

    return hash;
}


const char *
bench_piece(uint32_t seed, unsigned i)
{
    size_t         k;
    uint32_t       state;
    static char    text[BENCH_PLACES + BENCH_MAX_CHUNK];
    static size_t  filled;

    static const char  letters[] = "abcdefghijklmnopqrstuvwxyz .,-";

    if (filled == 0) {
        state = 1;

        for (k = 0; k < sizeof(text); k++) {
            state = state * 1664525u + 1013904223u;
            text[k] = letters[(state >> 24) % (sizeof(letters) - 1)];
        }

        filled = sizeof(text);
    }

    return text + (seed + i * 61) % BENCH_PLACES;
}


void
bench_stamp_write(char *p, uint64_t now)
{
    char  text[BENCH_STAMP + 8];

    snprintf(text, sizeof(text), "<%012llx>",
             (unsigned long long) (now / 1000 & 0xffffffffffff));
    memcpy(p, text, BENCH_STAMP);
}


uint64_t
bench_stamp_read(const char *p, size_t n)
{
    int       i;
    uint64_t  us;

    if (n < BENCH_STAMP || p[0] != '<' || p[BENCH_STAMP - 1] != '>') {
        return 0;
    }

    us = 0;

    for (i = 1; i < BENCH_STAMP - 1; i++) {
        if (p[i] >= '0' && p[i] <= '9') {
            us = us * 16 + (uint64_t) (p[i] - '0');

        } else if (p[i] >= 'a' && p[i] <= 'f') {
            us = us * 16 + (uint64_t) (p[i] - 'a' + 10);

        } else {
            return 0;
        }
    }

    return us * 1000;
}
