
#include "fake_redis.h"


static ngx_chat_call_t *fake_call(fake_verb_e verb, ngx_chat_gen_t *gen,
    void (*handler)(void), void *data);


fake_store_t            fake;

ngx_chat_call_t        *fake_calls;
ngx_chat_pubsub_sub_t  *fake_subs;

static uint32_t         fake_state;


void
fake_seed(uint32_t seed)
{
    fake_state = seed * 2654435761u + 1;
}


uint32_t
fake_random(uint32_t n)
{
    fake_state ^= fake_state << 13;
    fake_state ^= fake_state >> 17;
    fake_state ^= fake_state << 5;

    return fake_state % n;
}


ngx_int_t
ngx_chat_store_init(ngx_chat_store_t *st, ngx_chat_redis_conf_t *redis,
    ngx_chat_redis_conf_t *broker, ngx_uint_t subscriber, ngx_log_t *log)
{
    st->log = log;

    return NGX_OK;
}


void
ngx_chat_store_close(ngx_chat_store_t *st)
{
    ngx_chat_call_t  *call;

    for (call = fake_calls; call; call = call->next) {
        fake.bad += (call->handler != NULL);
    }

    fake.bad += (fake_subs != NULL);
}


void
ngx_chat_store_get_state(ngx_chat_store_t *st, ngx_chat_store_state_t *state)
{
    static ngx_str_t  policy = ngx_string("noeviction");

    ngx_memzero(state, sizeof(ngx_chat_store_state_t));

    state->redis = !fake.redis_down;
    state->broker = !fake.redis_down;
    state->pubsub = !fake.pubsub_down;
    state->policy = &policy;
}


ngx_uint_t
ngx_chat_store_is_up(ngx_chat_store_t *st)
{
    return !fake.redis_down && !fake.redis_lost;
}


ngx_uint_t
ngx_chat_store_is_down(ngx_chat_store_t *st)
{
    return fake.redis_down;
}


ngx_str_t *
ngx_chat_store_get_refusal(ngx_chat_store_t *st, ngx_chat_service_e service)
{
    return &st->services[service].word;
}


void
ngx_chat_store_probe(ngx_chat_store_t *st)
{
}


static ngx_chat_call_t *
fake_call(fake_verb_e verb, ngx_chat_gen_t *gen, void (*handler)(void),
    void *data)
{
    ngx_chat_call_t  *call, **last;

    if (fake.redis_down) {
        return NULL;
    }

    call = calloc(1, sizeof(ngx_chat_call_t));

    call->verb = verb;
    call->gen = *gen;
    call->handler = handler;
    call->data = data;

    for (last = &fake_calls; *last; last = &(*last)->next) { /* void */ }

    *last = call;
    fake.calls++;
    fake.sent++;

    return call;
}


void
ngx_chat_call_cancel(ngx_chat_call_t *call)
{
    ngx_chat_call_t  **last;

    if (call == NULL) {
        return;
    }

    for (last = &fake_calls; *last; last = &(*last)->next) {

        if (*last != call) {
            continue;
        }

        /* a command that was sent may still be carried out */

        if (!call->executed && fake_random(2)) {
            call->handler = NULL;
            return;
        }

        *last = call->next;
        free(call->answer);
        free(call);
        fake.calls--;
        return;
    }

    fake.bad++;
}


ngx_chat_call_t *
ngx_chat_store_lookup(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_chat_lookup_pt handler, void *data)
{
    return fake_call(FAKE_LOOKUP, gen, (void (*)(void)) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_open(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_chat_opening_t *opening, ngx_chat_open_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = fake_call(FAKE_OPEN, gen, (void (*)(void)) handler, data);

    if (call) {
        call->arg = opening->cache;
        call->full = opening->full;
    }

    return call;
}


ngx_chat_call_t *
ngx_chat_store_update(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_msec_t queue_timeout, ngx_chat_update_pt handler, void *data)
{
    fake.updates++;

    return fake_call(FAKE_UPDATE, gen, (void (*)(void)) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_push(ngx_chat_store_t *st, ngx_chat_task_t *task,
    ngx_uint_t room, ngx_chat_limit_t *limit, ngx_chat_push_pt handler,
    void *data)
{
    ngx_chat_call_t  *call;

    fake.bad += (task->messages.len != 8
                 || memcmp(task->messages.data, "messages", 8) != 0);

    call = fake_call(FAKE_PUSH, &task->gen, (void (*)(void)) handler, data);

    if (call) {
        call->limited = (limit->interval != 0);
    }

    return call;
}


ngx_chat_call_t *
ngx_chat_store_count(ngx_chat_store_t *st, u_char *id, ngx_chat_limit_t *limit,
    ngx_chat_push_pt handler, void *data)
{
    ngx_chat_gen_t  gen;

    fake.bad += (limit->interval == 0);

    ngx_memzero(&gen, sizeof(ngx_chat_gen_t));
    memcpy(gen.id, id, NGX_CHAT_ID_LEN);

    return fake_call(FAKE_COUNT, &gen, (void (*)(void)) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_read(ngx_chat_store_t *st, ngx_chat_gen_t *gen, uint64_t ms,
    uint64_t n, ngx_uint_t count, ngx_chat_read_pt handler, void *data)
{
    fake_gen_t       *g;
    ngx_chat_call_t  *call;

    call = fake_call(FAKE_READ, gen, (void (*)(void)) handler, data);

    if (call) {
        call->n = n;
        call->arg = count;
        g = fake_gen(gen->id);

        /* the two halves of an id belong together */

        fake.bad += (g && !g->rewritten && n && n <= g->n
                     && g->events[n - 1].ms != ms);
    }

    return call;
}


ngx_int_t
ngx_chat_store_take_event(ngx_chat_page_t *page, ngx_chat_event_t *ev)
{
    fake_event_t     *e;
    ngx_chat_call_t  *call;

    call = (ngx_chat_call_t *) page->reply;

    if (page->n >= call->last) {
        return NGX_DONE;
    }

    e = &call->page->events[page->n++];

    page->ms = e->ms;
    page->next++;

    ngx_memzero(ev, sizeof(ngx_chat_event_t));

    ev->status = e->status;
    ev->text.data = (u_char *) e->text;
    ev->text.len = strlen(e->text);
    ev->code.data = (u_char *) e->code;
    ev->code.len = strlen(e->code);

    return NGX_OK;
}


ngx_chat_call_t *
ngx_chat_store_check(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_chat_error_e drop, ngx_chat_check_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = fake_call(FAKE_CHECK, gen, (void (*)(void)) handler, data);

    fake.checks++;

    if (call) {
        call->arg = drop;
    }

    return call;
}


ngx_chat_call_t *
ngx_chat_store_erase(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_chat_error_e drop, ngx_chat_check_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = fake_call(FAKE_CHECK, gen, (void (*)(void)) handler, data);

    if (call) {
        call->arg = drop;
        call->erase = 1;
    }

    return call;
}


ngx_chat_call_t *
ngx_chat_store_purge(ngx_chat_store_t *st, u_char *h,
    ngx_chat_purge_pt handler, void *data)
{
    ngx_chat_gen_t  gen;

    memset(&gen, '0', sizeof(ngx_chat_gen_t));
    memcpy(gen.h, h, NGX_CHAT_HASH_LEN);

    return fake_call(FAKE_PURGE, &gen, (void (*)(void)) handler, data);
}


void
ngx_chat_store_watch(ngx_chat_store_t *st, const ngx_chat_news_t *news,
    void *data)
{
    fake.bad++;
}


ngx_chat_call_t *
ngx_chat_store_peek(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_chat_peek_pt handler, void *data)
{
    fake.bad++;

    return NULL;
}


ngx_chat_call_t *
ngx_chat_store_count_swaps(ngx_chat_store_t *st, ngx_chat_swaps_pt handler,
    void *data)
{
    fake.bad++;

    return NULL;
}


ngx_chat_pubsub_sub_t *
ngx_chat_store_subscribe(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    const ngx_chat_pubsub_ops_t *ops, void *data)
{
    ngx_chat_pubsub_sub_t  *sub;

    for (sub = fake_subs; sub; sub = sub->next) {
        fake.bad += (memcmp(sub->id, gen->id, NGX_CHAT_ID_LEN) == 0);
    }

    sub = calloc(1, sizeof(ngx_chat_pubsub_sub_t));

    fake.subscribed++;

    sub->ops = ops;
    sub->data = data;
    memcpy(sub->id, gen->id, NGX_CHAT_ID_LEN);

    sub->next = fake_subs;
    fake_subs = sub;
    fake.subs++;

    return sub;
}


void
ngx_chat_store_unsubscribe(ngx_chat_pubsub_sub_t *sub)
{
    fake_message_t         *m;
    ngx_chat_pubsub_sub_t  **last;

    for (m = fake_messages; m; m = m->next) {

        if (m->confirm == sub) {
            m->confirm = NULL;
            m->len = 0;
        }
    }

    for (last = &fake_subs; *last; last = &(*last)->next) {

        if (*last == sub) {
            *last = sub->next;
            free(sub);
            fake.subs--;
            return;
        }
    }

    fake.bad++;
}


ngx_uint_t
fake_answer(ngx_int_t rc)
{
    ngx_chat_page_t     page;
    ngx_chat_call_t    *call;
    ngx_chat_answer_t   a, *answer;

    call = fake_calls;

    if (call == NULL || (!call->executed && rc == NGX_OK)) {
        return 0;
    }

    fake_calls = call->next;
    fake.calls--;

    if (rc == NGX_OK) {
        rc = call->rc;
    }

    answer = NULL;

    if (call->answer) {
        ngx_memzero(&a, sizeof(ngx_chat_answer_t));

        a.text.data = (u_char *) call->answer->text;
        a.text.len = strlen(call->answer->text);
        a.chunk_lens.data = (u_char *) call->answer->chunk_lens;
        a.chunk_lens.len = strlen(call->answer->chunk_lens);
        a.gen.data = call->answer->gen.id;
        a.gen.len = NGX_CHAT_ID_LEN;
        ngx_str_set(&a.finish, "stop");
        a.ttl = fake.ttl;

        answer = &a;
    }

    if (call->handler) {

        switch (call->verb) {

        case FAKE_LOOKUP:
            ((ngx_chat_lookup_pt) call->handler)(call->data, rc, answer);
            break;

        case FAKE_OPEN:
            ((ngx_chat_open_pt) call->handler)(call->data, rc, call->id,
                                               answer);
            break;

        case FAKE_PUSH:
        case FAKE_COUNT:
            ((ngx_chat_push_pt) call->handler)(call->data, rc, 0);
            break;

        case FAKE_READ:
            ngx_memzero(&page, sizeof(ngx_chat_page_t));

            page.reply = (ngx_chat_reply_t *) call;
            page.n = call->n;

            ((ngx_chat_read_pt) call->handler)(call->data, rc, &page);
            break;

        case FAKE_CHECK:
            ((ngx_chat_check_pt) call->handler)(call->data, rc, call->n);
            break;

        case FAKE_UPDATE:
            ((ngx_chat_update_pt) call->handler)(call->data, rc);
            break;

        case FAKE_PURGE:
            ((ngx_chat_purge_pt) call->handler)(call->data, rc);
            break;
        }
    }

    free(call->answer);
    free(call);

    return 1;
}


void
fake_cut_commands(void)
{
    ngx_uint_t  n;

    /* some were carried out, only their replies are lost */

    for (n = fake_random(4); n; n--) {
        fake_execute();
    }

    for (n = fake.calls; n; n--) {
        fake_answer(NGX_ERROR);
    }
}


size_t
fake_frame_len(ngx_chat_event_t *ev)
{
    return 1;
}


u_char *
fake_frame(u_char *p, ngx_chat_event_t *ev)
{
    *p = 'x';

    return p + 1;
}


u_char *
fake_replay(ngx_chat_hit_body_t *rp, u_char *p, u_char *last)
{
    size_t     len;
    ngx_str_t  text;

    if (ngx_chat_answer_next_len(&rp->chunk_lens, &len) == NGX_OK) {
        *p++ = 'S';
        p = ngx_cpymem(p, rp->text, len);

        rp->text += len;
        rp->chunks++;

        return p;
    }

    text = rp->answer->text;

    fake.bad += (text.len >= (size_t) (last - p));

    *p++ = 'C';
    rp->done = 1;

    return ngx_cpymem(p, text.data, ngx_min(text.len, (size_t) (last - p)));
}
