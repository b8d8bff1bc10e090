
/*
 * The URL of a Redis: the name made of it for logs leads to the same server
 * and database, whatever stood before the host.
 */


#include "fuzz.h"
#include "../../ngx_chat_module/redis/ngx_chat_redis_url.h"


static void fuzz_hosts(ngx_chat_redis_conf_t *rcf, size_t size);
static void fuzz_again(ngx_chat_redis_conf_t *rcf, ngx_pool_t *pool);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    char                   *err;
    ngx_str_t               url;
    ngx_pool_t             *pool;
    ngx_chat_redis_conf_t   rcf;

    pool = ut_pool();
    err = "";

    url.len = size;
    url.data = (u_char *) data;

    if (ngx_chat_redis_url_parse(pool, &url, &rcf, &err) == NGX_OK) {
        fuzz_must(rcf.db <= 999999999, "a Redis");
        fuzz_must(rcf.user.len + rcf.password.len < size, "a slice");

        if (rcf.sentinel) {
            fuzz_must(rcf.nhosts == 0 && rcf.sentinel->master.len, "a master");
            fuzz_must(rcf.sentinel->user.len + rcf.sentinel->password.len
                      < size, "a slice for Sentinel");
            fuzz_hosts(rcf.sentinel, size);

        } else {
            fuzz_must(rcf.nhosts == 1, "one host");
            fuzz_hosts(&rcf, size);
        }

        fuzz_again(&rcf, pool);

    } else {
        fuzz_must(err[0] && strstr(err, "no memory") == NULL, "an error");
    }

    ngx_destroy_pool(pool);

    return 0;
}


static void
fuzz_hosts(ngx_chat_redis_conf_t *rcf, size_t size)
{
    ngx_uint_t              i;
    ngx_chat_redis_host_t  *host;

    fuzz_must(rcf->nhosts && rcf->nhosts <= NGX_CHAT_REDIS_MAX_HOSTS, "hosts");

    for (i = 0; i < rcf->nhosts; i++) {
        host = &rcf->hosts[i];

        fuzz_must(host->name.len && host->name.len <= size
                  && host->name.data[host->name.len] == '\0', "a host");
        fuzz_must((host->addrs == NULL) == (host->naddrs == 0), "addresses");
    }
}


static void
fuzz_again(ngx_chat_redis_conf_t *rcf, ngx_pool_t *pool)
{
    char                   *err;
    u_char                 *p;
    ngx_str_t               url;
    ngx_chat_redis_conf_t   again;

    url.data = ngx_pnalloc(pool, rcf->name.len + 19);
    p = url.data;

    if (rcf->sentinel) {
        p = ngx_cpymem(p, "redis+sentinel://@", 18);

    } else if (memchr(rcf->name.data, '?', rcf->name.len) == NULL) {
        p = ngx_cpymem(p, "redis://@", 9);
    }

    p = ngx_cpymem(p, rcf->name.data, rcf->name.len);
    url.len = p - url.data;

    fuzz_must(ngx_chat_redis_url_parse(pool, &url, &again, &err) == NGX_OK
              && again.db == rcf->db && ut_same(&again.name, &rcf->name),
              "the same from the name");
    fuzz_must(again.user.len == 0 && again.password.len == 0, "no password");
    fuzz_must(again.sentinel == NULL
              || (again.sentinel->user.len == 0
                  && again.sentinel->password.len == 0), "nor for Sentinel");

    again.user = rcf->user;
    again.tls = rcf->tls;
    fuzz_must(ngx_chat_redis_conf_is_equal(rcf, &again), "the same server");
}
