
/*
 * The verbs of a filler, as commands that are carried out one after the other
 * when the test says so; see ut_jobs_gen.c.
 */


#include "ut_jobs_call.h"

#include <stdlib.h>


static ngx_chat_call_t *ut_send(ut_verb_e verb, ngx_chat_store_t *st,
    ngx_chat_lease_t *lease, ngx_msec_t retry, void (*handler)(void),
    void *data);
static void ut_set_task(char *dst, ngx_chat_queue_e queue, ngx_str_t *entry);
static void ut_set(char *dst, ngx_str_t *s);
static void ut_execute(ngx_chat_call_t *call, ngx_uint_t answer);
static void ut_claim(ngx_chat_call_t *call, ngx_uint_t answer);
static void ut_insure(ngx_chat_call_t *call, ngx_uint_t answer);
static void ut_unlink(ngx_chat_call_t *call);


ngx_uint_t  ut_sent[UT_VERBS];
ngx_uint_t  ut_down;
ngx_uint_t  ut_closed;
ngx_uint_t  ut_refuses;
ngx_uint_t  ut_oom;
ngx_uint_t  ut_slow;
ngx_uint_t  ut_chaos;
ngx_uint_t  ut_alone;

static ngx_chat_call_t  *ut_calls;


static ngx_chat_call_t *
ut_send(ut_verb_e verb, ngx_chat_store_t *st, ngx_chat_lease_t *lease,
    ngx_msec_t retry, void (*handler)(void), void *data)
{
    ngx_chat_call_t  *call, **last;

    if (ut_closed && retry == 0) {
        return NULL;
    }

    call = calloc(1, sizeof(ngx_chat_call_t));

    call->verb = verb;
    call->filler = (st == &ut_jobs[0].store) ? 0 : 1;
    call->lease = lease;
    call->until = ngx_current_msec + ngx_max(retry, 1000);
    call->handler = handler;
    call->data = data;

    if (lease) {
        ngx_memcpy(call->token, lease->token, lease->token_len);
        call->n0 = lease->n + 1;
    }

    for (last = &ut_calls; *last; last = &(*last)->next) { /* void */ }

    *last = call;
    ut_sent[verb]++;

    return call;
}


static void
ut_set(char *dst, ngx_str_t *s)
{
    ngx_memcpy(dst, s->data, s->len);
    dst[s->len] = '\0';
}


static void
ut_set_task(char *dst, ngx_chat_queue_e queue, ngx_str_t *entry)
{
    if (queue == NGX_CHAT_QUEUE_LED && entry->len) {
        *dst++ = 'l';
    }

    ut_set(dst, entry);
}


ngx_chat_call_t *
ngx_chat_store_claim(ngx_chat_store_t *st, ngx_chat_lease_t *lease,
    ngx_chat_claim_t *claim, ngx_msec_t retry_time, ngx_chat_claim_pt handler,
    void *data)
{
    ngx_chat_call_t  *call;

    call = ut_send(UT_CLAIM, st, lease, retry_time, (void (*)(void)) handler,
                   data);

    ut_set_task(call->task, claim->queue, &claim->task);
    ut_set(call->label, &claim->label);
    ut_set(call->predecessor, &claim->predecessor);
    call->fill = claim->fill;
    ut_alone = claim->alone;

    if (claim->budget < 100000) {
        ut_bad("a claim without the time of a provider");
    }

    return call;
}


ngx_chat_call_t *
ngx_chat_store_append(ngx_chat_store_t *st, ngx_chat_lease_t *lease,
    ngx_chat_append_t *append, ngx_msec_t retry_time,
    ngx_chat_append_pt handler, void *data)
{
    ngx_uint_t        i;
    ngx_chat_call_t  *call;

    call = ut_send(UT_APPEND, st, lease, retry_time, (void (*)(void)) handler,
                   data);
    if (call == NULL) {
        return NULL;
    }

    for (i = 0; i < append->count; i++) {
        call->lens[i] = append->chunk_lens[i];
        call->text_len += append->chunk_lens[i];
    }

    if (append->count) {
        ngx_memcpy(call->text, append->text, call->text_len);
    }

    ut_set_task(call->task, append->queue, &append->task);
    ut_set(call->label, &append->label);
    call->count = append->count;
    call->renew = append->renew;
    call->give_back = append->give_back;

    return call;
}


ngx_chat_call_t *
ngx_chat_store_finish(ngx_chat_store_t *st, ngx_chat_lease_t *lease,
    ngx_chat_finish_t *finish, ngx_msec_t retry_time,
    ngx_chat_ended_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ut_send(UT_FINISH, st, lease, retry_time, (void (*)(void)) handler,
                   data);

    ngx_memcpy(call->text, finish->text.data, finish->text.len);
    call->text_len = finish->text.len;
    call->count = finish->count;
    call->cached = (finish->ttl != 0);

    return call;
}


ngx_chat_call_t *
ngx_chat_store_fail(ngx_chat_store_t *st, ngx_chat_lease_t *lease,
    ngx_chat_error_e error, ngx_msec_t retry_time, ngx_chat_ended_pt handler,
    void *data)
{
    ngx_chat_call_t  *call;

    call = ut_send(UT_FAIL, st, lease, retry_time, (void (*)(void)) handler,
                   data);
    if (call == NULL) {
        return NULL;
    }

    call->error = error;

    return call;
}


ngx_chat_call_t *
ngx_chat_store_cancel(ngx_chat_store_t *st, ngx_chat_lease_t *lease,
    ngx_msec_t grace, ngx_chat_ended_pt handler, void *data)
{
    return ut_send(UT_CANCEL, st, lease, 0, (void (*)(void)) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_tasks_insure(ngx_chat_store_t *st, ngx_str_t *consumer,
    ngx_chat_task_entry_t *task, ngx_msec_t retry_time,
    ngx_chat_tasks_insure_pt handler, void *data)
{
    return ut_send(UT_INSURE, st, NULL, retry_time, (void (*)(void)) handler,
                   data);
}


ngx_chat_call_t *
ngx_chat_store_tasks_remove(ngx_chat_store_t *st, ngx_chat_queue_e queue,
    ngx_str_t *entry, ngx_msec_t retry_time, ngx_chat_tasks_result_pt handler,
    void *data)
{
    ngx_chat_call_t  *call;

    call = ut_send(UT_REMOVE, st, NULL, retry_time, (void (*)(void)) handler,
                   data);
    ut_set_task(call->task, queue, entry);

    return call;
}


ngx_chat_call_t *
ngx_chat_store_tasks_give_back(ngx_chat_store_t *st, ngx_chat_queue_e queue,
    ngx_str_t *entry, ngx_chat_tasks_result_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ut_send(UT_GIVE_BACK, st, NULL, 0, (void (*)(void)) handler, data);
    if (call == NULL) {
        return NULL;
    }

    ut_set_task(call->task, queue, entry);

    return call;
}


ngx_chat_call_t *
ngx_chat_store_tasks_push(ngx_chat_store_t *st, ngx_chat_task_entry_t *task,
    ngx_chat_tasks_result_pt handler, void *data)
{
    return ut_send(UT_PUSH, st, NULL, 0, (void (*)(void)) handler, data);
}


/* a command that was sent may be carried out all the same */

void
ngx_chat_call_cancel(ngx_chat_call_t *call)
{
    if (call == NULL || call->fired) {
        return;
    }

    if (ut_chaos && !call->done && !ut_down && ut_random(2)) {
        ut_execute(call, 0);
    }

    ut_unlink(call);
    free(call);
}


static void
ut_unlink(ngx_chat_call_t *call)
{
    ngx_chat_call_t  **last;

    for (last = &ut_calls; *last; last = &(*last)->next) {

        if (*last == call) {
            *last = call->next;
            return;
        }
    }
}


ngx_uint_t
ut_flying(void)
{
    ngx_uint_t        n;
    ngx_chat_call_t  *call;

    n = 0;

    for (call = ut_calls; call; call = call->next) {
        n++;
    }

    return n;
}


ngx_uint_t
ut_redis_one(void)
{
    ngx_chat_call_t  *call;

    call = ut_calls;

    while (call && ut_slow && call->verb == UT_INSURE) {
        call = call->next;
    }

    if (call == NULL) {
        return 0;
    }

    if (ut_down && (ngx_msec_int_t) (call->until - ngx_current_msec) > 0) {
        return 0;
    }

    /* a reply that is lost: the same again */

    if (ut_chaos && !ut_down && !call->done && ut_random(8) == 0) {
        ut_execute(call, 0);
        call->done = 1;
        return 1;
    }

    ut_unlink(call);
    call->fired = 1;

    ut_execute(call, 1);

    free(call);

    fake_loop_run(0);

    return 1;
}


/* commands that are repeated after a lost connection come in any order */

ngx_uint_t
ut_redis_last(void)
{
    ngx_chat_call_t  *call, **last;

    if (ut_calls == NULL) {
        return 0;
    }

    for (last = &ut_calls; (*last)->next; last = &(*last)->next) { /* void */ }

    call = *last;
    *last = NULL;
    call->next = ut_calls;
    ut_calls = call;

    return ut_redis_one();
}


void
ut_redis(void)
{
    while (ut_redis_one()) { /* void */ }
}


static void
ut_execute(ngx_chat_call_t *call, ngx_uint_t answer)
{
    ngx_int_t  rc;

    rc = ut_down ? NGX_ERROR : NGX_OK;

    switch (call->verb) {

    case UT_CLAIM:
        ut_claim(call, answer);
        return;

    case UT_INSURE:
        ut_insure(call, answer);
        return;

    case UT_APPEND:

        if (rc == NGX_OK) {
            rc = ut_append(call);
        }

        if (answer) {

            if (rc == NGX_OK) {
                call->lease->n = call->n0 - 1 + call->count
                                 + (call->label[0] ? 1 : 0);
            }

            ((ngx_chat_append_pt) call->handler)(call->data, rc,
                                                 ut_gen.listeners,
                                                 ut_gen.stop);
        }

        return;

    case UT_FINISH:
    case UT_FAIL:
    case UT_CANCEL:

        if (rc == NGX_OK) {
            rc = (call->verb == UT_FINISH) ? ut_finish(call)
                 : (call->verb == UT_FAIL) ? ut_fail(call) : ut_cancel(call);
        }

        if (answer) {
            ((ngx_chat_ended_pt) call->handler)(call->data, rc);
        }

        return;

    default:

        if (rc == NGX_OK && call->verb == UT_PUSH && ut_oom) {
            rc = NGX_ERROR;
        }

        if (rc == NGX_OK) {
            ut_remove(call);
        }

        if (answer) {
            ((ngx_chat_tasks_result_pt) call->handler)(call->data, rc);
        }
    }
}


static void
ut_claim(ngx_chat_call_t *call, ngx_uint_t answer)
{
    char                 task[UT_WORD];
    ngx_chat_claimed_t   claimed;
    ngx_chat_claim_pt    handler;

    handler = (ngx_chat_claim_pt) call->handler;

    if (ut_down) {
        handler(call->data, NGX_ERROR, NULL);
        return;
    }

    ngx_memzero(&claimed, sizeof(ngx_chat_claimed_t));

    claimed.result = ut_claim_generation(call, &claimed.bytes);
    claimed.tries = ut_gen.tries;
    claimed.joined = ut_gen.joined ? 1 : 0;

    strcpy(task, ut_gen.task);

    if (task[0] == 'l') {
        claimed.queue = NGX_CHAT_QUEUE_LED;
        claimed.task.data = (u_char *) task + 1;

    } else {
        claimed.task.data = (u_char *) task;
    }

    claimed.task.len = (task[0] == '-') ? 0
                                        : strlen((char *) claimed.task.data);

    if (answer) {

        if (claimed.result == NGX_CHAT_CLAIM_RUN) {
            call->lease->n = ut_gen.n;
        }

        handler(call->data, NGX_OK, &claimed);
    }
}


static void
ut_insure(ngx_chat_call_t *call, ngx_uint_t answer)
{
    char                      id[UT_WORD];
    ngx_str_t                 entry;
    ngx_uint_t                n;
    ngx_chat_tasks_insure_pt  handler;

    handler = (ngx_chat_tasks_insure_pt) call->handler;

    if (ut_down || ut_refuses) {

        if (answer) {
            handler(call->data, ut_down ? NGX_ERROR : NGX_ABORT, NULL);
        }

        return;
    }

    n = ++ut_gen.entries;

    if (n >= UT_ENTRIES) {
        ut_bad("too many entries");
        exit(1);
    }

    ut_gen.pending[n] = 1 + call->filler;

    if (answer) {
        entry.len = (size_t) sprintf(id, "%lu-0", (unsigned long) n);
        entry.data = (u_char *) id;

        handler(call->data, NGX_OK, &entry);
    }
}
