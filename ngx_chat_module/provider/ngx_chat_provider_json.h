
/*
 * The OpenAI-compatible wire format, outwards: the request body; the answer is
 * read in ngx_chat_delta.h.  The body is made of three parts so that only the
 * middle one depends on the question:
 *
 *   prefix    {"model": "...", "messages": [{"role": "system", ...},
 *   messages  {"role": "user", "content": "..."}
 *   suffix    ], <params>, "stream": true,
 *             "stream_options": {"include_usage": true}}
 */


#ifndef _NGX_CHAT_PROVIDER_JSON_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_JSON_H_INCLUDED_


#include "ngx_chat_provider.h"


/*
 * Fills prefix, suffix and fp from url, model, system and params; a param
 * named as one of the members above replaces it, except "messages" and
 * "stream".  With no_usage there are no "stream_options", which makes no
 * other answers: fp is the same.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_provider_prepare(ngx_chat_provider_t *pv, ngx_pool_t *pool);

/* the middle part, for one question; data == NULL: no memory */
ngx_str_t ngx_chat_user_message(ngx_str_t *question, ngx_pool_t *pool);


#endif /* _NGX_CHAT_PROVIDER_JSON_H_INCLUDED_ */
