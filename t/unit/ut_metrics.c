
/*
 * Metrics, with processes that come, are killed and are followed by others: the
 * zone is shared memory of the test.
 */


#include "../../ngx_chat_module/shm/ngx_chat_metrics_zone.h"

#include "ut_zone.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>


#define UT_ROUNDS  300
#define UT_DEAD    16      /* in each */
#define UT_WAIT    10000000  /* us, for the other one */


/* of two processes that look at the same time */
typedef struct {
    ngx_atomic_t  begin;       /* us, when both do */
    ngx_atomic_t  done;        /* rounds, by the other one */
    ngx_atomic_t  dead_seen;
} ut_looks_t;


static pid_t ut_child(ngx_uint_t hits, ngx_uint_t readers);
static void ut_end_child(pid_t pid);
static ngx_chat_metrics_zone_t *ut_tier(void);
static ngx_str_t ut_name(const char *s);
static void ut_verbs(void);
static void ut_times(void);
static void ut_processes(void);
static void ut_at_once(void);
static ngx_uint_t ut_look(ut_looks_t *looks, uint64_t *begun);
static void ut_names(void);


volatile ngx_time_t  *ngx_cached_time;

static ngx_time_t  ut_time = { .sec = 1000 };

static ngx_chat_metrics_zone_t   *ut_mz;
static ngx_chat_metrics_block_t   ut_sum;


static ngx_str_t
ut_name(const char *s)
{
    ngx_str_t  name;

    name.data = (u_char *) s;
    name.len = ngx_strlen(s);

    return name;
}


static ngx_chat_metrics_zone_t *
ut_tier(void)
{
    ngx_conf_t                cf;
    ngx_chat_metrics_zone_t  *mz;

    ut_zone_conf(&cf);

    if (ngx_chat_metrics_zone_add(&cf, NULL, &mz) != NGX_OK) {
        return NULL;
    }

    if (ut_zone_start() != NGX_OK) {
        return NULL;
    }

    return mz;
}


/* a process that has counted so much by the time this returns, and lives */

static pid_t
ut_child(ngx_uint_t hits, ngx_uint_t readers)
{
    char   ch;
    int    fd[2];
    pid_t  pid;

    if (pipe(fd) == -1) {
        return -1;
    }

    pid = fork();

    if (pid == 0) {
        ngx_pid = getpid();
        ngx_chat_metrics_zone_take(ut_mz);

        while (hits--) {
            ngx_chat_metrics_count(NGX_CHAT_COUNT_HIT);
        }

        ngx_chat_metrics_move(NGX_CHAT_GAUGE_READERS, readers);
        ngx_chat_metrics_set(NGX_CHAT_GAUGE_QUEUED, readers);

        if (write(fd[1], "x", 1) == 1) {
            pause();
        }

        _exit(0);
    }

    (void) close(fd[1]);

    if (pid == -1 || read(fd[0], &ch, 1) != 1) {
        pid = -1;
    }

    (void) close(fd[0]);

    return pid;
}


static void
ut_end_child(pid_t pid)
{
    int  status;

    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, &status, 0);
}


static void
ut_verbs(void)
{
    ngx_str_t                     a, b;
    ngx_chat_metrics_tokens_t     tokens;
    ngx_chat_metrics_provider_t  *pv;

    ngx_chat_metrics_count(NGX_CHAT_COUNT_HIT);
    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    ut_ok(ut_sum.counters.counts[NGX_CHAT_COUNT_HIT] == 0,
          "before a process has its block nobody sees what it counts");

    a = ut_name("a");
    b = ut_name("b.example");

    ngx_chat_metrics_zone_add_name(ut_mz, &a);
    ngx_chat_metrics_zone_add_name(ut_mz, &b);

    ngx_pid = getpid();
    ngx_chat_metrics_zone_take(ut_mz);

    ngx_chat_metrics_count(NGX_CHAT_COUNT_HIT);
    ngx_chat_metrics_count(NGX_CHAT_COUNT_HIT);
    ngx_chat_metrics_count_error(3);
    ngx_chat_metrics_count_error(NGX_CHAT_METRICS_CAUSES);
    ngx_chat_metrics_count_generation(NGX_CHAT_PATH_DIRECT,
                                      NGX_CHAT_GENERATION_RESTARTED);
    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    ut_ok(ut_sum.counters.counts[NGX_CHAT_COUNT_HIT] == 2
          && ut_sum.counters.counts[NGX_CHAT_COUNT_MISS] == 0
          && ut_sum.counters.errors[3] == 1
          && ut_sum.counters.errors[0] == 1
          && ut_sum.counters.generations[NGX_CHAT_PATH_DIRECT]
                                        [NGX_CHAT_GENERATION_RESTARTED] == 1,
          "counts, and a cause that is unknown");

    tokens.in = 5;
    tokens.out = 7;
    tokens.cost = 11;

    ngx_chat_metrics_count_call(&b, 200);
    ngx_chat_metrics_count_call(&b, 0);
    ngx_chat_metrics_count_call(&b, 418);
    ngx_chat_metrics_count_call(&b, 429);
    ngx_chat_metrics_count_tokens(&b, 0, &tokens);
    ngx_chat_metrics_count_tokens(&b, 1, &tokens);
    ngx_chat_metrics_count_tokens(&b, 1, &tokens);
    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    pv = &ut_sum.counters.providers[1];

    ut_ok(pv->calls[0] == 1 && pv->calls[1] == 1 && pv->calls[2] == 1
          && ngx_chat_metrics_get_status(0) == 0
          && ngx_chat_metrics_get_status(1) == 1
          && ngx_chat_metrics_get_status(2) == 200
          && ut_sum.counters.providers[0].calls[2] == 0,
          "calls, by provider and status, with none and an unknown one");

    ut_ok(pv->used.in == 5 && pv->used.out == 7 && pv->used.cost == 11
          && pv->saved.in == 10 && pv->saved.out == 14 && pv->saved.cost == 22,
          "tokens, billed and saved");

    ngx_chat_metrics_set_down(&a, 1001);
    ngx_chat_metrics_set_down(&b, 1000);
    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    ut_ok(ut_sum.gauges.down[0] == 1 && ut_sum.gauges.down[1] == 0,
          "a provider is down until its time is over");

    ngx_chat_metrics_zone_take(ut_mz);
    ngx_chat_metrics_count(NGX_CHAT_COUNT_HIT);
    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    ut_ok(ut_sum.counters.counts[NGX_CHAT_COUNT_HIT] == 3
          && ut_sum.gauges.down[0] == 1,
          "a process keeps its block, and its gauges");
}


static void
ut_times(void)
{
    uint64_t                       last, bound;
    ngx_uint_t                     i, n, rising;
    ngx_chat_metrics_histogram_t  *h;

    h = &ut_sum.counters.times[NGX_CHAT_TIME_BETWEEN_TOKENS];

    ngx_chat_metrics_observe(NGX_CHAT_TIME_BETWEEN_TOKENS, 0);
    ngx_chat_metrics_observe(NGX_CHAT_TIME_BETWEEN_TOKENS, 1000);
    ngx_chat_metrics_observe(NGX_CHAT_TIME_BETWEEN_TOKENS, 1001);
    ngx_chat_metrics_observe(NGX_CHAT_TIME_BETWEEN_TOKENS, 30000000);
    ngx_chat_metrics_observe(NGX_CHAT_TIME_BETWEEN_TOKENS, 30000001);
    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    ut_ok(h->buckets[0] == 2 && h->buckets[1] == 1 && h->buckets[14] == 1
          && h->buckets[15] == 1 && h->sum == 60002002,
          "a time is counted in the first bucket whose bound is not below");

    rising = 1;

    for (i = 0; i < NGX_CHAT_TIMES; i++) {
        last = 0;

        for (n = 0; n <= NGX_CHAT_METRICS_BUCKETS; n++) {
            bound = ngx_chat_metrics_get_bound(i, n);

            if (bound == 0) {
                break;
            }

            if (bound <= last) {
                rising = 0;
            }

            last = bound;
        }

        if (n < 10) {
            rising = 0;
        }
    }

    ut_ok(rising, "bounds rise");

    last = ngx_chat_metrics_clock();

    ut_ok(last && ngx_chat_metrics_clock() >= last, "the clock goes on");
}


static void
ut_processes(void)
{
    pid_t           a, b;
    ngx_atomic_t   *hits, *readers, *queued;

    hits = &ut_sum.counters.counts[NGX_CHAT_COUNT_HIT];
    readers = &ut_sum.gauges.values[NGX_CHAT_GAUGE_READERS];
    queued = &ut_sum.gauges.values[NGX_CHAT_GAUGE_QUEUED];

    a = ut_child(10, 3);
    b = ut_child(100, 4);

    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    ut_ok(a > 0 && b > 0 && *hits == 113 && *readers == 7 && *queued == 4,
          "processes add up; of what all see the same, the highest counts");

    ut_end_child(a);
    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    ut_ok(*hits == 113 && *readers == 4,
          "a process is killed: its counts stay, its gauges fall away");

    a = ut_child(1000, 5);
    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    ut_ok(*hits == 1113 && *readers == 9 && *queued == 5,
          "the next one counts on");

    ut_end_child(a);
    ut_end_child(b);
    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    ut_ok(*hits == 1113 && *readers == 0 && *queued == 0, "all are gone");
}


static void
ut_at_once(void)
{
    pid_t        other, dead[UT_DEAD];
    uint64_t     begun, until;
    ngx_uint_t   i, n;
    ut_looks_t  *looks;

    looks = mmap(NULL, sizeof(ut_looks_t), PROT_READ|PROT_WRITE,
                 MAP_ANON|MAP_SHARED, -1, 0);

    if (looks == MAP_FAILED) {
        ut_ok(0, "memory for two that look at the same time");
        return;
    }

    begun = 0;
    other = fork();

    if (other == 0) {

        for (i = 1; i <= UT_ROUNDS; i++) {

            if (!ut_look(looks, &begun)) {
                _exit(1);
            }

            looks->done = i;
        }

        _exit(0);
    }

    for (i = 1; i <= UT_ROUNDS; i++) {

        for (n = 0; n < UT_DEAD; n++) {
            dead[n] = ut_child(0, 1);
        }

        for (n = 0; n < UT_DEAD; n++) {
            ut_end_child(dead[n]);
        }

        looks->begin = ngx_chat_metrics_clock() + 100;
        (void) ut_look(looks, &begun);

        until = ngx_chat_metrics_clock() + UT_WAIT;

        while (looks->done != i && ngx_chat_metrics_clock() < until) {
            sched_yield();
        }

        if (looks->done != i) {
            break;
        }
    }

    ut_end_child(other);

    ut_ok(looks->done == UT_ROUNDS && looks->dead_seen == 0,
          "two look at the same time: neither sees gauges of the dead");
    (void) munmap(looks, sizeof(ut_looks_t));
}


/* 0: the other one has not begun this round */

static ngx_uint_t
ut_look(ut_looks_t *looks, uint64_t *begun)
{
    uint64_t  until;

    until = ngx_chat_metrics_clock() + UT_WAIT;

    while (looks->begin == *begun) {

        if (ngx_chat_metrics_clock() > until) {
            return 0;
        }

        sched_yield();
    }

    *begun = looks->begin;

    while (ngx_chat_metrics_clock() < *begun) {
        /* void */
    }

    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    if (ut_sum.gauges.values[NGX_CHAT_GAUGE_READERS]) {
        (void) ngx_atomic_fetch_add(&looks->dead_seen, 1);
    }

    return 1;
}


static void
ut_names(void)
{
    char        buf[32], longest[NGX_CHAT_METRICS_NAME + 2];
    ngx_str_t   name, found;
    ngx_uint_t  i;

    name = ut_name("a");
    ngx_chat_metrics_zone_add_name(ut_mz, &name);

    ut_ok(ngx_chat_metrics_zone_get_name(ut_mz, 1, &found) == NGX_OK
          && ut_is(&found, "b.example")
          && ngx_chat_metrics_zone_get_name(ut_mz, 2, &found) == NGX_DECLINED,
          "a name that is there already");

    ngx_memset(longest, 'x', sizeof(longest));
    longest[NGX_CHAT_METRICS_NAME + 1] = '\0';

    name = ut_name(longest);
    ngx_chat_metrics_zone_add_name(ut_mz, &name);

    ut_ok(ngx_chat_metrics_zone_get_name(ut_mz, 2, &found) == NGX_DECLINED,
          "a name that is too long");

    longest[NGX_CHAT_METRICS_NAME] = '\0';
    name = ut_name(longest);
    ngx_chat_metrics_zone_add_name(ut_mz, &name);

    for (i = 0; i < NGX_CHAT_METRICS_PROVIDERS; i++) {
        ngx_sprintf((u_char *) buf, "p%ui%Z", i);
        name = ut_name(buf);
        ngx_chat_metrics_zone_add_name(ut_mz, &name);
    }

    ngx_chat_metrics_count_call(&name, 200);
    ngx_chat_metrics_zone_sum(ut_mz, &ut_sum);

    ut_ok(ngx_chat_metrics_zone_get_name(ut_mz, NGX_CHAT_METRICS_PROVIDERS - 1,
                                         &found)
          == NGX_OK
          && ngx_chat_metrics_zone_get_name(ut_mz, NGX_CHAT_METRICS_PROVIDERS,
                                            &found)
             == NGX_DECLINED
          && ut_sum.counters.providers[NGX_CHAT_METRICS_PROVIDERS].calls[2]
             == 1,
          "more names than there is room for: the others are counted as one");
}


int
main(void)
{
    ngx_cached_time = &ut_time;

    ut_mz = ut_tier();

    ut_ok(ut_mz != NULL, "the zone fits into its size");

    if (ut_mz) {
        ut_verbs();
        ut_times();
        ut_processes();
        ut_at_once();
        ut_names();
    }

    ut_zone_end();

    return ut_done();
}
