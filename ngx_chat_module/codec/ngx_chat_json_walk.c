
#include "ngx_chat_json_walk.h"
#include "ngx_chat_json.h"
#include "ngx_chat_utf8.h"


#define NGX_CHAT_JSON_WALK_KINDS  16    /* bytes, a bit for each level */


typedef enum {
    sw_value = 0,
    sw_first,                      /* a value, or the end of an array */
    sw_first_key,                  /* a key, or the end of an object */
    sw_key,
    sw_after
} ngx_chat_json_walk_state_e;


typedef struct {
    u_char      *pos;
    u_char      *last;
    ngx_pool_t  *pool;

    /* which levels are objects */
    u_char      *kinds;
    size_t       depth;
    size_t       max;

    u_char       room[NGX_CHAT_JSON_WALK_KINDS];
} ngx_chat_json_walk_t;


static ngx_int_t ngx_chat_json_walk_value(ngx_chat_json_walk_t *w);
static ngx_int_t ngx_chat_json_walk_byte(ngx_chat_json_walk_t *w,
    ngx_chat_json_walk_state_e *state);
static ngx_int_t ngx_chat_json_walk_open(ngx_chat_json_walk_t *w,
    ngx_chat_json_walk_state_e *state);
static ngx_int_t ngx_chat_json_walk_close(ngx_chat_json_walk_t *w);
static ngx_uint_t ngx_chat_json_walk_in_object(ngx_chat_json_walk_t *w);
static ngx_int_t ngx_chat_json_walk_key(ngx_chat_json_walk_t *w);
static ngx_int_t ngx_chat_json_walk_string(ngx_chat_json_walk_t *w);
static u_char *ngx_chat_json_walk_escape(u_char *p, u_char *last);
static ngx_int_t ngx_chat_json_walk_number(ngx_chat_json_walk_t *w);
static ngx_uint_t ngx_chat_json_walk_digits(ngx_chat_json_walk_t *w);
static ngx_int_t ngx_chat_json_walk_word(ngx_chat_json_walk_t *w);
static u_char *ngx_chat_json_walk_skip_blank(u_char *p, u_char *last);
static u_char *ngx_chat_json_walk_skip_value(u_char *p, u_char *last);
static u_char *ngx_chat_json_walk_skip_string(u_char *p, u_char *last);
static ngx_int_t ngx_chat_json_walk_skip_separator(ngx_str_t *rest);


static ngx_str_t  ngx_chat_json_walk_words[] = {
    ngx_string("null"),
    ngx_string("true"),
    ngx_string("false"),
    ngx_string("NaN"),
    ngx_string("Infinity"),
    ngx_string("-Infinity"),
    ngx_null_string
};


ngx_int_t
ngx_chat_json_walk(ngx_str_t *value, ngx_str_t *text, ngx_pool_t *pool)
{
    u_char                *start;
    ngx_chat_json_walk_t   w;

    if (text->len == 0
        || ngx_chat_utf8_check(text->data, text->len) != NGX_OK)
    {
        return NGX_ERROR;
    }

    w.last = text->data + text->len;
    w.pos = ngx_chat_json_walk_skip_blank(text->data, w.last);
    w.pool = pool;
    w.kinds = w.room;
    w.depth = 0;
    w.max = NGX_CHAT_JSON_WALK_KINDS * 8;

    start = w.pos;

    if (ngx_chat_json_walk_value(&w) != NGX_OK) {
        return NGX_ERROR;
    }

    value->data = start;
    value->len = w.pos - start;

    w.pos = ngx_chat_json_walk_skip_blank(w.pos, w.last);

    return (w.pos == w.last) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_chat_json_walk_value(ngx_chat_json_walk_t *w)
{
    ngx_chat_json_walk_state_e  state;

    state = sw_value;

    do {
        w->pos = ngx_chat_json_walk_skip_blank(w->pos, w->last);

        if (w->pos == w->last
            || ngx_chat_json_walk_byte(w, &state) != NGX_OK)
        {
            return NGX_ERROR;
        }

    } while (w->depth || state != sw_after);

    return NGX_OK;
}


static ngx_int_t
ngx_chat_json_walk_byte(ngx_chat_json_walk_t *w,
    ngx_chat_json_walk_state_e *state)
{
    u_char  ch;

    ch = *w->pos;

    switch (*state) {

    case sw_after:
        if (ch == ',') {
            w->pos++;
            *state = ngx_chat_json_walk_in_object(w) ? sw_key : sw_value;
            return NGX_OK;
        }

        return ngx_chat_json_walk_close(w);

    case sw_first_key:
        if (ch == '}') {
            *state = sw_after;
            return ngx_chat_json_walk_close(w);
        }

        /* fall through */

    case sw_key:
        *state = sw_value;
        return ngx_chat_json_walk_key(w);

    case sw_first:
        if (ch == ']') {
            *state = sw_after;
            return ngx_chat_json_walk_close(w);
        }

        /* fall through */

    default: /* sw_value */
        break;
    }

    if (ch == '{' || ch == '[') {
        return ngx_chat_json_walk_open(w, state);
    }

    *state = sw_after;

    if (ch == '"') {
        return ngx_chat_json_walk_string(w);
    }

    if (ch >= '0' && ch <= '9') {
        return ngx_chat_json_walk_number(w);
    }

    if (ngx_chat_json_walk_word(w) == NGX_OK) {
        return NGX_OK;
    }

    /* a minus is part of a word, too */

    return ngx_chat_json_walk_number(w);
}


static ngx_int_t
ngx_chat_json_walk_open(ngx_chat_json_walk_t *w,
    ngx_chat_json_walk_state_e *state)
{
    u_char  *kinds, bit;

    if (w->depth == w->max) {

        if (w->kinds != w->room) {
            return NGX_ERROR;
        }

        /* each level that is closed again takes two bytes */

        w->max += (w->last - w->pos) / 2;

        kinds = ngx_pcalloc(w->pool, w->max / 8 + 1);
        if (kinds == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(kinds, w->room, NGX_CHAT_JSON_WALK_KINDS);
        w->kinds = kinds;
    }

    bit = (u_char) (1 << w->depth % 8);

    if (*w->pos++ == '{') {
        w->kinds[w->depth / 8] |= bit;
        *state = sw_first_key;

    } else {
        w->kinds[w->depth / 8] &= (u_char) ~bit;
        *state = sw_first;
    }

    w->depth++;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_json_walk_close(ngx_chat_json_walk_t *w)
{
    if (*w->pos != (ngx_chat_json_walk_in_object(w) ? '}' : ']')) {
        return NGX_ERROR;
    }

    w->pos++;
    w->depth--;

    return NGX_OK;
}


static ngx_uint_t
ngx_chat_json_walk_in_object(ngx_chat_json_walk_t *w)
{
    size_t  n;

    n = w->depth - 1;

    return w->kinds[n / 8] >> n % 8 & 1;
}


static ngx_int_t
ngx_chat_json_walk_key(ngx_chat_json_walk_t *w)
{
    if (*w->pos != '"' || ngx_chat_json_walk_string(w) != NGX_OK) {
        return NGX_ERROR;
    }

    w->pos = ngx_chat_json_walk_skip_blank(w->pos, w->last);

    if (w->pos == w->last || *w->pos != ':') {
        return NGX_ERROR;
    }

    w->pos++;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_json_walk_string(ngx_chat_json_walk_t *w)
{
    u_char  *p, *last;

    last = w->last;

    for (p = w->pos + 1; p < last; p++) {

        if (*p == '"') {
            w->pos = p + 1;
            return NGX_OK;
        }

        if (*p < 0x20) {
            return NGX_ERROR;
        }

        if (*p == '\\') {
            p = ngx_chat_json_walk_escape(p, last);

            if (p == NULL) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_ERROR;
}


/* the last byte of an escape, NULL: there is no such escape */

static u_char *
ngx_chat_json_walk_escape(u_char *p, u_char *last)
{
    ngx_uint_t  unit;

    if (last - p < 2) {
        return NULL;
    }

    switch (p[1]) {

    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 1;

    case 'u':
        return (ngx_chat_json_read_unit(p, last,
                                        &unit) == NGX_OK) ? p + 5 : NULL;

    default:
        return NULL;
    }
}


static ngx_int_t
ngx_chat_json_walk_number(ngx_chat_json_walk_t *w)
{
    if (*w->pos == '-') {
        w->pos++;
    }

    if (w->pos < w->last && *w->pos == '0') {
        w->pos++;

    } else if (!ngx_chat_json_walk_digits(w)) {
        return NGX_ERROR;
    }

    if (w->pos < w->last && *w->pos == '.') {
        w->pos++;

        if (!ngx_chat_json_walk_digits(w)) {
            return NGX_ERROR;
        }
    }

    if (w->pos < w->last && (*w->pos | 0x20) == 'e') {
        w->pos++;

        if (w->pos < w->last && (*w->pos == '+' || *w->pos == '-')) {
            w->pos++;
        }

        if (!ngx_chat_json_walk_digits(w)) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_chat_json_walk_digits(ngx_chat_json_walk_t *w)
{
    u_char  *start;

    start = w->pos;

    while (w->pos < w->last && *w->pos >= '0' && *w->pos <= '9') {
        w->pos++;
    }

    return w->pos > start;
}


static ngx_int_t
ngx_chat_json_walk_word(ngx_chat_json_walk_t *w)
{
    ngx_str_t  *word;

    for (word = ngx_chat_json_walk_words; word->len; word++) {

        if ((size_t) (w->last - w->pos) >= word->len
            && ngx_memcmp(w->pos, word->data, word->len) == 0)
        {
            w->pos += word->len;
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


static u_char *
ngx_chat_json_walk_skip_blank(u_char *p, u_char *last)
{
    while (p < last
           && (*p == ' ' || *p == '\t' || *p == CR || *p == LF))
    {
        p++;
    }

    return p;
}


ngx_int_t
ngx_chat_json_next_member(ngx_str_t *rest, ngx_str_t *name, ngx_str_t *value)
{
    u_char  *last;

    if (ngx_chat_json_walk_skip_separator(rest) != NGX_OK) {
        return NGX_DONE;
    }

    last = rest->data + rest->len;

    name->data = rest->data;
    rest->data = ngx_chat_json_walk_skip_string(rest->data, last);
    name->len = rest->data - name->data;

    /* the colon is skipped as a comma is */

    rest->data = ngx_chat_json_walk_skip_blank(rest->data, last);
    rest->len = last - rest->data;

    return ngx_chat_json_next_element(rest, value);
}


ngx_int_t
ngx_chat_json_next_element(ngx_str_t *rest, ngx_str_t *value)
{
    u_char  *last;

    if (ngx_chat_json_walk_skip_separator(rest) != NGX_OK) {
        return NGX_DONE;
    }

    last = rest->data + rest->len;

    value->data = rest->data;
    rest->data = ngx_chat_json_walk_skip_value(rest->data, last);
    value->len = rest->data - value->data;

    rest->data = ngx_chat_json_walk_skip_blank(rest->data, last);
    rest->len = last - rest->data;

    return NGX_OK;
}


/* skips a bracket, comma or colon; NGX_DONE: no value follows */

static ngx_int_t
ngx_chat_json_walk_skip_separator(ngx_str_t *rest)
{
    u_char  *p, *last;

    p = rest->data;
    last = rest->data + rest->len;

    if (p < last && *p != '}' && *p != ']') {
        p = ngx_chat_json_walk_skip_blank(p + 1, last);
    }

    rest->data = p;
    rest->len = last - p;

    return (p < last && *p != '}' && *p != ']') ? NGX_OK : NGX_DONE;
}


/* skips one value of a text that was checked */

static u_char *
ngx_chat_json_walk_skip_value(u_char *p, u_char *last)
{
    size_t  depth;

    depth = 0;

    while (p < last) {

        switch (*p) {

        case '"':
            p = ngx_chat_json_walk_skip_string(p, last);
            break;

        case '{':
        case '[':
            depth++;
            p++;
            break;

        case '}':
        case ']':
            if (depth == 0) {
                return p;
            }

            depth--;
            p++;
            break;

        case ',':
        case ' ':
        case '\t':
        case CR:
        case LF:
            if (depth == 0) {
                return p;
            }

            /* fall through */

        default:
            p++;
            continue;
        }

        if (depth == 0) {
            return p;
        }
    }

    return p;
}


/* a quote behind an odd number of backslashes is part of the string */

static u_char *
ngx_chat_json_walk_skip_string(u_char *p, u_char *last)
{
    u_char  *start, *end;

    for (start = p + 1; start < last; start = end + 1) {

        end = memchr(start, '"', last - start);
        if (end == NULL) {
            break;
        }

        for (p = end; p > start && p[-1] == '\\'; p--) { /* void */ }

        if ((end - p) % 2 == 0) {
            return end + 1;
        }
    }

    return last;
}
