
/*
 * The URL of a Redis: the name made of it for logs leads to the same server
 * and database, whatever stood before the host.
 */


#include "fuzz.h"
#include "../../ngx_chat_module/redis/ngx_chat_redis_url.h"


static void fuzz_again(ngx_chat_redis_conf_t *rcf, ngx_pool_t *pool);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    char                   *err;
    ngx_str_t               url;
    ngx_pool_t             *pool;
    ngx_chat_redis_conf_t   rcf;

    pool = ut_pool();
    err = NULL;

    url.len = size;
    url.data = (u_char *) data;

    if (ngx_chat_redis_parse_url(pool, &url, &rcf, &err) == NGX_OK) {
        fuzz_must(err == NULL && rcf.naddrs && rcf.db <= 999999999, "a Redis");
        fuzz_must(rcf.user.len + rcf.password.len < size, "a slice");
        fuzz_again(&rcf, pool);

    } else {
        fuzz_must(err && strstr(err, "no memory") == NULL, "an error");
    }

    ngx_destroy_pool(pool);

    return 0;
}


static void
fuzz_again(ngx_chat_redis_conf_t *rcf, ngx_pool_t *pool)
{
    char                   *err;
    u_char                 *p;
    ngx_str_t               url;
    ngx_chat_redis_conf_t   again;

    url.data = ngx_pnalloc(pool, rcf->name.len + 9);
    p = url.data;

    if (memchr(rcf->name.data, '?', rcf->name.len) == NULL) {
        p = ngx_cpymem(p, "redis://@", 9);
    }

    p = ngx_cpymem(p, rcf->name.data, rcf->name.len);
    url.len = p - url.data;

    fuzz_must(ngx_chat_redis_parse_url(pool, &url, &again, &err) == NGX_OK
              && again.db == rcf->db && ut_same(&again.name, &rcf->name),
              "the same from the name");
    fuzz_must(again.user.len == 0 && again.password.len == 0, "no password");

    again.user = rcf->user;
    again.tls = rcf->tls;
    fuzz_must(ngx_chat_redis_conf_equal(rcf, &again), "the same server");
}
