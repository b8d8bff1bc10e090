
#include "ngx_chat_delta.h"
#include "ngx_chat_json.h"
#include "ngx_chat_json_walk.h"
#include "ngx_chat_provider_reason.h"
#include "ngx_chat_refusal.h"
#include "ngx_chat_str.h"


#define NGX_CHAT_DELTA_CODE_MAX  999999999


/* members of an event; the others are of no interest */

enum {
    ngx_chat_delta_event_choices = 0,
    ngx_chat_delta_event_model,
    ngx_chat_delta_event_usage,
    ngx_chat_delta_event_object,
    ngx_chat_delta_event_type,
    ngx_chat_delta_event_error,
    ngx_chat_delta_event_error_code,
    ngx_chat_delta_event_error_type,
    ngx_chat_delta_event_errors,
    ngx_chat_delta_event_groq,
    ngx_chat_delta_event_message,
    ngx_chat_delta_event_code,
    ngx_chat_delta_event_status,
    ngx_chat_delta_event_members
};


static ngx_str_t  ngx_chat_delta_event_names[] = {
    [ngx_chat_delta_event_choices] = ngx_string("choices"),
    [ngx_chat_delta_event_model] = ngx_string("model"),
    [ngx_chat_delta_event_usage] = ngx_string("usage"),
    [ngx_chat_delta_event_object] = ngx_string("object"),
    [ngx_chat_delta_event_type] = ngx_string("type"),
    [ngx_chat_delta_event_error] = ngx_string("error"),
    [ngx_chat_delta_event_error_code] = ngx_string("error_code"),
    [ngx_chat_delta_event_error_type] = ngx_string("error_type"),
    [ngx_chat_delta_event_errors] = ngx_string("errors"),
    [ngx_chat_delta_event_groq] = ngx_string("x_groq"),
    [ngx_chat_delta_event_message] = ngx_string("message"),
    [ngx_chat_delta_event_code] = ngx_string("code"),
    [ngx_chat_delta_event_status] = ngx_string("status")
};


/* members of a choice */

enum {
    ngx_chat_delta_choice_index = 0,
    ngx_chat_delta_choice_delta,
    ngx_chat_delta_choice_message,
    ngx_chat_delta_choice_finish,
    ngx_chat_delta_choice_error,
    ngx_chat_delta_choice_members
};


static ngx_str_t  ngx_chat_delta_choice_names[] = {
    [ngx_chat_delta_choice_index] = ngx_string("index"),
    [ngx_chat_delta_choice_delta] = ngx_string("delta"),
    [ngx_chat_delta_choice_message] = ngx_string("message"),
    [ngx_chat_delta_choice_finish] = ngx_string("finish_reason"),
    [ngx_chat_delta_choice_error] = ngx_string("error")
};


/* members of a part of a text */

enum {
    ngx_chat_delta_part_type = 0,
    ngx_chat_delta_part_text,
    ngx_chat_delta_part_members
};


static ngx_str_t  ngx_chat_delta_part_names[] = {
    [ngx_chat_delta_part_type] = ngx_string("type"),
    [ngx_chat_delta_part_text] = ngx_string("text")
};


/* members with the code of an error, or of an event that is one */

static ngx_str_t  ngx_chat_delta_code_names[] = {
    ngx_string("code"),
    ngx_string("error_code"),
    ngx_string("status"),
    ngx_string("status_code")
};


static ngx_str_t  ngx_chat_delta_replacement = ngx_string("\xef\xbf\xbd");


static ngx_str_t ngx_chat_delta_trim(ngx_str_t *data);
static ngx_int_t ngx_chat_delta_read_event(ngx_chat_delta_t *d,
    ngx_str_t *event, ngx_pool_t *pool);
static ngx_uint_t ngx_chat_delta_is_error(ngx_str_t *v);
static ngx_int_t ngx_chat_delta_read_choices(ngx_chat_delta_t *d,
    ngx_str_t *choices, ngx_pool_t *pool);
static ngx_int_t ngx_chat_delta_read_choice(ngx_chat_delta_t *d, ngx_str_t *v,
    ngx_pool_t *pool);
static ngx_int_t ngx_chat_delta_read_body(ngx_chat_delta_t *d, ngx_str_t *body,
    ngx_pool_t *pool);
static ngx_int_t ngx_chat_delta_read_content(ngx_chat_delta_t *d,
    ngx_str_t *content, ngx_pool_t *pool);
static ngx_int_t ngx_chat_delta_read_part(ngx_chat_delta_t *d, ngx_str_t *part,
    u_char **pos, ngx_pool_t *pool);
static ngx_int_t ngx_chat_delta_put_text(ngx_chat_delta_t *d, ngx_str_t *value,
    u_char **pos);
static ngx_int_t ngx_chat_delta_read_finish(ngx_chat_delta_t *d,
    ngx_str_t *value,
    ngx_pool_t *pool);
static ngx_int_t ngx_chat_delta_read_code(ngx_chat_delta_t *d, ngx_str_t *error,
    ngx_pool_t *pool);
static ngx_uint_t ngx_chat_delta_read_number(ngx_str_t *value);


ngx_int_t
ngx_chat_delta_parse(ngx_chat_delta_t *d, ngx_str_t *data, ngx_pool_t *pool)
{
    ngx_int_t   rc;
    ngx_str_t   text, event, rest;
    ngx_uint_t  half, is_error;

    half = d->half;
    is_error = d->is_error;

    ngx_memzero(d, sizeof(ngx_chat_delta_t));

    d->half = half;
    d->is_error = is_error;

    text = ngx_chat_delta_trim(data);

    if (text.len == 0) {
        return NGX_OK;
    }

    if (ngx_chat_str_is(&text, "[DONE]") && !is_error) {
        return NGX_DONE;
    }

    if (ngx_chat_json_walk(&event, &text, pool) != NGX_OK) {
        goto odd;
    }

    if (event.data[0] == '{') {
        return ngx_chat_delta_read_event(d, &event, pool);
    }

    /* an error may come in an array */

    rest = event;

    if (event.data[0] == '['
        && ngx_chat_json_next_element(&rest, &event) == NGX_OK
        && event.data[0] == '{')
    {
        rc = ngx_chat_delta_read_event(d, &event, pool);

        if (rc != NGX_OK || d->is_error) {
            return rc;
        }
    }

odd:

    if (!is_error) {
        return NGX_ERROR;
    }

    if (ngx_chat_refusal_is_rate_limit(text.data, text.len)) {
        d->error_code = 429;
    }

    return NGX_OK;
}


static ngx_str_t
ngx_chat_delta_trim(ngx_str_t *data)
{
    u_char     *p;
    ngx_str_t   s;

    s = *data;

    while (s.len) {
        p = s.data;

        if (*p != ' ' && *p != '\t' && *p != CR && *p != LF) {
            break;
        }

        s.data++;
        s.len--;
    }

    while (s.len) {
        p = &s.data[s.len - 1];

        if (*p != ' ' && *p != '\t' && *p != CR && *p != LF) {
            break;
        }

        s.len--;
    }

    return s;
}


static ngx_int_t
ngx_chat_delta_read_event(ngx_chat_delta_t *d, ngx_str_t *event,
    ngx_pool_t *pool)
{
    ngx_int_t   rc;
    ngx_str_t   v[ngx_chat_delta_event_members], *error, *usage, stopped;

    error = &ngx_chat_delta_event_names[ngx_chat_delta_event_error];

    if (ngx_chat_json_find_members(v, event, ngx_chat_delta_event_names,
                                   ngx_chat_delta_event_members, pool)
        != NGX_OK
        || ngx_chat_json_find_members(&stopped, &v[ngx_chat_delta_event_groq],
                                      error, 1, pool)
           != NGX_OK
        || ngx_chat_json_first_string(&d->model, &v[ngx_chat_delta_event_model],
                                      1, pool)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the reason to end a stream early */

    if (v[ngx_chat_delta_event_error].len == 0) {
        v[ngx_chat_delta_event_error] = stopped;
    }

    usage = &v[ngx_chat_delta_event_usage];

    if (usage->len && usage->data[0] == '{'
        && ngx_chat_json_check_value(usage->data, usage->len) == NGX_OK)
    {
        d->usage = *usage;
    }

    if (!d->is_error && !ngx_chat_delta_is_error(v)) {
        rc = ngx_chat_delta_read_choices(d, &v[ngx_chat_delta_event_choices],
                                         pool);

        if (rc != NGX_OK || !d->is_error) {
            return rc;
        }
    }

    d->is_error = 1;

    /* the inner code goes first */

    if (ngx_chat_delta_read_code(d, &v[ngx_chat_delta_event_error],
                                 pool) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_chat_delta_read_code(d, event, pool);
}


static ngx_uint_t
ngx_chat_delta_is_error(ngx_str_t *v)
{
    ngx_str_t  *error, *code, *status;

    error = &v[ngx_chat_delta_event_error];
    code = &v[ngx_chat_delta_event_code];
    status = &v[ngx_chat_delta_event_status];

    if (ngx_chat_json_is_truthy(error)
        || (error->len && error->data[0] == '{')
        || ngx_chat_str_is(&v[ngx_chat_delta_event_object], "\"error\"")
        || ngx_chat_str_is(&v[ngx_chat_delta_event_type], "\"error\""))
    {
        return 1;
    }

    if (ngx_chat_json_is_truthy(&v[ngx_chat_delta_event_choices])) {
        return 0;
    }

    return ngx_chat_json_is_truthy(&v[ngx_chat_delta_event_error_code])
           || ngx_chat_json_is_truthy(&v[ngx_chat_delta_event_error_type])
           || ngx_chat_json_is_truthy(&v[ngx_chat_delta_event_errors])
           || (ngx_chat_json_is_truthy(&v[ngx_chat_delta_event_message])
               && (ngx_chat_delta_read_number(code) >= 400
                   || ngx_chat_delta_read_number(status) >= 400));
}


/* the first choice whose index is 0, or not given */

static ngx_int_t
ngx_chat_delta_read_choices(ngx_chat_delta_t *d, ngx_str_t *choices,
    ngx_pool_t *pool)
{
    ngx_str_t  rest, choice, *index, v[ngx_chat_delta_choice_members];

    if (choices->len == 0 || choices->data[0] != '[') {
        return NGX_OK;
    }

    rest = *choices;
    index = &v[ngx_chat_delta_choice_index];

    while (ngx_chat_json_next_element(&rest, &choice) == NGX_OK) {

        if (choice.data[0] != '{') {
            continue;
        }

        if (ngx_chat_json_find_members(v, &choice, ngx_chat_delta_choice_names,
                                       ngx_chat_delta_choice_members, pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (index->len == 0 || ngx_chat_str_is(index, "0")
            || (index->data[0] != '-'
                && (index->data[0] < '0' || index->data[0] > '9')))
        {
            return ngx_chat_delta_read_choice(d, v, pool);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_delta_read_choice(ngx_chat_delta_t *d, ngx_str_t *v, ngx_pool_t *pool)
{
    ngx_int_t    rc;
    ngx_str_t   *error;
    ngx_uint_t   half;

    half = d->half;

    rc = ngx_chat_delta_read_body(d, &v[ngx_chat_delta_choice_delta], pool);

    /* a message beside a delta repeats the text so far */

    if (rc == NGX_OK && d->text.len == 0 && d->half == half) {
        rc = ngx_chat_delta_read_body(d, &v[ngx_chat_delta_choice_message],
                                      pool);
        d->is_message = (d->text.len != 0);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_chat_delta_read_finish(d, &v[ngx_chat_delta_choice_finish],
                                   pool) != NGX_OK) {
        return NGX_ERROR;
    }

    error = &v[ngx_chat_delta_choice_error];

    if (ngx_chat_json_is_truthy(error)
        || (error->len && error->data[0] == '{'))
    {
        d->is_error = 1;
        return ngx_chat_delta_read_code(d, error, pool);
    }

    return NGX_OK;
}


/* a delta or a message */

static ngx_int_t
ngx_chat_delta_read_body(ngx_chat_delta_t *d, ngx_str_t *body, ngx_pool_t *pool)
{
    ngx_int_t   rc;
    ngx_str_t   rest, name, value, content, refusal;
    ngx_uint_t  half;

    if (body->len == 0 || body->data[0] != '{') {
        return NGX_OK;
    }

    ngx_str_null(&content);
    ngx_str_null(&refusal);

    rest = *body;

    while (ngx_chat_json_next_member(&rest, &name, &value) == NGX_OK) {

        if (ngx_chat_json_decode_string(&name, &name, pool) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_chat_str_is(&name, "content")) {
            content = value;

        } else if (ngx_chat_str_is(&name, "refusal")
                   && value.data[0] == '"')
        {
            refusal = value;

        } else if (ngx_chat_provider_is_reasoning(&name)
                   && ngx_chat_json_is_truthy(&value))
        {
            d->reasoning = 1;
        }
    }

    half = d->half;

    rc = ngx_chat_delta_read_content(d, &content, pool);

    if (rc != NGX_OK || d->text.len || d->half != half) {
        return rc;
    }

    /* where content must be of a form, a model declines beside it */

    rc = ngx_chat_delta_read_content(d, &refusal, pool);
    d->refused = (d->text.len || d->half != half);

    return rc;
}


static ngx_int_t
ngx_chat_delta_read_content(ngx_chat_delta_t *d, ngx_str_t *content,
    ngx_pool_t *pool)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   rest, part;

    if (content->len == 0 || ngx_chat_str_is(content, "null")) {
        return NGX_OK;
    }

    /* a string without escapes needs no copy */

    if (content->data[0] == '"' && d->half == 0
        && memchr(content->data, '\\', content->len) == NULL)
    {
        return ngx_chat_json_decode_string(&d->text, content, pool);
    }

    p = ngx_pnalloc(pool, content->len + ngx_chat_delta_replacement.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    d->text.data = p;

    if (content->data[0] != '[') {
        rc = ngx_chat_delta_put_text(d, content, &p);

    } else {
        rest = *content;
        rc = NGX_OK;

        while (rc == NGX_OK && ngx_chat_json_next_element(&rest,
                                                          &part) == NGX_OK) {
            rc = ngx_chat_delta_read_part(d, &part, &p, pool);
        }
    }

    d->text.len = p - d->text.data;

    return rc;
}


static ngx_int_t
ngx_chat_delta_read_part(ngx_chat_delta_t *d, ngx_str_t *part, u_char **pos,
    ngx_pool_t *pool)
{
    ngx_str_t  type, v[ngx_chat_delta_part_members];

    if (part->data[0] != '{') {
        return ngx_chat_str_is(part, "null") ? NGX_OK
                                             : ngx_chat_delta_put_text(d, part,
                                                                       pos);
    }

    if (ngx_chat_json_find_members(v, part, ngx_chat_delta_part_names,
                                   ngx_chat_delta_part_members, pool)
        != NGX_OK
        || ngx_chat_json_first_string(&type, &v[ngx_chat_delta_part_type], 1,
                                      pool)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (v[ngx_chat_delta_part_type].len ? !ngx_chat_str_is(&type, "text")
                                  : v[ngx_chat_delta_part_text].len == 0)
    {
        d->reasoning = 1;
        return NGX_OK;
    }

    if (v[ngx_chat_delta_part_text].len == 0) {
        return NGX_OK;
    }

    return ngx_chat_delta_put_text(d, &v[ngx_chat_delta_part_text], pos);
}


/* NGX_DECLINED: neither a string nor a number */

static ngx_int_t
ngx_chat_delta_put_text(ngx_chat_delta_t *d, ngx_str_t *value, u_char **pos)
{
    u_char  ch;

    ch = value->data[0];

    if (ch == '"') {
        *pos = ngx_chat_json_decode(*pos, value, &d->half);
        return NGX_OK;
    }

    /* a minus may also stand in front of "Infinity" */

    if (ch == '-') {
        ch = value->data[1];
    }

    if (ch < '0' || ch > '9') {
        return NGX_DECLINED;
    }

    *pos = ngx_chat_json_decode_end(*pos, &d->half);
    *pos = ngx_cpymem(*pos, value->data, value->len);

    return NGX_OK;
}


static ngx_int_t
ngx_chat_delta_read_finish(ngx_chat_delta_t *d, ngx_str_t *value,
    ngx_pool_t *pool)
{
    ngx_int_t  rc;
    ngx_str_t  word;

    if (ngx_chat_json_first_string(&word, value, 1, pool) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_chat_provider_reason(&d->finish, &word, pool);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        d->is_error = 1;

        if (ngx_chat_refusal_is_rate_limit(word.data, word.len)) {
            d->error_code = 429;
        }

    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_delta_read_code(ngx_chat_delta_t *d, ngx_str_t *error,
    ngx_pool_t *pool)
{
    ngx_str_t   v[sizeof(ngx_chat_delta_code_names) / sizeof(ngx_str_t)];
    ngx_uint_t  i, n;

    n = sizeof(ngx_chat_delta_code_names) / sizeof(ngx_str_t);

    if (ngx_chat_json_find_members(v, error, ngx_chat_delta_code_names, n, pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < n && d->error_code == 0; i++) {
        d->error_code = ngx_chat_delta_read_number(&v[i]);
    }

    return NGX_OK;
}


/* a natural number of a few digits, which may be in quotes, else 0 */

static ngx_uint_t
ngx_chat_delta_read_number(ngx_str_t *value)
{
    u_char    *p, *last;
    uint64_t   n;

    if (value->len == 0) {
        return 0;
    }

    p = value->data;
    last = value->data + value->len;

    if (value->len > 2 && *p == '"') {
        p++;
        last--;
    }

    if (ngx_chat_str_read_number(&p, last, NGX_CHAT_DELTA_CODE_MAX,
                                 &n) != NGX_OK
        || p != last)
    {
        return 0;
    }

    return (ngx_uint_t) n;
}
