
#include "ngx_http_chat_reason.h"


typedef struct {
    ngx_uint_t         status;
    ngx_chat_error_e   error;
    ngx_str_t          message;    /* empty: that of the error */
} ngx_http_chat_reason_t;


/* statuses that nginx and its modules set before, or without, our handler */

static ngx_http_chat_reason_t  ngx_http_chat_reasons[] = {

    { NGX_HTTP_BAD_REQUEST, NGX_CHAT_E_BAD_REQUEST,
      ngx_null_string },

    { NGX_HTTP_UNAUTHORIZED, NGX_CHAT_E_BAD_REQUEST,
      ngx_string("Authorization Required") },

    { NGX_HTTP_FORBIDDEN, NGX_CHAT_E_BAD_REQUEST,
      ngx_string("Forbidden") },

    { NGX_HTTP_NOT_FOUND, NGX_CHAT_E_BAD_REQUEST,
      ngx_string("Not Found") },

    { NGX_HTTP_NOT_ALLOWED, NGX_CHAT_E_METHOD_NOT_ALLOWED,
      ngx_string("Not Allowed") },

    { NGX_HTTP_REQUEST_TIME_OUT, NGX_CHAT_E_BAD_REQUEST,
      ngx_string("Request Time-out") },

    { NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, NGX_CHAT_E_BODY_TOO_LARGE,
      ngx_null_string },

    { NGX_HTTP_UNSUPPORTED_MEDIA_TYPE, NGX_CHAT_E_UNSUPPORTED_MEDIA_TYPE,
      ngx_null_string },

    { NGX_HTTP_TOO_MANY_REQUESTS, NGX_CHAT_E_BAD_REQUEST,
      ngx_string("Too Many Requests") },

    { NGX_HTTP_SERVICE_UNAVAILABLE, NGX_CHAT_E_INTERNAL,
      ngx_string("Service Temporarily Unavailable") },

    { 0, NGX_CHAT_E_NONE, ngx_null_string }
};


ngx_chat_error_e
ngx_http_chat_reason_find(ngx_uint_t status, ngx_str_t *message)
{
    ngx_http_chat_reason_t  *reason;

    for (reason = ngx_http_chat_reasons; reason->status; reason++) {

        if (reason->status == status) {
            *message = reason->message;
            return reason->error;
        }
    }

    ngx_str_null(message);

    return (status < NGX_HTTP_INTERNAL_SERVER_ERROR) ? NGX_CHAT_E_BAD_REQUEST
                                                     : NGX_CHAT_E_INTERNAL;
}
