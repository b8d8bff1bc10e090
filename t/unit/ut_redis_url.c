
/*
 * The URL of a Redis: what it is taken apart into, and what is refused.
 * Names are not resolved here; what would be is kept for the test.
 */


#include "ut.h"

#include <stdlib.h>

#include "../../ngx_chat_module/redis/ngx_chat_redis_url.c"


typedef struct {
    const char  *url;
    const char  *address;
    const char  *name;
    const char  *user;
    const char  *password;
    ngx_uint_t   db;
} ut_good_t;


typedef struct {
    const char  *url;
    const char  *err;
} ut_bad_t;


static ngx_uint_t ut_good(const ut_good_t *t);
static ngx_uint_t ut_bad(const ut_bad_t *t);
static ngx_uint_t ut_equal(const char *a, const char *b);
static ngx_uint_t ut_no_memory(const char *text);


static const ut_good_t  ut_goods[] = {

    { "redis://localhost",
      "localhost:6379", "localhost:6379/0", "", "", 0 },

    { "redis://localhost/",
      "localhost:6379", "localhost:6379/0", "", "", 0 },

    { "REDIS://h:7000/15",
      "h:7000", "h:7000/15", "", "", 15 },

    { "redis://h:1",
      "h:1", "h:1/0", "", "", 0 },

    { "redis://h:65535/000000007",
      "h:65535", "h:65535/7", "", "", 7 },

    { "redis://h/999999999",
      "h:6379", "h:6379/999999999", "", "", 999999999 },

    { "redis://[::1]:7000/2",
      "[::1]:7000", "[::1]:7000/2", "", "", 2 },

    { "redis://[fe80::1]",
      "[fe80::1]:6379", "[fe80::1]:6379/0", "", "", 0 },

    { "redis://me:secret@h",
      "h:6379", "h:6379/0", "me", "secret", 0 },

    { "redis://:secret@h",
      "h:6379", "h:6379/0", "", "secret", 0 },

    { "redis://me@h",
      "h:6379", "h:6379/0", "me", "", 0 },

    { "redis://@h",
      "h:6379", "h:6379/0", "", "", 0 },

    { "redis://me:a:b:@h:7000/1",
      "h:7000", "h:7000/1", "me", "a:b:", 1 },

    { "redis://:a@b/c?d#e@h/1",
      "h:6379", "h:6379/1", "", "a@b/c?d#e", 1 },

    { "redis://m%65%3a:%2Fp%25%40@h",
      "h:6379", "h:6379/0", "me:", "/p%@", 0 },

    { "rediss://h",
      "h:6379", "h:6379/0", "", "", 0 },

    { "REDISS://me:secret@[::1]:7000/2",
      "[::1]:7000", "[::1]:7000/2", "me", "secret", 2 },

    { "unix:/run/redis.sock",
      "unix:/run/redis.sock", "unix:/run/redis.sock?db=0", "", "", 0 },

    { "unix:/r?db=12",
      "unix:/r", "unix:/r?db=12", "", "", 12 },

    { NULL, NULL, NULL, NULL, NULL, 0 }
};


static const ut_bad_t  ut_bads[] = {
    { "", "begins with" },
    { "redis:", "begins with" },
    { "redis:/h", "begins with" },
    { "http://h", "begins with" },
    { "localhost:6379", "begins with" },
    { "redis+sentinel://h", "Sentinel is not available" },
    { "redis://", "no host" },
    { "rediss://", "no host" },
    { "redisss://h", "begins with" },
    { "redis:///1", "no host" },
    { "redis://:6379", "no host" },
    { "redis://me:secret@", "no host" },
    { "redis://me:secret@:1", "no host" },
    { "redis://h:", "invalid port" },
    { "redis://h:0", "invalid port" },
    { "redis://h:65536", "invalid port" },
    { "redis://h:6379x", "invalid port" },
    { "redis://h:-1", "invalid port" },
    { "redis://h:99999999999999999999", "invalid port" },
    { "redis://::1", "no host" },
    { "redis://[::1", "missing" },
    { "redis://[::1]x", "invalid host" },
    { "redis://[::1]:", "invalid port" },
    { "redis://h/x", "not a number" },
    { "redis://h/-1", "not a number" },
    { "redis://h/1/", "not a number" },
    { "redis://h//", "not a number" },
    { "redis://h/1234567890", "not a number" },
    { "redis://h?db=1", "no parameters" },
    { "redis://h/1?x", "no parameters" },
    { "redis://h#x", "no parameters" },
    { "redis://:%@h", "hexadecimal" },
    { "redis://:%4@h", "hexadecimal" },
    { "redis://:%4g@h", "hexadecimal" },
    { "redis://%zz@h", "hexadecimal" },
    { "redis://h h", "a space" },
    { "redis://h\t", "a space" },
    { "redis://h\x7f", "a space" },
    { "unix:", "a socket is written" },
    { "unix:/", "a socket is written" },
    { "unix:r", "a socket is written" },
    { "unix://me:secret@/r", "a socket is written" },
    { "unix:?db=1", "a socket is written" },
    { "unix:/r?", "only \"?db=number\"" },
    { "unix:/r?db", "only \"?db=number\"" },
    { "unix:/r?x=1", "only \"?db=number\"" },
    { "unix:/r?db=", "not a number" },
    { "unix:/r?db=1&x", "not a number" },
    { "redis://unknown", "host not found" },
    { NULL, NULL }
};


int
main(void)
{
    ngx_uint_t  i;

    for (i = 0; ut_goods[i].url; i++) {
        ut_ok(ut_good(&ut_goods[i]), ut_goods[i].url);
    }

    for (i = 0; ut_bads[i].url; i++) {
        ut_ok(ut_bad(&ut_bads[i]), ut_bads[i].url);
    }

    ut_ok(ut_equal("redis://h", "redis://h:6379/0"),
          "defaults written out make no difference");
    ut_ok(ut_equal("redis://me:a@h", "redis://me:b@h"),
          "nor does a password");
    ut_ok(ut_equal("redis://one", "redis://two"),
          "nor do two names of one address");
    ut_ok(!ut_equal("redis://one", "redis://three"), "an address does");
    ut_ok(!ut_equal("redis://h/0", "redis://h/1"), "a database does");
    ut_ok(!ut_equal("redis://h", "rediss://h"), "TLS does");
    ut_ok(!ut_equal("redis://me:a@h", "redis://you:a@h"), "a user does");

    ut_ok(ut_no_memory("redis://me:secret@h/1"), "no memory, TCP");
    ut_ok(ut_no_memory("unix:/r?db=1"), "no memory, a socket");

    return ut_done();
}


static ngx_uint_t
ut_good(const ut_good_t *t)
{
    char                   *err;
    ngx_str_t               url;
    ngx_uint_t              ok;
    ngx_pool_t             *pool;
    ngx_chat_redis_conf_t   rcf;

    pool = ut_pool();
    url = ut_str(t->url);
    err = NULL;

    ok = ngx_chat_redis_parse_url(pool, &url, &rcf, &err) == NGX_OK
         && strcmp(ut_address, t->address) == 0
         && ut_is(&rcf.name, t->name)
         && ut_is(&rcf.user, t->user)
         && ut_is(&rcf.password, t->password)
         && rcf.db == t->db
         && rcf.naddrs == 1;

    ut_free(&url);
    ngx_destroy_pool(pool);

    return ok;
}


static ngx_uint_t
ut_bad(const ut_bad_t *t)
{
    char                   *err;
    ngx_str_t               url;
    ngx_uint_t              ok;
    ngx_pool_t             *pool;
    ngx_chat_redis_conf_t   rcf;

    pool = ut_pool();
    url = ut_str(t->url);
    err = NULL;

    ok = ngx_chat_redis_parse_url(pool, &url, &rcf, &err) == NGX_ERROR
         && err && strstr(err, t->err);

    ut_free(&url);
    ngx_destroy_pool(pool);

    return ok;
}


static ngx_uint_t
ut_equal(const char *a, const char *b)
{
    char                   *err;
    ngx_str_t               one, two;
    ngx_uint_t              ok;
    ngx_pool_t             *pool;
    ngx_chat_redis_conf_t   first, second;

    pool = ut_pool();
    one = ut_str(a);
    two = ut_str(b);

    if (ngx_chat_redis_parse_url(pool, &one, &first, &err) != NGX_OK
        || ngx_chat_redis_parse_url(pool, &two, &second, &err) != NGX_OK)
    {
        abort();
    }

    ok = ngx_chat_redis_conf_equal(&first, &second);

    if (ok != ngx_chat_redis_conf_equal(&second, &first)) {
        abort();
    }

    ut_free(&one);
    ut_free(&two);
    ngx_destroy_pool(pool);

    return ok;
}


static ngx_uint_t
ut_no_memory(const char *text)
{
    char                   *err;
    ngx_str_t               url;
    ngx_int_t               rc;
    ngx_uint_t              i;
    ngx_pool_t             *pool;
    ngx_chat_redis_conf_t   rcf;

    for (i = 1; /* void */ ; i++) {
        pool = ut_pool();
        url = ut_str(text);
        err = NULL;

        ut_fail_alloc = i;

        rc = ngx_chat_redis_parse_url(pool, &url, &rcf, &err);

        ut_free(&url);
        ngx_destroy_pool(pool);

        if (ut_fail_alloc) {
            ut_fail_alloc = 0;
            return rc == NGX_OK && i > 1;
        }

        if (rc != NGX_ERROR || err == NULL || strcmp(err, "no memory") != 0) {
            return 0;
        }
    }
}
