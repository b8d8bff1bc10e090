
#include "ngx_chat_hit_body.h"

#include "ut.h"


static ngx_uint_t ut_replay(const char *text, const char *chunk_lens,
    const char *finish);
static ngx_str_t ut_whole(ngx_chat_answer_t *a, ngx_uint_t *chunks);
static ngx_uint_t ut_pieces(ngx_chat_answer_t *a, ngx_str_t *want,
    ngx_uint_t chunks, size_t room);


/* in pieces of all sizes, as the frames written one after the other */

static ngx_uint_t
ut_replay(const char *text, const char *chunk_lens, const char *finish)
{
    size_t             room;
    ngx_str_t          want;
    ngx_uint_t         ok, chunks;
    ngx_chat_answer_t  a;

    memset(&a, 0, sizeof(ngx_chat_answer_t));

    a.text = ut_str(text);
    a.chunk_lens = ut_str(chunk_lens);
    a.finish = ut_str(finish);

    ok = (ngx_chat_answer_check(&a) == NGX_OK);

    want = ut_whole(&a, &chunks);

    for (room = NGX_CHAT_HIT_BODY_ROOM; room < want.len + 10; room++) {
        ok &= ut_pieces(&a, &want, chunks, room);
    }

    ut_free(&a.text);
    ut_free(&a.chunk_lens);
    ut_free(&a.finish);
    ut_free(&want);

    return ok;
}


static ngx_str_t
ut_whole(ngx_chat_answer_t *a, ngx_uint_t *chunks)
{
    size_t             len;
    u_char            *p, *text, buf[16384];
    ngx_str_t          chunk_lens;
    ngx_chat_event_t   ev;

    memset(&ev, 0, sizeof(ngx_chat_event_t));

    p = buf;
    chunk_lens = a->chunk_lens;
    text = a->text.data;

    for (*chunks = 0; ngx_chat_answer_next_len(&chunk_lens,
                                               &len) == NGX_OK; (*chunks)++)
    {
        ev.status = NGX_CHAT_STREAMING;
        ev.text.data = text;
        ev.text.len = len;

        p = ngx_chat_sse_event_write(p, &ev);
        text += len;
    }

    ev.status = NGX_CHAT_COMPLETED;
    ev.text = a->text;
    ev.code = a->finish;

    p = ngx_chat_sse_event_write(p, &ev);

    return ut_bytes(buf, p - buf);
}


static ngx_uint_t
ut_pieces(ngx_chat_answer_t *a, ngx_str_t *want, ngx_uint_t chunks,
    size_t room)
{
    size_t               n, len;
    ngx_str_t            piece;
    ngx_chat_hit_body_t  rp;

    ngx_chat_hit_body_init(&rp, a);

    for (len = 0; !rp.done; len += n) {
        piece = ut_repeat("#", room);
        n = ngx_chat_hit_body_write(&rp, piece.data, piece.data + room)
            - piece.data;

        if (n == 0 || n > room || len + n > want->len
            || memcmp(piece.data, want->data + len, n) != 0)
        {
            ut_free(&piece);
            return 0;
        }

        ut_free(&piece);
    }

    return len == want->len && rp.chunks == chunks;
}


int
main(void)
{
    ut_ok(ut_replay("a", "1", "stop"), "one chunk");
    ut_ok(ut_replay("Hello, world!", "5 2 6", "stop"), "some");
    ut_ok(ut_replay("\x01\x02\"\\\n\x1f" "a\t\t\x01", "3 1 6", "stop"),
          "escapes of all lengths");
    ut_ok(ut_replay("\xf0\x9f\x90\x8d\xe2\x82\xac z", "4 3 2", "stop"),
          "characters of several bytes");
    ut_ok(ut_replay("cut", "1 2", "le\"ngth"), "a finish reason");
    ut_ok(ut_replay("no reason", "9", ""), "none");

    return ut_done();
}
