
/*
 * Where a Redis is and as whom to speak to it; made while the configuration
 * is read, read-only afterwards.
 */


#ifndef _NGX_CHAT_REDIS_URL_H_INCLUDED_
#define _NGX_CHAT_REDIS_URL_H_INCLUDED_


#include "../net/ngx_chat_tls.h"


#define NGX_CHAT_REDIS_MAX_HOSTS  16


typedef struct {
    ngx_str_t        name;         /* without port and brackets, then a zero */
    ngx_str_t        url;          /* "host:port" or "unix:/path" */
    in_port_t        port;
    ngx_addr_t      *addrs;        /* NULL: a name, not resolved (yet) */
    ngx_uint_t       naddrs;
} ngx_chat_redis_host_t;


/* parameters behind a "?" */
typedef struct {
    ngx_chat_tls_t   tls;          /* empty, or NGX_CONF_UNSET: not said */
    ngx_uint_t       db;           /* is set, and not by the path */
    ngx_array_t      ignored;      /* of ngx_str_t: names without effect */
} ngx_chat_redis_args_t;


struct ngx_chat_redis_conf_s {
    /* a single host, or several Sentinels; none where those tell the address */
    ngx_chat_redis_host_t  *hosts;
    ngx_uint_t       nhosts;

    ngx_str_t        name;         /* "host:port/db", for logs: no password */
    ngx_str_t        host;         /* as the URL has it, then a zero */
    ngx_str_t        user;
    ngx_str_t        password;     /* empty: no AUTH */
    ngx_uint_t       db;
    ngx_uint_t       no_port;      /* the URL has none */
    ngx_uint_t       tls;          /* "rediss://", "rediss+sentinel://" */

    /* for those with TLS, set by whoever has parsed the URL */
    ngx_ssl_t       *ssl;
    ngx_str_t        tls_name;     /* empty: the host's */
    ngx_uint_t       tls_any_name;

    /* of the environment's URLs alone, else NULL */
    ngx_chat_redis_args_t  *args;

    /*
     * The Sentinels to be asked for the master, a configuration of their own
     * with the name of the master in it; NULL and empty elsewhere.
     */
    ngx_chat_redis_conf_t  *sentinel;
    ngx_str_t        master;

    /* set by ngx_chat_redis_conf_init() */
    ngx_chat_redis_upstream_t  *group;  /* peers instead of the host */
    ngx_resolver_t  *resolver;     /* of names, when they are needed */
    ngx_msec_t       resolver_timeout;
};


/*
 * redis://[user[:password]@]host[:port][/db], rediss:// for the same with TLS,
 * and unix:/path[?db=n]; user and password may be percent-encoded, the host an
 * IPv6 address in brackets.  No name is resolved.
 *
 * redis+sentinel://[user[:password]@]host[:port][,host[:port]...]/master[/db]
 * with "?sentinel_username=" and "sentinel_password=" for the Sentinels
 * themselves, and rediss+sentinel:// with TLS to both.
 *
 * NGX_ERROR: *err says why, in static text.
 */
ngx_int_t ngx_chat_redis_url_parse(ngx_pool_t *pool, ngx_str_t *url,
    ngx_chat_redis_conf_t *rcf, char **err);

/*
 * The same for URLs that were written for Celery and redis-py: with unix://
 * for a socket, no host for this one, and parameters of theirs, which are
 * mapped, or ignored.
 */
ngx_int_t ngx_chat_redis_url_parse_env(ngx_pool_t *pool, ngx_str_t *url,
    ngx_chat_redis_conf_t *rcf, char **err);


/* does the text begin as one of these URLs? */
ngx_uint_t ngx_chat_redis_url_has_scheme(ngx_str_t *url);


/* ngx_chat_redis_decode.c: "%" and two digits; NGX_ERROR: *err says why */
ngx_int_t ngx_chat_redis_decode(ngx_pool_t *pool, u_char *p, u_char *last,
    ngx_str_t *value, char **err);


/* ngx_chat_redis_args.c */

/* for the parser: the "?" that parameters follow, or NULL */
u_char *ngx_chat_redis_args_find(u_char *p, u_char *last);

/*
 * For the parser: reads them into args, and into what they replace of the
 * rest.  NGX_ERROR: *err says why; "no memory" is there already.
 */
ngx_int_t ngx_chat_redis_args_parse(ngx_pool_t *pool,
    ngx_chat_redis_conf_t *rcf,
    u_char *p, u_char *last, char **err);


/* ngx_chat_redis_conf.c */

/*
 * For the parser: host[:port][,host[:port]...], or the one socket, text with a
 * zero behind.  NGX_ERROR: *err says why; "no memory" is there already.
 */
ngx_int_t ngx_chat_redis_conf_parse_hosts(ngx_pool_t *pool,
    ngx_chat_redis_conf_t *rcf, u_char *p, u_char *last, in_port_t port,
    char **err);
ngx_int_t ngx_chat_redis_conf_set_socket(ngx_pool_t *pool,
    ngx_chat_redis_conf_t *rcf, ngx_str_t *path, char **err);

/*
 * Once all is known: names belong to group (of the one host; may be NULL), or
 * are left to resolver (NULL: none), or are resolved here and now, as
 * "localhost" always is.
 * NGX_ERROR: *err says why, and *name which host.
 */
ngx_int_t ngx_chat_redis_conf_init(ngx_pool_t *pool,
    ngx_chat_redis_conf_t *rcf, ngx_chat_redis_upstream_t *group,
    ngx_resolver_t *resolver, ngx_msec_t timeout, char **err,
    ngx_str_t *name);

/* for those with TLS, and their Sentinels */
void ngx_chat_redis_conf_set_tls(ngx_chat_redis_conf_t *rcf, ngx_ssl_t *ssl,
    ngx_chat_tls_t *tls);

/* the same server, in whatever database and as whom; both are set up */
ngx_uint_t ngx_chat_redis_conf_is_same_server(ngx_chat_redis_conf_t *a,
    ngx_chat_redis_conf_t *b);

/* the same server, database and user: one connection does for both */
ngx_uint_t ngx_chat_redis_conf_is_equal(ngx_chat_redis_conf_t *a,
    ngx_chat_redis_conf_t *b);


#endif /* _NGX_CHAT_REDIS_URL_H_INCLUDED_ */
