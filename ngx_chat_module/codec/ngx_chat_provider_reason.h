
/*
 * The words of providers, which differ where they mean the same.
 */


#ifndef _NGX_CHAT_PROVIDER_REASON_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_REASON_H_INCLUDED_


#include "../ngx_chat.h"


/*
 * A finish reason as OpenAI spells it where it has that one, else as it is,
 * of [a-z_] only, or "other"; empty: none was given.  reason is in pool or a
 * constant.  NGX_OK, NGX_DECLINED: the answer failed, NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_provider_reason(ngx_str_t *reason, ngx_str_t *word,
    ngx_pool_t *pool);

/* does a member of a delta that has this name hold reasoning? */
ngx_uint_t ngx_chat_provider_is_reasoning(ngx_str_t *name);


#endif /* _NGX_CHAT_PROVIDER_REASON_H_INCLUDED_ */
