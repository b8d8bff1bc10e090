
/*
 * Headers of a call that let a provider's log be matched with ours.
 */


#ifndef _NGX_CHAT_PROVIDER_TRACE_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_TRACE_H_INCLUDED_


#include "ngx_chat_provider.h"
#include "../codec/ngx_chat_trace.h"


#define NGX_CHAT_TRACE_HEADERS  2


/*
 * X-Request-Id and traceparent, as far as they are known, valid, and none that
 * the provider has a header of its own for; returns how many.  Values are the
 * trace's.
 */
ngx_uint_t ngx_chat_provider_trace_headers(ngx_chat_provider_t *pv,
    ngx_chat_trace_t *trace, ngx_keyval_t kv[NGX_CHAT_TRACE_HEADERS]);


#endif /* _NGX_CHAT_PROVIDER_TRACE_H_INCLUDED_ */
