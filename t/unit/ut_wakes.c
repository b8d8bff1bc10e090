
/*
 * Very many subscribers of a channel: they are woken in several turns of the
 * event loop, each in its turn, and none twice for what it could take at once.
 * Whoever comes late finds very many frames in a few pieces.
 */


#include "fake_store.h"
#include "../../ngx_chat_module/hub/ngx_chat_hub.h"


#define UT_SUBS  1000
#define UT_TURN  32


typedef struct {
    ngx_chat_sub_t      *sub;
    ngx_uint_t           wakes;
    ngx_uint_t           frames;
    ngx_uint_t           most;         /* frames of one wake */
} ut_reader_t;


static void ut_nothing(void *data);
static void ut_wake(void *data);
static void ut_begin(ngx_uint_t n);
static void ut_end(const char *name);
static void ut_append(void);
static ngx_uint_t ut_turn(void);
static void ut_spread(void);
static void ut_lag(void);
static void ut_leave(void);
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

    ut_wakes++;
    rd->wakes++;

    for (n = 0; ngx_chat_hub_next(rd->sub, &frame) == NGX_OK; n++) {
        /* void */
    }

    rd->frames += n;
    rd->most = ngx_max(rd->most, n);

    if (ut_leaving) {
        ngx_chat_hub_detach(rd->sub);
        rd->sub = NULL;

        rd++;

        if (rd < ut_reader + UT_SUBS && rd->sub) {
            ngx_chat_hub_detach(rd->sub);
            rd->sub = NULL;
        }
    }
}


/* n readers, who have been told that there is nothing yet */

static void
ut_begin(ngx_uint_t n)
{
    u_char      key[NGX_CHAT_HASH_LEN];
    ngx_uint_t  i;

    fake_loop_init();
    fake_seed(1);

    ngx_memset(key, 'a', sizeof(key));
    ngx_memzero(ut_reader, sizeof(ut_reader));

    ut_hub = ngx_chat_hub_create(&ut_conf, ngx_cycle->log);
    ut_channel = ngx_chat_hub_feed(ut_hub, key, key, 1, &ut_source, NULL);

    for (i = 0; i < n; i++) {
        ut_reader[i].sub = ngx_chat_hub_attach(ut_channel, &ut_dialect, ut_wake,
                                               &ut_reader[i]);
    }

    while (ut_turn()) { /* void */ }

    for (i = 0; i < n; i++) {
        ut_reader[i].wakes = 0;
    }
}


static void
ut_end(const char *name)
{
    ngx_uint_t  i;

    for (i = 0; i < UT_SUBS; i++) {
        if (ut_reader[i].sub) {
            ngx_chat_hub_detach(ut_reader[i].sub);
        }
    }

    ngx_chat_hub_end(ut_channel);
    ngx_chat_hub_close(ut_hub);

    ut_ok(fake_loop_next() == -1 && ngx_queue_empty(&ngx_posted_events)
          && ngx_queue_empty(&ngx_posted_next_events), name);

    fake_free();
}


static void
ut_append(void)
{
    ngx_chat_event_t  ev;

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_STREAMING;
    ngx_str_set(&ev.text, "x");

    (void) ngx_chat_hub_append(ut_channel, &ev);
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
    ut_append();

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


static void
ut_lag(void)
{
    ngx_uint_t  i, n, wakes, wrong, events;

    ut_begin(UT_SUBS);

    wakes = 0;
    wrong = 0;

    for (events = 0; events < 100; events++) {
        ut_append();
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
    ut_append();

    ut_leaving = 1;
    wakes = 0;

    while ((n = ut_turn()) != 0) {
        wakes += n;
    }

    ut_leaving = 0;

    ut_ok(wakes == UT_SUBS / 2, "who has left is not woken");
    ut_end("and nothing is left of them");
}


static void
ut_close(void)
{
    ngx_uint_t  i;

    ut_begin(UT_SUBS);
    ut_append();
    (void) ut_turn();

    for (i = 0; i < UT_SUBS; i++) {
        ngx_chat_hub_detach(ut_reader[i].sub);
        ut_reader[i].sub = NULL;
    }

    ut_ok(ut_turn() == 0, "all leave between two turns: none is woken");
    ut_end("and nothing is posted");
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
        ut_append();

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
    ut_lag();
    ut_leave();
    ut_close();
    ut_pieces();

    return ut_done();
}
