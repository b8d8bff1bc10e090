
#include "../../ngx_chat_module/lane/ngx_chat_lane_record.h"

#include "ut.h"

#include <stdlib.h>


#define UT_ROUNDS  20000


static void ut_fill(void);
static void ut_fill_bounds(void);
static void ut_complete(void);
static void ut_numbers(void);
static void ut_labels(void);
static void ut_garbage(void);
static ngx_chat_lane_fill_t ut_fill_make(void);
static ngx_str_t ut_fill_body(ngx_chat_lane_fill_t *fill);
static ngx_uint_t ut_fill_refused(ngx_chat_lane_fill_t *fill);
static ngx_str_t ut_complete_body(ngx_chat_lane_complete_t *complete);
static ngx_uint_t ut_inside(ngx_str_t *body, ngx_str_t *s);


int
main(void)
{
    ut_fill();
    ut_fill_bounds();
    ut_complete();
    ut_numbers();
    ut_labels();
    ut_garbage();

    return ut_done();
}


static void
ut_fill(void)
{
    size_t                i, fields;
    ngx_str_t             body, cut;
    ngx_uint_t            ok;
    ngx_chat_lane_fill_t  fill, read;

    fill = ut_fill_make();
    body = ut_fill_body(&fill);
    fields = ngx_chat_lane_fill_len(&fill);

    ok = ngx_chat_lane_fill_read(&body, &read) == NGX_OK
         && memcmp(read.h, fill.h, NGX_CHAT_HASH_LEN) == 0
         && memcmp(read.id, fill.id, NGX_CHAT_ID_LEN) == 0
         && memcmp(read.fp, fill.fp, NGX_CHAT_FP_LEN) == 0;
    ut_ok(ok, "FILL: the generation");

    ok = read.fill == 3 && read.ttl == 86400000 && read.stale == 60000
         && read.max_answer == 33554432 && read.cancel == 1
         && read.grace == 5000;
    ut_ok(ok, "FILL: numbers");

    ok = ut_is(&read.label, "0123.7")
         && ut_is(&read.providers, "a=b c=d")
         && ut_is(&read.trace.request_id, "r-1")
         && ut_is(&read.trace.traceparent, "00-t")
         && ut_is(&read.messages, "[{\"role\":\"user\"}]");
    ut_ok(ok, "FILL: strings");

    ut_ok(fields - 16 < NGX_CHAT_LANE_FIELDS,
          "FILL: fields besides strings are as few as foretold");

    ok = 1;

    for (i = 0; i < body.len; i++) {
        cut = ut_bytes(body.data, i);

        ok &= ngx_chat_lane_fill_read(&cut, &read)
              == (i < fields ? NGX_ERROR : NGX_OK);

        ut_free(&cut);
    }

    ut_ok(ok, "FILL: cut at each byte");

    ut_free(&body);

    /* all that may be empty is */

    ngx_str_null(&fill.providers);
    ngx_str_null(&fill.trace.request_id);
    ngx_str_null(&fill.trace.traceparent);
    ngx_str_null(&fill.messages);
    fill.cancel = 0;
    fill.ttl = 0;

    body = ut_fill_body(&fill);

    ok = ngx_chat_lane_fill_read(&body, &read) == NGX_OK
         && read.providers.len == 0 && read.trace.request_id.len == 0
         && read.trace.traceparent.len == 0
         && read.messages.len == 0 && read.ttl == 0 && read.cancel == 0;
    ut_ok(ok, "FILL: empty strings");

    ut_free(&body);
}


static void
ut_fill_bounds(void)
{
    ngx_str_t             label;
    ngx_chat_lane_fill_t  fill;

    fill = ut_fill_make();
    fill.fill = 0;
    ut_ok(ut_fill_refused(&fill), "FILL: number 0 is refused");

    fill = ut_fill_make();
    fill.fill = (ngx_uint_t) -1;
    ut_ok(ut_fill_refused(&fill), "FILL: a number too large is refused");

    fill = ut_fill_make();
    fill.cancel = 2;
    ut_ok(ut_fill_refused(&fill), "FILL: another cancel is refused");

    fill = ut_fill_make();
    fill.ttl = (ngx_msec_t) NGX_CHAT_TIME_MAX + 1;
    ut_ok(ut_fill_refused(&fill), "FILL: a ttl too large is refused");

    fill = ut_fill_make();
    fill.stale = (ngx_msec_t) NGX_CHAT_TIME_MAX + 1;
    ut_ok(ut_fill_refused(&fill), "FILL: a stale too large is refused");

    fill = ut_fill_make();
    fill.max_answer = (size_t) -1;
    ut_ok(ut_fill_refused(&fill), "FILL: a max_answer too large is refused");

    fill = ut_fill_make();
    fill.grace = (ngx_msec_t) NGX_CHAT_TIME_MAX + 1;
    ut_ok(ut_fill_refused(&fill), "FILL: a grace too large is refused");

    fill = ut_fill_make();
    fill.h[63] = 'g';
    ut_ok(ut_fill_refused(&fill), "FILL: h that is not hex is refused");

    fill = ut_fill_make();
    fill.id[0] = 'A';
    ut_ok(ut_fill_refused(&fill), "FILL: an id in capitals is refused");

    fill = ut_fill_make();
    fill.fp[5] = ':';
    ut_ok(ut_fill_refused(&fill), "FILL: fp that is not hex is refused");

    fill = ut_fill_make();
    fill.label.len = 0;
    ut_ok(ut_fill_refused(&fill), "FILL: no label is refused");

    label = ut_repeat("l", NGX_CHAT_LANE_LABEL + 1);

    fill.label = label;
    ut_ok(ut_fill_refused(&fill), "FILL: a long label is refused");

    fill.label.len--;
    ut_ok(!ut_fill_refused(&fill), "FILL: the longest label is not");

    ut_free(&label);
}


static void
ut_complete(void)
{
    size_t                     i;
    ngx_str_t                  body, cut;
    ngx_uint_t                 ok;
    ngx_chat_lane_complete_t   complete, read;

    ngx_str_set(&complete.finish, "stop");
    ngx_str_set(&complete.provider, "main");
    ngx_str_null(&complete.model);
    ngx_str_set(&complete.usage, "{\"total_tokens\":7}");

    body = ut_complete_body(&complete);

    ok = ngx_chat_lane_complete_read(&body, &read) == NGX_OK
         && ut_is(&read.finish, "stop") && ut_is(&read.provider, "main")
         && ut_is(&read.model, "")
         && ut_is(&read.usage, "{\"total_tokens\":7}");
    ut_ok(ok, "END: strings");

    ok = 1;

    for (i = 0; i < body.len; i++) {
        cut = ut_bytes(body.data, i);
        ok &= ngx_chat_lane_complete_read(&cut, &read) == NGX_ERROR;
        ut_free(&cut);
    }

    ut_ok(ok, "END: cut at each byte");

    cut.len = body.len + 1;
    cut.data = calloc(1, cut.len);

    if (cut.data == NULL) {
        abort();
    }

    memcpy(cut.data, body.data, body.len);

    ut_ok(ngx_chat_lane_complete_read(&cut, &read) == NGX_ERROR,
          "END: a byte too many");

    ut_free(&cut);
    ut_free(&body);
}


static void
ut_numbers(void)
{
    u_char                 buf[9];
    uint32_t               n;
    ngx_str_t              body, text;
    ngx_uint_t             i, ok;
    ngx_chat_error_e       error;
    ngx_chat_lane_kind_e   kind;

    buf[8] = 'x';
    ok = ngx_chat_lane_number_write(buf, 0xfedcba98) == buf + 4;
    body = ut_bytes(buf, 4);
    ok &= ngx_chat_lane_number_read(&body, &n) == NGX_OK && n == 0xfedcba98;
    ut_ok(ok, "a number");

    ut_free(&body);
    ok = 1;

    for (i = 0; i < 9; i++) {
        body = ut_bytes(buf, i);
        ok &= ngx_chat_lane_number_read(&body, &n)
              == (i == 4 ? NGX_OK : NGX_ERROR);
        ut_free(&body);
    }

    ut_ok(ok, "a number of another length");

    ok = 1;

    for (i = 0; i < NGX_CHAT_E_MAX + 2; i++) {
        (void) ngx_chat_lane_number_write(buf, i);
        body = ut_bytes(buf, 4);

        if (i == NGX_CHAT_E_NONE || i >= NGX_CHAT_E_MAX) {
            ok &= ngx_chat_lane_fail_read(&body, &error) == NGX_ERROR;

        } else {
            ok &= ngx_chat_lane_fail_read(&body, &error) == NGX_OK
                  && (ngx_uint_t) error == i;
        }

        body.len--;
        ok &= ngx_chat_lane_fail_read(&body, &error) == NGX_ERROR;

        ut_free(&body);
    }

    ut_ok(ok, "FAIL: errors that there are, and no others");

    (void) ngx_chat_lane_number_write(buf, NGX_CHAT_LANE_ANSWER);
    memcpy(buf + 4, "text", 4);
    body = ut_bytes(buf, 8);

    ok = ngx_chat_lane_chunk_read(&body, &kind, &text) == NGX_OK
         && kind == NGX_CHAT_LANE_ANSWER && ut_is(&text, "text");
    ut_ok(ok, "CHUNK: kind and text");

    body.len = 4;
    ok = ngx_chat_lane_chunk_read(&body, &kind, &text) == NGX_OK
         && text.len == 0;
    ut_ok(ok, "CHUNK: without text");

    ut_free(&body);
    ok = 1;

    for (i = 0; i < 4; i++) {
        body = ut_bytes(buf, i);
        ok &= ngx_chat_lane_chunk_read(&body, &kind, &text) == NGX_ERROR;
        ut_free(&body);
    }

    (void) ngx_chat_lane_number_write(buf, NGX_CHAT_LANE_KINDS);
    body = ut_bytes(buf, 8);
    ok &= ngx_chat_lane_chunk_read(&body, &kind, &text) == NGX_ERROR;
    ut_ok(ok, "CHUNK: without a kind, or of an unknown one");

    ut_free(&body);
}


static void
ut_labels(void)
{
    ngx_str_t   body, label;
    ngx_uint_t  ok;

    body = ut_repeat("l", NGX_CHAT_LANE_LABEL + 1);

    ok = ngx_chat_lane_label_read(&body, &label) == NGX_ERROR;
    body.len--;
    ok &= ngx_chat_lane_label_read(&body, &label) == NGX_OK
          && ut_same(&body, &label);
    body.len = 0;
    ok &= ngx_chat_lane_label_read(&body, &label) == NGX_ERROR;

    ut_ok(ok, "RESTART: labels of 1 to 128 bytes");

    ut_free(&body);
}


/* strings of what is read lie within what was there */

static void
ut_garbage(void)
{
    ngx_str_t                  body, cut;
    ngx_uint_t                 i, n, ok, good;
    unsigned int               seed;
    ngx_chat_lane_fill_t       fill;
    ngx_chat_lane_complete_t   complete;

    seed = 12;
    ok = 1;
    good = 0;

    for (i = 0; i < UT_ROUNDS; i++) {
        fill = ut_fill_make();
        body = ut_fill_body(&fill);

        for (n = 1 + rand_r(&seed) % 3; n; n--) {
            body.data[rand_r(&seed) % body.len] ^= 1 << rand_r(&seed) % 8;
        }

        cut = ut_bytes(body.data, body.len - rand_r(&seed) % 20);

        if (ngx_chat_lane_fill_read(&cut, &fill) == NGX_OK) {
            ok &= ut_inside(&cut, &fill.label)
                  && ut_inside(&cut, &fill.providers)
                  && ut_inside(&cut, &fill.trace.request_id)
                  && ut_inside(&cut, &fill.trace.traceparent)
                  && ut_inside(&cut, &fill.messages);
            good++;
        }

        ut_free(&cut);
        ut_free(&body);
    }

    ut_ok(ok && good > 100 && good < UT_ROUNDS, "FILL: garbage");

    ngx_str_set(&complete.finish, "stop");
    ngx_str_set(&complete.provider, "main");
    ngx_str_set(&complete.model, "model");
    ngx_str_set(&complete.usage, "{}");

    good = 0;

    for (i = 0; i < UT_ROUNDS; i++) {
        body = ut_complete_body(&complete);

        for (n = 1 + rand_r(&seed) % 3; n; n--) {
            body.data[rand_r(&seed) % body.len] ^= 1 << rand_r(&seed) % 8;
        }

        if (ngx_chat_lane_complete_read(&body, &complete) == NGX_OK) {
            ok &= ut_inside(&body, &complete.finish)
                  && ut_inside(&body, &complete.provider)
                  && ut_inside(&body, &complete.model)
                  && ut_inside(&body, &complete.usage);
            good++;
        }

        ngx_str_set(&complete.finish, "stop");
        ngx_str_set(&complete.provider, "main");
        ngx_str_set(&complete.model, "model");
        ngx_str_set(&complete.usage, "{}");

        ut_free(&body);
    }

    ut_ok(ok && good > 100 && good < UT_ROUNDS, "END: garbage");
}


static ngx_chat_lane_fill_t
ut_fill_make(void)
{
    ngx_chat_lane_fill_t  fill;

    memset(fill.h, 'a', NGX_CHAT_HASH_LEN);
    memset(fill.id, '0', NGX_CHAT_ID_LEN);
    memset(fill.fp, 'f', NGX_CHAT_FP_LEN);

    ngx_str_set(&fill.label, "0123.7");
    fill.fill = 3;

    ngx_str_set(&fill.providers, "a=b c=d");
    ngx_str_set(&fill.messages, "[{\"role\":\"user\"}]");
    ngx_str_set(&fill.trace.request_id, "r-1");
    ngx_str_set(&fill.trace.traceparent, "00-t");
    fill.ttl = 86400000;
    fill.stale = 60000;
    fill.max_answer = 33554432;
    fill.cancel = 1;
    fill.grace = 5000;

    return fill;
}


/* the fields in a block of the length that was foretold, and messages behind */

static ngx_str_t
ut_fill_body(ngx_chat_lane_fill_t *fill)
{
    size_t     len;
    u_char    *p;
    ngx_str_t  body;

    len = ngx_chat_lane_fill_len(fill);

    body.len = len + fill->messages.len;
    body.data = malloc(body.len);

    if (body.data == NULL) {
        abort();
    }

    p = ngx_chat_lane_fill_write(body.data, fill);

    if (p != body.data + len) {
        abort();
    }

    if (fill->messages.len) {
        memcpy(p, fill->messages.data, fill->messages.len);
    }

    return body;
}


static ngx_uint_t
ut_fill_refused(ngx_chat_lane_fill_t *fill)
{
    ngx_int_t             rc;
    ngx_str_t             body;
    ngx_chat_lane_fill_t  read;

    body = ut_fill_body(fill);
    rc = ngx_chat_lane_fill_read(&body, &read);
    ut_free(&body);

    return rc == NGX_ERROR;
}


static ngx_str_t
ut_complete_body(ngx_chat_lane_complete_t *complete)
{
    ngx_str_t  body;

    body.len = ngx_chat_lane_complete_len(complete);
    body.data = malloc(body.len);

    if (body.data == NULL
        || ngx_chat_lane_complete_write(body.data, complete)
           != body.data + body.len)
    {
        abort();
    }

    return body;
}


static ngx_uint_t
ut_inside(ngx_str_t *body, ngx_str_t *s)
{
    return s->data >= body->data && s->len <= body->len
           && s->data + s->len <= body->data + body->len;
}
