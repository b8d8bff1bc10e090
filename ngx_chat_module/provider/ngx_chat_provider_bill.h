
/*
 * The bill for an answer, or what one that was cached did not cost: tokens, and
 * money where "cost" says how much.  Both are counted for the metrics.
 */


#ifndef _NGX_CHAT_PROVIDER_BILL_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_BILL_H_INCLUDED_


#include "ngx_chat_provider.h"
#include "../codec/ngx_chat_usage.h"
#include "../shm/ngx_chat_metrics.h"


/* pv: the provider of that name; NULL: it is not configured here (any more) */
void ngx_chat_provider_bill(ngx_str_t *name, ngx_chat_provider_t *pv,
    ngx_chat_usage_t *usage, ngx_uint_t saved);


#endif /* _NGX_CHAT_PROVIDER_BILL_H_INCLUDED_ */
