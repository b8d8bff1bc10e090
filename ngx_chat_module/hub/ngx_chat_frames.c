
#include "ngx_chat_frames.h"
#include "ngx_chat_contents.h"


/* each room is as large as all before it, within these */
#define NGX_CHAT_FRAMES_MIN  512
#define NGX_CHAT_FRAMES_MAX  8192


static u_char *ngx_chat_frames_alloc(ngx_chat_channel_t *ch,
    ngx_chat_frames_t *frames, size_t len, ngx_chat_sheet_t **sheet);


ngx_int_t
ngx_chat_frames_render(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_entry_t *e)
{
    size_t       len;
    u_char      *p;
    ngx_str_t   *frame;
    ngx_uint_t   i;

    i = dialect->index;
    frame = &e->frame[i];

    if (frame->data) {
        return NGX_OK;
    }

    len = dialect->len(&e->event);

    if (len == 0) {
        ngx_str_set(frame, "");
        return NGX_OK;
    }

    p = ngx_chat_frames_alloc(ch, &ch->frames[i], len, &e->sheet[i]);
    if (p == NULL) {
        return NGX_ERROR;
    }

    frame->data = p;
    frame->len = dialect->write(p, &e->event) - p;

    return NGX_OK;
}


static u_char *
ngx_chat_frames_alloc(ngx_chat_channel_t *ch, ngx_chat_frames_t *frames,
    size_t len, ngx_chat_sheet_t **sheet)
{
    size_t   size;
    u_char  *p;

    if (len > NGX_CHAT_FRAMES_MAX / 4) {
        *sheet = ngx_chat_sheet_create(ch, len);

        return *sheet ? ngx_chat_sheet_room(*sheet) : NULL;
    }

    if ((size_t) (frames->end - frames->pos) < len) {

        size = ngx_max(frames->size, NGX_CHAT_FRAMES_MIN);
        size = ngx_min(size, NGX_CHAT_FRAMES_MAX);
        size = ngx_max(size, len);

        *sheet = ngx_chat_sheet_create(ch, size);
        if (*sheet == NULL) {
            return NULL;
        }

        frames->sheet = *sheet;
        frames->pos = ngx_chat_sheet_room(*sheet);
        frames->end = frames->pos + size;
        frames->size += size;
    }

    *sheet = frames->sheet;

    p = frames->pos;
    frames->pos += len;

    return p;
}
