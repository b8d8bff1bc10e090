
#include "ngx_chat_error.h"


typedef struct {
    ngx_int_t        status;      /* of a response before the stream */
    ngx_str_t        code;
    ngx_str_t        message;
} ngx_chat_error_t;


static ngx_chat_error_t *ngx_chat_error_entry(ngx_chat_error_e e);


static ngx_chat_error_t  ngx_chat_errors[] = {

    [NGX_CHAT_E_NONE] = {
        500, ngx_null_string,
        ngx_null_string
    },

    [NGX_CHAT_E_QUEUE_FULL] = {
        503, ngx_string("queue_full"),
        ngx_string("The service is busy: too many questions are being asked. "
                   "Please try again later.")
    },

    [NGX_CHAT_E_QUEUE_TIMEOUT] = {
        500, ngx_string("queue_timeout"),
        ngx_string("The service is busy: the question waited too long. "
                   "Please try again later.")
    },

    [NGX_CHAT_E_PROVIDER_REFUSED] = {
        500, ngx_string("provider_refused"),
        ngx_string("The provider did not accept the request. "
                   "Please try again later.")
    },

    [NGX_CHAT_E_PROVIDER_UNREACHABLE] = {
        500, ngx_string("provider_refused"),
        ngx_string("The provider cannot be reached. Please try again later.")
    },

    [NGX_CHAT_E_QUESTION_REFUSED] = {
        500, ngx_string("provider_refused"),
        ngx_string("The provider refused the question.")
    },

    [NGX_CHAT_E_PROVIDER_RATE_LIMITED] = {
        500, ngx_string("provider_rate_limited"),
        ngx_string("The provider takes no more questions at the moment. "
                   "Please try again later.")
    },

    [NGX_CHAT_E_PROVIDER_TIMEOUT] = {
        500, ngx_string("provider_timeout"),
        ngx_string("The provider did not answer in time. "
                   "Please try again later.")
    },

    [NGX_CHAT_E_PROVIDER_BROKEN] = {
        500, ngx_string("provider_broken"),
        ngx_string("The provider failed to give a complete answer. "
                   "Please try again.")
    },

    [NGX_CHAT_E_ANSWER_TOO_LONG] = {
        500, ngx_string("answer_too_long"),
        ngx_string("The answer is longer than allowed.")
    },

    [NGX_CHAT_E_REDIS_DOWN] = {
        503, ngx_string("redis_down"),
        ngx_string("The service is not available at the moment. "
                   "Please try again later.")
    },

    [NGX_CHAT_E_NO_KEY] = {
        500, ngx_string("no_key"),
        ngx_string("The service has no valid key for the provider.")
    },

    [NGX_CHAT_E_INTERRUPTED] = {
        500, ngx_string("interrupted"),
        ngx_string("The answer was interrupted. Please try again.")
    },

    [NGX_CHAT_E_CANCELLED] = {
        500, ngx_string("cancelled"),
        ngx_string("The answer was cancelled. Please try again.")
    },

    [NGX_CHAT_E_STOPPED] = {
        500, ngx_string("stopped"),
        ngx_string("The answer was stopped on request.")
    },

    [NGX_CHAT_E_INTERNAL] = {
        500, ngx_string("internal"),
        ngx_string("An internal error occurred.")
    },

    [NGX_CHAT_E_METHOD_NOT_ALLOWED] = {
        405, ngx_string("method_not_allowed"),
        ngx_string("Only POST is allowed here.")
    },

    [NGX_CHAT_E_UNSUPPORTED_MEDIA_TYPE] = {
        415, ngx_string("unsupported_media_type"),
        ngx_string("The request must have the content type "
                   "application/json.")
    },

    [NGX_CHAT_E_BODY_TOO_LARGE] = {
        413, ngx_string("body_too_large"),
        ngx_string("The request body is too large.")
    },

    [NGX_CHAT_E_BAD_REQUEST] = {
        400, ngx_string("bad_request"),
        ngx_string("The request could not be understood.")
    },

    [NGX_CHAT_E_INVALID_FIELD] = {
        422, ngx_string("invalid_field"),
        ngx_string("A field of the request is missing or wrong.")
    },

    [NGX_CHAT_E_MISS_LIMIT] = {
        429, ngx_string("miss_limit"),
        ngx_string("Too many new questions. Please try again later.")
    },

    [NGX_CHAT_E_NOT_FOUND] = {
        404, ngx_string("not_found"),
        ngx_string("No answer is cached.")
    }
};


ngx_str_t *
ngx_chat_error_code(ngx_chat_error_e e)
{
    return &ngx_chat_error_entry(e)->code;
}


ngx_int_t
ngx_chat_error_status(ngx_chat_error_e e)
{
    return ngx_chat_error_entry(e)->status;
}


ngx_str_t *
ngx_chat_error_message(ngx_chat_error_e e)
{
    return &ngx_chat_error_entry(e)->message;
}


ngx_uint_t
ngx_chat_error_is_code(ngx_str_t *code)
{
    u_char  *p;

    if (code->len == 0 || code->len > NGX_CHAT_ERROR_CODE) {
        return 0;
    }

    for (p = code->data; p < code->data + code->len; p++) {

        if ((*p < 'a' || *p > 'z') && *p != '_') {
            return 0;
        }
    }

    return 1;
}


ngx_chat_error_e
ngx_chat_error_find(ngx_str_t *code)
{
    ngx_str_t   *known;
    ngx_uint_t   e;

    for (e = NGX_CHAT_E_NONE + 1; e < NGX_CHAT_E_MAX; e++) {
        known = &ngx_chat_errors[e].code;

        if (known->len == code->len
            && ngx_memcmp(known->data, code->data, code->len) == 0)
        {
            return (ngx_chat_error_e) e;
        }
    }

    return NGX_CHAT_E_NONE;
}


void
ngx_chat_error_event(ngx_chat_event_t *ev, ngx_chat_error_e e)
{
    ngx_chat_error_t  *entry;

    entry = ngx_chat_error_entry(e);

    ev->status = NGX_CHAT_ERROR;
    ev->text = entry->message;
    ev->code = entry->code;
}


static ngx_chat_error_t *
ngx_chat_error_entry(ngx_chat_error_e e)
{
    if ((ngx_uint_t) e >= NGX_CHAT_E_MAX) {
        e = NGX_CHAT_E_INTERNAL;
    }

    return &ngx_chat_errors[e];
}
