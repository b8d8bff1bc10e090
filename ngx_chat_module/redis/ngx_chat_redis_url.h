
/*
 * Where a Redis is and as whom to speak to it; made while the configuration
 * is read, read-only afterwards.
 */


#ifndef _NGX_CHAT_REDIS_URL_H_INCLUDED_
#define _NGX_CHAT_REDIS_URL_H_INCLUDED_


#include "../ngx_chat.h"


struct ngx_chat_redis_conf_s {
    ngx_addr_t      *addrs;
    ngx_uint_t       naddrs;
    ngx_str_t        name;         /* "host:port/db", for logs: no password */
    ngx_str_t        host;         /* as the URL has it, then a zero */
    ngx_str_t        user;
    ngx_str_t        password;     /* empty: no AUTH */
    ngx_uint_t       db;
    ngx_uint_t       tls;          /* "rediss://" */

    /* for those with TLS, set by whoever has parsed the URL */
    ngx_ssl_t       *ssl;
    ngx_str_t        tls_name;     /* empty: the host's */
};


/*
 * redis://[user[:password]@]host[:port][/db], rediss:// for the same with TLS,
 * and unix:/path[?db=n]; user and password may be percent-encoded, the host an
 * IPv6 address in brackets.  Names are resolved here.  NGX_ERROR: *err says
 * why, in static text.
 */
ngx_int_t ngx_chat_redis_parse_url(ngx_pool_t *pool, ngx_str_t *url,
    ngx_chat_redis_conf_t *rcf, char **err);

/* the same server, database and user: one connection does for both */
ngx_uint_t ngx_chat_redis_conf_equal(ngx_chat_redis_conf_t *a,
    ngx_chat_redis_conf_t *b);


#endif /* _NGX_CHAT_REDIS_URL_H_INCLUDED_ */
