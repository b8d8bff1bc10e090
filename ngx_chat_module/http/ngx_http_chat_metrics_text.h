
/*
 * The text format of Prometheus, version 0.0.4.  A family is begun with its
 * name, type and help, and its samples follow.  What does not fit into the
 * buffer is cut, and full is set.
 */


#ifndef _NGX_HTTP_CHAT_METRICS_TEXT_H_INCLUDED_
#define _NGX_HTTP_CHAT_METRICS_TEXT_H_INCLUDED_


#include "ngx_http_chat.h"


typedef struct {
    u_char       *pos;
    u_char       *last;
    const char   *name;      /* of the family */
    ngx_uint_t    full;
} ngx_http_chat_metrics_text_t;


typedef struct {
    const char   *name;
    ngx_str_t     value;     /* without quotes, backslashes and line ends */
} ngx_http_chat_metrics_label_t;


void ngx_http_chat_metrics_text_family(ngx_http_chat_metrics_text_t *t,
    const char *name, const char *type, const char *help);

/*
 * A sample with n labels; digits: so many of the value's are behind the point.
 */
void ngx_http_chat_metrics_text_sample(ngx_http_chat_metrics_text_t *t,
    ngx_http_chat_metrics_label_t *labels, ngx_uint_t n,
    ngx_atomic_uint_t value, ngx_uint_t digits);

/* a histogram with its family, in seconds */
void ngx_http_chat_metrics_text_histogram(ngx_http_chat_metrics_text_t *t,
    const char *name, const char *help, ngx_chat_metrics_time_e time,
    ngx_chat_metrics_histogram_t *histogram);


#endif /* _NGX_HTTP_CHAT_METRICS_TEXT_H_INCLUDED_ */
