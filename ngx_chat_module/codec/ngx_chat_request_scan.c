
#include "ngx_chat_request_scan.h"
#include "ngx_chat_json.h"
#include "ngx_chat_json_walk.h"


static ngx_int_t ngx_chat_request_scan_question(u_char **pos, u_char *last,
    ngx_str_t *question, ngx_pool_t *pool);
static u_char *ngx_chat_request_scan_string(u_char *p, u_char *last,
    ngx_uint_t *escapes);
static ngx_uint_t ngx_chat_request_scan_word(u_char **pos, u_char *last,
    ngx_str_t *word);
static u_char *ngx_chat_request_scan_blank(u_char *p, u_char *last);


static ngx_str_t  ngx_chat_request_scan_question_name =
    ngx_string("\"question\"");
static ngx_str_t  ngx_chat_request_scan_use_cache_name =
    ngx_string("\"use_cache\"");
static ngx_str_t  ngx_chat_request_scan_true = ngx_string("true");
static ngx_str_t  ngx_chat_request_scan_false = ngx_string("false");


ngx_int_t
ngx_chat_request_scan(ngx_str_t *body, ngx_str_t *question,
    ngx_uint_t *use_cache, ngx_pool_t *pool)
{
    u_char      *p, *last, *name;
    ngx_int_t    rc;
    ngx_uint_t   seen_question, seen_use_cache;

    if (body->len == 0) {
        return NGX_DECLINED;
    }

    seen_question = 0;
    seen_use_cache = 0;

    last = body->data + body->len;
    p = ngx_chat_request_scan_blank(body->data, last);

    if (p == last || *p != '{') {
        return NGX_DECLINED;
    }

    do {
        p = ngx_chat_request_scan_blank(p + 1, last);
        name = p;

        if (!ngx_chat_request_scan_word(&p, last,
                                        &ngx_chat_request_scan_question_name)
            && !ngx_chat_request_scan_word(&p, last,
                                       &ngx_chat_request_scan_use_cache_name))
        {
            return NGX_DECLINED;
        }

        p = ngx_chat_request_scan_blank(p, last);

        if (p == last || *p != ':') {
            return NGX_DECLINED;
        }

        p = ngx_chat_request_scan_blank(p + 1, last);

        if (name[1] == 'q') {

            if (seen_question++) {
                return NGX_DECLINED;
            }

            rc = ngx_chat_request_scan_question(&p, last, question, pool);

            if (rc != NGX_OK) {
                return rc;
            }

        } else if (seen_use_cache++) {
            return NGX_DECLINED;

        } else if (ngx_chat_request_scan_word(&p, last,
                                              &ngx_chat_request_scan_true))
        {
            *use_cache = 1;

        } else if (ngx_chat_request_scan_word(&p, last,
                                              &ngx_chat_request_scan_false))
        {
            *use_cache = 0;

        } else {
            return NGX_DECLINED;
        }

        p = ngx_chat_request_scan_blank(p, last);

    } while (p < last && *p == ',');

    if (p == last || *p != '}' || !seen_question
        || ngx_chat_request_scan_blank(p + 1, last) != last)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_request_scan_question(u_char **pos, u_char *last,
    ngx_str_t *question, ngx_pool_t *pool)
{
    u_char      *p;
    ngx_str_t    string;
    ngx_uint_t   half, escapes;

    escapes = 0;

    p = ngx_chat_request_scan_string(*pos, last, &escapes);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    string.len = p - *pos;
    string.data = *pos;

    *pos = p;

    if (ngx_chat_json_check_text(string.data, string.len) != NGX_OK) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(pool, string.len + 3);
    if (p == NULL) {
        return NGX_ERROR;
    }

    question->data = p;

    if (escapes) {
        half = 0;
        p = ngx_chat_json_decode(p, &string, &half);

    } else {
        p = ngx_cpymem(p, string.data + 1, string.len - 2);
    }

    question->len = p - question->data;

    return NGX_OK;
}


/* the end of a string; NULL: it is none, or has what no string may have */

static u_char *
ngx_chat_request_scan_string(u_char *p, u_char *last, ngx_uint_t *escapes)
{
    if (p == last || *p != '"') {
        return NULL;
    }

    for (p++; p < last; p++) {

        if (*p == '"') {
            return p + 1;
        }

        if (*p < 0x20) {
            return NULL;
        }

        if (*p == '\\') {

            if (++p == last || *p == '\0'
                || ngx_strchr("\"\\/bfnrtu", *p) == NULL)
            {
                return NULL;
            }

            (*escapes)++;
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_chat_request_scan_word(u_char **pos, u_char *last, ngx_str_t *word)
{
    if ((size_t) (last - *pos) < word->len
        || ngx_memcmp(*pos, word->data, word->len) != 0)
    {
        return 0;
    }

    *pos += word->len;

    return 1;
}


static u_char *
ngx_chat_request_scan_blank(u_char *p, u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t' || *p == CR || *p == LF)) {
        p++;
    }

    return p;
}
