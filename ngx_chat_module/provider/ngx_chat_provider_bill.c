
#include "ngx_chat_provider_bill.h"


void
ngx_chat_provider_bill(ngx_str_t *name, ngx_chat_provider_t *pv,
    ngx_chat_usage_t *usage, ngx_uint_t saved)
{
    ngx_chat_metrics_tokens_t  tokens;

    if (usage->in == 0 && usage->out == 0) {
        return;
    }

    tokens.in = usage->in;
    tokens.out = usage->out;
    tokens.cost = 0;

    /* tokens and prices are bounded so that neither product overflows */

    if (pv) {
        tokens.cost = usage->in * pv->cost_in / 1000
                      + usage->out * pv->cost_out / 1000;
    }

    ngx_chat_metrics_count_tokens(name, saved, &tokens);
}
