
#include "ngx_chat_hit_body.h"
#include "ngx_chat_json.h"


static void ngx_chat_hit_body_frame(ngx_chat_hit_body_t *rp);
static u_char *ngx_chat_hit_body_part(ngx_chat_sse_event_part_t *part,
    u_char *p,
    u_char *last);


void
ngx_chat_hit_body_init(ngx_chat_hit_body_t *rp, ngx_chat_answer_t *answer)
{
    ngx_memzero(rp, sizeof(ngx_chat_hit_body_t));

    rp->answer = answer;
    rp->chunk_lens = answer->chunk_lens;
    rp->text = answer->text.data;
}


u_char *
ngx_chat_hit_body_write(ngx_chat_hit_body_t *rp, u_char *p, u_char *last)
{
    if (rp->nparts == 0) {
        ngx_chat_hit_body_frame(rp);
    }

    while (!rp->done) {

        p = ngx_chat_hit_body_part(&rp->parts[rp->part], p, last);

        if (rp->parts[rp->part].bytes.len) {
            break;
        }

        if (++rp->part < rp->nparts) {
            continue;
        }

        if (rp->status == NGX_CHAT_COMPLETED) {
            rp->done = 1;
            break;
        }

        rp->chunks++;

        ngx_chat_hit_body_frame(rp);
    }

    return p;
}


/* the next one */

static void
ngx_chat_hit_body_frame(ngx_chat_hit_body_t *rp)
{
    size_t             len;
    ngx_chat_event_t   ev;

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    if (ngx_chat_answer_next_len(&rp->chunk_lens, &len) == NGX_OK) {
        ev.status = NGX_CHAT_STREAMING;
        ev.text.len = len;
        ev.text.data = rp->text;

        rp->text += len;

    } else {
        ev.status = NGX_CHAT_COMPLETED;
        ev.text = rp->answer->text;
        ev.code = rp->answer->finish;
    }

    rp->status = ev.status;
    rp->part = 0;
    rp->nparts = ngx_chat_sse_event_parts(rp->parts, &ev);
}


/* takes what it writes off the part; a byte may need six when escaped */

static u_char *
ngx_chat_hit_body_part(ngx_chat_sse_event_part_t *part, u_char *p, u_char *last)
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
