
#include "fake_redis.h"


static ngx_uint_t fake_key(ngx_chat_gen_t *gen);
static fake_answer_t *fake_cached(ngx_chat_gen_t *gen);
static void fake_open(ngx_chat_call_t *call);
static void fake_update(ngx_chat_call_t *call);
static ngx_uint_t fake_goes_on(fake_gen_t *g);
static fake_gen_t *fake_create(ngx_chat_call_t *call);
static void fake_check(ngx_chat_call_t *call);
static void fake_finish(fake_gen_t *g);
static fake_event_t *fake_add(fake_gen_t *g, ngx_chat_status_e status);
static void fake_publish(fake_gen_t *g, ngx_uint_t k);
static fake_message_t *fake_queue(void);


fake_message_t        *fake_messages;

static fake_gen_t     *fake_gens;
static fake_gen_t     *fake_live[FAKE_KEYS];
static fake_answer_t   fake_s[FAKE_KEYS];


fake_gen_t *
fake_gen(u_char *id)
{
    fake_gen_t  *g;

    for (g = fake_gens; g; g = g->next) {

        if (memcmp(g->gen.id, id, NGX_CHAT_ID_LEN) == 0) {
            return g;
        }
    }

    return NULL;
}


static ngx_uint_t
fake_key(ngx_chat_gen_t *gen)
{
    return gen->h[0] - 'a';
}


ngx_uint_t
fake_execute(void)
{
    fake_gen_t             *g;
    ngx_chat_call_t        *call;
    ngx_chat_pubsub_sub_t  *sub;

    for (sub = fake_subs; sub; sub = sub->next) {

        if (!sub->active && !fake.pubsub_down && fake_random(2)) {
            sub->active = 1;
            fake_queue()->confirm = sub;
            return 1;
        }
    }

    for (call = fake_calls; call && call->executed; call = call->next) {
        /* void */
    }

    if (call == NULL) {
        return 0;
    }

    call->executed = 1;
    g = fake_gen(call->gen.id);

    switch (call->verb) {

    case FAKE_LOOKUP:
        call->answer = fake_cached(&call->gen);
        call->rc = call->answer ? NGX_OK : NGX_DECLINED;
        break;

    case FAKE_OPEN:
        fake_open(call);
        break;

    case FAKE_UPDATE:
        fake_update(call);
        break;

    case FAKE_PUSH:

        /* as if sent again after a lost reply: queued already */

        if (call->limited
            && memcmp(fake.last, call->gen.id, NGX_CHAT_ID_LEN) == 0)
        {
            break;
        }

        call->rc = fake.queue_full ? NGX_DECLINED : NGX_OK;
        fake.refused += fake.queue_full;

        if (call->rc == NGX_OK) {
            fake.tasks++;

            if (g) {
                g->pushed = 1;
            }
        }

        break;

    case FAKE_COUNT:
        fake.counted++;
        memcpy(fake.last, call->gen.id, NGX_CHAT_ID_LEN);
        break;

    case FAKE_READ:
        call->rc = (g && g->stream) ? NGX_OK : NGX_DECLINED;
        call->page = g;

        if (call->rc == NGX_OK) {
            call->last = ngx_min(g->n, call->n + call->arg);
        }

        break;

    case FAKE_CHECK:
        fake_check(call);
        break;

    case FAKE_PURGE:
        call->rc = fake_s[fake_key(&call->gen)].present ? NGX_OK
                                                        : NGX_DECLINED;
        fake_s[fake_key(&call->gen)].present = 0;
        break;
    }

    return 1;
}


static fake_answer_t *
fake_cached(ngx_chat_gen_t *gen)
{
    fake_answer_t  *s;

    if (!fake_s[fake_key(gen)].present) {
        return NULL;
    }

    s = malloc(sizeof(fake_answer_t));
    *s = fake_s[fake_key(gen)];

    return s;
}


static void
fake_open(ngx_chat_call_t *call)
{
    fake_gen_t  *g, **live;

    live = &fake_live[fake_key(&call->gen)];

    if (call->arg) {
        call->answer = (fake.ttl < 0) ? NULL : fake_cached(&call->gen);

        if (call->answer) {
            call->rc = NGX_DONE;
            return;
        }

        if (fake_goes_on(*live)) {
            memcpy(call->id, (*live)->gen.id, NGX_CHAT_ID_LEN);
            (*live)->joined = 1;
            call->rc = NGX_BUSY;
            return;
        }
    }

    if (call->full) {
        call->rc = NGX_CHAT_OPEN_FULL;
        return;
    }

    g = fake_create(call);

    if (call->arg) {
        *live = g;
    }

    call->rc = NGX_OK;
}


static void
fake_update(ngx_chat_call_t *call)
{
    fake_gen_t  **live;

    live = &fake_live[fake_key(&call->gen)];

    if (fake.updating || fake_goes_on(*live)) {
        call->rc = NGX_DECLINED;
        return;
    }

    *live = fake_create(call);
    call->rc = NGX_OK;
}


static ngx_uint_t
fake_goes_on(fake_gen_t *g)
{
    return g && (g->own == 'q' || g->own == 'r');
}


static fake_gen_t *
fake_create(ngx_chat_call_t *call)
{
    fake_gen_t  *g;

    g = calloc(1, sizeof(fake_gen_t));

    g->gen = call->gen;
    g->serial = ++fake.opened;
    g->cache = call->arg;
    g->own = 'q';
    g->stream = 1;
    g->start = ngx_current_msec;
    g->since = ngx_current_msec;
    g->next = fake_gens;
    fake_gens = g;

    fake_add(g, NGX_CHAT_PROCESSING)->ms = 0;

    return g;
}


static void
fake_check(ngx_chat_call_t *call)
{
    fake_gen_t    *g;
    const char    *code;
    fake_event_t  *e;

    g = fake_gen(call->gen.id);

    if (g == NULL || g->own == 0) {
        call->rc = NGX_DECLINED;
        return;
    }

    code = NULL;

    if (g->own == 'q' && ngx_current_msec > g->since + FAKE_QUEUE_TIMEOUT) {
        code = "queue_timeout";

    } else if (g->own == 'q' && call->arg && call->erase && !g->joined) {
        g->own = 0;
        g->stream = 0;
        fake.erased++;
        call->rc = NGX_DONE;
        return;

    } else if (g->own == 'q' && call->arg) {
        code = call->arg == NGX_CHAT_E_CANCELLED ? "cancelled" : "dropped";

    } else if (g->own == 'r' && g->dead
               && ngx_current_msec > g->since + 20000)
    {
        code = "interrupted";
    }

    if (code) {
        e = fake_add(g, NGX_CHAT_ERROR);
        e->code = code;
        g->own = 'f';
        fake_publish(g, 1);
    }

    call->n = g->n;
    call->rc = (g->own == 'q' || g->own == 'r') ? NGX_OK : NGX_DONE;
}


/* the filler */

void
fake_write(fake_write_e what)
{
    ngx_uint_t     k, n;
    fake_gen_t    *g;
    fake_event_t  *e;

    for (g = fake_gens; g; g = g->next) {

        if (g->dead || (what == FAKE_ANY && fake_random(3))) {
            continue;
        }

        if (g->own == 'q' && g->pushed) {
            g->own = 'r';
            g->attempt = 1;
        }

        if (g->own != 'r') {
            continue;
        }

        if (!g->stream) {

            /* the append is refused */

            g->dead = 1;
            g->since = ngx_current_msec;
            continue;
        }

        if (what == FAKE_CANCEL) {
            fake_add(g, NGX_CHAT_ERROR)->code = "cancelled";
            g->own = 'f';
            fake_publish(g, 1);
            continue;
        }

        if (g->n > FAKE_EVENTS - 16 || what == FAKE_END
            || (what == FAKE_ANY && fake_random(40) == 0))
        {

            if (g->i == 0) {
                continue;
            }

            fake_finish(g);
            continue;
        }

        n = 0;

        if (what == FAKE_RESTART || fake_random(30) == 0) {
            fake_add(g, NGX_CHAT_PROCESSING);
            g->attempt++;
            g->i = 0;
            n = 1;
        }

        for (k = 1 + fake_random(fake_random(20) ? 3 : 8); k; k--) {
            e = fake_add(g, NGX_CHAT_STREAMING);
            sprintf(e->text, "%u.%u.%u;", (unsigned) g->serial,
                    (unsigned) g->attempt, (unsigned) g->i++);
            n++;
        }

        fake_publish(g, n);
    }
}


static void
fake_finish(fake_gen_t *g)
{
    ngx_uint_t      n;
    fake_event_t   *e;
    fake_answer_t  *s;

    if (fake_random(8) == 0) {
        e = fake_add(g, NGX_CHAT_ERROR);
        e->code = "provider_broken";
        g->own = 'f';
        fake_publish(g, 1);
        return;
    }

    s = &fake_s[fake_key(&g->gen)];

    s->present = 1;
    s->gen = g->gen;
    s->text[0] = '\0';
    s->chunk_lens[0] = '\0';

    for (n = 0; n < g->n; n++) {
        e = &g->events[n];

        if (e->status == NGX_CHAT_PROCESSING) {
            s->text[0] = '\0';
            s->chunk_lens[0] = '\0';
            continue;
        }

        strcat(s->text, e->text);
        sprintf(s->chunk_lens + strlen(s->chunk_lens),
                s->chunk_lens[0] ? " %u" : "%u",
                (unsigned) strlen(e->text));
    }

    e = fake_add(g, NGX_CHAT_COMPLETED);
    e->code = "stop";
    g->own = 'd';
    fake_publish(g, 1);
}


static fake_event_t *
fake_add(fake_gen_t *g, ngx_chat_status_e status)
{
    fake_event_t  *e;

    if (g->n == FAKE_EVENTS) {
        abort();
    }

    e = &g->events[g->n++];

    e->status = status;
    e->code = "";
    e->ms = ngx_current_msec - g->start;

    return e;
}


static void
fake_publish(fake_gen_t *g, ngx_uint_t k)
{
    char                   *p;
    ngx_uint_t              n;
    fake_event_t           *e;
    fake_message_t         *m;
    ngx_chat_pubsub_sub_t  *sub;

    for (sub = fake_subs; sub; sub = sub->next) {

        if (sub->active && memcmp(sub->id, g->gen.id, NGX_CHAT_ID_LEN) == 0) {
            break;
        }
    }

    if (sub == NULL) {
        return;
    }

    m = fake_queue();

    memcpy(m->id, g->gen.id, NGX_CHAT_ID_LEN);

    n = g->n - k;

    p = m->data;
    p += sprintf(p, "1 %u %u %u %u\n", (unsigned) g->attempt,
                 (unsigned) n + 1, (unsigned) g->events[n].ms, (unsigned) k);

    for ( /* void */ ; n < g->n; n++) {
        e = &g->events[n];

        switch (e->status) {

        case NGX_CHAT_PROCESSING:
            p += sprintf(p, "p\n");
            break;

        case NGX_CHAT_STREAMING:
            p += sprintf(p, "s %u\n%s\n", (unsigned) strlen(e->text),
                         e->text);
            break;

        case NGX_CHAT_COMPLETED:
            p += sprintf(p, "c %u\n%s\n", (unsigned) strlen(e->code),
                         e->code);
            break;

        case NGX_CHAT_ERROR:
            p += sprintf(p, "e 0 %u\n%s\n", (unsigned) strlen(e->code),
                         e->code);
            break;
        }
    }

    m->len = p - m->data;
}


static fake_message_t *
fake_queue(void)
{
    fake_message_t  *m, **last;

    m = calloc(1, sizeof(fake_message_t));

    for (last = &fake_messages; *last; last = &(*last)->next) { /* void */ }

    *last = m;

    return m;
}


ngx_uint_t
fake_deliver(void)
{
    ngx_str_t               s;
    fake_message_t         *m;
    ngx_chat_pubsub_sub_t  *sub;

    m = fake_messages;

    if (m == NULL) {
        return 0;
    }

    fake_messages = m->next;

    if (m->confirm) {
        m->confirm->told = 1;
        m->confirm->ops->confirmed(m->confirm->data);

    } else if (m->len) {

        for (sub = fake_subs; sub; sub = sub->next) {

            if (sub->told && memcmp(sub->id, m->id, NGX_CHAT_ID_LEN) == 0) {
                s = ut_bytes(m->data, m->len);
                sub->ops->message(sub->data, &s);
                ut_free(&s);
                break;
            }
        }
    }

    free(m);

    return 1;
}


/* faults */

void
fake_cut_pubsub(void)
{
    fake_message_t         *m;
    ngx_chat_pubsub_sub_t  *sub;

    fake.pubsub_down = 1;

    while (fake_messages) {
        m = fake_messages;
        fake_messages = m->next;
        free(m);
    }

    for (sub = fake_subs; sub; sub = sub->next) {
        sub->active = 0;
        sub->told = 0;
    }
}


void
fake_pubsub_up(void)
{
    fake.pubsub_down = 0;
}


void
fake_garbage(void)
{
    fake_message_t         *m;
    ngx_chat_pubsub_sub_t  *sub;

    static const char *garbage[] = {
        "", "1 1 1 1", "2 1 2 3 1\np\n", "1 9 900 5 1\np\n",
        "1 1 18446744073709551614 1 1\np\n", "1 2 2 0 0\n",
        "1 1 900 0 1\ns 5\nabc\n"
    };

    for (sub = fake_subs; sub; sub = sub->next) {

        if (!sub->active || fake_random(2)) {
            continue;
        }

        m = fake_queue();
        memcpy(m->id, sub->id, NGX_CHAT_ID_LEN);

        strcpy(m->data, garbage[fake_random(7)]);
        m->len = strlen(m->data);
    }
}


void
fake_lose(ngx_uint_t what)
{
    ngx_uint_t   i;
    fake_gen_t  *g;

    for (g = fake_gens; g; g = g->next) {

        if (what < 2 && fake_random(2)) {
            g->stream = 0;

            if (what == 1) {
                g->own = 0;
            }
        }

        if (what == 3 && g->own == 'r' && g->n > 4) {

            /* the filler sees that numbers do not fit, and gives up */

            g->n -= 1 + fake_random(3);
            g->rewritten = 1;
            fake_add(g, NGX_CHAT_ERROR)->code = "internal";
            g->own = 'f';
            fake_publish(g, 1);
        }
    }

    for (i = 0; what == 2 && i < FAKE_KEYS; i++) {
        fake_s[i].present = 0;
    }
}


void
fake_orphan(void)
{
    fake_gen_t  *g;

    for (g = fake_gens; g; g = g->next) {

        if (g->own == 'r' && fake_random(2)) {
            g->dead = 1;
            g->since = ngx_current_msec;
        }
    }
}


ngx_uint_t
fake_traps(void)
{
    ngx_uint_t   n;
    fake_gen_t  *g;

    n = 0;

    for (g = fake_gens; g; g = g->next) {
        n += (g->own == 'q' && !g->pushed);
    }

    return n;
}


ngx_uint_t
fake_kept(void)
{
    ngx_uint_t   n;
    fake_gen_t  *g;

    n = 0;

    for (g = fake_gens; g; g = g->next) {
        n += (g->own || g->stream);
    }

    return n;
}


void
fake_free(void)
{
    fake_gen_t  *g;

    fake_cut_pubsub();

    while (fake_calls) {
        fake_answer(NGX_ERROR);
    }

    while (fake_gens) {
        g = fake_gens;
        fake_gens = g->next;
        free(g);
    }

    memset(fake_live, 0, sizeof(fake_live));
    memset(fake_s, 0, sizeof(fake_s));
    memset(&fake, 0, sizeof(fake_store_t));
}
