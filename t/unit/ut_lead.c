
/*
 * Led generations: what the filler gets, and when, and what subscribers see.
 */


#include "ut_leads.h"
#include "fake_redis.h"


static ngx_uint_t
ut_has(fake_stream_t *st, const char *text)
{
    return st && st->len == strlen(text)
           && memcmp(st->text, text, st->len) == 0;
}


static ngx_uint_t
ut_label_ends(fake_stream_t *st, const char *end)
{
    size_t  len;

    len = strlen(end);

    return st && st->label_len == NGX_CHAT_ID_LEN + len
           && memcmp(st->label + NGX_CHAT_ID_LEN, end, len) == 0
           && memcmp(st->label, st->id, NGX_CHAT_ID_LEN) == 0;
}


static void
ut_plain(void)
{
    ut_client_t     cl;
    fake_stream_t  *st;

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);

    st = fake_lane_stream();

    ut_ok(cl.result.kind == NGX_CHAT_RESULT_MISS && ut_maker.channel
          && ngx_chat_hub_get_kind(ut_maker.channel) == NGX_CHAT_CHANNEL_LED,
          "a miss is led");
    ut_ok(fake.tasks == 0 && fake.subscribed == 0,
          "nothing is queued, and nothing subscribed to");
    ut_ok(st && st->fill == 1 && ut_label_ends(st, ".1"),
          "the filler has it at once");

    ut_chunk("Hello");
    fake_loop_run(0);

    ut_ok(ut_has(st, "Hello"), "the first chunk is sent at once");
    ut_ok(cl.len == 5, "a subscriber has it, too");

    ut_chunk(", ");
    fake_loop_run(200);
    ut_chunk("world");
    fake_loop_run(0);

    ut_ok(ut_has(st, "Hello") && cl.len == 12,
          "what follows is gathered for the filler, not for subscribers");

    fake_loop_run(200);

    ut_ok(ut_has(st, "Hello, world"), "it is sent after 400 ms");

    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    fake_lane_answer(st, NGX_CHAT_LANE_LISTENERS, "\1\0\0\0", 4);

    ut_chunk("!");
    fake_loop_run(0);

    ut_ok(ut_has(st, "Hello, world!"),
          "with listeners elsewhere chunks are sent at once");

    ut_complete();
    fake_loop_run(0);

    ut_ok(st->ended && !st->error && cl.status == NGX_CHAT_STREAMING,
          "the end is sent, and completed waits for the cache");

    fake_lane_answer(st, NGX_CHAT_LANE_DONE, "", 0);
    fake_loop_run(0);

    ut_ok(cl.status == NGX_CHAT_COMPLETED, "completed follows DONE");

    ut_leave(&cl);
    ut_end();
}


/* written, and no longer cached */

static void
ut_written(fake_stream_t *st, ut_client_t *cl)
{
    fake_gen(st->id)->own = 'd';
    fake_lane_answer(st, NGX_CHAT_LANE_DONE, "", 0);
    ut_leave(cl);
}


/* another generation of the same question, which is complete */

static fake_stream_t *
ut_completed(ut_client_t *cl)
{
    fake_stream_t  *st;

    ut_ask_maker(cl, NGX_CHAT_ASK_CACHED);
    ut_redis();

    st = fake_lane_stream();
    ut_chunk("x");
    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    ut_complete();

    return st;
}


static void
ut_held(void)
{
    ut_client_t     cl, other;
    fake_stream_t  *st;

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    st = fake_lane_stream();

    ut_chunk("x");
    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    ut_complete();

    fake_loop_run(99);
    ut_ok(cl.status == NGX_CHAT_STREAMING, "completed is held");

    ut_ask_maker(&other, NGX_CHAT_ASK_CACHED);
    fake_loop_run(0);
    ut_ok(other.results == 0,
          "asked while it is held: Redis may have the answer");

    fake_loop_run(1);
    ut_ok(cl.status == NGX_CHAT_COMPLETED, "completed is held for 100 ms");

    ut_redis();

    ut_ok(other.result.kind == NGX_CHAT_RESULT_JOIN
          && other.status == NGX_CHAT_COMPLETED && fake.opened == 1,
          "asked again before it is written: the same answer");

    fake_loop_run(1);
    ut_written(st, &cl);
    ut_leave(&other);

    st = ut_completed(&cl);
    fake_loop_run(24);
    ut_ok(cl.status == NGX_CHAT_STREAMING, "DONE came late: held again");

    fake_loop_run(1);
    ut_ok(cl.status == NGX_CHAT_COMPLETED, "DONE came late: held for 25 ms");
    ut_written(st, &cl);

    st = ut_completed(&cl);
    fake_loop_run(99);
    ut_ok(cl.status == NGX_CHAT_STREAMING, "DONE came soon: held for longer");
    ut_written(st, &cl);
    ut_end();

    ut_lead(&cl, NGX_CHAT_ASK_REFRESH);
    st = fake_lane_stream();

    ut_chunk("x");
    ut_complete();
    fake_lane_end(0);
    fake_loop_run(999);
    ut_ok(cl.status == NGX_CHAT_STREAMING,
          "a refresh is held though the filler has died");

    fake_loop_run(1);
    ut_ok(cl.status == NGX_CHAT_COMPLETED, "a refresh is held for 1 s");

    ut_leave(&cl);
    ut_end();

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    st = fake_lane_stream();

    ut_chunk("x");
    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    ut_complete();
    fake_lane_end(0);
    fake_loop_run(0);

    ut_ok(cl.status == NGX_CHAT_COMPLETED,
          "a miss is not held for a filler that has died");

    ut_leave(&cl);
    ut_end();

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    st = fake_lane_stream();

    ut_chunk("x");
    fake_lane_answer(st, NGX_CHAT_LANE_NOT_KEPT, "BUSY", 4);
    ut_chunk("y");
    ut_complete();
    fake_loop_run(0);

    ut_ok(cl.status == NGX_CHAT_COMPLETED && cl.len == 2 && st->ended == 0,
          "what nobody writes goes on for its subscribers");

    ut_leave(&cl);
    ut_end();
}


/* no other connection has been tried yet */

static void
ut_held_lost(void)
{
    ut_client_t     cl;
    fake_stream_t  *st;

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    st = fake_lane_stream();

    ut_chunk("x");
    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);

    fake.redis_lost = 1;

    ut_complete();
    fake_loop_run(24);
    ut_ok(cl.status == NGX_CHAT_STREAMING, "connection lost: held");

    fake_loop_run(1);
    ut_ok(cl.status == NGX_CHAT_COMPLETED, "connection lost: held for 25 ms");

    ut_written(st, &cl);
    ut_end();
}


static void
ut_lanes(void)
{
    ut_client_t     cl;
    fake_stream_t  *st;

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    st = fake_lane_stream();

    ut_chunk("one ");
    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    ut_chunk("two ");

    fake_lane_end(0);
    fake_loop_run(1000);
    ut_chunk("three");
    fake_lane_up(1);
    fake_loop_run(0);

    st = fake_lane_stream();

    ut_ok(st->fill == 2 && ut_label_ends(st, ".1")
          && ut_has(st, "one two three"),
          "another lane gets all of the attempt");
    ut_ok(cl.restarts == 0, "subscribers do not notice");

    fake_lane_up(0);
    fake_lane_end(1);
    fake_loop_run(0);

    ut_ok(fake_lane_stream()->fill == 3 && fake_lane_stream()->lane == 0,
          "the next one is taken at once");

    ut_restart();
    ut_chunk("four");
    fake_loop_run(0);

    st = fake_lane_stream();

    ut_ok(ut_label_ends(st, ".2") && ut_has(st, "four") && st->fill == 3,
          "another attempt has another label");

    fake_lane_end(0);
    fake_lane_up(0);
    fake_loop_run(0);

    st = fake_lane_stream();

    ut_ok(st->fill == 4 && ut_label_ends(st, ".2") && ut_has(st, "four"),
          "a fill begins with the attempt");

    ut_fail(NGX_CHAT_E_PROVIDER_BROKEN);
    fake_loop_run(0);

    ut_ok(st->error == NGX_CHAT_E_PROVIDER_BROKEN
          && cl.status == NGX_CHAT_STREAMING,
          "an error goes to the filler first");

    fake_loop_run(249);
    ut_ok(cl.status == NGX_CHAT_STREAMING, "an error is held");

    fake_loop_run(1);
    ut_ok(cl.status == NGX_CHAT_ERROR, "an error is held for 250 ms");

    fake_lane_answer(st, NGX_CHAT_LANE_DONE, "", 0);
    ut_leave(&cl);
    ut_end();
}


static void
ut_late(void)
{
    ut_client_t     cl;
    fake_stream_t  *st;

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);

    fake_loop_run(4999);
    ut_ok(fake.tasks == 0, "5 s without an answer of the filler: not yet");

    fake_loop_run(1);
    ut_redis();
    ut_ok(fake.tasks == 1, "5 s without an answer: the task is queued");

    fake_lane_end(0);
    fake_loop_run(20000);
    ut_redis();
    ut_ok(fake.tasks == 1, "the task is queued once");

    ut_leave(&cl);
    ut_chunk("x");
    ut_complete();
    fake_loop_run(60000);
    ut_ok(fake_loop_next() == -1, "no filler for 60 s: forgotten");
    ut_end();

    ut_begin(1);
    ut_queue_timeout(4000);
    fake_lane_up(0);
    ut_ask_maker(&cl, NGX_CHAT_ASK_CACHED);
    ut_redis();
    fake_loop_run(999);
    ut_ok(fake.tasks == 0, "a short queue timeout: not yet");
    fake_loop_run(1);
    ut_redis();
    ut_ok(fake.tasks == 1, "a short queue timeout: the task is queued sooner");
    ut_leave(&cl);
    ut_end();

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    fake_lanes.over = 1;
    fake_lane_end(0);
    ut_chunk("x");
    ut_complete();
    fake_loop_run(0);
    ut_ok(cl.status == NGX_CHAT_COMPLETED && fake_loop_next() == -1,
          "a worker whose time is over waits for no filler");
    ut_leave(&cl);
    ut_end();

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    st = fake_lane_stream();

    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    fake_loop_run(10000);
    ut_redis();
    ut_ok(fake.tasks == 0, "a filler that writes: nothing is queued");

    fake_lane_end(0);
    fake_loop_run(5000);
    ut_redis();
    ut_ok(fake.tasks == 1, "5 s without a lane: the task is queued");

    ngx_exiting = 1;
    ut_chunk("x");
    ut_complete();
    fake_loop_run(0);
    ut_ok(cl.status == NGX_CHAT_COMPLETED && fake_loop_next() == -1,
          "it is queued: a worker that is to exit waits for no filler");
    ngx_exiting = 0;

    ut_leave(&cl);
    ut_end();
}


static void
ut_idle(void)
{
    ut_client_t     cl;
    fake_stream_t  *st;

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    st = fake_lane_stream();

    ut_leave(&cl);
    ut_ok(ut_maker.abandoned == 1, "the maker is told that nobody listens");

    ut_ok(ngx_chat_lead_idle(ut_maker.lead) == NGX_OK, "is anybody elsewhere?");
    fake_loop_run(0);
    ut_ok(st->idle == 0, "it is asked once the filler writes");

    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    fake_loop_run(0);
    ut_ok(st->idle == 1, "the filler is asked");

    fake_lane_answer(st, NGX_CHAT_LANE_HEARD, "", 0);
    fake_loop_run(0);

    (void) ngx_chat_lead_idle(ut_maker.lead);
    fake_loop_run(0);
    ut_ok(st->idle == 2 && ut_maker.channel, "somebody was: asked again later");

    fake_lane_answer(st, NGX_CHAT_LANE_CANCELLED, "", 0);
    ut_ok(ut_maker.told == NGX_CHAT_E_CANCELLED && ut_maker.channel == NULL,
          "nobody was: the maker ends");
    ut_end();

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    ut_leave(&cl);
    fake_lane_end(0);

    ut_ok(ngx_chat_lead_idle(ut_maker.lead) == NGX_DECLINED,
          "without a lane nobody else can listen");
    ut_fail(NGX_CHAT_E_CANCELLED);
    ut_redis();
    ut_ok(fake_traps() == 0, "nothing is left in Redis of it");
    ut_end();

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    fake_lane_answer(fake_lane_stream(), NGX_CHAT_LANE_KEPT, "", 0);
    ut_leave(&cl);
    fake_lane_end(0);

    ut_ok(ngx_chat_lead_idle(ut_maker.lead) == NGX_OK && ut_maker.channel,
          "claimed by a filler that has died: goes on");

    fake_lane_up(0);
    fake_loop_run(0);
    st = fake_lane_stream();
    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    fake_loop_run(0);
    ut_ok(st->idle == 1, "claimed by a filler that has died: asks the next");

    fake_lane_answer(st, NGX_CHAT_LANE_CANCELLED, "", 0);
    ut_ok(ut_maker.told == NGX_CHAT_E_CANCELLED && ut_maker.channel == NULL,
          "claimed by a filler that has died: the next one ends it");
    ut_end();

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    st = fake_lane_stream();
    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    fake_lane_answer(st, NGX_CHAT_LANE_STOP, "", 0);
    fake_loop_run(0);
    ut_ok(ut_maker.told == NGX_CHAT_E_STOPPED
          && st->error == NGX_CHAT_E_STOPPED,
          "a stop ends the call, and the generation");

    fake_lane_answer(st, NGX_CHAT_LANE_DONE, "", 0);
    fake_loop_run(0);
    ut_ok(cl.status == NGX_CHAT_ERROR, "a stop ends it for all");
    fake_lane_answer(st, NGX_CHAT_LANE_DONE, "", 0);
    ut_leave(&cl);
    ut_end();
}


static void
ut_room(void)
{
    ngx_uint_t      n;
    ut_client_t     cl;
    fake_stream_t  *st;

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    st = fake_lane_stream();
    fake_lane_answer(st, NGX_CHAT_LANE_LISTENERS, "\1\0\0\0", 4);

    fake_lanes.room = 1;

    for (n = 0; n < 4; n++) {
        ut_chunk("abcd");
        fake_loop_run(0);
    }

    ut_ok(ut_has(st, "abcd") && cl.len == 16,
          "a full lane keeps nobody here waiting");

    fake_lanes_room(2);
    fake_loop_run(0);
    ut_ok(st->chunks == 3, "as much as there is room for");

    fake_lanes_room(100);
    fake_loop_run(0);
    ut_ok(ut_has(st, "abcdabcdabcdabcd"), "nothing is lost");

    fake_lanes.half = 1;
    ut_chunk("half");
    fake_loop_run(0);
    ut_restart();
    ut_chunk("new");
    fake_lanes_room(100);
    fake_loop_run(0);

    st = fake_lane_stream();
    ut_ok(st->fill == 2 && ut_label_ends(st, ".2") && ut_has(st, "new"),
          "a record in part of a void attempt: another fill");

    ut_leave(&cl);
    ut_end();
}


static void
ut_hand_over(void)
{
    ut_client_t     cl;
    fake_stream_t  *st;

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    st = fake_lane_stream();

    ut_ok(ngx_chat_lead_hand_over(ut_maker.lead) == NGX_OK,
          "what cannot be asked from here is handed over");
    ut_maker.channel = NULL;
    ut_redis();

    ut_ok(st->handed_over && fake.subscribed == 1,
          "the filler is told, and followed");

    fake_lane_answer(st, NGX_CHAT_LANE_NOT_KEPT, "handed over", 11);
    ut_leave(&cl);
    ut_redis();
    ut_end();

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    ut_chunk("x");
    ut_ok(ngx_chat_lead_hand_over(ut_maker.lead) == NGX_DECLINED,
          "not once there is a chunk");
    ut_complete();
    ut_leave(&cl);
    ut_end();

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    fake_lane_end(0);
    (void) ngx_chat_lead_hand_over(ut_maker.lead);
    ut_maker.channel = NULL;
    ut_redis();
    ut_ok(fake.tasks == 1, "without a lane the task is queued at once");

    fake_write(FAKE_RESTART);
    ut_redis();
    fake_write(FAKE_CANCEL);
    ut_redis();
    ut_ok(cl.status == NGX_CHAT_ERROR, "subscribers get what a filler writes");

    ut_leave(&cl);
    ut_redis();
    ut_end();
}


static void
ut_fallback(void)
{
    ut_client_t  cl, other;

    ut_begin(1);
    ut_ask_maker(&cl, NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ok(cl.result.kind == NGX_CHAT_RESULT_MISS && fake.tasks == 1
          && ut_maker.prepared == 0,
          "without a lane it goes through the queue");
    ut_leave(&cl);
    ut_end();

    ut_begin(1);
    fake_lane_up(0);
    ut_maker.declines = 1;
    ut_ask_maker(&cl, NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ok(cl.result.kind == NGX_CHAT_RESULT_MISS && fake.tasks == 1
          && ut_maker.discarded == 1 && fake_lanes.n == 0,
          "a maker that cannot begin: the queue");
    ut_leave(&cl);
    ut_end();

    ut_begin(1);
    fake_lane_up(0);
    ut_ask_maker(&cl, NGX_CHAT_ASK_CACHED);
    ut_ask_maker(&other, NGX_CHAT_ASK_CACHED);
    fake_loop_run(0);
    ut_redis();
    ut_ok(cl.result.kind == NGX_CHAT_RESULT_MISS
          && other.result.kind == NGX_CHAT_RESULT_JOIN
          && fake.opened == 1 && fake.sent == 2 && ut_maker.prepared == 1,
          "two who ask at once: one asks Redis");
    ut_leave(&cl);
    ut_leave(&other);
    ut_end();

    ut_begin(1);
    fake_lane_up(0);
    ut_ask_maker(&cl, NGX_CHAT_ASK_CACHED);

    while (ut_maker.prepared == 0) {
        fake_execute();
        fake_answer(NGX_OK);
        fake_loop_run(0);
    }

    ut_leave(&cl);
    ut_redis();
    ut_ok(ut_maker.channel && fake.tasks == 0,
          "an asker that leaves meanwhile: it is led all the same");
    ut_end();
}


int
main(void)
{
    ut_plain();
    ut_held();
    ut_held_lost();
    ut_lanes();
    ut_late();
    ut_idle();
    ut_room();
    ut_hand_over();
    ut_fallback();

    ut_ok(ut_wrong == 0, "nothing was left behind");

    return ut_done();
}
