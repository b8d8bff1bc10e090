
/*
 * How Redis is spoken to over TLS, as chat_redis_ssl_* or the environment say
 * it: plain data, made while the configuration is read.
 */


#ifndef _NGX_CHAT_TLS_H_INCLUDED_
#define _NGX_CHAT_TLS_H_INCLUDED_


#include "../ngx_chat.h"


typedef struct {
    ngx_str_t        trusted_certificate;  /* file; empty: the system's */
    ngx_str_t        certificate;          /* our own; empty: none */
    ngx_str_t        certificate_key;
    ngx_str_t        name;                 /* empty: the host's */
    ngx_uint_t       any_name;             /* whomever it is issued to */
    ngx_flag_t       verify;
    ngx_int_t        verify_depth;
    ngx_uint_t       protocols;            /* NGX_SSL_TLSv1_2 and the like */
} ngx_chat_tls_t;


#endif /* _NGX_CHAT_TLS_H_INCLUDED_ */
