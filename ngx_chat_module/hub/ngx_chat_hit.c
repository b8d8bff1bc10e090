
#include "ngx_chat_hit.h"
#include "ngx_chat_contents.h"


#define NGX_CHAT_HIT_PIECE  16384
#define NGX_CHAT_HIT_LONG   16384


typedef struct {
    ngx_chat_hit_body_t    body;
    size_t                 len;        /* of all pieces */
    ngx_chat_entry_t      *first;
    ngx_chat_entry_t     **last;       /* NULL: nobody has read it */
} ngx_chat_hit_rendering_t;


/* entry must be first */
typedef struct {
    ngx_chat_entry_t       entry;
    ngx_chat_hit_body_t    body;       /* as it begins */
} ngx_chat_hit_piece_t;


struct ngx_chat_hit_s {
    ngx_chat_entry_t          restart;
    ngx_chat_answer_t         answer;
    ngx_chat_hit_rendering_t  renderings[NGX_CHAT_DIALECTS];
};


static ngx_chat_channel_t *ngx_chat_hit_find(ngx_chat_hub_t *hub,
    ngx_chat_gen_t *gen);
static ngx_uint_t ngx_chat_hit_is_same(ngx_chat_channel_t *ch,
    ngx_chat_answer_t *answer);
static ngx_uint_t ngx_chat_hit_is_same_str(ngx_str_t *a, ngx_str_t *b);
static ngx_chat_channel_t *ngx_chat_hit_create(ngx_chat_hub_t *hub,
    ngx_chat_gen_t *gen, ngx_chat_answer_t *answer);
static ngx_chat_hit_t *ngx_chat_hit_copy(ngx_chat_answer_t *answer,
    ngx_chat_channel_t *ch);
static ngx_int_t ngx_chat_hit_take_text(ngx_chat_answer_t *answer,
    ngx_chat_channel_t *ch);
static ngx_int_t ngx_chat_hit_set_bytes(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_entry_t *e, u_char *bytes);


ngx_chat_channel_t *
ngx_chat_hit_get_channel(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_answer_t *answer)
{
    ngx_chat_channel_t  *ch, *older;

    older = ngx_chat_hit_find(hub, gen);

    if (older && ngx_chat_hit_is_same(older, answer)) {
        ngx_chat_channel_hold(older);
        return older;
    }

    ch = ngx_chat_hit_create(hub, gen, answer);
    if (ch == NULL) {
        return NULL;
    }

    /* an answer that was replaced meanwhile: its readers read on */

    if (older) {
        ngx_chat_channel_hide(older);
    }

    ngx_rbtree_insert(&hub->hits, &ch->by_key.node);
    ch->cached = 1;

    return ch;
}


static ngx_chat_channel_t *
ngx_chat_hit_find(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen)
{
    ngx_str_node_t  *sn;

    sn = ngx_chat_channel_find_node(&hub->hits, gen->h, gen->fp);
    if (sn == NULL) {
        return NULL;
    }

    return ngx_rbtree_data(&sn->node, ngx_chat_channel_t, by_key.node);
}


static ngx_uint_t
ngx_chat_hit_is_same(ngx_chat_channel_t *ch, ngx_chat_answer_t *answer)
{
    ngx_chat_answer_t  *a;

    a = &ch->hit->answer;

    return ngx_memcmp(ch->gen.id, answer->gen.data, NGX_CHAT_ID_LEN) == 0
           && ngx_chat_hit_is_same_str(&a->finish, &answer->finish)
           && ngx_chat_hit_is_same_str(&a->chunk_lens, &answer->chunk_lens)
           && ngx_chat_hit_is_same_str(&a->text, &answer->text);
}


static ngx_uint_t
ngx_chat_hit_is_same_str(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}


static ngx_chat_channel_t *
ngx_chat_hit_create(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_answer_t *answer)
{
    ngx_chat_gen_t       made;
    ngx_chat_origin_t    origin;
    ngx_chat_channel_t  *ch;

    made = *gen;
    ngx_memcpy(made.id, answer->gen.data, NGX_CHAT_ID_LEN);

    ch = ngx_chat_channel_alloc(hub, &made);
    if (ch == NULL) {
        return NULL;
    }

    ch->hit = ngx_chat_hit_copy(answer, ch);

    if (ch->hit == NULL) {
        ngx_chat_channel_release(ch);
        return NULL;
    }

    origin.provider = answer->provider;
    origin.model = answer->model;

    ngx_chat_channel_set_origin(ch, &origin);
    ngx_chat_usage_read(&ch->usage, &answer->usage);

    ch->kind = NGX_CHAT_CHANNEL_HIT;
    ch->length = answer->text.len;
    ch->ended = 1;
    ch->stored = 1;

    ngx_chat_channel_finish(ch);

    return ch;
}


ngx_int_t
ngx_chat_hit_refill(ngx_chat_channel_t *ch, ngx_chat_answer_t *answer)
{
    if (ngx_chat_contents_create(ch) != NGX_OK) {
        return NGX_ERROR;
    }

    ch->hit = ngx_chat_hit_copy(answer, ch);

    if (ch->hit == NULL) {
        ngx_chat_contents_drop(ch);
        return NGX_ERROR;
    }

    ngx_chat_channel_finish(ch);

    return NGX_OK;
}


ngx_chat_entry_t *
ngx_chat_hit_get_restart(ngx_chat_channel_t *ch)
{
    return &ch->hit->restart;
}


static ngx_chat_hit_t *
ngx_chat_hit_copy(ngx_chat_answer_t *answer, ngx_chat_channel_t *ch)
{
    ngx_chat_hit_t     *hit;
    ngx_chat_answer_t  *a;

    hit = ngx_chat_channel_palloc(ch, sizeof(ngx_chat_hit_t));
    if (hit == NULL) {
        return NULL;
    }

    ngx_memzero(hit, sizeof(ngx_chat_hit_t));

    a = &hit->answer;

    a->text = answer->text;
    a->chunk_lens = answer->chunk_lens;
    a->finish = answer->finish;

    if (ngx_chat_hit_take_text(answer, ch) != NGX_OK
        && ngx_chat_channel_copy(ch, &a->text) != NGX_OK)
    {
        return NULL;
    }

    if (ngx_chat_channel_copy(ch, &a->chunk_lens) != NGX_OK
        || ngx_chat_channel_copy(ch, &a->finish) != NGX_OK)
    {
        return NULL;
    }

    return hit;
}


/* a long text is not copied: the channel takes it out of the reply */

static ngx_int_t
ngx_chat_hit_take_text(ngx_chat_answer_t *answer, ngx_chat_channel_t *ch)
{
    if (answer->text.len < NGX_CHAT_HIT_LONG) {
        return NGX_DECLINED;
    }

    ch->reply = ngx_chat_reply_take(answer->fields, &answer->text);
    if (ch->reply == NULL) {
        return NGX_DECLINED;
    }

    ngx_chat_channel_count(ch, answer->text.len);

    return NGX_OK;
}


ngx_chat_answer_t *
ngx_chat_hit_get_answer(ngx_chat_channel_t *ch)
{
    return &ch->hit->answer;
}


ngx_chat_entry_t **
ngx_chat_hit_start(ngx_chat_channel_t *ch, const ngx_chat_dialect_t *dialect)
{
    ngx_chat_hit_rendering_t  *rendering;

    rendering = &ch->hit->renderings[dialect->index];

    if (rendering->last == NULL) {
        rendering->last = &rendering->first;
        ngx_chat_hit_body_init(&rendering->body, &ch->hit->answer);
    }

    return &rendering->first;
}


ngx_int_t
ngx_chat_hit_render(ngx_chat_channel_t *ch, const ngx_chat_dialect_t *dialect,
    size_t passed)
{
    u_char                    *p, buf[NGX_CHAT_HIT_PIECE];
    ngx_chat_hit_rendering_t  *rendering;
    ngx_chat_entry_t          *e;
    ngx_chat_hit_piece_t      *piece;

    rendering = &ch->hit->renderings[dialect->index];

    if (rendering->body.done) {
        return NGX_OK;
    }

    piece = ngx_chat_channel_palloc(ch, sizeof(ngx_chat_hit_piece_t));
    if (piece == NULL) {
        return NGX_ERROR;
    }

    piece->body = rendering->body;

    p = dialect->render_hit(&rendering->body, buf, buf + NGX_CHAT_HIT_PIECE);

    e = &piece->entry;

    ngx_memzero(e, sizeof(ngx_chat_entry_t));

    e->event.status = rendering->body.done ? NGX_CHAT_COMPLETED
                                        : NGX_CHAT_STREAMING;
    e->event.code = ch->hit->answer.finish;
    e->chunks = rendering->body.chunks - piece->body.chunks;
    e->within = (rendering->body.part < rendering->body.nparts);
    e->frame[dialect->index].len = p - buf;

    if (rendering->len + (p - buf) > passed
        && !ngx_chat_contents_is_full(ch->hub)
        && ngx_chat_hit_set_bytes(ch, dialect, e, buf) != NGX_OK)
    {
        rendering->body = piece->body;
        return NGX_ERROR;
    }

    rendering->len += p - buf;

    *rendering->last = e;
    rendering->last = &e->next;

    return NGX_OK;
}


ngx_int_t
ngx_chat_hit_render_again(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_entry_t *e)
{
    u_char                buf[NGX_CHAT_HIT_PIECE];
    ngx_chat_hit_body_t   body;

    if (e->frame[dialect->index].data) {
        return NGX_OK;
    }

    body = ((ngx_chat_hit_piece_t *) e)->body;

    (void) dialect->render_hit(&body, buf, buf + NGX_CHAT_HIT_PIECE);

    return ngx_chat_hit_set_bytes(ch, dialect, e, buf);
}


/*
 * The frame has its length.  Beyond the bound the bytes are for the one who
 * takes them at once.
 */

static ngx_int_t
ngx_chat_hit_set_bytes(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_entry_t *e, u_char *bytes)
{
    ngx_str_t         *frame;
    ngx_chat_sheet_t  *sheet;

    frame = &e->frame[dialect->index];

    sheet = ngx_chat_contents_is_full(ch->hub)
            ? ngx_chat_sheet_alloc(ch, frame->len)
            : ngx_chat_sheet_create(ch, frame->len);

    if (sheet == NULL) {
        return NGX_ERROR;
    }

    e->sheet[dialect->index] = sheet;

    frame->data = ngx_chat_sheet_room(sheet);
    ngx_memcpy(frame->data, bytes, frame->len);

    return NGX_OK;
}
