
/*
 * Led generations with everything at random: lanes come and go, are full, and
 * take half a record; the filler answers, or does not; attempts start over.
 * Subscribers get what the provider said, and so does the filler that has the
 * generation last.
 */


#include "ut_leads.h"


#define UT_SEEDS  2000


static void ut_seed(uint32_t seed);
static void ut_step(fake_stream_t *st);
static void ut_toggle(ngx_uint_t lane);
static void ut_answer(fake_stream_t *st);
static void ut_check(ut_client_t *cl);


static ngx_uint_t  ut_ends;


int
main(void)
{
    uint32_t  seed;

    for (seed = 1; seed < UT_SEEDS; seed++) {
        ut_seed(seed);
    }

    ut_ok(ut_wrong == 0 && ut_ends > 200, "everything at random");

    return ut_done();
}


static void
ut_seed(uint32_t seed)
{
    ngx_uint_t   n;
    ut_client_t  cl;

    ut_begin(seed);
    fake_lane_up(fake_random(2));

    ut_ask_maker(&cl, fake_random(4) ? NGX_CHAT_ASK_CACHED
                                     : NGX_CHAT_ASK_REFRESH);
    ut_redis();

    for (n = 0; n < 60; n++) {
        ut_step(fake_lane_stream());
    }

    ut_complete();
    fake_lanes_room((ngx_uint_t) -1);
    fake_loop_run(0);

    ut_check(&cl);

    ut_leave(&cl);
    ut_redis();
    fake_loop_run(61000);
    ut_redis();
    ut_end();
}


static void
ut_step(fake_stream_t *st)
{
    switch (fake_random(12)) {

    case 0:
    case 1:
        ut_toggle(fake_random(FAKE_LANES));
        return;

    case 2:
        fake_lanes.room = fake_random(3);
        return;

    case 3:
        fake_lanes.half = 1;
        return;

    case 4:
        fake_lanes_room(fake_random(8));
        return;

    case 5:
        ut_restart();
        return;

    case 6:
        fake_loop_run(fake_random(3000));
        ut_redis();
        return;

    case 7:
        if (st) {
            ut_answer(st);
        }

        return;

    default:
        ut_chunk("chunk ");
        fake_loop_run(0);
    }
}


static void
ut_toggle(ngx_uint_t lane)
{
    if (fake_lanes.up[lane]) {
        fake_lane_end(lane);
        return;
    }

    fake_lane_up(lane);
}


static void
ut_answer(fake_stream_t *st)
{
    switch (fake_random(8)) {

    case 0:
        fake_lane_answer(st, NGX_CHAT_LANE_NOT_KEPT, "LOST", 4);
        return;

    case 1:
        fake_lane_answer(st, NGX_CHAT_LANE_LISTENERS, "\0\0\0\0", 4);
        return;

    case 2:
    case 3:
        fake_lane_answer(st, NGX_CHAT_LANE_LISTENERS, "\1\0\0\0", 4);
        return;

    default:
        fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    }
}


static void
ut_check(ut_client_t *cl)
{
    fake_stream_t  *st;

    st = fake_lane_stream();

    if (st && fake_lanes.up[st->lane] && st->ended) {
        ut_ends++;

        if (st->len != ut_maker.len
            || memcmp(st->text, ut_maker.text, st->len) != 0)
        {
            ut_bad("the filler has something else");
        }

        fake_lane_answer(st, NGX_CHAT_LANE_DONE, "", 0);
    }

    fake_loop_run(1000);

    if (cl->sub && (cl->status != NGX_CHAT_COMPLETED
                    || cl->len != ut_maker.len
                    || memcmp(cl->text, ut_maker.text, cl->len) != 0))
    {
        ut_bad("the subscriber has something else");
    }
}
