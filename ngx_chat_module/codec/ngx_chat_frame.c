
#include "ngx_chat_frame.h"
#include "ngx_chat_json.h"
#include "ngx_chat_str.h"


typedef struct {
    ngx_str_t        name;         /* with all that stands around it */
    ngx_str_t       *value;
} ngx_chat_frame_member_t;


static ngx_uint_t ngx_chat_frame_members(ngx_chat_frame_member_t *m,
    ngx_chat_event_t *ev);


static ngx_str_t  ngx_chat_frame_prefix = ngx_string("data: ");
static ngx_str_t  ngx_chat_frame_suffix = ngx_string("\n\n");

static ngx_str_t  ngx_chat_frame_status[] = {
    ngx_string("{\"status\": \"processing\""),
    ngx_string("{\"status\": \"streaming\""),
    ngx_string("{\"status\": \"completed\""),
    ngx_string("{\"status\": \"error\"")
};

static ngx_str_t  ngx_chat_frame_chunk = ngx_string(", \"chunk\": \"");
static ngx_str_t  ngx_chat_frame_finish = ngx_string(", \"finish_reason\": \"");
static ngx_str_t  ngx_chat_frame_message = ngx_string(", \"message\": \"");
static ngx_str_t  ngx_chat_frame_code = ngx_string(", \"code\": \"");


size_t
ngx_chat_frame_len(ngx_chat_event_t *ev)
{
    return ngx_chat_frame_prefix.len
           + ngx_chat_frame_json_len(ev)
           + ngx_chat_frame_suffix.len;
}


u_char *
ngx_chat_frame_write(u_char *p, ngx_chat_event_t *ev)
{
    p = ngx_cpymem(p, ngx_chat_frame_prefix.data, ngx_chat_frame_prefix.len);
    p = ngx_chat_frame_json_write(p, ev);

    return ngx_cpymem(p, ngx_chat_frame_suffix.data,
                      ngx_chat_frame_suffix.len);
}


size_t
ngx_chat_frame_json_len(ngx_chat_event_t *ev)
{
    size_t                   len;
    ngx_uint_t               i, n;
    ngx_chat_frame_member_t  m[2];

    len = ngx_chat_frame_status[ev->status].len + sizeof("}") - 1;

    n = ngx_chat_frame_members(m, ev);

    for (i = 0; i < n; i++) {
        len += m[i].name.len + sizeof("\"") - 1
               + ngx_chat_json_escaped_len(m[i].value->data,
                                           m[i].value->len);
    }

    return len;
}


u_char *
ngx_chat_frame_json_write(u_char *p, ngx_chat_event_t *ev)
{
    ngx_str_t               *status;
    ngx_uint_t               i, n;
    ngx_chat_frame_member_t  m[2];

    status = &ngx_chat_frame_status[ev->status];

    p = ngx_cpymem(p, status->data, status->len);

    n = ngx_chat_frame_members(m, ev);

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, m[i].name.data, m[i].name.len);
        p = ngx_chat_json_escape(p, m[i].value->data, m[i].value->len);
        *p++ = '"';
    }

    *p++ = '}';

    return p;
}


/* what follows the status */

static ngx_uint_t
ngx_chat_frame_members(ngx_chat_frame_member_t *m, ngx_chat_event_t *ev)
{
    switch (ev->status) {

    case NGX_CHAT_STREAMING:
        m[0].name = ngx_chat_frame_chunk;
        m[0].value = &ev->text;

        return 1;

    case NGX_CHAT_COMPLETED:
        m[0].name = ngx_chat_frame_chunk;
        m[0].value = &ev->text;

        if (ev->code.len == 0 || ngx_chat_str_is(&ev->code, "stop")) {
            return 1;
        }

        m[1].name = ngx_chat_frame_finish;
        m[1].value = &ev->code;

        return 2;

    case NGX_CHAT_ERROR:
        m[0].name = ngx_chat_frame_message;
        m[0].value = &ev->text;

        m[1].name = ngx_chat_frame_code;
        m[1].value = &ev->code;

        return 2;

    default: /* NGX_CHAT_PROCESSING */
        return 0;
    }
}
