
/*
 * A provider as configured: plain data, made while the configuration is
 * read, read-only afterwards.  Read by http (what to ask, whom) and by the
 * filler (how to call).
 */


#ifndef _NGX_CHAT_PROVIDER_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_H_INCLUDED_


#include "../ngx_chat.h"


struct ngx_chat_provider_s {
    ngx_str_t        name;
    ngx_str_t        url;          /* without a slash at the end */
    ngx_str_t        key;          /* empty: no Authorization header */
    ngx_str_t        model;
    ngx_str_t        system;       /* empty: no system message */

    ngx_str_t        proxy;        /* URL, then a zero; empty: none */
    ngx_str_t        trusted_certificate;  /* file; empty: the system's */
    ngx_str_t        trusted;      /* contents of the file, in PEM */

    ngx_array_t     *params;       /* of ngx_keyval_t: name, JSON value */
    ngx_uint_t       no_usage;     /* is not asked for token counts */
    uint64_t         cost_in;      /* of a million tokens, in millionths */
    uint64_t         cost_out;
    ngx_array_t     *headers;      /* of ngx_keyval_t; or NULL, as params */

    ngx_msec_t       connect_timeout;
    ngx_msec_t       first_token_timeout;
    ngx_msec_t       idle_timeout;
    ngx_msec_t       total_timeout;
    ngx_uint_t       retries;
    ngx_uint_t       max_fails;    /* 0: never counted as down */
    ngx_msec_t       fail_timeout;

    ngx_uint_t       keepalive;    /* idle connections of a worker */
    ngx_msec_t       keepalive_timeout;

    /*
     * The request body is prefix, the task's messages, suffix; see
     * ngx_chat_provider_json.h.
     */
    ngx_str_t        prefix;
    ngx_str_t        suffix;

    /* url, model, system and params in one hash: what an answer depends on */
    u_char           fp[NGX_CHAT_FP_LEN];
};


#endif /* _NGX_CHAT_PROVIDER_H_INCLUDED_ */
