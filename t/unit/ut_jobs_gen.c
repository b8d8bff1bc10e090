
/*
 * The generation of ut_jobs.h, as scripts write it.
 */


#include "ut_jobs_call.h"


#define UT_LEASE  10000


static ngx_uint_t ut_follows(ngx_chat_call_t *call);
static void ut_processing(const char *label);
static ngx_int_t ut_writes(ngx_chat_call_t *call);
static void ut_add_chunk(const char *p, size_t len);


ut_gen_t  ut_gen;


/* as claim.lua */

ngx_chat_claim_e
ut_claim_generation(ngx_chat_call_t *call, size_t *bytes)
{
    size_t      len;
    ngx_uint_t  follows, resumed, restart, led;

    follows = ut_follows(call);

    switch (ut_gen.state) {

    case 0:
        return NGX_CHAT_CLAIM_GONE;

    case 'd':
    case 'f':
        return NGX_CHAT_CLAIM_DONE;

    case 'r':

        if (strcmp(ut_gen.token, call->token) == 0) {
            *bytes = ut_gen.bytes;
            return NGX_CHAT_CLAIM_RUN;
        }

        len = strcspn(ut_gen.token, ".");

        if (!follows
            && (ngx_msec_int_t) (ut_gen.till - ngx_current_msec) > 0
            && strcmp(call->predecessor, ut_gen.token) != 0
            && (strlen(call->predecessor) != len
                || memcmp(call->predecessor, ut_gen.token, len) != 0))
        {
            return (call->task[0] == '\0' || ut_gen.task[0] == '-'
                    || strcmp(call->task, ut_gen.task) == 0)
                   ? NGX_CHAT_CLAIM_BUSY : NGX_CHAT_CLAIM_DUP;
        }
    }

    if (!follows) {

        if (ut_gen.tries >= NGX_CHAT_TRIES) {
            ut_gen.state = 'f';
            strcpy(ut_gen.error, "interrupted");
            return NGX_CHAT_CLAIM_DONE;
        }

        ut_gen.tries++;
    }

    resumed = follows && strcmp(ut_gen.call, call->label) == 0
              && strcmp(ut_gen.by, ut_gen.token) == 0;
    led = ut_gen.call[0] && (ut_gen.fill > 0 || ut_gen.by[0] == '\0');
    restart = !resumed
              && (ut_gen.chunks || (led && strcmp(ut_gen.call, call->label)));

    if (restart) {
        ut_processing(call->label);
    }

    if (call->task[0]) {
        strcpy(ut_gen.task, call->task);

    } else if (ut_gen.state == 'q') {
        strcpy(ut_gen.task, "-");
    }

    ut_gen.state = 'r';
    ut_gen.fill = call->fill;
    ut_gen.till = ngx_current_msec + UT_LEASE;
    strcpy(ut_gen.token, call->token);
    strcpy(ut_gen.call, call->label);
    strcpy(ut_gen.by, call->token);

    *bytes = ut_gen.bytes;

    return NGX_CHAT_CLAIM_RUN;
}


static ngx_uint_t
ut_follows(ngx_chat_call_t *call)
{
    char   *dot;
    size_t  len;

    dot = strrchr(call->label, '.');
    len = dot - call->label;

    return ut_gen.state == 'r' && call->fill > ut_gen.fill
           && strrchr(ut_gen.call, '.')
           && strrchr(ut_gen.call, '.') - ut_gen.call == (ptrdiff_t) len
           && memcmp(ut_gen.call, call->label, len) == 0;
}


static void
ut_processing(const char *label)
{
    strcpy(ut_gen.call, label);

    ut_gen.n++;
    ut_gen.processings++;
    ut_gen.chunks = 0;
    ut_gen.bytes = 0;
}


static ngx_int_t
ut_writes(ngx_chat_call_t *call)
{
    return (ut_gen.state == 'r' && strcmp(ut_gen.token, call->token) == 0)
           ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ut_append(ngx_chat_call_t *call)
{
    const char  *p;
    ngx_uint_t   i, count;

    if (call->give_back && ut_gen.state == 'q'
        && strcmp(ut_gen.token, call->token) == 0)
    {
        return NGX_OK;
    }

    if (ut_writes(call) != NGX_OK) {
        return NGX_DECLINED;
    }

    count = call->count + (call->label[0] ? 1 : 0);

    if (count && call->n0 != ut_gen.n + 1) {

        if (call->n0 + count - 1 != ut_gen.n) {
            ut_bad("a gap");
            return NGX_BUSY;
        }

        count = 0;
    }

    if (count) {

        if (call->label[0]) {
            ut_processing(call->label);
            strcpy(ut_gen.by, call->token);
        }

        p = call->text;

        for (i = 0; i < call->count; i++) {
            ut_add_chunk(p, call->lens[i]);
            p += call->lens[i];
        }
    }

    if (call->renew) {
        ut_gen.till = ngx_current_msec + UT_LEASE;
    }

    if (call->task[0]) {
        strcpy(ut_gen.task, call->task);
    }

    if (call->give_back) {
        ut_gen.state = 'q';
        ut_gen.tries--;
    }

    return NGX_OK;
}


/* is it the next one of its attempt, and is the attempt what it is called */

static void
ut_add_chunk(const char *p, size_t len)
{
    size_t         name;
    char           first[UT_WORD];
    unsigned long  i;

    name = strcspn(p, ":");

    if (sscanf(p + name, ":%lu;", &i) != 1 || i != ut_gen.chunks) {
        ut_bad("a chunk in the wrong place");
    }

    if (ut_gen.call[0] == 'W'
        && (strlen(ut_gen.call) != name || memcmp(ut_gen.call, p, name) != 0))
    {
        ut_bad("a chunk of another attempt than its label says");
    }

    if (ut_gen.chunks) {
        ngx_memcpy(first, ut_gen.text, name + 1);

        if (memcmp(first, p, name + 1) != 0) {
            ut_bad("chunks of two attempts");
        }
    }

    ngx_memcpy(ut_gen.text + ut_gen.bytes, p, len);

    ut_gen.bytes += len;
    ut_gen.chunks++;
    ut_gen.n++;
}


ngx_int_t
ut_finish(ngx_chat_call_t *call)
{
    if (ut_gen.state == 'd' && strcmp(ut_gen.token, call->token) == 0) {
        return NGX_OK;
    }

    if (ut_writes(call) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (call->n0 != ut_gen.n + 1
        || call->text_len != ut_gen.bytes
        || call->count != ut_gen.chunks
        || memcmp(call->text, ut_gen.text, ut_gen.bytes) != 0)
    {
        ut_bad("an answer that is not what was written");
        return NGX_BUSY;
    }

    ut_gen.state = 'd';
    ut_gen.cached = call->cached;

    return NGX_OK;
}


ngx_int_t
ut_fail(ngx_chat_call_t *call)
{
    ngx_str_t  *code;

    if (ut_writes(call) != NGX_OK) {
        return NGX_DECLINED;
    }

    ut_gen.state = 'f';
    code = ngx_chat_error_code(call->error);
    ngx_memcpy(ut_gen.error, code->data, code->len);

    return NGX_OK;
}


ngx_int_t
ut_cancel(ngx_chat_call_t *call)
{
    if (ut_writes(call) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ut_gen.listeners || ut_gen.joined) {
        return NGX_AGAIN;
    }

    ut_gen.state = 'f';
    strcpy(ut_gen.error, "cancelled");

    return NGX_OK;
}


void
ut_remove(ngx_chat_call_t *call)
{
    unsigned long  n;

    if (call->verb != UT_PUSH && sscanf(call->task, "l%lu-0", &n) == 1) {

        if (call->verb == UT_GIVE_BACK && ut_gen.pending[n]) {
            ut_gen.queued++;
        }

        ut_gen.pending[n] = 0;
    }

    if (call->verb == UT_PUSH) {
        ut_gen.queued++;
    }
}
