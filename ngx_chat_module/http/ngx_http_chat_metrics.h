
/*
 * The metrics page: what all processes have counted (shm/ngx_chat_metrics.h),
 * as the text that Prometheus reads.
 */


#ifndef _NGX_HTTP_CHAT_METRICS_H_INCLUDED_
#define _NGX_HTTP_CHAT_METRICS_H_INCLUDED_


#include "ngx_http_chat.h"


ngx_int_t ngx_http_chat_metrics_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_CHAT_METRICS_H_INCLUDED_ */
