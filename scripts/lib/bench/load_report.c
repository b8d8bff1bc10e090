
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>


static int load_report_compare(const void *one, const void *two);
static double load_report_rank(load_samples_t *s, double share);
static void load_report_samples(const char *name, load_samples_t *s);


const char *
load_fault_name(load_fault_e fault)
{
    static const char *const  names[] = {
        "none", "connect", "closed early", "timeout", "bad HTTP",
        "bad status", "bad type", "bad JSON", "unexpected event",
        "wrong text", "wrong whole text", "wrong number of chunks",
        "no end", "error event"
    };

    return names[fault];
}


void
load_sample(load_samples_t *s, uint64_t value)
{
    if (s->n == s->size) {
        s->size = s->size ? s->size * 2 : 4096;
        s->values = realloc(s->values, s->size * sizeof(uint64_t));

        if (s->values == NULL) {
            bench_die("out of memory");
        }
    }

    s->values[s->n++] = value;
}


void
load_report(void)
{
    int             i, n;
    double          seconds;
    struct rusage   ru;
    load_results_t  *r;

    r = &load_results;
    seconds = (double) (r->end - r->begin) / 1e9;

    if (load_options.seconds > 0 && seconds > load_options.seconds) {
        seconds = load_options.seconds;
    }

    getrusage(RUSAGE_SELF, &ru);

    printf("{\"requests\":%llu,\"right\":%llu,\"seconds\":%.6f,"
           "\"per_second\":%.1f,\"chunks\":%llu,\"connections\":%llu,"
           "\"restarts\":%llu,\"hits\":%llu,\"zone\":%llu,\"cpu\":%.6f",
           (unsigned long long) r->done,
           (unsigned long long) r->faults[LOAD_OK], seconds,
           seconds > 0 ? (double) r->in_time / seconds : 0,
           (unsigned long long) r->chunks,
           (unsigned long long) r->connections,
           (unsigned long long) r->restarts, (unsigned long long) r->hits,
           (unsigned long long) r->zone,
           (double) (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec)
           + (double) (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);

    printf(",\"faults\":{");
    n = 0;

    for (i = 1; i < LOAD_FAULTS; i++) {
        if (r->faults[i]) {
            printf("%s\"%s\":%llu", n++ ? "," : "", load_fault_name(i),
                   (unsigned long long) r->faults[i]);
        }
    }

    printf("}");

    load_report_samples("first_byte", &r->first_byte);
    load_report_samples("first_chunk", &r->first_chunk);
    load_report_samples("total", &r->total);
    load_report_samples("latency", &r->latency);

    printf("}\n");
}


/* in milliseconds */

static void
load_report_samples(const char *name, load_samples_t *s)
{
    if (s->n == 0) {
        return;
    }

    qsort(s->values, s->n, sizeof(uint64_t), load_report_compare);

    printf(",\"%s\":{\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,\"max\":%.4f}",
           name, load_report_rank(s, 0.5), load_report_rank(s, 0.9),
           load_report_rank(s, 0.99), load_report_rank(s, 1));
}


static int
load_report_compare(const void *one, const void *two)
{
    uint64_t  a, b;

    a = *(const uint64_t *) one;
    b = *(const uint64_t *) two;

    return a < b ? -1 : a > b;
}


static double
load_report_rank(load_samples_t *s, double share)
{
    size_t  i;

    i = (size_t) (share * (double) s->n);

    if (i >= s->n) {
        i = s->n - 1;
    }

    return (double) s->values[i] / 1e6;
}
