
/*
 * Very many subscribers of channels: they are woken in several turns of the
 * event loop, which have so much time each, on a clock of the test; channels
 * in turn, each subscriber in its own, and none twice for what it could take at
 * once.  Whoever comes late finds very many frames in a few pieces.
 */


#include "fake_store.h"
#include "../../ngx_chat_module/hub/ngx_chat_hub.h"
#include "../../ngx_chat_module/hub/ngx_chat_wakes.h"


#define UT_SUBS      1000
#define UT_CHANNELS  100
#define UT_COST      10                /* us of a wake */
#define UT_TURN      (NGX_CHAT_WAKES_TIME / UT_COST)


typedef struct ut_reader_s {
    ngx_chat_sub_t      *sub;
    ngx_chat_channel_t  *again;        /* gets an event with each wake */
    struct ut_reader_s  *other;        /* leaves with the first one */
    ngx_uint_t           wakes;
    ngx_uint_t           frames;
    ngx_uint_t           most;         /* frames of one wake */
} ut_reader_t;


static void ut_nothing(void *data);
static void ut_wake(void *data);
static void ut_begin(ngx_uint_t n);
static ngx_chat_channel_t *ut_feed(u_char key);
static void ut_attach(ut_reader_t *rd, ngx_chat_channel_t *ch);
static void ut_forget_wakes(void);
static void ut_detach(ut_reader_t *rd);
static void ut_detach_all(void);
static void ut_end(const char *name);
static void ut_append(ngx_chat_channel_t *ch);
static ngx_uint_t ut_turn(void);
static void ut_spread(void);
static void ut_slow(void);
static void ut_fair(void);
static void ut_share(void);
static void ut_lag(void);
static void ut_leave(void);
static void ut_leave_other(void);
static void ut_leave_all(void);
static void ut_close(void);
static void ut_pieces(void);


static const ngx_chat_dialect_t  ut_dialect = {
    0, fake_frame_len, fake_frame, fake_replay
};

static const ngx_chat_source_t  ut_source = { ut_nothing, ut_nothing, NULL };

static ngx_chat_hub_t      *ut_hub;
static ngx_chat_hub_conf_t  ut_conf;
static ngx_chat_channel_t  *ut_channel;
static ut_reader_t          ut_reader[UT_SUBS];
static ut_reader_t          ut_others[UT_CHANNELS];
static ngx_uint_t           ut_cost;
static ngx_uint_t           ut_wakes;
static ngx_uint_t           ut_leaving;  /* the next ones, with each wake */


static void
ut_nothing(void *data)
{
}


static void
ut_wake(void *data)
{
    ut_reader_t *rd = data;

    ngx_uint_t            n;
    ngx_chat_sse_event_t  frame;

    fake_clock += ut_cost;

    ut_wakes++;
    rd->wakes++;

    for (n = 0; ngx_chat_hub_next(rd->sub, &frame) == NGX_OK; n++) {
        /* void */
    }

    rd->frames += n;
    rd->most = ngx_max(rd->most, n);

    if (rd->again) {
        ut_append(rd->again);
    }

    if (rd->other) {
        ut_detach(rd->other);
    }

    if (ut_leaving) {
        ut_detach(rd);

        rd++;

        if (rd < ut_reader + UT_SUBS) {
            ut_detach(rd);
        }
    }
}


/* n readers, who have been told that there is nothing yet */

static void
ut_begin(ngx_uint_t n)
{
    ngx_uint_t  i;

    fake_loop_init();
    fake_seed(1);

    ut_cost = UT_COST;

    ngx_memzero(ut_reader, sizeof(ut_reader));
    ngx_memzero(ut_others, sizeof(ut_others));

    ut_hub = ngx_chat_hub_create(&ut_conf, ngx_cycle->log);
    ut_channel = ut_feed('a');

    for (i = 0; i < n; i++) {
        ut_attach(&ut_reader[i], ut_channel);
    }

    ut_forget_wakes();
}


static ngx_chat_channel_t *
ut_feed(u_char key)
{
    u_char  h[NGX_CHAT_HASH_LEN];

    ngx_memset(h, key, sizeof(h));

    return ngx_chat_hub_feed(ut_hub, h, h, 1, &ut_source, NULL);
}


static void
ut_attach(ut_reader_t *rd, ngx_chat_channel_t *ch)
{
    rd->sub = ngx_chat_hub_attach(ch, &ut_dialect, ut_wake, rd);
}


static void
ut_forget_wakes(void)
{
    ngx_uint_t  i;

    while (ut_turn()) { /* void */ }

    for (i = 0; i < UT_SUBS; i++) {
        ut_reader[i].wakes = 0;
    }

    for (i = 0; i < UT_CHANNELS; i++) {
        ut_others[i].wakes = 0;
    }
}


static void
ut_detach(ut_reader_t *rd)
{
    if (rd->sub) {
        ngx_chat_hub_detach(rd->sub);
        rd->sub = NULL;
    }
}


static void
ut_detach_all(void)
{
    ngx_uint_t  i;

    for (i = 0; i < UT_SUBS; i++) {
        ut_detach(&ut_reader[i]);
    }

    for (i = 0; i < UT_CHANNELS; i++) {
        ut_detach(&ut_others[i]);
    }
}


static void
ut_end(const char *name)
{
    ut_detach_all();

    if (ut_channel) {
        ngx_chat_hub_end(ut_channel);
    }

    if (ut_hub) {
        ngx_chat_hub_close(ut_hub);
    }

    ut_ok(fake_loop_next() == -1 && ngx_queue_empty(&ngx_posted_events)
          && ngx_queue_empty(&ngx_posted_next_events)
          && ut_pool_bytes == 0, name);

    fake_free();
}


static void
ut_append(ngx_chat_channel_t *ch)
{
    ngx_chat_event_t  ev;

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_STREAMING;
    ngx_str_set(&ev.text, "x");

    (void) ngx_chat_hub_append(ch, &ev);
}


/* the number of those that were woken */

static ngx_uint_t
ut_turn(void)
{
    ut_wakes = 0;
    fake_loop_run(0);

    return ut_wakes;
}


static void
ut_spread(void)
{
    ngx_uint_t  i, n, turns, most, wrong;

    ut_begin(UT_SUBS);
    ut_append(ut_channel);

    most = 0;
    wrong = 0;

    for (turns = 0; (n = ut_turn()) != 0; turns++) {
        most = ngx_max(most, n);

        /* the first ones are served first */

        for (i = 0; i < ngx_min(turns * most, UT_SUBS); i++) {
            wrong += (ut_reader[i].frames != 1);
        }
    }

    for (i = 0; i < UT_SUBS; i++) {
        wrong += (ut_reader[i].frames != 1 || ut_reader[i].wakes != 1);
    }

    ut_ok(most <= UT_TURN && turns == (UT_SUBS + UT_TURN - 1) / UT_TURN
          && wrong == 0, "very many: some in each turn, in order");
    ut_end("and nothing is left");
}


/* a wake may send much, and others wait for that one alone */

static void
ut_slow(void)
{
    ngx_uint_t  turns;

    ut_begin(5);
    ut_cost = NGX_CHAT_WAKES_TIME;
    ut_append(ut_channel);

    for (turns = 0; ut_turn() == 1; turns++) { /* void */ }

    ut_ok(turns == 5, "one that takes long is the only one of its turn");
    ut_end("and nothing is left of it");
}


/* the reader of another channel, whose event comes behind that of very many */

static void
ut_fair(void)
{
    ngx_uint_t           i, before;
    ngx_chat_channel_t  *ch;

    ut_begin(UT_SUBS);

    ch = ut_feed('b');
    ut_attach(&ut_others[0], ch);
    ut_forget_wakes();

    ut_append(ut_channel);
    ut_append(ch);

    (void) ut_turn();

    before = 0;

    for (i = 0; i < UT_SUBS; i++) {
        before += ut_reader[i].wakes;
    }

    ut_ok(before <= UT_TURN && ut_others[0].wakes == 1,
          "one reader of another channel does not wait for very many");

    ut_append(ch);
    (void) ut_turn();

    ut_ok(ut_others[0].wakes == 2, "nor does it later");

    while (ut_turn()) { /* void */ }

    before = 0;

    for (i = 0; i < UT_SUBS; i++) {
        before += (ut_reader[i].frames == 1 && ut_reader[i].wakes == 1);
    }

    ut_ok(before == UT_SUBS && ut_others[0].frames == 2,
          "and all of these have their turn, once");

    ngx_chat_hub_end(ch);
    ut_end("and nothing is left of both");
}


/* many channels with a reader each, which is due again with each wake */

static void
ut_share(void)
{
    ngx_uint_t           i, n, wrong;
    ngx_chat_channel_t  *ch[UT_CHANNELS];

    ut_begin(UT_SUBS);

    for (i = 0; i < UT_CHANNELS; i++) {
        ch[i] = ut_feed((u_char) i);
        ut_attach(&ut_others[i], ch[i]);
    }

    ut_forget_wakes();
    ut_append(ut_channel);

    for (i = 0; i < UT_CHANNELS; i++) {
        ut_append(ch[i]);
        ut_others[i].again = ch[i];
    }

    n = 0;

    while (ut_reader[UT_SUBS - 1].wakes == 0
           && n < UT_SUBS * UT_CHANNELS)
    {
        n += ut_turn();
    }

    for (i = 0; i < UT_CHANNELS; i++) {
        ut_others[i].again = NULL;
    }

    wrong = 0;

    for (i = 0; i < UT_CHANNELS; i++) {

        /* as often as one another, within a round */

        wrong += (ut_others[i].wakes + 1 < ut_others[0].wakes
                  || ut_others[i].wakes > ut_others[0].wakes + 1);
    }

    ut_ok(n <= 20 * UT_SUBS,
          "very many of a channel do not wait long for many channels");
    ut_ok(wrong == 0, "which have their turns, too");

    while (ut_turn()) { /* void */ }

    for (i = 0; i < UT_CHANNELS; i++) {
        ngx_chat_hub_end(ch[i]);
    }

    ut_end("and nothing is left of all");
}


static void
ut_lag(void)
{
    ngx_uint_t  i, n, wakes, wrong, events;

    ut_begin(UT_SUBS);

    wakes = 0;
    wrong = 0;

    for (events = 0; events < 100; events++) {
        ut_append(ut_channel);
        wakes += ut_turn();
    }

    while ((n = ut_turn()) != 0) {
        wakes += n;
    }

    for (i = 0; i < UT_SUBS; i++) {
        wrong += (ut_reader[i].frames != events || ut_reader[i].most < 10);
    }

    ut_ok(wrong == 0 && wakes < UT_SUBS * events / 10,
          "faster than they are woken: several events in a wake");
    ut_end("and nothing is left then");
}


static void
ut_leave(void)
{
    ngx_uint_t  n, wakes;

    ut_begin(UT_SUBS);
    ut_append(ut_channel);

    ut_leaving = 1;
    wakes = 0;

    while ((n = ut_turn()) != 0) {
        wakes += n;
    }

    ut_leaving = 0;

    ut_ok(wakes == UT_SUBS / 2, "who has left is not woken");
    ut_end("and nothing is left of them");
}


/* the last reader of a channel leaves, which waits for its turn, and is gone */

static void
ut_leave_other(void)
{
    ngx_chat_channel_t  *ch;

    ut_begin(UT_SUBS);

    ch = ut_feed('b');
    ut_attach(&ut_others[0], ch);
    ut_forget_wakes();

    ut_append(ut_channel);
    ut_append(ch);
    ngx_chat_hub_end(ch);

    /* each wake has it leave, before its turn */

    ut_reader[0].other = &ut_others[0];
    (void) ut_turn();

    ut_ok(ut_others[0].wakes == 0 && ut_others[0].sub == NULL
          && ut_reader[0].wakes == 1,
          "a reader that leaves inside another's wake takes its channel along");
    ut_end("and nothing is left of that");
}


static void
ut_leave_all(void)
{
    ut_begin(UT_SUBS);
    ut_append(ut_channel);
    (void) ut_turn();

    ut_detach_all();

    ut_ok(ut_turn() == 0, "all leave between two turns: none is woken");
    ut_end("and nothing is posted");
}


/* the worker ends: whoever is due yet has its turn without the hub */

static void
ut_close(void)
{
    ngx_uint_t  i, n, wrong;

    ut_begin(UT_SUBS);
    ut_append(ut_channel);
    (void) ut_turn();

    ngx_chat_hub_end(ut_channel);
    ngx_chat_hub_close(ut_hub);

    ut_channel = NULL;
    ut_hub = NULL;

    for (n = 0; ut_turn(); n++) { /* void */ }

    wrong = 0;

    for (i = 0; i < UT_SUBS; i++) {
        wrong += (ut_reader[i].frames != 2);
    }

    ut_ok(n > UT_SUBS / UT_TURN - 2 && wrong == 0,
          "the hub closes: all are told, in several turns");
    ut_end("and nothing outlives them");
}


static void
ut_pieces(void)
{
    u_char                *end;
    ngx_uint_t             i, pieces;
    ngx_chat_sub_t        *late;
    ngx_chat_sse_event_t   frame;

    ut_begin(1);

    for (i = 0; i < UT_SUBS; i++) {
        ut_append(ut_channel);

        /* rendered as they come, between entries */

        (void) ut_turn();
    }

    late = ngx_chat_hub_attach(ut_channel, &ut_dialect, ut_nothing, NULL);

    end = NULL;
    pieces = 0;

    for (i = 0; ngx_chat_hub_next(late, &frame) == NGX_OK; i++) {
        pieces += (frame.bytes.data != end);
        end = frame.bytes.data + frame.bytes.len;
    }

    ut_ok(i == UT_SUBS && pieces <= 4, "who comes late gets a few pieces");

    ngx_chat_hub_detach(late);
    ut_end("and nothing is left of these");
}


int
main(void)
{
    ut_spread();
    ut_slow();
    ut_fair();
    ut_share();
    ut_lag();
    ut_leave();
    ut_leave_other();
    ut_leave_all();
    ut_close();
    ut_pieces();

    return ut_done();
}
