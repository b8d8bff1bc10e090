
#include "ut_client.h"


static ngx_chat_question_t *ut_client_complete(void *data);
static void ut_client_result(void *data, ngx_chat_result_t *v);
static void ut_client_wake(void *data);


static const ngx_chat_dialect_t  ut_client_dialect = {
    0, fake_frame_len, fake_frame, fake_replay
};

ut_client_ops_t      ut_ops;
ngx_uint_t           ut_odd;
ngx_chat_hub_t      *ut_hub;
ngx_chat_hub_conf_t  ut_conf;


void
ut_hub_begin(uint32_t seed)
{
    fake_loop_init();
    fake_seed(seed);

    ut_odd = 0;

    ut_conf.queue_timeout = FAKE_QUEUE_TIMEOUT;
    ut_conf.memory = 256 * 1024 * 1024;
    ut_hub = ngx_chat_hub_create(&ut_conf, ngx_cycle->log);
}


ngx_uint_t
ut_hub_end(void)
{
    ngx_uint_t  left;

    ngx_chat_hub_close(ut_hub);

    left = (ut_odd || fake.subs || fake.bad || fake_loop_next() != -1
            || !ngx_queue_empty(&ngx_posted_events)
            || !ngx_queue_empty(&ngx_posted_next_events));

    fake_free();

    return !left;
}


void
ut_redis(void)
{
    ngx_uint_t  n;

    /* a subscription is confirmed at some time */

    for (n = 0; n < 16; n++) {
        fake_loop_run(0);

        while (fake_execute() || fake_answer(NGX_OK) || fake_deliver()) {
            fake_loop_run(0);
        }
    }
}


void
ut_ask(ut_client_t *cl, u_char h, ngx_chat_ask_mode_e mode)
{
    ngx_chat_question_t  q;

    ut_question(&q, h, 'f', mode);
    ut_ask_question(cl, &q);
}


void
ut_question(ngx_chat_question_t *q, u_char h, u_char fp,
    ngx_chat_ask_mode_e mode)
{
    memset(q, 0, sizeof(ngx_chat_question_t));

    memset(q->h, h, NGX_CHAT_HASH_LEN);
    memset(q->fp, fp, NGX_CHAT_FP_LEN);

    q->mode = mode;
    q->ttl = 900000;
}


void
ut_ask_question(ut_client_t *cl, ngx_chat_question_t *q)
{
    memset(cl, 0, sizeof(ut_client_t));

    cl->asked = ngx_current_msec;

    cl->question = *q;
    cl->question.complete = ut_client_complete;
    cl->question.data = cl;

    cl->ask = ngx_chat_hub_ask(ut_hub, &cl->question, ut_client_result, cl);
}


static ngx_chat_question_t *
ut_client_complete(void *data)
{
    ut_client_t *cl = data;

    cl->completed++;

    if (cl->rest.messages.data == NULL) {
        cl->rest.messages = ut_str("messages");
    }

    return ut_ops.complete ? ut_ops.complete(cl) : &cl->rest;
}


static void
ut_client_result(void *data, ngx_chat_result_t *v)
{
    ut_client_t *cl = data;

    /* inside ask, after forget, or the second one */

    ut_odd += (cl->ask == NULL);

    cl->ask = NULL;
    cl->result = *v;
    cl->results++;

    if (v->kind == NGX_CHAT_RESULT_ERROR) {
        ut_free(&cl->rest.messages);

    } else if (ut_ops.wants == NULL || ut_ops.wants(cl)) {
        cl->sub = ngx_chat_hub_attach(v->channel,
                               ut_ops.dialect ? ut_ops.dialect
                                              : &ut_client_dialect,
                               ut_client_wake, cl);
    }

    if (ut_ops.told) {
        ut_ops.told(cl);
    }
}


static void
ut_client_wake(void *data)
{
    ut_client_t *cl = data;

    cl->wakes++;

    if (ut_ops.woken) {
        ut_ops.woken(cl);
    }
}


void
ut_leave(ut_client_t *cl)
{
    if (cl->ask) {
        ngx_chat_hub_forget(cl->ask);
        cl->ask = NULL;
    }

    if (cl->sub) {
        ngx_chat_hub_detach(cl->sub);
        cl->sub = NULL;
    }

    ut_free(&cl->rest.messages);
}


ngx_chat_status_e
ut_read(ut_client_t *cl)
{
    ngx_chat_status_e     status;
    ngx_chat_sse_event_t  frame;

    status = NGX_CHAT_PROCESSING;

    while (ngx_chat_hub_next(cl->sub, &frame) == NGX_OK) {

        if (cl->len == 0) {
            cl->first = frame.bytes.data;
        }

        if (frame.bytes.len <= UT_TEXT - cl->len) {
            memcpy(cl->text + cl->len, frame.bytes.data, frame.bytes.len);
            cl->len += frame.bytes.len;
        }

        ngx_chat_hub_sent(cl->sub);

        cl->frames++;
        cl->code = frame.code;
        status = frame.status;
    }

    return status;
}
