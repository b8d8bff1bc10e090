
/*
 * The URL of a Redis: what it is taken apart into, and what is refused.
 * Names are not resolved here; what would be is kept for the test.
 */


#include "ut.h"

#include <stdlib.h>

#include "../../ngx_chat_module/redis/ngx_chat_redis_url.c"
#include "../../ngx_chat_module/redis/ngx_chat_redis_args.c"
#include "../../ngx_chat_module/redis/ngx_chat_redis_decode.c"
#include "../../ngx_chat_module/redis/ngx_chat_redis_conf.c"


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


typedef struct {
    const char  *url;
    const char  *hosts[4];
    const char  *name;
    const char  *master;
    const char  *user;
    const char  *password;
    const char  *sentinel_user;
    const char  *sentinel_password;
    ngx_uint_t   db;
} ut_sentinel_t;


typedef struct {
    const char  *url;
    const char  *name;
    const char  *user;
    const char  *password;
    const char  *ca;
    const char  *cert;
    const char  *key;
    ngx_flag_t   verify;
    ngx_uint_t   any_name;
    const char  *ignored;
} ut_env_t;


static ngx_uint_t ut_good(const ut_good_t *t);
static ngx_uint_t ut_env(const ut_env_t *t);
static ngx_uint_t ut_sentinel(const ut_sentinel_t *t);
static ngx_uint_t ut_bad(const ut_bad_t *t, ngx_uint_t env);
static ngx_uint_t ut_equal(const char *a, const char *b);
static ngx_uint_t ut_unknown(const char *text);
static ngx_uint_t ut_no_memory(const char *text, ngx_uint_t env);


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


static const ut_sentinel_t  ut_sentinels[] = {

    { "redis+sentinel://a/m",
      { "a:26379" }, "a:26379/m", "m", "", "", "", "", 0 },

    { "REDIS+SENTINEL://a:1,b,[::1]:3/my.master-1/7",
      { "a:1", "b:26379", "[::1]:3" }, "a:1,b:26379,[::1]:3/my.master-1",
      "my.master-1", "", "", "", "", 7 },

    { "rediss+sentinel://me:secret@a,b/m/",
      { "a:26379", "b:26379" }, "a:26379,b:26379/m", "m",
      "me", "secret", "", "", 0 },

    { "redis+sentinel://:s@/x@a/m?sentinel_password=p%40q",
      { "a:26379" }, "a:26379/m", "m", "", "s@/x", "", "p@q", 0 },

    { "redis+sentinel://a/m/1?sentinel_password=p@q/&sentinel_username=u",
      { "a:26379" }, "a:26379/m", "m", "", "", "u", "p@q/", 1 },

    { NULL, { NULL }, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};


/* as Celery and redis-py have them, in the environment alone */

static const ut_env_t  ut_envs[] = {

    { "redis://:s@h/1",
      "h:6379/1", "", "s", "", "", "", NGX_CONF_UNSET, 0, NULL },

    { "rediss://h/1?ssl_cert_reqs=none",
      "h:6379/1", "", "", "", "", "", 0, 0, "" },

    { "rediss://h?ssl_cert_reqs=CERT_NONE",
      "h:6379/0", "", "", "", "", "", 0, 0, "" },

    { "rediss://h?ssl_cert_reqs=required",
      "h:6379/0", "", "", "", "", "", 1, 0, "" },

    { "rediss://h?ssl_cert_reqs=CERT_REQUIRED",
      "h:6379/0", "", "", "", "", "", 1, 0, "" },

    { "rediss://h?ssl_cert_reqs=optional",
      "h:6379/0", "", "", "", "", "", 1, 0, "" },

    { "rediss://h?ssl_cert_reqs=CERT_OPTIONAL",
      "h:6379/0", "", "", "", "", "", 1, 0, "" },

    { "rediss://h?ssl_cert_reqs=maybe",
      "h:6379/0", "", "", "", "", "", NGX_CONF_UNSET, 0, "ssl_cert_reqs" },

    { "rediss://u:p@h:1/2?ssl_ca_certs=%2Fa%2Bb.pem&ssl_certfile=/c@d"
      "&ssl_keyfile=/e&ssl_cert_reqs=required&ssl_check_hostname=False",
      "h:1/2", "u", "p", "/a+b.pem", "/c@d", "/e", 1, 1, "" },

    { "rediss://h?ssl_check_hostname=true&ssl_check_hostname=what",
      "h:6379/0", "", "", "", "", "", NGX_CONF_UNSET, 0,
      "ssl_check_hostname" },

    { "redis://h/3?ssl_cert_reqs=none&ssl_ca_certs=/a",
      "h:6379/3", "", "", "", "", "", NGX_CONF_UNSET, 0,
      "ssl_cert_reqs ssl_ca_certs" },

    { "redis://h/3?socket_timeout=5&db=4&&health_check_interval=30",
      "h:6379/4", "", "", "", "", "", NGX_CONF_UNSET, 0,
      "socket_timeout health_check_interval" },

    { "redis://h?username=u&password=p%40",
      "h:6379/0", "u", "p@", "", "", "", NGX_CONF_UNSET, 0, "" },

    { "redis://me:s@h?username=u&password=p",
      "h:6379/0", "me", "s", "", "", "", NGX_CONF_UNSET, 0, "" },

    { "redis://h?client_name=a@b",
      "h:6379/0", "", "", "", "", "", NGX_CONF_UNSET, 0, "client_name" },

    { "redis://h/1?", "h:6379/1", "", "", "", "", "", NGX_CONF_UNSET, 0, "" },

    { "redis://h/1?What&sEcret=1",
      "h:6379/1", "", "", "", "", "", NGX_CONF_UNSET, 0, "? ?" },

    { "redis://:a@b/c?d#e@h/1",
      "h:6379/1", "", "a@b/c?d#e", "", "", "", NGX_CONF_UNSET, 0, NULL },

    { "redis://",
      "127.0.0.1:6379/0", "", "", "", "", "", NGX_CONF_UNSET, 0, NULL },

    { "redis:///5",
      "127.0.0.1:6379/5", "", "", "", "", "", NGX_CONF_UNSET, 0, NULL },

    { "redis://:secret@:7000/5",
      "127.0.0.1:7000/5", "", "secret", "", "", "", NGX_CONF_UNSET, 0, NULL },

    { "unix:///run/r.sock?db=2",
      "unix:/run/r.sock?db=2", "", "", "", "", "", NGX_CONF_UNSET, 0, "" },

    { "unix://me:s@/run/r?virtual_host=2",
      "unix:/run/r?db=0", "me", "s", "", "", "", NGX_CONF_UNSET, 0,
      "virtual_host" },

    { "unix:/run/r@s?db=1&ssl_cert_reqs=none",
      "unix:/run/r@s?db=1", "", "", "", "", "", NGX_CONF_UNSET, 0,
      "ssl_cert_reqs" },

    { "rediss+sentinel://:p@a/m/1?ssl_ca_certs=/c&sentinel_x=1&db=7",
      "a:26379/m/7", "", "p", "/c", "", "", NGX_CONF_UNSET, 0,
      "sentinel_x" },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL }
};


static const ut_bad_t  ut_env_bads[] = {
    { "http://h", "begins with" },
    { "redis://h?db=x", "not a number" },
    { "redis://h/x?ssl_cert_reqs=none", "not a number" },
    { "rediss://h?ssl_ca_certs=%2", "hexadecimal" },
    { "redis://h:x?a=1", "invalid port" },
    { "redis+sentinel:///m?a=1", "no host" },
    { "unix://?db=1", "a socket is written" },
    { NULL, NULL }
};


static const ut_bad_t  ut_bads[] = {
    { "", "begins with" },
    { "redis:", "begins with" },
    { "redis:/h", "begins with" },
    { "http://h", "begins with" },
    { "localhost:6379", "begins with" },
    { "redis+sentinel://h", "no name of a master" },
    { "redis+sentinel://h/", "no name of a master" },
    { "redis+sentinel://h//1", "no name of a master" },
    { "redis+sentinel://", "no name of a master" },
    { "redis+sentinel:///m", "no host" },
    { "rediss+sentinel://a,/m", "no host" },
    { "redis+sentinel://a,,b/m", "no host" },
    { "redis+sentinel://,a/m", "no host" },
    { "redis+sentinel://a,[],b/m", "no host" },
    { "redis+sentinel://a:0/m", "invalid port" },
    { "redis+sentinel://a:1,b:x/m", "invalid port" },
    { "redis+sentinel://[::1,a/m", "missing" },
    { "redis+sentinel://a/m/x", "not a number" },
    { "redis+sentinel://a/m/1/", "not a number" },
    { "redis+sentinel://a/m?db=1", "only \"sentinel_username\"" },
    { "redis+sentinel://a/m?sentinel_x=1", "only \"sentinel_username\"" },
    { "redis+sentinel://a/m?sentinel_password=", "only \"sentinel" },
    { "redis+sentinel://a/m?sentinel_password=%", "hexadecimal" },
    { "redis+sentinel://a/m?sentinel_password=p&db=1", "only \"sentinel" },
    { "redis+sentinel://a/m#x", "only \"sentinel_username\"" },
    { "redis+sentinel://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17/m",
      "too many hosts" },
    { "redis://a,b", "several hosts" },
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
    { NULL, NULL }
};


int
main(void)
{
    ngx_uint_t  i;

    for (i = 0; ut_goods[i].url; i++) {
        ut_ok(ut_good(&ut_goods[i]), ut_goods[i].url);
    }

    for (i = 0; ut_sentinels[i].url; i++) {
        ut_ok(ut_sentinel(&ut_sentinels[i]), ut_sentinels[i].url);
    }

    for (i = 0; ut_bads[i].url; i++) {
        ut_ok(ut_bad(&ut_bads[i], 0), ut_bads[i].url);
    }

    for (i = 0; ut_envs[i].url; i++) {
        ut_ok(ut_env(&ut_envs[i]), ut_envs[i].url);
    }

    for (i = 0; ut_env_bads[i].url; i++) {
        ut_ok(ut_bad(&ut_env_bads[i], 1), ut_env_bads[i].url);
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

    ut_ok(ut_equal("redis+sentinel://one,two/m", "redis+sentinel://one,two/m"),
          "nor do Sentinels");
    ut_ok(!ut_equal("redis+sentinel://one/m", "redis+sentinel://one/n"),
          "the name of a master does");
    ut_ok(!ut_equal("redis+sentinel://one/m", "redis+sentinel://one,two/m"),
          "a Sentinel more does");
    ut_ok(!ut_equal("redis+sentinel://one/m", "redis://one"),
          "a Sentinel is no Redis");

    ut_ok(ut_unknown("redis://unknown"), "a name that nobody knows");
    ut_ok(ut_unknown("redis+sentinel://one,unknown/m"), "one of two");

    ut_ok(ut_no_memory("redis://me:secret@h/1", 0), "no memory, TCP");
    ut_ok(ut_no_memory("redis+sentinel://me:secret@a,b/m/1"
                       "?sentinel_password=p", 0), "no memory, Sentinel");
    ut_ok(ut_no_memory("unix:/r?db=1", 0), "no memory, a socket");
    ut_ok(ut_no_memory("rediss://:6379?ssl_ca_certs=/a&x=1&db=2", 1),
          "no memory, parameters");

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

    ok = ngx_chat_redis_url_parse(pool, &url, &rcf, &err) == NGX_OK
         && strcmp(ut_address, t->address) == 0
         && ut_is(&rcf.name, t->name)
         && ut_is(&rcf.user, t->user)
         && ut_is(&rcf.password, t->password)
         && rcf.db == t->db
         && rcf.nhosts == 1
         && ut_is(&rcf.hosts->url, t->address)
         && rcf.host.data == rcf.hosts->name.data
         && rcf.host.data[rcf.host.len] == '\0';

    ut_free(&url);
    ngx_destroy_pool(pool);

    return ok;
}


static ngx_uint_t
ut_sentinel(const ut_sentinel_t *t)
{
    char                   *err;
    ngx_str_t               url;
    ngx_uint_t              i, ok;
    ngx_pool_t             *pool;
    ngx_chat_redis_conf_t   rcf, *s;

    pool = ut_pool();
    url = ut_str(t->url);
    err = NULL;

    ok = ngx_chat_redis_url_parse(pool, &url, &rcf, &err) == NGX_OK;

    /* nothing may point into the URL */

    ut_free(&url);

    s = ok ? rcf.sentinel : NULL;

    ok = s
         && ut_is(&s->name, t->name)
         && ut_is(&s->master, t->master)
         && ut_is(&s->user, t->sentinel_user)
         && ut_is(&s->password, t->sentinel_password)
         && ut_is(&rcf.user, t->user)
         && ut_is(&rcf.password, t->password)
         && rcf.db == t->db
         && rcf.nhosts == 0;

    for (i = 0; ok && i < s->nhosts; i++) {
        ok = t->hosts[i] && ut_is(&s->hosts[i].url, t->hosts[i]);
    }

    ngx_destroy_pool(pool);

    return ok && t->hosts[i] == NULL;
}


static ngx_uint_t
ut_env(const ut_env_t *t)
{
    char                     *err, ignored[128];
    ngx_str_t                 url, *name;
    ngx_uint_t                i, ok;
    ngx_pool_t               *pool;
    ngx_chat_tls_t           *tls;
    ngx_chat_redis_conf_t     rcf;

    pool = ut_pool();
    url = ut_str(t->url);
    err = NULL;

    ok = ngx_chat_redis_url_parse_env(pool, &url, &rcf, &err) == NGX_OK
         && ut_is(&rcf.name, t->name)
         && ut_is(&rcf.user, t->user)
         && ut_is(&rcf.password, t->password)
         && (rcf.args == NULL) == (t->ignored == NULL);

    if (ok && rcf.args) {
        tls = &rcf.args->tls;

        ok = ut_is(&tls->trusted_certificate, t->ca)
             && ut_is(&tls->certificate, t->cert)
             && ut_is(&tls->certificate_key, t->key)
             && tls->verify == t->verify
             && tls->any_name == t->any_name;

        ignored[0] = '\0';
        name = rcf.args->ignored.elts;

        for (i = 0; i < rcf.args->ignored.nelts; i++) {
            if (i) {
                strcat(ignored, " ");
            }

            strncat(ignored, (char *) name[i].data, name[i].len);
        }

        ok &= strcmp(ignored, t->ignored) == 0;
    }

    ut_free(&url);
    ngx_destroy_pool(pool);

    return ok;
}


static ngx_uint_t
ut_bad(const ut_bad_t *t, ngx_uint_t env)
{
    ngx_int_t               rc;
    char                   *err;
    ngx_str_t               url;
    ngx_uint_t              ok;
    ngx_pool_t             *pool;
    ngx_chat_redis_conf_t   rcf;

    pool = ut_pool();
    url = ut_str(t->url);
    err = NULL;

    rc = env ? ngx_chat_redis_url_parse_env(pool, &url, &rcf, &err)
             : ngx_chat_redis_url_parse(pool, &url, &rcf, &err);

    ok = rc == NGX_ERROR && err && strstr(err, t->err);

    ut_free(&url);
    ngx_destroy_pool(pool);

    return ok;
}


static ngx_uint_t
ut_equal(const char *a, const char *b)
{
    char                   *err;
    ngx_str_t               one, two, name;
    ngx_uint_t              ok;
    ngx_pool_t             *pool;
    ngx_chat_redis_conf_t   first, second;

    pool = ut_pool();
    one = ut_str(a);
    two = ut_str(b);

    if (ngx_chat_redis_url_parse(pool, &one, &first, &err) != NGX_OK
        || ngx_chat_redis_url_parse(pool, &two, &second, &err) != NGX_OK
        || ngx_chat_redis_conf_init(pool, &first, NULL, NULL, 0, &err, &name)
           != NGX_OK
        || ngx_chat_redis_conf_init(pool, &second, NULL, NULL, 0, &err, &name)
           != NGX_OK)
    {
        abort();
    }

    ok = ngx_chat_redis_conf_is_equal(&first, &second);

    if (ok != ngx_chat_redis_conf_is_equal(&second, &first)) {
        abort();
    }

    ut_free(&one);
    ut_free(&two);
    ngx_destroy_pool(pool);

    return ok;
}


static ngx_uint_t
ut_unknown(const char *text)
{
    char                   *err;
    ngx_str_t               url, name;
    ngx_uint_t              ok;
    ngx_pool_t             *pool;
    ngx_chat_redis_conf_t   rcf;

    pool = ut_pool();
    url = ut_str(text);

    ok = ngx_chat_redis_url_parse(pool, &url, &rcf, &err) == NGX_OK
         && ngx_chat_redis_conf_init(pool, &rcf, NULL, NULL, 0, &err, &name)
            == NGX_ERROR
         && strcmp(err, "host not found") == 0
         && ut_is(&name, "unknown");

    ut_free(&url);
    ngx_destroy_pool(pool);

    return ok;
}


static ngx_uint_t
ut_no_memory(const char *text, ngx_uint_t env)
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

        rc = env ? ngx_chat_redis_url_parse_env(pool, &url, &rcf, &err)
                 : ngx_chat_redis_url_parse(pool, &url, &rcf, &err);

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
