
#include "ngx_chat_limited.h"


/* how long a name is remembered; Redis may have lost what has counted */
#define NGX_CHAT_LIMITED_TIME  1000    /* ms */


static ngx_chat_limited_t *ngx_chat_limited_slot(ngx_chat_hub_t *hub,
    ngx_chat_limit_t *limit);


ngx_msec_t
ngx_chat_limited_get(ngx_chat_hub_t *hub, ngx_chat_limit_t *limit)
{
    ngx_msec_int_t       left;
    ngx_chat_limited_t  *limited;

    if (limit->interval == 0) {
        return 0;
    }

    limited = ngx_chat_limited_slot(hub, limit);
    left = (ngx_msec_int_t) (limited->until - ngx_current_msec);

    if (ngx_memcmp(limited->name, limit->name, NGX_CHAT_HASH_LEN) != 0
        || ngx_current_msec - limited->told >= NGX_CHAT_LIMITED_TIME
        || left <= 0)
    {
        return 0;
    }

    return (ngx_msec_t) left;
}


void
ngx_chat_limited_set(ngx_chat_hub_t *hub, ngx_chat_limit_t *limit,
    ngx_msec_t wait)
{
    ngx_chat_limited_t  *limited;

    limited = ngx_chat_limited_slot(hub, limit);

    ngx_memcpy(limited->name, limit->name, NGX_CHAT_HASH_LEN);

    limited->told = ngx_current_msec;
    limited->until = ngx_current_msec + wait;
}


/* the place of its name, which may be taken by another */

static ngx_chat_limited_t *
ngx_chat_limited_slot(ngx_chat_hub_t *hub, ngx_chat_limit_t *limit)
{
    size_t      i;
    ngx_uint_t  n;

    n = 0;

    /* a hash itself */

    for (i = 0; i < 8; i++) {
        n = ngx_hash(n, limit->name[i]);
    }

    return &hub->limited[n % NGX_CHAT_HUB_LIMITED];
}
