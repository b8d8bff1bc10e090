
/* a hub without a zone: none of these is called */


#include "../../ngx_chat_module/shm/ngx_chat_tier.h"


void
ngx_chat_tier_cover(ngx_chat_tier_t *tier)
{
}


void
ngx_chat_tier_uncover(ngx_chat_tier_t *tier, ngx_uint_t lost)
{
}


ngx_uint_t
ngx_chat_tier_is_covered(ngx_chat_tier_t *tier)
{
    return 0;
}


ngx_atomic_uint_t
ngx_chat_tier_ticket(ngx_chat_tier_t *tier)
{
    return 0;
}


void
ngx_chat_tier_change(ngx_chat_tier_t *tier, u_char *h)
{
}


void
ngx_chat_tier_change_all(ngx_chat_tier_t *tier)
{
}


void
ngx_chat_tier_swapped(ngx_chat_tier_t *tier, ngx_uint_t n)
{
}


ngx_int_t
ngx_chat_tier_purge(ngx_chat_tier_t *tier, u_char *h)
{
    return NGX_DECLINED;
}


ngx_int_t
ngx_chat_tier_write_begin(ngx_chat_tier_writer_t *w, ngx_chat_tier_t *tier,
    ngx_atomic_uint_t ticket, ngx_chat_tier_key_t *key,
    ngx_chat_tier_answer_t *answer, size_t size)
{
    return NGX_DECLINED;
}


ngx_int_t
ngx_chat_tier_write(ngx_chat_tier_writer_t *w, u_char *p, size_t len)
{
    return NGX_DECLINED;
}


ngx_int_t
ngx_chat_tier_write_end(ngx_chat_tier_writer_t *w, ngx_chat_tier_key_t *key,
    ngx_uint_t chunks)
{
    return NGX_DECLINED;
}


void
ngx_chat_tier_write_abort(ngx_chat_tier_writer_t *w)
{
}
