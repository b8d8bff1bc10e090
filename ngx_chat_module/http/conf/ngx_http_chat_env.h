
/*
 * Values that stand elsewhere: in an environment variable of the process that
 * reads the configuration, or in a file.
 */


#ifndef _NGX_HTTP_CHAT_ENV_H_INCLUDED_
#define _NGX_HTTP_CHAT_ENV_H_INCLUDED_


#include "../ngx_http_chat.h"


/*
 * Looks name up and, if it is set, has nginx keep it through a binary
 * upgrade; secret: workers and fillers are not to have it.
 * NGX_OK; NGX_DECLINED: not set, or empty; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_chat_env_get(ngx_conf_t *cf, const char *name,
    ngx_uint_t secret, ngx_str_t *value);

/*
 * The end of a line that says "... is not set": for "nginx -t" and "nginx -s",
 * which read the environment of a shell and not that of the service.
 */
const char *ngx_http_chat_env_get_hint(void);

/*
 * VALUE, env:NAME or file:PATH.  A variable that is not set leaves *value
 * empty, with a warning; a missing file, or one over 1 MB, is an error.  One
 * line end at the end of a secret's file is cut off, and one that everybody
 * may read is warned of.
 * NGX_OK, NGX_ERROR: logged with the name of the directive.
 */
ngx_int_t ngx_http_chat_env_read_value(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_uint_t env, ngx_uint_t secret, ngx_str_t *text, ngx_str_t *value);

/* warns of a file that should not be for everybody; the path ends in a zero */
void ngx_http_chat_env_check_mode(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *path);

/* in a worker: takes the secrets out of its environment */
void ngx_http_chat_env_drop_secrets(ngx_array_t *secrets);


#endif /* _NGX_HTTP_CHAT_ENV_H_INCLUDED_ */
