
#include "ngx_chat_hit_body.h"
#include "ngx_chat_json.h"


static void ngx_chat_hit_body_next_event(ngx_chat_hit_body_t *hb);
static u_char *ngx_chat_hit_body_write_part(
    ngx_chat_sse_event_part_t *part, u_char *p, u_char *last);


void
ngx_chat_hit_body_init(ngx_chat_hit_body_t *hb, ngx_chat_answer_t *answer)
{
    ngx_memzero(hb, sizeof(ngx_chat_hit_body_t));

    hb->answer = answer;
    hb->chunk_lens = answer->chunk_lens;
    hb->text = answer->text.data;
}


u_char *
ngx_chat_hit_body_write(ngx_chat_hit_body_t *hb, u_char *p, u_char *last)
{
    ngx_chat_sse_event_part_t  *part;

    while (!hb->done) {

        if (hb->part == hb->nparts) {
            ngx_chat_hit_body_next_event(hb);
        }

        do {
            part = &hb->parts[hb->part];

            p = ngx_chat_hit_body_write_part(part, p, last);

            if (part->bytes.len) {
                return p;
            }

        } while (++hb->part < hb->nparts);

        if (hb->status == NGX_CHAT_COMPLETED) {
            hb->done = 1;

        } else {
            hb->chunks++;
        }
    }

    return p;
}


static void
ngx_chat_hit_body_next_event(ngx_chat_hit_body_t *hb)
{
    size_t             len;
    ngx_chat_event_t   ev;

    ngx_str_null(&ev.code);

    if (ngx_chat_answer_next_len(&hb->chunk_lens, &len) == NGX_OK) {
        ev.status = NGX_CHAT_STREAMING;
        ev.text.len = len;
        ev.text.data = hb->text;

        hb->text += len;

    } else {
        ev.status = NGX_CHAT_COMPLETED;
        ev.text = hb->answer->text;
        ev.code = hb->answer->finish;
    }

    hb->status = ev.status;
    hb->part = 0;
    hb->nparts = ngx_chat_sse_event_parts(hb->parts, &ev);
}


/* takes what it writes off the part; a byte may need six when escaped */

static u_char *
ngx_chat_hit_body_write_part(ngx_chat_sse_event_part_t *part, u_char *p,
    u_char *last)
{
    size_t  n;

    while (part->bytes.len) {

        n = last - p;

        if (part->escape) {
            n /= NGX_CHAT_HIT_BODY_ROOM;
        }

        n = ngx_min(n, part->bytes.len);

        if (n == 0) {
            break;
        }

        p = part->escape ? ngx_chat_json_escape(p, part->bytes.data, n)
                         : ngx_cpymem(p, part->bytes.data, n);

        part->bytes.data += n;
        part->bytes.len -= n;
    }

    return p;
}
