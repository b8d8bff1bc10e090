
/*
 * The functions of nginx that URLs of Redis and the store need, besides the
 * codecs'.
 */


#include "ut.h"

#include <stdio.h>
#include <stdlib.h>


char  ut_address[256];


ngx_int_t
ngx_parse_url(ngx_pool_t *pool, ngx_url_t *u)
{
    struct sockaddr_in  *sin;

    snprintf(ut_address, sizeof(ut_address), "%.*s", (int) u->url.len,
             (char *) u->url.data);

    if (!u->no_resolve && strncmp(ut_address, "unknown", 7) == 0) {
        u->err = "host not found";
        return NGX_ERROR;
    }

    if (u->no_resolve && u->url.data[0] != '['
        && (u->url.data[0] < '0' || u->url.data[0] > '9')
        && strncmp(ut_address, "unix:", 5) != 0)
    {
        return NGX_OK;
    }

    u->addrs = ngx_pcalloc(pool, sizeof(ngx_addr_t));
    sin = ngx_pcalloc(pool, sizeof(struct sockaddr_in));

    if (u->addrs == NULL || sin == NULL) {
        return NGX_ERROR;
    }

    /* "one" and "two" are the same */

    sin->sin_addr.s_addr = (u->url.data[0] == 't' && u->url.data[1] == 'w')
                           ? 'o' : u->url.data[0];

    u->addrs->sockaddr = (struct sockaddr *) sin;
    u->addrs->socklen = sizeof(struct sockaddr_in);
    u->naddrs = 1;

    return NGX_OK;
}


ngx_int_t
ngx_cmp_sockaddr(struct sockaddr *sa1, socklen_t slen1,
    struct sockaddr *sa2, socklen_t slen2, ngx_uint_t cmp_port)
{
    struct sockaddr_in  *one, *two;

    one = (struct sockaddr_in *) sa1;
    two = (struct sockaddr_in *) sa2;

    return one->sin_addr.s_addr == two->sin_addr.s_addr ? NGX_OK
                                                        : NGX_DECLINED;
}


ngx_int_t
ngx_atoi(u_char *line, size_t n)
{
    ngx_int_t  value;

    if (n == 0 || n > 18) {
        return NGX_ERROR;
    }

    for (value = 0; n--; line++) {

        if (*line < '0' || *line > '9') {
            return NGX_ERROR;
        }

        value = value * 10 + (*line - '0');
    }

    return value;
}


ngx_int_t
ngx_strncasecmp(u_char *s1, u_char *s2, size_t n)
{
    return strncasecmp((char *) s1, (char *) s2, n);
}
