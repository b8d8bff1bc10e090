
/*
 * Spare connections: as long as a worker asks a provider, it keeps an idle
 * connection to it, and makes one in the background, handshakes and all, when
 * the last one is used or closed.  No call waits for a spare, and nothing that
 * becomes of it counts against the provider.  One that closes the connection
 * behind each answer gets none: it may have a single process, which would wait
 * for what comes on the spare.
 */


#ifndef _NGX_HTTP_CHAT_SPARE_H_INCLUDED_
#define _NGX_HTTP_CHAT_SPARE_H_INCLUDED_


#include "ngx_http_chat_kept.h"


/* in init_process of a worker: NGX_OK; NGX_ERROR: no memory */
ngx_int_t ngx_http_chat_spares_init(ngx_http_chat_main_conf_t *chmcf,
    ngx_cycle_t *cycle);

/* in exit_process: with all that is kept */
void ngx_http_chat_spares_close(void);

/* the provider is asked now; resolver: for its name, NULL: none */
void ngx_http_chat_spare_ask(ngx_http_chat_provider_upstream_t *pu,
    ngx_resolver_t *resolver);

/* an answer has begun; lasting: its connection is not closed behind it */
void ngx_http_chat_spare_answer(ngx_http_chat_provider_upstream_t *pu,
    ngx_uint_t lasting);


#endif /* _NGX_HTTP_CHAT_SPARE_H_INCLUDED_ */
