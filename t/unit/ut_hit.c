
/*
 * Readers of cached answers: they share a hit test while it is under way, and
 * the answer and its rendering as long as one of them reads.  A purge.
 */


#include "ut_client.h"
#include "../../ngx_chat_module/hub/ngx_chat_purge.h"


#define UT_CLIENTS  5


static void ut_begin(void);
static void ut_end(const char *name);
static void ut_answer(u_char h);
static ngx_uint_t ut_hits(ngx_uint_t from, ngx_uint_t n);

static void ut_together(void);
static void ut_later(void);
static void ut_apart(void);
static void ut_failure(void);
static void ut_leaving(void);
static void ut_closing(void);
static void ut_again(void);
static ngx_uint_t ut_failing(ngx_uint_t n);
static void ut_memory(void);
static void ut_purged(void *data, ngx_int_t rc);
static ngx_int_t ut_purge_now(void);
static void ut_purge(void);
static void ut_purge_forgotten(void);


static const ngx_chat_dialect_t  ut_dialect = {
    0,
    ngx_chat_sse_event_len,
    ngx_chat_sse_event_write,
    ngx_chat_hit_body_write
};

static ut_client_t  ut_client[UT_CLIENTS];


static void
ut_begin(void)
{
    ut_ops.dialect = &ut_dialect;
    ut_hub_begin(1);
}


static void
ut_end(const char *name)
{
    ngx_uint_t  i;

    for (i = 0; i < UT_CLIENTS; i++) {
        ut_leave(&ut_client[i]);
    }

    ut_redis();
    ut_ok(ut_hub_end(), name);
}


/* another one replaces what is cached; some fail, as providers do */

static void
ut_answer(u_char h)
{
    ngx_uint_t          answered;
    static ut_client_t  cl;

    do {
        ut_ask(&cl, h, NGX_CHAT_ASK_REFRESH);
        ut_redis();

        fake_write(FAKE_RESTART);
        fake_write(FAKE_END);
        ut_redis();

        answered = (ut_read(&cl) == NGX_CHAT_COMPLETED);

        ut_leave(&cl);
        ut_redis();

    } while (!answered);
}


/* the same text for all, in the same memory */

static ngx_uint_t
ut_hits(ngx_uint_t from, ngx_uint_t n)
{
    ngx_uint_t    i;
    ut_client_t  *cl, *one;

    one = &ut_client[from];

    for (i = from; i < from + n; i++) {
        cl = &ut_client[i];

        if (cl->results != 1 || cl->completed
            || cl->result.kind != NGX_CHAT_RESULT_HIT
            || cl->wakes == 0 || ut_read(cl) != NGX_CHAT_COMPLETED
            || cl->first != one->first || cl->len != one->len
            || memcmp(cl->text, one->text, cl->len) != 0)
        {
            return 0;
        }
    }

    return one->len > 0;
}


static void
ut_together(void)
{
    ngx_uint_t  i, sent;

    ut_begin();
    ut_answer('a');

    sent = fake.sent;

    for (i = 0; i < UT_CLIENTS; i++) {
        ut_ask(&ut_client[i], 'a', NGX_CHAT_ASK_CACHED);
    }

    ut_redis();

    ut_ok(fake.sent == sent + 1, "who asks at once shares a hit test");
    ut_ok(ut_hits(0, UT_CLIENTS), "and the answer");

    ut_end("all is gone");
}


static void
ut_later(void)
{
    ngx_uint_t  i, sent;

    ut_begin();
    ut_answer('a');

    sent = fake.sent;

    for (i = 0; i < 3; i++) {
        ut_ask(&ut_client[i], 'a', NGX_CHAT_ASK_CACHED);
        ut_redis();
    }

    ut_ok(fake.sent == sent + 3, "who asks later looks what is there now");

    ut_answer('a');

    for (i = 3; i < UT_CLIENTS; i++) {
        ut_ask(&ut_client[i], 'a', NGX_CHAT_ASK_CACHED);
        ut_redis();
    }

    ut_ok(ut_hits(0, 3), "the same answer is there once");
    ut_ok(ut_hits(3, 2), "and one that replaced it");

    ut_ok(ut_client[0].first != ut_client[3].first
          && memcmp(ut_client[0].text, ut_client[3].text, ut_client[0].len)
             != 0,
          "whose readers do not disturb each other");

    ut_end("both are gone");
}


static void
ut_apart(void)
{
    ngx_uint_t           sent;
    ngx_chat_question_t  other;

    ut_question(&other, 'a', 'g', NGX_CHAT_ASK_CACHED);

    ut_begin();
    ut_answer('a');
    ut_answer('b');

    sent = fake.sent;

    ut_ask(&ut_client[0], 'a', NGX_CHAT_ASK_CACHED);
    ut_ask(&ut_client[1], 'b', NGX_CHAT_ASK_CACHED);
    ut_ask_question(&ut_client[2], &other);
    ut_ask(&ut_client[3], 'a', NGX_CHAT_ASK_PRIVATE);
    ut_ask(&ut_client[4], 'a', NGX_CHAT_ASK_REFRESH);

    ut_ok(fake.sent == sent + 5, "another key or provider is asked for apart");

    ut_redis();

    ut_ok(ut_hits(0, 1) && ut_hits(1, 1)
          && ut_client[0].first != ut_client[1].first,
          "as other answers");
    ut_ok(ut_client[3].result.kind == NGX_CHAT_RESULT_MISS
          && ut_client[4].result.kind == NGX_CHAT_RESULT_MISS,
          "who wants no cached answer shares none");

    ut_end("they are gone");
}


static void
ut_failure(void)
{
    ngx_uint_t  i, ok;

    ut_begin();
    ut_answer('a');

    for (i = 0; i < UT_CLIENTS; i++) {
        ut_ask(&ut_client[i], 'a', NGX_CHAT_ASK_CACHED);
    }

    fake_answer(NGX_ERROR);
    fake_loop_run(0);

    ok = (fake.calls == 0);

    for (i = 0; i < UT_CLIENTS; i++) {
        ok &= (ut_client[i].results == 1
               && ut_client[i].result.kind == NGX_CHAT_RESULT_ERROR
               && ut_client[i].result.error == NGX_CHAT_E_REDIS_DOWN);
    }

    ut_ok(ok, "a hit test that fails, fails for all");

    ut_ask(&ut_client[0], 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();

    ut_ok(ut_hits(0, 1), "and the next one is another");

    ut_end("nothing is left of it");
}


static void
ut_leaving(void)
{
    ngx_uint_t  i;

    ut_begin();
    ut_answer('a');

    for (i = 0; i < 4; i++) {
        ut_ask(&ut_client[i], 'a', NGX_CHAT_ASK_CACHED);
    }

    ut_leave(&ut_client[0]);
    ut_leave(&ut_client[3]);
    ut_redis();

    ut_ok(ut_hits(1, 2), "some leave, and the others have the answer");

    ut_leave(&ut_client[1]);
    ut_ask(&ut_client[0], 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();

    ut_ok(ut_hits(0, 1) && ut_client[0].first == ut_client[2].first,
          "one is enough to keep it");

    ut_ask(&ut_client[3], 'a', NGX_CHAT_ASK_CACHED);
    ut_ask(&ut_client[4], 'a', NGX_CHAT_ASK_CACHED);
    ut_leave(&ut_client[3]);
    ut_leave(&ut_client[4]);
    ut_redis();

    ut_ok(ut_client[3].results + ut_client[4].results == 0,
          "all leave, and nothing is told");

    ut_end("nothing is left of them");
}


/* a request may outlive the hub */

static void
ut_closing(void)
{
    ut_begin();
    ut_answer('a');

    ut_ask(&ut_client[0], 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ask(&ut_client[1], 'a', NGX_CHAT_ASK_CACHED);

    ngx_chat_hub_close(ut_hub);

    ut_ok(ut_hits(0, 1) && ut_client[1].results == 0,
          "an answer is read to its end without the hub");

    ut_leave(&ut_client[0]);
    ut_leave(&ut_client[1]);

    fake_free();
}


/* the joined generation was cancelled, and the question answered since */

static void
ut_again(void)
{
    ngx_uint_t           sent;
    ngx_chat_channel_t  *ch;

    ut_begin();

    ut_ask(&ut_client[0], 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ask(&ut_client[1], 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();
    fake_write(FAKE_CANCEL);
    ut_redis();

    ut_answer('a');

    sent = ut_client[1].wakes;

    ut_ok(ut_client[1].result.kind == NGX_CHAT_RESULT_JOIN
          && ut_read(&ut_client[1]) == NGX_CHAT_PROCESSING
          && ut_client[1].len == 0,
          "who joined what was cancelled asks again");

    ut_redis();

    ut_ok(ut_client[1].wakes > sent
          && ut_read(&ut_client[1]) == NGX_CHAT_COMPLETED
          && ut_client[1].len > 0,
          "and is given the answer that is cached by then");

    ch = ngx_chat_hub_get_channel(ut_client[1].sub);

    ut_ok(memcmp(ngx_chat_hub_get_id(ut_client[1].result.channel),
                 ngx_chat_hub_get_id(ch), NGX_CHAT_ID_LEN) != 0,
          "under the name of its generation");

    ut_end("nothing is left of both");
}


/* each allocation fails once: who is told of no fault gets the whole answer */

static ngx_uint_t
ut_failing(ngx_uint_t n)
{
    ngx_uint_t  i, ok, failed;

    ut_begin();
    ut_answer('a');

    for (i = 0; i < 2; i++) {
        ut_ask(&ut_client[i], 'a', NGX_CHAT_ASK_CACHED);
    }

    fake_execute();

    ut_fail_alloc = n;

    fake_answer(NGX_OK);
    fake_loop_run(0);

    for (i = 0; i < 2; i++) {

        if (ut_client[i].sub) {
            (void) ut_read(&ut_client[i]);
        }
    }

    failed = (ut_fail_alloc == 0);
    ut_fail_alloc = 0;
    ok = 1;

    for (i = 0; i < 2; i++) {
        ok &= (ut_client[i].results == 1);

        if (ut_client[i].sub) {
            (void) ut_read(&ut_client[i]);

            ok &= (ut_client[i].len > 2 && memcmp(ut_client[i].text
                       + ut_client[i].len - 4, "\"}\n\n", 4) == 0);

        } else if (ut_client[i].result.kind == NGX_CHAT_RESULT_ERROR) {
            ok &= (ut_client[i].result.error == NGX_CHAT_E_INTERNAL);
        }
    }

    ut_ok(ok, "memory fails");
    ut_end("and nothing is left");

    return failed;
}


static void
ut_memory(void)
{
    ngx_uint_t  n;

    for (n = 1; ut_failing(n); n++) { /* void */ }

    ut_ok(n > 5, "so many allocations");
}


static void
ut_purged(void *data, ngx_int_t rc)
{
    *(ngx_int_t *) data = rc;
}


/* NGX_BUSY: the handler did not fire; NGX_DONE: Redis could not be asked */

static ngx_int_t
ut_purge_now(void)
{
    u_char     h[NGX_CHAT_HASH_LEN];
    ngx_int_t  rc;

    memset(h, 'a', NGX_CHAT_HASH_LEN);

    rc = NGX_BUSY;

    if (ngx_chat_hub_purge(ut_hub, h, ut_purged, &rc) == NULL) {
        return NGX_DONE;
    }

    ut_ok(rc == NGX_BUSY, "a purge does not call back from inside");
    ut_redis();

    return rc;
}


static void
ut_purge(void)
{
    ngx_int_t  rc;

    ut_begin();
    ut_ok(ut_purge_now() == NGX_DECLINED, "there is nothing to purge");

    ut_answer('a');
    ut_ask(&ut_client[0], 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();

    ut_ok(ut_purge_now() == NGX_OK, "what is cached is purged");
    ut_ok(ut_purge_now() == NGX_DECLINED, "once");
    ut_ok(ut_hits(0, 1), "whoever reads it reads on");

    ut_ask(&ut_client[1], 'a', NGX_CHAT_ASK_CACHED);
    ut_redis();

    ut_ok(ut_client[1].result.kind == NGX_CHAT_RESULT_MISS,
          "nobody else gets it, as long as it is read");

    fake.redis_down = 1;
    ut_ok(ut_purge_now() == NGX_DONE, "without Redis nothing is purged");
    fake.redis_down = 0;

    ut_fail_alloc = 1;
    rc = ut_purge_now();
    ut_fail_alloc = 0;
    ut_ok(rc == NGX_DONE, "nor without memory");

    ut_end("nothing is left of purges");
}


static void
ut_purge_forgotten(void)
{
    u_char             h[NGX_CHAT_HASH_LEN];
    ngx_int_t          rc, lost;
    ngx_chat_purge_t  *forgotten, *closed;

    memset(h, 'a', NGX_CHAT_HASH_LEN);

    ut_begin();

    rc = NGX_BUSY;
    lost = NGX_BUSY;

    forgotten = ngx_chat_hub_purge(ut_hub, h, ut_purged, &rc);
    (void) ngx_chat_hub_purge(ut_hub, h, ut_purged, &lost);

    ngx_chat_hub_forget_purge(forgotten);
    fake_cut_commands();

    ut_ok(lost == NGX_ERROR, "a purge is told that Redis is lost");

    closed = ngx_chat_hub_purge(ut_hub, h, ut_purged, &rc);

    ngx_chat_hub_close(ut_hub);
    ut_redis();

    ut_ok(rc == NGX_BUSY && !fake.bad,
          "a purge is silent when it is forgotten, and when the hub closes");

    ngx_chat_hub_forget_purge(closed);
    fake_free();
}


int
main(void)
{
    ut_together();
    ut_later();
    ut_apart();
    ut_failure();
    ut_leaving();
    ut_closing();
    ut_again();
    ut_memory();
    ut_purge();
    ut_purge_forgotten();

    return ut_done();
}
