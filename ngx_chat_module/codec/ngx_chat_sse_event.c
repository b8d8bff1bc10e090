
#include "ngx_chat_sse_event.h"
#include "ngx_chat_json.h"
#include "ngx_chat_str.h"


static ngx_uint_t ngx_chat_sse_event_json_parts(
    ngx_chat_sse_event_part_t *parts, ngx_chat_event_t *ev);
static size_t ngx_chat_sse_event_parts_len(ngx_chat_sse_event_part_t *parts,
    ngx_uint_t n);
static u_char *ngx_chat_sse_event_parts_write(u_char *p,
    ngx_chat_sse_event_part_t *parts, ngx_uint_t n);


/* each up to the first text, with what makes an event of the JSON around it */

#define NGX_CHAT_SSE_EVENT_PREFIX  (sizeof("data: ") - 1)
#define NGX_CHAT_SSE_EVENT_SUFFIX  (sizeof("\n\n") - 1)

static ngx_str_t  ngx_chat_sse_event_heads[] = {
    [NGX_CHAT_PROCESSING] =
        ngx_string("data: {\"status\": \"processing\"}\n\n"),
    [NGX_CHAT_STREAMING] =
        ngx_string("data: {\"status\": \"streaming\", \"chunk\": \""),
    [NGX_CHAT_COMPLETED] =
        ngx_string("data: {\"status\": \"completed\", \"chunk\": \""),
    [NGX_CHAT_ERROR] =
        ngx_string("data: {\"status\": \"error\", \"message\": \"")
};

static ngx_str_t  ngx_chat_sse_event_finish =
    ngx_string("\", \"finish_reason\": \"");
static ngx_str_t  ngx_chat_sse_event_code = ngx_string("\", \"code\": \"");
static ngx_str_t  ngx_chat_sse_event_end = ngx_string("\"}\n\n");


size_t
ngx_chat_sse_event_len(ngx_chat_event_t *ev)
{
    ngx_uint_t                 n;
    ngx_chat_sse_event_part_t  parts[NGX_CHAT_SSE_EVENT_PARTS];

    n = ngx_chat_sse_event_parts(parts, ev);

    return ngx_chat_sse_event_parts_len(parts, n);
}


u_char *
ngx_chat_sse_event_write(u_char *p, ngx_chat_event_t *ev)
{
    ngx_uint_t                 n;
    ngx_chat_sse_event_part_t  parts[NGX_CHAT_SSE_EVENT_PARTS];

    n = ngx_chat_sse_event_parts(parts, ev);

    return ngx_chat_sse_event_parts_write(p, parts, n);
}


size_t
ngx_chat_sse_event_json_len(ngx_chat_event_t *ev)
{
    ngx_uint_t                 n;
    ngx_chat_sse_event_part_t  parts[NGX_CHAT_SSE_EVENT_PARTS];

    n = ngx_chat_sse_event_json_parts(parts, ev);

    return ngx_chat_sse_event_parts_len(parts, n);
}


u_char *
ngx_chat_sse_event_json_write(u_char *p, ngx_chat_event_t *ev)
{
    ngx_uint_t                 n;
    ngx_chat_sse_event_part_t  parts[NGX_CHAT_SSE_EVENT_PARTS];

    n = ngx_chat_sse_event_json_parts(parts, ev);

    return ngx_chat_sse_event_parts_write(p, parts, n);
}


ngx_uint_t
ngx_chat_sse_event_parts(ngx_chat_sse_event_part_t *parts, ngx_chat_event_t *ev)
{
    ngx_str_t   *name;
    ngx_uint_t   n;

    parts[0].bytes = ngx_chat_sse_event_heads[ev->status];
    parts[0].escape = 0;

    if (ev->status == NGX_CHAT_PROCESSING) {
        return 1;
    }

    parts[1].bytes = ev->text;
    parts[1].escape = 1;

    n = 2;
    name = NULL;

    if (ev->status == NGX_CHAT_ERROR) {
        name = &ngx_chat_sse_event_code;

    } else if (ev->status == NGX_CHAT_COMPLETED && ev->code.len
               && !ngx_chat_str_is(&ev->code, "stop"))
    {
        name = &ngx_chat_sse_event_finish;
    }

    if (name) {
        parts[2].bytes = *name;
        parts[2].escape = 0;

        parts[3].bytes = ev->code;
        parts[3].escape = 1;

        n = 4;
    }

    parts[n].bytes = ngx_chat_sse_event_end;
    parts[n].escape = 0;

    return n + 1;
}


static ngx_uint_t
ngx_chat_sse_event_json_parts(ngx_chat_sse_event_part_t *parts,
    ngx_chat_event_t *ev)
{
    ngx_uint_t  n;

    n = ngx_chat_sse_event_parts(parts, ev);

    parts[0].bytes.data += NGX_CHAT_SSE_EVENT_PREFIX;
    parts[0].bytes.len -= NGX_CHAT_SSE_EVENT_PREFIX;

    parts[n - 1].bytes.len -= NGX_CHAT_SSE_EVENT_SUFFIX;

    return n;
}


static size_t
ngx_chat_sse_event_parts_len(ngx_chat_sse_event_part_t *parts, ngx_uint_t n)
{
    size_t      len;
    ngx_uint_t  i;

    len = 0;

    for (i = 0; i < n; i++) {
        len += parts[i].escape
               ? ngx_chat_json_escaped_len(parts[i].bytes.data,
                                           parts[i].bytes.len)
               : parts[i].bytes.len;
    }

    return len;
}


static u_char *
ngx_chat_sse_event_parts_write(u_char *p, ngx_chat_sse_event_part_t *parts,
    ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        p = parts[i].escape
            ? ngx_chat_json_escape(p, parts[i].bytes.data, parts[i].bytes.len)
            : ngx_cpymem(p, parts[i].bytes.data, parts[i].bytes.len);
    }

    return p;
}
