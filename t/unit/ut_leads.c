
#include "ut_leads.h"


static void ut_woken(ut_client_t *cl);
static ngx_chat_question_t *ut_rest(ut_client_t *cl);
static size_t ut_len(ngx_chat_event_t *ev);
static u_char *ut_write(u_char *p, ngx_chat_event_t *ev);
static void *ut_prepare(void *data);
static ngx_int_t ut_start(void *maker, ngx_chat_lead_t *lead);
static void ut_discard(void *maker);
static void ut_abandoned(void *data);
static void ut_stop(void *data);
static void ut_stopped(void *data);
static void ut_cancelled(void *data);


static const ngx_chat_dialect_t  ut_dialect = {
    0, ut_len, ut_write, fake_replay
};

static const ngx_chat_maker_t  ut_makers = {
    ut_prepare, ut_start, ut_discard
};

static const ngx_chat_source_t  ut_source = { ut_abandoned, ut_stop, NULL };

static const ngx_chat_lead_ops_t  ut_lead_ops = { ut_stopped, ut_cancelled };

static ngx_uint_t  ut_interval;
ut_maker_t         ut_maker;
ngx_uint_t         ut_wrong;


void
ut_bad(const char *what)
{
    if (ut_wrong++ < 10) {
        printf("# %s\n", what);
    }
}


/* a frame is the status and the text */

static size_t
ut_len(ngx_chat_event_t *ev)
{
    return 1 + (ev->status == NGX_CHAT_STREAMING ? ev->text.len : 0);
}


static u_char *
ut_write(u_char *p, ngx_chat_event_t *ev)
{
    *p = (u_char) ('0' + ev->status);

    return ngx_cpymem(p + 1, ev->text.data, ut_len(ev) - 1);
}


static void *
ut_prepare(void *data)
{
    ut_maker.prepared++;

    return &ut_maker;
}


static ngx_int_t
ut_start(void *maker, ngx_chat_lead_t *lead)
{
    if (ut_maker.declines) {
        return NGX_DECLINED;
    }

    ut_maker.lead = lead;
    ut_maker.channel = ngx_chat_lead_feed(lead, &ut_source, &ut_lead_ops,
                                          maker);

    return NGX_OK;
}


static void
ut_discard(void *maker)
{
    ut_maker.discarded++;
}


static void
ut_abandoned(void *data)
{
    ut_maker.abandoned++;
}


void
ut_fail(ngx_chat_error_e e)
{
    if (ut_maker.channel) {
        ut_maker.channel = NULL;
        ngx_chat_lead_fail(ut_maker.lead, e);
    }
}


static void
ut_stop(void *data)
{
    ut_fail(NGX_CHAT_E_INTERRUPTED);
}


static void
ut_stopped(void *data)
{
    ut_maker.told = NGX_CHAT_E_STOPPED;
    ut_fail(NGX_CHAT_E_STOPPED);
}


static void
ut_cancelled(void *data)
{
    ut_maker.told = NGX_CHAT_E_CANCELLED;
    ut_fail(NGX_CHAT_E_CANCELLED);
}


void
ut_chunk(const char *text)
{
    ngx_chat_event_t  ev;

    if (ut_maker.channel == NULL) {
        return;
    }

    memset(&ev, 0, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_STREAMING;
    ev.text.len = strlen(text);
    ev.text.data = (u_char *) text;

    memcpy(ut_maker.text + ut_maker.len, text, ev.text.len);
    ut_maker.len += ev.text.len;

    (void) ngx_chat_hub_append(ut_maker.channel, &ev);
}


void
ut_restart(void)
{
    ngx_chat_event_t  ev;

    if (ut_maker.channel == NULL) {
        return;
    }

    memset(&ev, 0, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_PROCESSING;
    ut_maker.len = 0;

    (void) ngx_chat_hub_append(ut_maker.channel, &ev);
}


void
ut_complete(void)
{
    ngx_str_t         usage;
    ngx_chat_event_t  ev;

    if (ut_maker.channel == NULL) {
        return;
    }

    memset(&ev, 0, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_COMPLETED;
    ngx_str_set(&ev.code, "stop");
    ngx_str_set(&usage, "{}");

    ut_maker.channel = NULL;
    ngx_chat_lead_complete(ut_maker.lead, &ev, &usage);
}


void
ut_begin(uint32_t seed)
{
    fake_lanes_init();

    memset(&ut_maker, 0, sizeof(ut_maker_t));

    ut_ops.woken = ut_woken;
    ut_ops.complete = ut_rest;
    ut_ops.dialect = &ut_dialect;

    ut_conf.queue_limit = 1000;
    ut_conf.fillers = FAKE_LANES;
    ut_conf.memory = 256 * 1024 * 1024;
    ut_interval = 0;

    ut_hub_begin(seed);
}


void
ut_queue_timeout(ngx_msec_t ms)
{
    ut_conf.queue_timeout = ms;
}


void
ut_limit(void)
{
    ut_interval = 1000000;
}


void
ut_end(void)
{
    if (!ut_hub_end() || fake_lanes.bad
        || fake_lanes.taken[0] || fake_lanes.taken[1]
        || ut_maker.channel)
    {
        ut_bad("something is left behind");
    }
}


static void
ut_woken(ut_client_t *cl)
{
    ngx_chat_sse_event_t  frame;

    while (ngx_chat_hub_next(cl->sub, &frame) == NGX_OK) {
        ngx_chat_hub_sent(cl->sub);

        cl->status = frame.status;

        if (frame.status == NGX_CHAT_PROCESSING) {
            cl->restarts++;
            cl->len = 0;

        } else if (frame.status == NGX_CHAT_STREAMING) {
            if (frame.bytes.len - 1 > UT_TEXT - cl->len) {
                continue;
            }

            memcpy(cl->text + cl->len, frame.bytes.data + 1,
                   frame.bytes.len - 1);
            cl->len += frame.bytes.len - 1;
        }
    }
}


void
ut_ask_maker(ut_client_t *cl, ngx_chat_ask_mode_e mode)
{
    ngx_chat_question_t  q;

    ut_question(&q, 'a', 'f', mode);

    q.max_answer = UT_TEXT;
    q.maker = &ut_makers;

    ut_ask_question(cl, &q);
}


static ngx_chat_question_t *
ut_rest(ut_client_t *cl)
{
    cl->rest.limit.interval = ut_interval;

    return &cl->rest;
}


/* a led generation, and its first asker */

void
ut_lead(ut_client_t *cl, ngx_chat_ask_mode_e mode)
{
    ut_begin(1);
    fake_lane_up(0);
    ut_ask_maker(cl, mode);
    ut_redis();
}
