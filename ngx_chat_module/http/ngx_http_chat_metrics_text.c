
#include "ngx_http_chat_metrics_text.h"


#define NGX_HTTP_CHAT_METRICS_US  6    /* digits of microseconds */


static void ngx_http_chat_metrics_text_write(ngx_http_chat_metrics_text_t *t,
    const char *format, ...);
static void ngx_http_chat_metrics_text_number(ngx_http_chat_metrics_text_t *t,
    uint64_t value, ngx_uint_t digits);


void
ngx_http_chat_metrics_text_family(ngx_http_chat_metrics_text_t *t,
    const char *name, const char *type, const char *help)
{
    t->name = name;

    ngx_http_chat_metrics_text_write(t, "# HELP %s %s\n# TYPE %s %s\n",
                                     name, help, name, type);
}


void
ngx_http_chat_metrics_text_sample(ngx_http_chat_metrics_text_t *t,
    ngx_http_chat_metrics_label_t *labels, ngx_uint_t n,
    ngx_atomic_uint_t value, ngx_uint_t digits)
{
    ngx_uint_t  i;

    ngx_http_chat_metrics_text_write(t, "%s", t->name);

    for (i = 0; i < n; i++) {
        ngx_http_chat_metrics_text_write(t, "%s%s=\"%V\"", i ? "," : "{",
                                         labels[i].name, &labels[i].value);
    }

    ngx_http_chat_metrics_text_write(t, n ? "} " : " ");
    ngx_http_chat_metrics_text_number(t, value, digits);
    ngx_http_chat_metrics_text_write(t, "\n");
}


void
ngx_http_chat_metrics_text_histogram(ngx_http_chat_metrics_text_t *t,
    const char *name, const char *help, ngx_chat_metrics_time_e time,
    ngx_chat_metrics_histogram_t *histogram)
{
    uint64_t    bound, sum;
    ngx_uint_t  i;

    ngx_http_chat_metrics_text_family(t, name, "histogram", help);

    sum = 0;

    for (i = 0; i <= NGX_CHAT_METRICS_BUCKETS; i++) {
        bound = ngx_chat_metrics_get_bound(time, i);

        sum += histogram->buckets[i];

        if (bound == 0) {
            break;
        }

        ngx_http_chat_metrics_text_write(t, "%s_bucket{le=\"", name);
        ngx_http_chat_metrics_text_number(t, bound, NGX_HTTP_CHAT_METRICS_US);
        ngx_http_chat_metrics_text_write(t, "\"} %uL\n", sum);
    }

    ngx_http_chat_metrics_text_write(t, "%s_bucket{le=\"+Inf\"} %uL\n%s_sum ",
                                     name, sum, name);
    ngx_http_chat_metrics_text_number(t, histogram->sum,
                                      NGX_HTTP_CHAT_METRICS_US);
    ngx_http_chat_metrics_text_write(t, "\n%s_count %uL\n", name, sum);
}


static void
ngx_http_chat_metrics_text_write(ngx_http_chat_metrics_text_t *t,
    const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    t->pos = ngx_vslprintf(t->pos, t->last, format, args);
    va_end(args);

    if (t->pos == t->last) {
        t->full = 1;
    }
}


/* zeros at the end of a fraction are left out */

static void
ngx_http_chat_metrics_text_number(ngx_http_chat_metrics_text_t *t,
    uint64_t value, ngx_uint_t digits)
{
    u_char      *p, buf[NGX_INT64_LEN + 2];
    uint64_t     whole, part, unit;
    ngx_uint_t   i;

    unit = 1;

    for (i = 0; i < digits; i++) {
        unit *= 10;
    }

    whole = value / unit;
    part = value % unit;

    if (part == 0) {
        ngx_http_chat_metrics_text_write(t, "%uL", whole);
        return;
    }

    for (p = buf + digits; p > buf; /* void */ ) {
        *--p = (u_char) ('0' + part % 10);
        part /= 10;
    }

    while (buf[digits - 1] == '0') {
        digits--;
    }

    ngx_http_chat_metrics_text_write(t, "%uL.%*s", whole, (size_t) digits,
                                     buf);
}
