
#include "ngx_chat_sse_event.h"
#include "ngx_chat_json.h"
#include "ngx_chat_str.h"


static ngx_uint_t ngx_chat_sse_event_json_parts(
    ngx_chat_sse_event_part_t *parts,
    ngx_chat_event_t *ev);
static ngx_chat_sse_event_part_t *ngx_chat_sse_event_member(
    ngx_chat_sse_event_part_t *part, ngx_str_t *name, ngx_str_t *value);
static size_t ngx_chat_sse_event_parts_len(ngx_chat_sse_event_part_t *parts,
    ngx_uint_t n);
static u_char *ngx_chat_sse_event_parts_write(u_char *p,
    ngx_chat_sse_event_part_t *parts, ngx_uint_t n);


static ngx_str_t  ngx_chat_sse_event_prefix = ngx_string("data: ");
static ngx_str_t  ngx_chat_sse_event_suffix = ngx_string("\n\n");

static ngx_str_t  ngx_chat_sse_event_status[] = {
    [NGX_CHAT_PROCESSING] = ngx_string("{\"status\": \"processing\""),
    [NGX_CHAT_STREAMING] = ngx_string("{\"status\": \"streaming\""),
    [NGX_CHAT_COMPLETED] = ngx_string("{\"status\": \"completed\""),
    [NGX_CHAT_ERROR] = ngx_string("{\"status\": \"error\"")
};

/* each with the end of what stands before */

static ngx_str_t  ngx_chat_sse_event_chunk = ngx_string(", \"chunk\": \"");
static ngx_str_t  ngx_chat_sse_event_finish =
    ngx_string("\", \"finish_reason\": \"");
static ngx_str_t  ngx_chat_sse_event_message = ngx_string(", \"message\": \"");
static ngx_str_t  ngx_chat_sse_event_code = ngx_string("\", \"code\": \"");
static ngx_str_t  ngx_chat_sse_event_end = ngx_string("\"}");
static ngx_str_t  ngx_chat_sse_event_empty_end = ngx_string("}");


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
    ngx_uint_t  n;

    parts[0].bytes = ngx_chat_sse_event_prefix;
    parts[0].escape = 0;

    n = 1 + ngx_chat_sse_event_json_parts(&parts[1], ev);

    parts[n].bytes = ngx_chat_sse_event_suffix;
    parts[n].escape = 0;

    return n + 1;
}


static ngx_uint_t
ngx_chat_sse_event_json_parts(ngx_chat_sse_event_part_t *parts,
    ngx_chat_event_t *ev)
{
    ngx_chat_sse_event_part_t  *part;

    part = parts;

    part->bytes = ngx_chat_sse_event_status[ev->status];
    part->escape = 0;
    part++;

    switch (ev->status) {

    case NGX_CHAT_STREAMING:
        part = ngx_chat_sse_event_member(part, &ngx_chat_sse_event_chunk,
                                         &ev->text);
        break;

    case NGX_CHAT_COMPLETED:
        part = ngx_chat_sse_event_member(part, &ngx_chat_sse_event_chunk,
                                         &ev->text);

        if (ev->code.len && !ngx_chat_str_is(&ev->code, "stop")) {
            part = ngx_chat_sse_event_member(part, &ngx_chat_sse_event_finish,
                                             &ev->code);
        }

        break;

    case NGX_CHAT_ERROR:
        part = ngx_chat_sse_event_member(part, &ngx_chat_sse_event_message,
                                         &ev->text);
        part = ngx_chat_sse_event_member(part, &ngx_chat_sse_event_code,
                                         &ev->code);
        break;

    default: /* NGX_CHAT_PROCESSING */
        break;
    }

    part->bytes = (ev->status == NGX_CHAT_PROCESSING)
                  ? ngx_chat_sse_event_empty_end : ngx_chat_sse_event_end;
    part->escape = 0;
    part++;

    return part - parts;
}


static ngx_chat_sse_event_part_t *
ngx_chat_sse_event_member(ngx_chat_sse_event_part_t *part, ngx_str_t *name,
    ngx_str_t *value)
{
    part[0].bytes = *name;
    part[0].escape = 0;

    part[1].bytes = *value;
    part[1].escape = 1;

    return part + 2;
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
