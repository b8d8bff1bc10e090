
/*
 * The URL of a Redis as the environment has it: what is accepted has a host
 * or hosts, and none of its parameters is told of with a value.
 */


#include "fuzz.h"
#include "../../ngx_chat_module/redis/ngx_chat_redis_url.h"


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    char                   *err;
    ngx_str_t               url, *name;
    ngx_uint_t              i;
    ngx_pool_t             *pool;
    ngx_chat_redis_conf_t   rcf;

    pool = ut_pool();
    err = "";

    url.len = size;
    url.data = (u_char *) data;

    if (ngx_chat_redis_url_parse_env(pool, &url, &rcf, &err) == NGX_OK) {
        fuzz_must(rcf.db <= 999999999, "a Redis");
        fuzz_must(rcf.sentinel ? rcf.sentinel->nhosts : rcf.nhosts == 1,
                  "hosts");

        name = rcf.args ? rcf.args->ignored.elts : NULL;

        for (i = 0; rcf.args && i < rcf.args->ignored.nelts; i++) {
            fuzz_must(name[i].len && name[i].len <= 40
                      && memchr(name[i].data, '=', name[i].len) == NULL
                      && memchr(name[i].data, '@', name[i].len) == NULL,
                      "a name alone");
        }

    } else {
        fuzz_must(err[0] && strstr(err, "no memory") == NULL, "an error");
    }

    ngx_destroy_pool(pool);

    return 0;
}
