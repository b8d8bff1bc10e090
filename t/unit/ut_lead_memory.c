
/*
 * Memory of led generations: that it is counted as it is allocated, and what
 * follows when it is too much.
 */


#include "ut_leads.h"
#include "../../ngx_chat_module/hub/ngx_chat_contents.h"
#include "../../ngx_chat_module/hub/ngx_chat_lead_private.h"


#define UT_LARGE  (60 * 1024 * 1024)


static ngx_chat_channel_t  *ut_channel;


static void
ut_append(u_char *text, size_t len)
{
    ngx_chat_event_t  ev;

    memset(&ev, 0, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_STREAMING;
    ev.text.data = text;
    ev.text.len = len;

    (void) ngx_chat_hub_append(ut_maker.channel, &ev);
    fake_loop_run(0);
}


/*
 * The pools here have a block for each piece, those of nginx have some room
 * left at the end of each of theirs.  Sheets of frames are in no pool.
 */

static ngx_uint_t
ut_is_counted(ngx_chat_hub_t *hub, size_t before)
{
    size_t             bytes;
    ngx_chat_sheet_t  *sheet;

    bytes = ut_pool_bytes - before;

    for (sheet = ut_channel->sheets; sheet; sheet = sheet->next) {
        bytes += sheet->size;
    }

    return hub->memory >= bytes && hub->memory <= 2 * bytes + 4096;
}


/* chunks of these sizes: for each an entry and a frame, then the whole text */

static void
ut_count(size_t least, size_t most, ngx_uint_t n, const char *name)
{
    size_t             before, len, whole;
    u_char            *text;
    ngx_uint_t         ok;
    ut_client_t        cl;
    ngx_chat_hub_t    *hub;

    text = calloc(1, most);

    ut_begin(1);
    fake_lane_up(0);

    before = ut_pool_bytes;

    /* the lane takes no text */

    fake_lanes.room = 1;
    ut_ask_maker(&cl, NGX_CHAT_ASK_REFRESH);
    ut_redis();
    fake_lanes.room = 0;

    hub = ut_maker.lead->leads->hub;
    ut_channel = ut_maker.channel;
    whole = 0;
    ok = ut_is_counted(hub, before);

    while (n--) {
        len = least + fake_random((uint32_t) (most - least + 1));
        whole += len;

        ut_append(text, len);

        ok = ok && ut_is_counted(hub, before);
    }

    ut_ok(ok && hub->memory > 2 * whole, name);

    ut_complete();
    fake_loop_run(1000);

    ut_ok(cl.status == NGX_CHAT_COMPLETED && ut_is_counted(hub, before)
          && hub->memory > 3 * whole, "and the whole text");

    fake_lane_answer(&fake_lanes.streams[0], NGX_CHAT_LANE_DONE, "", 0);

    ut_ok(ut_is_counted(hub, before) && ut_pool_bytes > before,
          "once it is written it counts, as a client has it");

    ut_leave(&cl);
    ut_ok(hub->memory == 0 && ut_pool_bytes == before,
          "without a client nothing is left");
    ut_end();

    free(text);
}


/*
 * Leads with more text each than a test should send anywhere; so many there may
 * be, if clients look at it or not.
 */

static void
ut_bound(ngx_uint_t look, ngx_uint_t most, const char *name)
{
    u_char              *text;
    ngx_uint_t           i, n;
    ut_client_t          clients[8], *cl;
    ngx_chat_lead_t     *leads[8];

    text = calloc(1, UT_LARGE);

    ut_begin(1);
    fake_lane_up(0);

    for (n = 0; n < 8; n++) {
        cl = &clients[n];

        fake_lanes.room = 1;
        ut_ask_maker(cl, NGX_CHAT_ASK_REFRESH);
        ut_redis();

        if (fake.tasks) {
            break;
        }

        if (!look) {
            ut_leave(cl);
        }

        leads[n] = ut_maker.lead;

        fake_lanes.room = 0;
        ut_append(text, UT_LARGE);
    }

    ut_ok(n == most && ut_maker.prepared == most, name);

    for (i = 0; i <= n; i++) {
        ut_leave(&clients[i]);
    }

    fake_lane_answer(&fake_lanes.streams[0], NGX_CHAT_LANE_NOT_KEPT, "x", 1);
    ngx_chat_lead_fail(leads[0], NGX_CHAT_E_INTERNAL);
    ut_ask_maker(&clients[0], NGX_CHAT_ASK_REFRESH);
    ut_redis();
    ut_leave(&clients[0]);

    ut_ok(fake.tasks == 1 && ut_maker.prepared == most + 1,
          "with less than that again, a worker leads");

    for (i = 1; i < n; i++) {
        ngx_chat_lead_fail(leads[i], NGX_CHAT_E_INTERNAL);
    }

    ut_fail(NGX_CHAT_E_INTERNAL);
    ut_end();

    free(text);
}


int
main(void)
{
    ut_count(1, 40, 600, "small chunks");
    ut_count(1, 2900, 50, "large ones");
    ut_count(1400, 1500, 50, "those that about fill a block");

    ut_bound(0, 5, "with 256 MiB of events that wait: the queue");
    ut_bound(1, 3, "with as much of events and frames, too");

    ut_ok(!ut_wrong, "nothing else was wrong");

    return ut_done();
}
