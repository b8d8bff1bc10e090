
#include "ngx_http_chat_env.h"


#define NGX_HTTP_CHAT_FILE_MAX  (1024 * 1024)


static ngx_int_t ngx_http_chat_env_keep(ngx_conf_t *cf, ngx_str_t *name,
    ngx_uint_t secret);
static ngx_int_t ngx_http_chat_env_read_file(ngx_conf_t *cf,
    ngx_str_t *directive,
    ngx_str_t *path, ngx_str_t *value);


ngx_int_t
ngx_http_chat_env_get(ngx_conf_t *cf, const char *name, ngx_uint_t secret,
    ngx_str_t *value)
{
    char       **p;
    size_t       len;
    ngx_str_t    copy;

    ngx_str_null(value);

    len = ngx_strlen(name);

    for (p = environ; *p; p++) {

        if (ngx_strncmp(*p, name, len) == 0 && (*p)[len] == '=') {
            break;
        }
    }

    if (*p == NULL || (*p)[len + 1] == '\0') {
        return NGX_DECLINED;
    }

    copy.len = ngx_strlen(*p + len + 1);
    copy.data = (u_char *) *p + len + 1;

    value->data = ngx_pstrdup(cf->pool, &copy);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = copy.len;

    copy.len = len;
    copy.data = (u_char *) name;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, cf->log, 0,
                   "chat environment variable \"%V\" is used", &copy);

    return ngx_http_chat_env_keep(cf, &copy, secret);
}


static ngx_int_t
ngx_http_chat_env_keep(ngx_conf_t *cf, ngx_str_t *name, ngx_uint_t secret)
{
    u_char                     *copy;
    ngx_str_t                  *var;
    ngx_uint_t                  i;
    ngx_core_conf_t            *ccf;
    ngx_http_chat_main_conf_t  *chmcf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);
    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    /* nginx looks at the byte behind a name */

    copy = ngx_pnalloc(cf->pool, name->len + 1);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(copy, name->data, name->len + 1);

    var = ccf->env.elts;

    for (i = 0; i < ccf->env.nelts; i++) {

        if (var[i].len == name->len
            && ngx_strncmp(var[i].data, name->data, name->len) == 0)
        {
            break;
        }
    }

    if (i == ccf->env.nelts) {
        var = ngx_array_push(&ccf->env);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->len = name->len;
        var->data = copy;
    }

    if (!secret) {
        return NGX_OK;
    }

    var = ngx_array_push(&chmcf->secrets);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->len = name->len;
    var->data = copy;

    return NGX_OK;
}


const char *
ngx_http_chat_env_get_hint(void)
{
    if (ngx_test_config || ngx_process == NGX_PROCESS_SIGNALLER) {
        return " in the environment of this command; "
               "the running nginx has its own";
    }

    return "";
}


ngx_int_t
ngx_http_chat_env_read_value(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_uint_t env,
    ngx_uint_t secret, ngx_str_t *text, ngx_str_t *value)
{
    ngx_int_t  rc;
    ngx_str_t  path;

    if (env && text->len > 4 && ngx_strncmp(text->data, "env:", 4) == 0) {

        rc = ngx_http_chat_env_get(cf, (char *) text->data + 4, secret, value);

        if (rc == NGX_DECLINED) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "chat directive \"%V\" has no value: "
                               "environment variable \"%s\" is not set%s",
                               directive, text->data + 4,
                               ngx_http_chat_env_get_hint());
            return NGX_OK;
        }

        return rc;
    }

    if (text->len > 5 && ngx_strncmp(text->data, "file:", 5) == 0) {

        path.len = text->len - 5;
        path.data = text->data + 5;

        if (ngx_http_chat_env_read_file(cf, directive, &path,
                                        value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (secret) {
            ngx_http_chat_env_check_mode(cf, directive, &path);
        }

        if (secret && value->len && value->data[value->len - 1] == LF) {
            value->len--;

            if (value->len && value->data[value->len - 1] == CR) {
                value->len--;
            }
        }

        return NGX_OK;
    }

    *value = *text;

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_env_read_file(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *path,
    ngx_str_t *value)
{
    off_t            size;
    ssize_t          n;
    ngx_int_t        rc;
    ngx_file_t       file;
    ngx_file_info_t  fi;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name = *path;
    file.log = cf->log;

    file.fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "chat directive \"%V\": " ngx_open_file_n
                           " \"%V\" failed",
                           directive, path);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_fd_info(file.fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat directive \"%V\": \"%V\" is not a regular "
                           "file",
                           directive, path);
        goto done;
    }

    size = ngx_file_size(&fi);

    if (size > NGX_HTTP_CHAT_FILE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat directive \"%V\": \"%V\" is longer than "
                           "1 MB",
                           directive, path);
        goto done;
    }

    value->data = ngx_pnalloc(cf->pool, (size_t) size + 1);
    if (value->data == NULL) {
        goto done;
    }

    n = ngx_read_file(&file, value->data, (size_t) size, 0);

    if (n != (ssize_t) size) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat directive \"%V\": \"%V\" could not be read "
                           "whole",
                           directive, path);
        goto done;
    }

    value->len = (size_t) size;
    value->data[size] = '\0';

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, cf->log, 0,
                   "chat directive \"%V\" has %O bytes of \"%V\"",
                   directive, size, path);

    rc = NGX_OK;

done:

    (void) ngx_close_file(file.fd);

    return rc;
}


void
ngx_http_chat_env_check_mode(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *path)
{
    ngx_uint_t       mode;
    ngx_file_info_t  fi;

    if (ngx_file_info(path->data, &fi) == NGX_FILE_ERROR) {
        return;
    }

    mode = ngx_file_access(&fi);

    if (mode & S_IROTH) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "chat directive \"%V\": \"%V\" can be read by all "
                      "users, its mode is 0%ui%ui%ui", directive, path,
                      mode >> 6, mode >> 3 & 7, mode & 7);
    }
}


void
ngx_http_chat_env_drop_secrets(ngx_array_t *secrets)
{
    char       **p, **q;
    ngx_str_t   *name;
    ngx_uint_t   i;

    name = secrets->elts;

    for (i = 0; i < secrets->nelts; i++) {

        q = environ;

        for (p = environ; *p; p++) {

            if (ngx_strncmp(*p, name[i].data, name[i].len) == 0
                && (*p)[name[i].len] == '=')
            {
                continue;
            }

            *q++ = *p;
        }

        *q = NULL;
    }
}
