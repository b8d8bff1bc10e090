
/*
 * The hub over a Redis that fails at random: whatever the order of replies,
 * messages, losses and departures, every client sees chunks in order from the
 * first one on, and exactly one terminal event, and nothing is left behind.
 */


#include "ut_client.h"
#include "../../ngx_chat_module/shm/ngx_chat_metrics.h"

#include <stdio.h>
#include <stdlib.h>


#define UT_CLIENTS  24
#define UT_STEPS    4000


/* a client, and the chunks that it has got */
typedef struct {
    ut_client_t            cl;
    ngx_uint_t             used;
    ngx_chat_ask_mode_e    mode;
    ngx_uint_t             slow;       /* takes one frame at a time */

    unsigned               serial;
    unsigned               attempt;
    unsigned               i;
    size_t                 len;
    char                   text[65536];
} ut_reader_t;


static size_t ut_len(ngx_chat_event_t *ev);
static u_char *ut_write(u_char *p, ngx_chat_event_t *ev);
static void ut_begin_asking(ut_reader_t *rd);
static ngx_uint_t ut_wants(ut_client_t *cl);
static void ut_told(ut_client_t *cl);
static void ut_woken(ut_client_t *cl);
static void ut_take(ut_reader_t *rd);
static void ut_frame(ut_reader_t *rd, ngx_chat_sse_event_t *frame);
static void ut_go(ut_reader_t *rd);
static void ut_bad(const char *what);
static void ut_step(ngx_uint_t faults);
static void ut_fault(void);
static void ut_settle(void);
static void ut_round(uint32_t seed, ngx_uint_t faults, ngx_uint_t close);
static void ut_lost(fake_write_e what, ngx_uint_t restarts);


static const ngx_chat_dialect_t  ut_dialects[] = {
    { 0, ut_len, ut_write, fake_replay },
    { 1, ut_len, ut_write, fake_replay }
};

static ut_reader_t  ut_readers[UT_CLIENTS];
static ngx_uint_t   ut_tell_faults;
static ngx_uint_t   ut_wrong;
static ngx_uint_t   ut_completed;
static ngx_uint_t   ut_errors;
static ngx_uint_t   ut_restarts;
static ngx_uint_t   ut_hits;
static ngx_uint_t   ut_joined;
static ngx_chat_metrics_block_t  ut_block;


static void
ut_bad(const char *what)
{
    if (ut_wrong++ < 10) {
        printf("# %s\n", what);
    }
}


static size_t
ut_len(ngx_chat_event_t *ev)
{
    return 1 + ev->text.len;
}


static u_char *
ut_write(u_char *p, ngx_chat_event_t *ev)
{
    static const char  letter[] = "PSCE";

    *p = letter[ev->status];

    return ngx_cpymem(p + 1, ev->text.data, ev->text.len);
}


static void
ut_begin_asking(ut_reader_t *rd)
{
    u_char  key;

    key = 'a' + fake_random(FAKE_KEYS);

    memset(rd, 0, sizeof(ut_reader_t));

    rd->used = 1;
    rd->mode = fake_random(4) ? NGX_CHAT_ASK_CACHED : 1 + fake_random(2);
    rd->slow = (fake_random(4) == 0);

    ut_ask(&rd->cl, key, rd->mode);

    if (rd->cl.ask == NULL) {
        rd->used = 0;
    }
}


static ngx_uint_t
ut_wants(ut_client_t *cl)
{
    ut_ops.dialect = &ut_dialects[fake_random(2)];

    return fake_random(20) != 0;
}


static void
ut_told(ut_client_t *cl)
{
    ut_reader_t  *rd = (ut_reader_t *) cl;

    if (ngx_current_msec - cl->asked > 1000) {
        ut_bad("a late result");
    }

    switch (cl->result.kind) {

    case NGX_CHAT_RESULT_HIT:
        ut_hits++;

        if (rd->mode != NGX_CHAT_ASK_CACHED) {
            ut_bad("a hit that was not wanted");
        }

        break;

    case NGX_CHAT_RESULT_ERROR:
        ut_errors++;
        break;

    case NGX_CHAT_RESULT_JOIN:
        ut_joined++;

        if (rd->mode != NGX_CHAT_ASK_CACHED) {
            ut_bad("a join that was not wanted");
        }

        break;

    default:
        break;
    }

    if (cl->sub == NULL) {
        ut_go(rd);
    }
}


static void
ut_woken(ut_client_t *cl)
{
    ngx_uint_t    i;
    ut_reader_t  *rd = (ut_reader_t *) cl;

    if (fake_random(200) == 0) {
        i = fake_random(UT_CLIENTS);

        if (&ut_readers[i] != rd) {
            ut_go(&ut_readers[i]);
        }
    }

    if (fake_random(400) == 0) {
        ut_go(rd);
        return;
    }

    ut_take(rd);
}


static void
ut_take(ut_reader_t *rd)
{
    ngx_int_t             rc;
    ngx_chat_sse_event_t  frame;

    for ( ;; ) {

        if (rd->cl.sub == NULL) {
            return;
        }

        if (!rd->slow || fake_random(2)) {
            ngx_chat_hub_sent(rd->cl.sub);
        }

        rc = ngx_chat_hub_next(rd->cl.sub, &frame);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc != NGX_OK) {

            if (rc == NGX_DONE) {
                ut_bad("done before the terminal frame");
            }

            ut_go(rd);
            return;
        }

        ut_frame(rd, &frame);

        if (rd->slow && fake_random(2)) {
            return;
        }
    }
}


static void
ut_frame(ut_reader_t *rd, ngx_chat_sse_event_t *frame)
{
    char                  chunk[40];
    unsigned              serial, attempt, i;
    ngx_chat_sse_event_t  none;

    switch (frame->status) {

    case NGX_CHAT_PROCESSING:
        ut_restarts++;
        rd->len = 0;
        rd->i = 0;
        return;

    case NGX_CHAT_STREAMING:
        memcpy(chunk, frame->bytes.data + 1, frame->bytes.len - 1);
        chunk[frame->bytes.len - 1] = '\0';

        if (sscanf(chunk, "%u.%u.%u;", &serial, &attempt, &i) != 3) {
            ut_bad("not a chunk");
            return;
        }

        if ((rd->serial && serial != rd->serial) || i != rd->i
            || (i > 0 && attempt != rd->attempt))
        {
            ut_bad("a chunk out of order");
        }

        rd->serial = serial;
        rd->attempt = attempt;
        rd->i = i + 1;

        memcpy(rd->text + rd->len, chunk, frame->bytes.len - 1);
        rd->len += frame->bytes.len - 1;
        return;

    case NGX_CHAT_COMPLETED:
        ut_completed++;

        if (frame->bytes.len - 1 != rd->len
            || memcmp(frame->bytes.data + 1, rd->text, rd->len) != 0
            || rd->len == 0)
        {
            ut_bad("completed with another text");
        }

        break;

    case NGX_CHAT_ERROR:
        ut_errors++;

        /* how a generation ends is not a fault of what follows it */

        if (!ut_tell_faults
            && (frame->code.len != 15
                || memcmp(frame->code.data, "provider_broken", 15) != 0))
        {
            ut_bad("an error though nothing fails");
        }

        break;
    }

    if (ngx_chat_hub_next(rd->cl.sub, &none) != NGX_DONE) {
        ut_bad("a frame after the terminal one");
    }

    ut_go(rd);
}


static void
ut_go(ut_reader_t *rd)
{
    ut_leave(&rd->cl);

    rd->used = 0;
}


static void
ut_step(ngx_uint_t faults)
{
    ngx_uint_t    ms;
    ut_reader_t  *rd;

    rd = &ut_readers[fake_random(UT_CLIENTS)];

    switch (fake_random(12)) {

    case 0:
    case 1:
    case 2:
        fake_execute();
        break;

    case 3:
    case 4:
    case 5:
        fake_answer(NGX_OK);
        break;

    case 6:
    case 7:
        fake_deliver();
        break;

    case 8:
        fake_write(FAKE_ANY);
        break;

    case 9:
        if (!rd->used) {
            ut_begin_asking(rd);

        } else if (fake_random(10) == 0) {
            ut_go(rd);
        }

        break;

    case 10:
        if (rd->cl.sub && rd->slow) {
            ut_take(rd);
        }

        break;

    case 11:
        if (faults && fake_random(25) == 0) {
            ut_fault();
        }

        break;
    }

    ms = fake_random(20) ? fake_random(4) : fake_random(faults ? 900 : 30);

    fake_loop_run(ms);
}


static void
ut_fault(void)
{
    ngx_int_t  ms;

    switch (fake_random(13)) {

    case 0:
        fake_cut_pubsub();
        break;

    case 1:
    case 2:
        fake_pubsub_up();
        break;

    case 3:
        fake_cut_commands();
        fake.redis_down = fake_random(2);
        break;

    case 4:
    case 5:
        fake.redis_down = 0;
        break;

    case 6:
        fake_garbage();
        break;

    case 7:
        fake_lose(fake_random(4));
        break;

    case 8:
        fake_orphan();
        break;

    case 9:
        fake.queue_full = !fake.queue_full;
        break;

    case 10:
        fake_answer(NGX_ABORT);
        break;

    case 11:
        ut_fail_alloc = 1 + fake_random(20);
        break;

    case 12:

        /* nothing happens for some time */

        ms = fake_loop_next();

        if (ms > 0) {
            fake_loop_run(ms);
        }

        break;
    }
}


/* all is well again: everybody has to come to an end */

static void
ut_settle(void)
{
    ngx_uint_t  i, n, used;

    fake.redis_down = 0;
    fake.queue_full = 0;
    ut_fail_alloc = 0;
    fake_pubsub_up();

    for (n = 0; n < 2000; n++) {

        while (fake_execute() || fake_answer(NGX_OK) || fake_deliver()) {
            fake_loop_run(0);
        }

        fake_write(FAKE_ANY);
        fake_write(n > 20 ? FAKE_END : FAKE_ANY);

        used = 0;

        for (i = 0; i < UT_CLIENTS; i++) {
            used += ut_readers[i].used;
            ut_take(&ut_readers[i]);
        }

        if (used == 0 && fake_loop_next() == -1) {
            break;
        }

        fake_loop_run(n < 20 ? 1 : 100);
    }

    for (i = 0; i < UT_CLIENTS; i++) {

        if (ut_readers[i].used) {
            ut_bad("a client without a terminal event");
            ut_go(&ut_readers[i]);
        }
    }

    while (fake_execute() || fake_answer(NGX_OK) || fake_deliver()) {
        fake_loop_run(0);
    }
}


static void
ut_round(uint32_t seed, ngx_uint_t faults, ngx_uint_t close)
{
    ngx_uint_t            n;
    ngx_chat_hub_state_t  state;

    ut_tell_faults = faults;
    ut_hub_begin(seed);

    /* without any memory answers are dropped as soon as they may be */

    ut_conf.memory = (faults && seed % 2) ? 0 : 256 * 1024 * 1024;

    /* a hub that is closed does not give back what its readers hold */

    ut_block.gauges.values[NGX_CHAT_GAUGE_HUB_MEMORY] = 0;

    for (n = 0; n < UT_STEPS; n++) {
        ut_step(faults);
    }

    if (!close) {
        ut_settle();

        ngx_chat_hub_get_state(ut_hub, &state);

        if (state.channels || fake.subs || fake.calls
            || fake_loop_next() != -1)
        {
            ut_bad("something is left behind");
        }

        if (ut_block.gauges.values[NGX_CHAT_GAUGE_HUB_MEMORY]) {
            ut_bad("memory was not counted as it was given back");
        }
    }

    ut_fail_alloc = 0;

    ngx_chat_hub_close(ut_hub);

    for (n = 0; n < UT_CLIENTS; n++) {
        ut_go(&ut_readers[n]);
    }

    if (fake.subs || fake_loop_next() != -1
        || !ngx_queue_empty(&ngx_posted_events))
    {
        ut_bad("something outlives the hub");
    }

    if (!faults && fake.checks) {
        ut_bad("something published was missed");
    }

    if (ut_odd) {
        ut_bad("a result inside ask, after forget, or the second one");
    }

    if (fake.bad) {
        ut_bad("the interface of the store is not kept");
    }

    fake_free();
}


/* the generation is gone when its reader looks, but its answer is cached */

static void
ut_lost(fake_write_e what, ngx_uint_t restarts)
{
    uint32_t      seed;
    ngx_uint_t    before;
    ut_reader_t  *rd;

    rd = &ut_readers[0];

    for (seed = 1; seed < 200; seed++) {
        ut_hub_begin(seed);

        ut_begin_asking(rd);
        ut_redis();

        fake_write(FAKE_RESTART);
        ut_redis();

        before = ut_restarts;

        if (rd->cl.sub && rd->i) {
            fake_cut_pubsub();
            fake_write(what);
            fake_write(FAKE_END);
            fake_lose(1);

            fake_loop_run(6000);
            ut_redis();

            if (!rd->used && ut_restarts - before > restarts) {
                ut_bad("a restart that was not needed");
            }
        }

        ut_go(rd);
        ut_redis();

        ngx_chat_hub_close(ut_hub);
        fake_free();
    }
}


int
main(int argc, char **argv)
{
    uint32_t                         seed, from, to;
    ngx_atomic_t                    *counts;
    static ngx_chat_metrics_names_t  names;

    ngx_chat_metrics_use(&ut_block, &names);
    counts = ut_block.counters.counts;

    ut_ops.wants = ut_wants;
    ut_ops.told = ut_told;
    ut_ops.woken = ut_woken;

    from = (argc > 1) ? atoi(argv[1]) : 1;
    to = (argc > 1) ? from : 200;

    for (seed = from; seed <= to; seed++) {
        ut_round(seed, 0, 0);
    }

    ut_ok(ut_wrong == 0, "nothing fails: in order, complete, nothing left");
    ut_ok(ut_completed > 100 && ut_joined > 100 && ut_hits > 100,
          "answers were completed, joined and hit");

    for (seed = from; seed <= to; seed++) {

        if (argc > 1) {
            printf("# seed %u\n", (unsigned) seed);
        }

        ut_round(seed, 1, 0);
    }

    ut_ok(ut_wrong == 0, "everything fails: in order, ended, nothing left");
    ut_ok(ut_errors > 100 && ut_restarts > 100,
          "there were errors and restarts");
    ut_ok(counts[NGX_CHAT_COUNT_EVICTIONS] > 100
          && counts[NGX_CHAT_COUNT_REFILLS] > 100,
          "answers were dropped, and read again");

    for (seed = from; seed <= to; seed++) {
        ut_round(seed, 1, 1);
    }

    ut_ok(ut_wrong == 0, "closing the hub with clients attached");

    ut_restarts = 0;
    ut_completed = 0;

    ut_lost(FAKE_END, 0);
    ut_ok(ut_wrong == 0 && ut_completed > 50,
          "a lost generation goes on from the cache");

    ut_completed = 0;

    ut_lost(FAKE_RESTART, 1);
    ut_ok(ut_wrong == 0 && ut_completed > 50,
          "a lost generation that was restarted starts over");

    printf("# %u completed, %u errors, %u restarts, %u hits, %u joins\n",
           (unsigned) ut_completed, (unsigned) ut_errors,
           (unsigned) ut_restarts, (unsigned) ut_hits, (unsigned) ut_joined);

    return ut_done();
}
