
#include "ngx_chat_store_worker.h"
#include "ngx_chat_call.h"
#include "../codec/ngx_chat_str.h"
#include "../codec/ngx_chat_utf8.h"

/* arguments of "open" before cache, but the keys: EVALSHA, sha, nkeys, id */
#define NGX_CHAT_OPEN_BEFORE_CACHE  4


static void ngx_chat_store_open_lookup_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static ngx_int_t ngx_chat_store_open_read_answer(ngx_chat_reply_t *fields,
    u_char *fp, int64_t left, ngx_chat_answer_t *a);
static ngx_int_t ngx_chat_store_open_read_ttl(ngx_chat_reply_t *fields,
    int64_t left, int64_t *ttl);
static ngx_int_t ngx_chat_store_open_read_field(ngx_chat_reply_t *fields,
    const char *name, ngx_str_t *value);
static void ngx_chat_store_open_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static ngx_int_t ngx_chat_store_open_resend(ngx_chat_call_t *call);
static void ngx_chat_store_read_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static ngx_int_t ngx_chat_store_read_fields(ngx_chat_reply_t *fields,
    ngx_chat_event_t *ev);
static ngx_int_t ngx_chat_store_read_origin(ngx_chat_reply_t *fields,
    ngx_chat_origin_t *origin);
static ngx_chat_call_t *ngx_chat_store_check_send(ngx_chat_store_t *st,
    ngx_chat_gen_t *gen, ngx_chat_error_e drop, ngx_uint_t erase,
    ngx_chat_check_pt handler, void *data);
static void ngx_chat_store_check_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);


static const ngx_chat_word_t  ngx_chat_open_words[] = {
    { "FULL", NGX_CHAT_OPEN_FULL },
    { "HIT", NGX_DONE },
    { "JOIN", NGX_BUSY },
    { "MISS", NGX_OK },
    { NULL, 0 }
};


static ngx_chat_script_t  ngx_chat_script_open = {
    ngx_string("open"), &ngx_chat_lua_open, 5, ngx_chat_open_words, { 0 }, 0
};


static const ngx_chat_word_t  ngx_chat_check_words[] = {
    { "LIVE", NGX_OK },
    { "ENDED", NGX_DONE },
    { "GONE", NGX_DECLINED },
    { NULL, 0 }
};


static ngx_chat_script_t  ngx_chat_script_check = {
    ngx_string("check"), &ngx_chat_lua_check, 3, ngx_chat_check_words, { 0 },
    0
};


ngx_chat_call_t *
ngx_chat_store_lookup(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_chat_lookup_pt handler, void *data)
{
    ngx_chat_keys_t   keys;
    ngx_chat_call_t  *call;

    if (ngx_chat_store_oversize_is_suspected(st, gen)) {
        return NULL;
    }

    call = ngx_chat_call_create(st, st->redis, NULL);
    if (call == NULL) {
        return NULL;
    }

    call->gen = *gen;
    call->service = NGX_CHAT_SERVICE_READ;

    ngx_chat_keys_init(&keys, gen);

    ngx_chat_call_add_text(call, "XREVRANGE");
    ngx_chat_call_add_str(call, &keys.stream);
    ngx_chat_call_add_text(call, "+");
    ngx_chat_call_add_text(call, "-");
    ngx_chat_call_add_text(call, "COUNT");
    ngx_chat_call_add_text(call, "1");

    ngx_chat_call_pipeline(call, "PTTL");

    return ngx_chat_call_send(call, ngx_chat_store_open_lookup_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_open_lookup_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    ngx_int_t            rc;
    ngx_chat_reply_t    *fields;
    ngx_chat_answer_t    a;
    ngx_chat_lookup_pt   handler;

    handler = (ngx_chat_lookup_pt) call->handler;

    if (reply) {
        ngx_chat_store_oversize_clear(call);

    } else {
        ngx_chat_store_oversize_add_drops(call);
    }

    if (ngx_chat_call_reply_is_error(reply, "WRONGTYPE")) {
        handler(call->data, NGX_DECLINED, NULL);
        return;
    }

    rc = ngx_chat_call_reply_check(call, reply);

    if (rc == NGX_OK) {
        fields = ngx_chat_reply_at(ngx_chat_reply_at(reply, 0), 1);
        rc = ngx_chat_store_open_read_answer(fields, call->gen.fp,
                                             call->pipelined_reply,
                                             &a);
    }

    handler(call->data, rc, (rc == NGX_OK) ? &a : NULL);
}


/* the last entry of S, if it is an answer of ours; else it is absent */

static ngx_int_t
ngx_chat_store_open_read_answer(ngx_chat_reply_t *fields, u_char *fp,
    int64_t left, ngx_chat_answer_t *a)
{
    ngx_str_t  status, answer_fp;

    ngx_memzero(a, sizeof(ngx_chat_answer_t));

    if (ngx_chat_reply_field(fields, "status", &status) != NGX_OK
        || !ngx_chat_str_is(&status, "completed")
        || ngx_chat_store_open_read_ttl(fields, left, &a->ttl) != NGX_OK
        || ngx_chat_reply_field(fields, "fp", &answer_fp) != NGX_OK
        || answer_fp.len != NGX_CHAT_FP_LEN
        || ngx_memcmp(answer_fp.data, fp, NGX_CHAT_FP_LEN) != 0
        || ngx_chat_reply_field(fields, "chunk", &a->text) != NGX_OK
        || ngx_chat_reply_field(fields, "cuts", &a->chunk_lens) != NGX_OK
        || ngx_chat_reply_field(fields, "gen", &a->gen) != NGX_OK
        || ngx_chat_keys_check_hex(&a->gen, NGX_CHAT_ID_LEN) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_chat_store_open_read_field(fields, "finish", &a->finish) != NGX_OK
        || ngx_chat_store_open_read_field(fields, "provider", &a->provider)
           != NGX_OK
        || ngx_chat_store_open_read_field(fields, "model", &a->model) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_chat_reply_field(fields, "usage", &a->usage) != NGX_OK) {
        ngx_str_null(&a->usage);
    }

    a->fields = fields;

    return ngx_chat_answer_check(a);
}


/*
 * left: of the key, ms; -1: it has no end, as somebody wants to keep it; below:
 * not known, as where the key has come since, and "open" is to say.  The key of
 * an answer of version 2 stays behind the ttl, for as long as the answer says.
 */

static ngx_int_t
ngx_chat_store_open_read_ttl(ngx_chat_reply_t *fields, int64_t left,
    int64_t *ttl)
{
    u_char     *p;
    uint64_t    stale;
    ngx_str_t   version, s;

    if (left < -1
        || ngx_chat_reply_field(fields, "v", &version) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    stale = 0;

    if (ngx_chat_str_is(&version, "2")) {

        if (ngx_chat_reply_field(fields, "stale", &s) != NGX_OK) {
            return NGX_DECLINED;
        }

        p = s.data;

        if (ngx_chat_str_read_number(&p, s.data + s.len, INT64_MAX, &stale)
            != NGX_OK
            || p != s.data + s.len)
        {
            return NGX_DECLINED;
        }

    } else if (!ngx_chat_str_is(&version, "1")) {
        return NGX_DECLINED;
    }

    *ttl = (left == -1) ? NGX_CHAT_ANSWER_NO_TTL : left - (int64_t) stale;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_store_open_read_field(ngx_chat_reply_t *fields, const char *name,
    ngx_str_t *value)
{
    if (ngx_chat_reply_field(fields, name, value) != NGX_OK
        || ngx_chat_utf8_check(value->data, value->len) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_chat_call_t *
ngx_chat_store_open(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_chat_opening_t *opening, ngx_chat_open_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->redis, &ngx_chat_script_open);
    if (call == NULL) {
        return NULL;
    }

    call->service = NGX_CHAT_SERVICE_WRITE;

    ngx_chat_call_add_gen(call, gen);
    ngx_chat_call_add_num(call, opening->cache ? 1 : opening->refresh ? 3 : 0);
    ngx_chat_call_add_num(call, opening->full ? 1 : 0);
    ngx_chat_call_add_num(call, opening->queue_timeout);
    ngx_chat_call_add_bytes(call, gen->fp, NGX_CHAT_FP_LEN);
    ngx_chat_call_add_str(call, &opening->label);

    return ngx_chat_call_send(call, ngx_chat_store_open_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_open_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    int64_t             left;
    ngx_int_t           rc;
    ngx_str_t           id;
    ngx_chat_answer_t   a, *answer;
    ngx_chat_open_pt    handler;

    ngx_str_null(&id);
    answer = NULL;

    rc = ngx_chat_call_reply_read_word(call, reply);

    switch (rc) {

    case NGX_BUSY:

        if (ngx_chat_reply_str(ngx_chat_reply_at(reply, 1), &id) != NGX_OK
            || ngx_chat_keys_check_hex(&id, NGX_CHAT_ID_LEN) != NGX_OK)
        {
            rc = ngx_chat_call_reply_log_unexpected(call);
            id.data = NULL;
        }

        break;

    case NGX_DONE:

        if (ngx_chat_reply_int(ngx_chat_reply_at(reply, 1), &left) != NGX_OK) {
            left = NGX_CHAT_CALL_NO_NUMBER;
        }

        if (ngx_chat_store_open_read_answer(ngx_chat_reply_at(reply, 2),
                                            call->gen.fp, left, &a)
            == NGX_OK)
        {
            answer = &a;
            break;
        }

        rc = ngx_chat_store_open_resend(call);

        if (rc == NGX_AGAIN) {
            return;
        }

        break;

    case NGX_ERROR:

        /* a command that was sent before may have been carried out */

        if (reply && !call->repeated) {
            rc = NGX_DECLINED;
        }

        break;

    default:
        break;
    }

    handler = (ngx_chat_open_pt) call->handler;
    handler(call->data, rc, id.data, answer);
}


/*
 * The script sees a hit where we do not, since it cannot check UTF-8.  That
 * counts as absent: the generation is opened without a look at S, and what
 * it makes replaces what is there.
 */

static ngx_int_t
ngx_chat_store_open_resend(ngx_chat_call_t *call)
{
    ngx_str_t  *args, *cache;

    args = call->args.elts;
    cache = &args[NGX_CHAT_OPEN_BEFORE_CACHE + call->script->nkeys];

    if (cache->data[0] != '1') {
        return ngx_chat_call_reply_log_unexpected(call);
    }

    cache->data[0] = '2';

    return (ngx_chat_call_resend(call) == NGX_OK) ? NGX_AGAIN : NGX_DECLINED;
}


ngx_chat_call_t *
ngx_chat_store_read(ngx_chat_store_t *st, ngx_chat_gen_t *gen, uint64_t ms,
    uint64_t n, ngx_uint_t count, ngx_chat_read_pt handler, void *data)
{
    u_char           *p, from[2 * NGX_INT64_LEN + 2];
    ngx_chat_keys_t   keys;
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->redis, NULL);
    if (call == NULL) {
        return NULL;
    }

    call->ms = ms;
    call->n = n;

    ngx_chat_keys_init(&keys, gen);

    p = ngx_sprintf(from, "(%uL-%uL", ms, n);

    ngx_chat_call_add_text(call, "XRANGE");
    ngx_chat_call_add_str(call, &keys.gen);
    ngx_chat_call_add_bytes(call, from, p - from);
    ngx_chat_call_add_text(call, "+");
    ngx_chat_call_add_text(call, "COUNT");
    ngx_chat_call_add_num(call, count);

    /* nothing new, or nothing there: an empty page does not tell */

    ngx_chat_call_pipeline(call, "EXISTS");

    return ngx_chat_call_send(call, ngx_chat_store_read_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_read_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    ngx_int_t          rc;
    ngx_chat_page_t    page;
    ngx_chat_read_pt   handler;

    if (ngx_chat_call_reply_is_error(reply, "WRONGTYPE")) {
        rc = NGX_DECLINED;

    } else {
        rc = ngx_chat_call_reply_check_array(call, reply);
    }

    if (rc == NGX_OK
        && ngx_chat_reply_count(reply) == 0
        && call->pipelined_reply == 0)
    {
        rc = NGX_DECLINED;
    }

    page.reply = reply;
    page.next = 0;
    page.ms = call->ms;
    page.n = call->n;
    page.log = call->store->log;

    ngx_memzero(&page.origin, sizeof(ngx_chat_origin_t));

    handler = (ngx_chat_read_pt) call->handler;
    handler(call->data, rc, (rc == NGX_OK) ? &page : NULL);
}


ngx_int_t
ngx_chat_store_take_event(ngx_chat_page_t *page, ngx_chat_event_t *ev)
{
    uint64_t           ms, n;
    ngx_str_t          id;
    ngx_chat_reply_t  *entry;

    if (page->next >= ngx_chat_reply_count(page->reply)) {
        return NGX_DONE;
    }

    entry = ngx_chat_reply_at(page->reply, page->next);

    if (ngx_chat_reply_str(ngx_chat_reply_at(entry, 0), &id) != NGX_OK
        || ngx_chat_keys_parse_entry(&id, &ms, &n) != NGX_OK
        || n != page->n + 1
        || ms < page->ms
        || ngx_chat_store_read_fields(ngx_chat_reply_at(entry, 1), ev)
           != NGX_OK
        || (ev->status == NGX_CHAT_COMPLETED
            && ngx_chat_store_read_origin(ngx_chat_reply_at(entry, 1),
                                          &page->origin)
               != NGX_OK))
    {
        ngx_log_error(NGX_LOG_ERR, page->log, 0,
                      "chat: redis holds an unexpected entry of a chat "
                      "generation behind entry %uL-%uL", page->ms, page->n);
        return NGX_ERROR;
    }

    page->next++;
    page->ms = ms;
    page->n = n;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_store_read_fields(ngx_chat_reply_t *fields, ngx_chat_event_t *ev)
{
    ngx_str_t  status, *text, *code;

    ngx_memzero(ev, sizeof(ngx_chat_event_t));

    text = &ev->text;
    code = &ev->code;

    if (ngx_chat_reply_field(fields, "status", &status) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ngx_chat_str_is(&status, "processing")) {
        ev->status = NGX_CHAT_PROCESSING;

    } else if (ngx_chat_str_is(&status, "streaming")) {
        ev->status = NGX_CHAT_STREAMING;

        if (ngx_chat_reply_field(fields, "chunk", text) != NGX_OK
            || text->len == 0)
        {
            return NGX_DECLINED;
        }

    } else if (ngx_chat_str_is(&status, "completed")) {
        ev->status = NGX_CHAT_COMPLETED;

        if (ngx_chat_reply_field(fields, "finish", code) != NGX_OK) {
            return NGX_DECLINED;
        }

    } else if (ngx_chat_str_is(&status, "error")) {
        ev->status = NGX_CHAT_ERROR;

        if (ngx_chat_reply_field(fields, "message", text) != NGX_OK
            || ngx_chat_reply_field(fields, "code", code) != NGX_OK)
        {
            return NGX_DECLINED;
        }

    } else {
        return NGX_DECLINED;
    }

    if (ngx_chat_utf8_check(text->data, text->len) != NGX_OK
        || ngx_chat_utf8_check(code->data, code->len) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* a completed event may do without */

static ngx_int_t
ngx_chat_store_read_origin(ngx_chat_reply_t *fields, ngx_chat_origin_t *origin)
{
    ngx_str_t  *provider, *model;

    provider = &origin->provider;
    model = &origin->model;

    ngx_memzero(origin, sizeof(ngx_chat_origin_t));

    (void) ngx_chat_reply_field(fields, "provider", provider);
    (void) ngx_chat_reply_field(fields, "model", model);

    if (ngx_chat_utf8_check(provider->data, provider->len) != NGX_OK
        || ngx_chat_utf8_check(model->data, model->len) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_chat_call_t *
ngx_chat_store_check(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_chat_error_e drop, ngx_chat_check_pt handler, void *data)
{
    return ngx_chat_store_check_send(st, gen, drop, 0, handler, data);
}


ngx_chat_call_t *
ngx_chat_store_erase(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_chat_error_e drop, ngx_chat_check_pt handler, void *data)
{
    return ngx_chat_store_check_send(st, gen, drop, 1, handler, data);
}


static ngx_chat_call_t *
ngx_chat_store_check_send(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_chat_error_e drop, ngx_uint_t erase, ngx_chat_check_pt handler,
    void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->redis, &ngx_chat_script_check);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_gen(call, gen);

    if (drop == NGX_CHAT_E_NONE) {
        ngx_chat_call_add_text(call, "");
        ngx_chat_call_add_text(call, "");

    } else {
        ngx_chat_call_add_str(call, ngx_chat_error_code(drop));
        ngx_chat_call_add_str(call, ngx_chat_error_message(drop));
    }

    ngx_chat_call_add_num(call, erase);
    ngx_chat_call_add_num(call, NGX_CHAT_MARGIN);
    ngx_chat_call_add_str(call,
                          ngx_chat_error_message(NGX_CHAT_E_QUEUE_TIMEOUT));
    ngx_chat_call_add_str(call, ngx_chat_error_message(NGX_CHAT_E_INTERRUPTED));

    return ngx_chat_call_send(call, ngx_chat_store_check_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_check_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    uint64_t            n;
    ngx_int_t           rc;
    ngx_chat_check_pt   handler;

    n = 0;
    rc = ngx_chat_call_reply_read_word(call, reply);

    if ((rc == NGX_OK || rc == NGX_DONE)
        && ngx_chat_call_reply_read_number(call, reply, 1, &n) != NGX_OK)
    {
        rc = NGX_ABORT;
    }

    handler = (ngx_chat_check_pt) call->handler;
    handler(call->data, rc, n);
}
