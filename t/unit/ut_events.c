
/*
 * Events as buffers for a client: those that follow one another in memory
 * are one buffer, so that a client gets one for each event as it comes, and
 * few when it lags.  nginx joins what it writes, so that no client can tell.
 */


#include "../../ngx_chat_module/http/ngx_http_chat_events.h"

#include "fake_loop.h"


#define UT_LAG   200
#define UT_MOST  256                   /* events that are taken together */
#define UT_SIZE  65536


static void ut_nothing(void *data);
static void ut_begin(void);
static void ut_end(const char *name);
static void ut_event(ngx_chat_status_e status, ngx_str_t *text);
static void ut_append(ngx_chat_event_t *ev);
static void ut_chunks(ngx_uint_t n);
static void ut_take(void);
static ngx_uint_t ut_bufs(void);
static void ut_sent(void);
static void ut_each(void);
static void ut_lag(void);
static void ut_pieces(void);
static void ut_most(void);
static void ut_last(void);
static void ut_behind(void);
static void ut_memory(void);


static const ngx_chat_source_t  ut_source = { ut_nothing, ut_nothing, NULL };

static ngx_chat_hub_t        *ut_hub;
static ngx_chat_hub_conf_t    ut_conf;
static ngx_chat_channel_t    *ut_channel;
static ngx_http_request_t     ut_request;
static ngx_connection_t       ut_connection;
static ngx_http_chat_ctx_t    ut_ctx;
static ngx_uint_t             ut_wrong;

/* bytes that were appended, and taken */
static size_t                 ut_len;
static u_char                 ut_text[UT_SIZE];
static size_t                 ut_taken;
static u_char                 ut_bytes_taken[UT_SIZE];

ngx_module_t  ngx_chat_module;


ngx_chain_t *
ngx_chain_get_free_buf(ngx_pool_t *p, ngx_chain_t **free)
{
    ngx_chain_t  *cl;

    cl = *free;

    if (cl) {
        *free = cl->next;
        cl->next = NULL;
        return cl;
    }

    cl = ngx_pcalloc(p, sizeof(ngx_chain_t));
    if (cl == NULL) {
        return NULL;
    }

    cl->buf = ngx_pcalloc(p, sizeof(ngx_buf_t));

    return cl->buf ? cl : NULL;
}


ngx_int_t
ngx_chat_tier_read(ngx_chat_tier_hit_t *hit, size_t max, ngx_str_t *bytes)
{
    return NGX_DONE;
}


static void
ut_nothing(void *data)
{
}


static void
ut_begin(void)
{
    u_char  h[NGX_CHAT_HASH_LEN];

    fake_loop_init();

    ngx_memset(h, 'a', sizeof(h));
    ngx_memzero(&ut_request, sizeof(ngx_http_request_t));
    ngx_memzero(&ut_ctx, sizeof(ngx_http_chat_ctx_t));

    ut_len = 0;
    ut_taken = 0;
    ut_wrong = 0;

    ut_connection.log = ngx_cycle->log;
    ut_request.connection = &ut_connection;
    ut_request.pool = ut_pool();

    ut_hub = ngx_chat_hub_create(&ut_conf, ngx_cycle->log);
    ut_channel = ngx_chat_hub_feed(ut_hub, h, h, 1, &ut_source, NULL);

    ngx_memcpy(ut_ctx.id, ngx_chat_hub_get_id(ut_channel), NGX_CHAT_ID_LEN);

    ut_ctx.sub = ngx_chat_hub_attach(ut_channel, &ngx_http_chat_events_dialect,
                                     ut_nothing, NULL);
}


static void
ut_end(const char *name)
{
    ut_ok(ut_wrong == 0 && ut_taken == ut_len
          && ngx_memcmp(ut_bytes_taken, ut_text, ut_len) == 0,
          name);

    ngx_chat_hub_detach(ut_ctx.sub);
    ngx_chat_hub_end(ut_channel);
    ngx_chat_hub_close(ut_hub);

    ngx_destroy_pool(ut_request.pool);
}


static void
ut_event(ngx_chat_status_e status, ngx_str_t *text)
{
    ngx_chat_event_t  ev;

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = status;
    ev.text = *text;

    ut_append(&ev);
}


static void
ut_append(ngx_chat_event_t *ev)
{
    (void) ngx_chat_hub_append(ut_channel, ev);

    ut_len = ngx_chat_sse_event_write(ut_text + ut_len, ev) - ut_text;
}


static void
ut_chunks(ngx_uint_t n)
{
    static ngx_str_t  word = ngx_string(" word");

    while (n--) {
        ut_event(NGX_CHAT_STREAMING, &word);
    }
}


static void
ut_take(void)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    ut_wrong += (ngx_http_chat_events_take(&ut_request, &ut_ctx) != NGX_OK);

    for (cl = ut_ctx.out; cl; cl = cl->next) {
        b = cl->buf;

        if (ut_taken + (b->last - b->pos) > UT_SIZE) {
            ut_wrong++;
            break;
        }

        ngx_memcpy(ut_bytes_taken + ut_taken, b->pos, b->last - b->pos);
        ut_taken += b->last - b->pos;
    }

    for (cl = ut_ctx.out; cl && cl->next; cl = cl->next) { /* void */ }

    /* the last one goes out at once, and none but that */

    ut_wrong += (cl && !cl->buf->flush == !cl->buf->last_buf);
}


static ngx_uint_t
ut_bufs(void)
{
    ngx_uint_t    n;
    ngx_chain_t  *cl;

    n = 0;

    for (cl = ut_ctx.out; cl; cl = cl->next) {
        n++;
    }

    return n;
}


/* as nginx does when a client has got all */

static void
ut_sent(void)
{
    ngx_chain_t  *cl;

    while (ut_ctx.out) {
        cl = ut_ctx.out;
        ut_ctx.out = cl->next;

        cl->next = ut_ctx.free;
        ut_ctx.free = cl;
    }
}


static void
ut_each(void)
{
    ngx_uint_t  n;

    ut_begin();

    ut_take();
    ut_wrong += (ut_bufs() != 0);

    for (n = 0; n < UT_LAG; n++) {
        ut_chunks(1);
        ut_take();
        ut_wrong += (ut_bufs() != 1);
        ut_sent();
    }

    ut_end("an event as it comes: a buffer");
}


static void
ut_lag(void)
{
    ngx_uint_t  n;

    ut_begin();

    ut_chunks(UT_LAG);
    ut_take();

    /* a room of the channel is twice as large as those before it */

    n = ut_bufs();
    ut_wrong += (n == 0 || n > 8);

    ut_end("200 events at once: 8 buffers at most");
}


static void
ut_pieces(void)
{
    ngx_str_t  s, none;

    s = ut_repeat("long ", 1000);
    ngx_str_null(&none);

    ut_begin();

    ut_chunks(2);
    ut_event(NGX_CHAT_STREAMING, &s);
    ut_event(NGX_CHAT_PROCESSING, &none);
    ut_chunks(2);
    ut_take();

    ut_wrong += (ut_bufs() > 3);

    ut_end("a long event between others: in its place");

    ut_free(&s);
}


static void
ut_most(void)
{
    ut_begin();

    ut_chunks(UT_MOST + 1);
    ut_take();
    ut_sent();

    ut_wrong += (ut_taken >= ut_len
                 || ut_taken != ut_len / (UT_MOST + 1) * UT_MOST);

    ut_take();
    ut_wrong += (ut_bufs() != 1);

    ut_end("more than 256 events: in two steps");
}


static void
ut_last(void)
{
    ngx_chat_event_t  ev;

    ut_begin();

    ut_chunks(2);
    ngx_chat_error_event(&ev, NGX_CHAT_E_PROVIDER_BROKEN);
    ut_append(&ev);
    ut_take();

    ut_wrong += (ut_bufs() != 1 || !ut_ctx.out->buf->last_buf
                 || !ut_ctx.terminal);

    ut_end("the last event: in the last buffer");
}


static void
ut_behind(void)
{
    ngx_str_t  s;

    s = ut_str(": comment\n\n");

    ut_begin();

    ut_ctx.out = ngx_http_chat_events_link(&ut_request, &ut_ctx, &s);
    ut_len = ngx_cpymem(ut_text, s.data, s.len) - ut_text;

    ut_chunks(2);
    ut_take();

    ut_wrong += (ut_bufs() != 2);

    ut_end("what waits already: before the events");

    ut_free(&s);
}


static void
ut_memory(void)
{
    ngx_chat_event_t  ev;

    ut_begin();

    ut_chunks(1);
    ut_len = 0;

    ut_fail_alloc = 1;
    ut_take();

    ut_len = ngx_cpymem(ut_text, "\n\n", 2) - ut_text;

    ngx_chat_error_event(&ev, NGX_CHAT_E_INTERNAL);
    ut_len = ngx_chat_sse_event_write(ut_text + ut_len, &ev) - ut_text;

    ut_wrong += (!ut_ctx.terminal);

    ut_end("no memory for an event: an error in its place");
}


int
main(void)
{
    ut_each();
    ut_lag();
    ut_pieces();
    ut_most();
    ut_last();
    ut_behind();
    ut_memory();

    return ut_done();
}
