
/*
 * Led generations when several things happen at once: whoever asks is fed, and
 * told, and nothing is waited for in vain.
 */


#include "ut_leads.h"


static void
ut_handed_over(void)
{
    ut_client_t  one, other;

    ut_lead(&one, NGX_CHAT_ASK_CACHED);
    fake_lane_end(0);
    (void) ngx_chat_lead_hand_over(ut_maker.lead);
    ut_maker.channel = NULL;
    ut_redis();
    ut_leave(&one);
    ut_redis();

    ut_ask_maker(&other, NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ok(fake.subs == 1, "handed over and left: who asks next is fed");

    fake_write(FAKE_RESTART);
    ut_redis();
    fake_write(FAKE_CANCEL);
    ut_redis();
    ut_ok(other.status == NGX_CHAT_ERROR, "handed over and left: and told");

    ut_leave(&other);
    ut_redis();
    ut_end();

    ut_lead(&one, NGX_CHAT_ASK_CACHED);
    fake_lane_answer(fake_lane_stream(), NGX_CHAT_LANE_KEPT, "", 0);
    (void) ngx_chat_lead_hand_over(ut_maker.lead);
    ut_maker.channel = NULL;
    ut_redis();
    ut_leave(&one);

    ut_ask_maker(&other, NGX_CHAT_ASK_CACHED);
    fake_loop_run(0);
    fake_lane_answer(fake_lane_stream(), NGX_CHAT_LANE_NOT_KEPT,
                     "handed over", 11);
    ut_redis();
    ut_ok(fake.subs == 1, "handed over to a filler that waits: fed");

    ut_leave(&other);
    ut_redis();
    ut_end();

    ut_lead(&one, NGX_CHAT_ASK_CACHED);
    fake.queue_full = 1;
    fake_lane_end(0);
    (void) ngx_chat_lead_hand_over(ut_maker.lead);
    ut_maker.channel = NULL;
    ut_redis();

    fake.queue_full = 0;
    fake_loop_run(10000);
    ut_redis();
    ut_ok(fake.tasks == 1, "a queue that was full: the task comes again");

    ut_leave(&one);
    ut_redis();
    ut_end();
}


static void
ut_idle_lane(void)
{
    ut_client_t     one, other;
    fake_stream_t  *st;

    ut_lead(&one, NGX_CHAT_ASK_CACHED);
    st = fake_lane_stream();
    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    ut_chunk("x");
    ut_redis();
    ut_leave(&one);
    (void) ngx_chat_lead_idle(ut_maker.lead);
    fake_loop_run(0);
    ut_ok(st->idle == 1, "nobody listens: the filler is asked");

    fake_lane_end(0);
    ut_ask_maker(&other, NGX_CHAT_ASK_CACHED);
    ut_redis();
    fake_lane_up(1);
    fake_loop_run(0);

    st = fake_lane_stream();
    fake_lane_answer(st, NGX_CHAT_LANE_KEPT, "", 0);
    fake_loop_run(0);
    ut_ok(st->idle == 0 && other.len == 1,
          "somebody has come: the next filler is not asked");

    ut_leave(&other);
    ut_redis();
    ut_fail(NGX_CHAT_E_INTERNAL);
    ut_end();

    ut_lead(&one, NGX_CHAT_ASK_CACHED);
    ut_chunk("x");
    ut_redis();
    ut_leave(&one);
    ut_ask_maker(&other, NGX_CHAT_ASK_CACHED);
    ut_ok(ngx_chat_hub_has_subscribers(ut_maker.channel),
          "who is about to be told listens already");

    fake_loop_run(0);
    ut_leave(&other);
    ut_redis();
    ut_fail(NGX_CHAT_E_INTERNAL);
    ut_end();
}


static void
ut_quit(void)
{
    ut_client_t  cl;

    ut_lead(&cl, NGX_CHAT_ASK_CACHED);
    ut_chunk("x");
    fake_lane_end(0);
    fake_loop_run(5000);
    ut_redis();
    ut_ok(fake.tasks == 1, "no lane: queued while the provider answers");

    ngx_exiting = 1;
    ut_complete();
    fake_loop_run(0);
    ut_leave(&cl);
    fake_loop_run(0);
    ut_ok(fake_loop_next() == -1,
          "a worker that quits does not wait for what others do");
    ngx_exiting = 0;
    ut_end();
}


static void
ut_full_queue(void)
{
    ngx_uint_t   n, told, rounds;
    ut_client_t  one, cl[50];

    ut_begin(1);
    fake.queue_full = 1;
    ut_ask_maker(&one, NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_leave(&one);

    for (n = 0; n < 50; n++) {
        ut_ask_maker(&cl[n], NGX_CHAT_ASK_CACHED);
    }

    for (rounds = 0; rounds < 4; rounds++) {
        fake_loop_run(3);

        while (fake_execute()) { /* void */ }
        while (fake_answer(NGX_OK)) { /* void */ }

        fake_loop_run(0);
    }

    for (n = 0, told = 0; n < 50; n++) {
        told += cl[n].results;
        ut_leave(&cl[n]);
    }

    ut_ok(told == 50, "a full queue: all who ask the same are told at once");
    ut_redis();
    ut_end();
}


/* counted to be led, and then it cannot be */

static void
ut_counted(void)
{
    ut_client_t  cl;

    ut_begin(1);
    ut_limit();
    fake_lane_up(0);
    ut_ask_maker(&cl, NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ok(fake.counted == 1 && fake.tasks == 0 && ut_maker.channel,
          "under a limit: counted, and led");

    ut_fail(NGX_CHAT_E_INTERNAL);
    ut_leave(&cl);
    ut_redis();
    ut_end();

    ut_begin(1);
    ut_limit();
    fake_lane_up(0);
    ut_maker.declines = 1;
    ut_ask_maker(&cl, NGX_CHAT_ASK_CACHED);
    ut_redis();
    ut_ok(fake.counted == 1 && fake.tasks == 1
          && cl.result.kind == NGX_CHAT_RESULT_MISS,
          "under a limit: counted, not led, and queued");

    ut_leave(&cl);
    ut_redis();
    ut_end();
}


int
main(void)
{
    ut_handed_over();
    ut_idle_lane();
    ut_quit();
    ut_full_queue();
    ut_counted();

    ut_ok(ut_wrong == 0, "nothing was left behind");

    return ut_done();
}
