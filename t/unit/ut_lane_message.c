
#include "../../ngx_chat_module/lane/ngx_chat_lane_private.h"

#include "ut.h"

#include <stdlib.h>


#define UT_PART    (NGX_CHAT_LANE_MESSAGE - 2 * NGX_CHAT_LANE_HEAD)
#define UT_ROUNDS  20000


/* an end that reads, and what it has read last */
typedef struct {
    ngx_chat_lane_message_reader_t   reader;
    ngx_uint_t                       n;
    ngx_chat_lane_type_e             type;
    uint32_t                         stream;
    ngx_str_t                        body;
} ut_end_t;


static void ut_small(void);
static void ut_large(void);
static ngx_uint_t ut_arrives(const char *head, size_t len);
static void ut_abort(void);
static void ut_rules(void);
static void ut_limits(void);
static void ut_cuts(void);
static void ut_garbage(void);

static void ut_open(ut_end_t *end, ngx_chat_lane_end_e which);
static ngx_int_t ut_feed(ut_end_t *end, ngx_chat_bytes_t *message);
static void ut_close(ut_end_t *end);
static ngx_uint_t ut_got(ut_end_t *end, ngx_uint_t n, ngx_chat_lane_type_e type,
    uint32_t stream, const char *body);
static ngx_int_t ut_add(ngx_chat_bytes_t *message, ngx_chat_lane_type_e type,
    uint32_t stream, const char *head, const char *text);
static void ut_part(ngx_chat_bytes_t *message, unsigned type, unsigned flags,
    uint32_t stream, const char *text);
static ngx_int_t ut_parts(ngx_chat_lane_end_e end, const unsigned *parts);


int
main(void)
{
    ut_small();
    ut_large();
    ut_abort();
    ut_rules();
    ut_limits();
    ut_cuts();
    ut_garbage();

    return ut_done();
}


static void
ut_small(void)
{
    ngx_uint_t        ok;
    ut_end_t          end;
    ngx_chat_bytes_t  message;

    ngx_memzero(&message, sizeof(ngx_chat_bytes_t));
    ut_open(&end, NGX_CHAT_LANE_FILLER);

    ok = ut_add(&message, NGX_CHAT_LANE_CHUNK, 7, "head", " and text")
         == NGX_OK;
    ok &= ut_feed(&end, &message) == NGX_DONE
          && ut_got(&end, 1, NGX_CHAT_LANE_CHUNK, 7, "head and text");
    ut_ok(ok, "fields, and a text behind");

    ok = ut_add(&message, NGX_CHAT_LANE_IDLE, 0xffffffff, "", "") == NGX_OK;
    ok &= ut_feed(&end, &message) == NGX_DONE
          && ut_got(&end, 2, NGX_CHAT_LANE_IDLE, 0xffffffff, "");
    ut_ok(ok, "nothing of both");

    ok = ut_add(&message, NGX_CHAT_LANE_IDLE, 1, "", "") == NGX_OK;
    ok &= ut_add(&message, NGX_CHAT_LANE_FAIL, 1, "four", "") == NGX_OK;
    ok &= ut_add(&message, NGX_CHAT_LANE_CHUNK, 3, "", "text") == NGX_OK;
    ok &= message.len == 3 * NGX_CHAT_LANE_HEAD + 8;
    ok &= ut_feed(&end, &message) == NGX_DONE
          && ut_got(&end, 5, NGX_CHAT_LANE_CHUNK, 3, "text");
    ut_ok(ok, "three in a message");

    ut_close(&end);
    ngx_chat_bytes_free(&message);
}


/* sizes on both sides of each border */

static void
ut_large(void)
{
    size_t      n, border;
    ngx_str_t   text;
    ngx_uint_t  ok;

    ok = 1;

    for (border = UT_PART; border <= 3 * UT_PART; border += UT_PART) {

        for (n = border - 12; n <= border + 12; n++) {
            ok &= ut_arrives("", n);
            ok &= ut_arrives("fields", n);
        }
    }

    ut_ok(ok, "records around one, two and three messages");
    ut_ok(ut_arrives("", 65536), "a record of 64 KiB");
    ut_ok(ut_arrives("fields", 3 * 1024 * 1024), "a record of 3 MB");

    text = ut_repeat("fields", 20000);
    text.data[text.len - 1] = '\0';
    ut_ok(ut_arrives((char *) text.data, 1000), "fields of 120 KB");
    ut_free(&text);
}


/* as many messages as are needed, and no more */

static ngx_uint_t
ut_arrives(const char *head, size_t len)
{
    ngx_int_t               rc;
    ngx_str_t               text;
    ngx_uint_t              n, ok, need;
    ut_end_t                end;
    ngx_chat_bytes_t        message;
    ngx_chat_lane_record_t  record;

    ngx_memzero(&message, sizeof(ngx_chat_bytes_t));
    ngx_memzero(&record, sizeof(ngx_chat_lane_record_t));
    ut_open(&end, NGX_CHAT_LANE_FILLER);

    text = ut_repeat("x", len);

    for (n = 0; n < len; n++) {
        text.data[n] = (u_char) (n * 7 + n / 251);
    }

    record.type = NGX_CHAT_LANE_FILL;
    record.stream = 9;
    record.head.data = (u_char *) head;
    record.head.len = strlen(head);
    record.text = text;

    need = (record.head.len + len + UT_PART - 1) / UT_PART;
    ok = 1;

    for (n = 1; /* void */ ; n++) {
        rc = ngx_chat_lane_message_add(&message, &record);

        if (rc == NGX_OK) {
            break;
        }

        ok &= (rc == NGX_AGAIN && message.len <= NGX_CHAT_LANE_MESSAGE
               && end.n == 0);
        ok &= ut_feed(&end, &message) == NGX_DONE;
    }

    ok &= (n == need && record.taken == record.head.len + len);
    ok &= ut_feed(&end, &message) == NGX_DONE
          && end.n == 1 && end.type == NGX_CHAT_LANE_FILL && end.stream == 9
          && end.body.len == record.head.len + len
          && memcmp(end.body.data, head, record.head.len) == 0
          && memcmp(end.body.data + record.head.len, text.data, len) == 0
          && end.reader.parts.data == NULL;

    ut_free(&text);
    ut_close(&end);
    ngx_chat_bytes_free(&message);

    return ok;
}


static void
ut_abort(void)
{
    ngx_str_t               text;
    ngx_uint_t              ok;
    ut_end_t                end;
    ngx_chat_bytes_t        message;
    ngx_chat_lane_record_t  record;

    ngx_memzero(&message, sizeof(ngx_chat_bytes_t));
    ngx_memzero(&record, sizeof(ngx_chat_lane_record_t));
    ut_open(&end, NGX_CHAT_LANE_FILLER);

    text = ut_repeat("0123456789", 20000);

    record.type = NGX_CHAT_LANE_CHUNK;
    record.stream = 1;
    record.text = text;

    ok = ngx_chat_lane_message_add(&message, &record) == NGX_AGAIN
         && ut_feed(&end, &message) == NGX_DONE
         && ngx_chat_lane_message_add(&message, &record) == NGX_AGAIN
         && ngx_chat_lane_message_add_abort(&message, NGX_CHAT_LANE_CHUNK, 1)
            == NGX_OK;
    ut_ok(ok && message.len == NGX_CHAT_LANE_MESSAGE,
          "an abort fits behind a full part");

    ok = ut_feed(&end, &message) == NGX_DONE && end.n == 0
         && end.reader.parts.data == NULL;
    ut_ok(ok, "nothing is left of an aborted record");

    ok = ut_add(&message, NGX_CHAT_LANE_CHUNK, 2, "", "other") == NGX_OK
         && ut_feed(&end, &message) == NGX_DONE
         && ut_got(&end, 1, NGX_CHAT_LANE_CHUNK, 2, "other");
    ut_ok(ok, "others go on behind it");

    ut_free(&text);
    ut_close(&end);
    ngx_chat_bytes_free(&message);
}


/* which part may follow which: type, flags and stream of each */

static void
ut_rules(void)
{
    static const struct {
        const char           *name;
        ngx_int_t             rc;
        ngx_chat_lane_end_e   end;
        unsigned              parts[13];
    } rules[] = {
        { "parts of a record", NGX_DONE, NGX_CHAT_LANE_FILLER,
          { NGX_CHAT_LANE_FILL, 1, 5, NGX_CHAT_LANE_FILL, 1, 5,
            NGX_CHAT_LANE_FILL, 0, 5 } },
        { "ALIVE between parts", NGX_DONE, NGX_CHAT_LANE_FILLER,
          { NGX_CHAT_LANE_FILL, 1, 5, NGX_CHAT_LANE_ALIVE_RECORD, 0, 0,
            NGX_CHAT_LANE_FILL, 0, 5 } },
        { "another record between parts", NGX_ERROR, NGX_CHAT_LANE_FILLER,
          { NGX_CHAT_LANE_FILL, 1, 5, NGX_CHAT_LANE_IDLE, 0, 6,
            NGX_CHAT_LANE_FILL, 0, 5 } },
        { "a part of another stream", NGX_ERROR, NGX_CHAT_LANE_FILLER,
          { NGX_CHAT_LANE_FILL, 1, 5, NGX_CHAT_LANE_FILL, 0, 6 } },
        { "a part of another type", NGX_ERROR, NGX_CHAT_LANE_FILLER,
          { NGX_CHAT_LANE_FILL, 1, 5, NGX_CHAT_LANE_CHUNK, 0, 5 } },
        { "an abort of nothing", NGX_ERROR, NGX_CHAT_LANE_FILLER,
          { NGX_CHAT_LANE_CHUNK, 2, 5 } },
        { "an abort of another stream", NGX_ERROR, NGX_CHAT_LANE_FILLER,
          { NGX_CHAT_LANE_CHUNK, 1, 5, NGX_CHAT_LANE_CHUNK, 2, 6 } },
        { "an abort twice", NGX_ERROR, NGX_CHAT_LANE_FILLER,
          { NGX_CHAT_LANE_CHUNK, 1, 5, NGX_CHAT_LANE_CHUNK, 2, 5,
            NGX_CHAT_LANE_CHUNK, 2, 5 } },
        { "ALIVE in parts", NGX_ERROR, NGX_CHAT_LANE_FILLER,
          { NGX_CHAT_LANE_ALIVE_RECORD, 1, 0 } },
        { "HELLO in parts", NGX_ERROR, NGX_CHAT_LANE_WORKER,
          { NGX_CHAT_LANE_HELLO, 1, 0 } },
        { "both flags", NGX_ERROR, NGX_CHAT_LANE_FILLER,
          { NGX_CHAT_LANE_CHUNK, 1, 5, NGX_CHAT_LANE_CHUNK, 3, 5 } },
        { "an unknown flag", NGX_ERROR, NGX_CHAT_LANE_FILLER,
          { NGX_CHAT_LANE_CHUNK, 4, 5 } },
        { "a type too large", NGX_ERROR, NGX_CHAT_LANE_WORKER,
          { NGX_CHAT_LANE_TYPES, 0, 5 } },
        { "the largest type of all", NGX_ERROR, NGX_CHAT_LANE_WORKER,
          { 255, 0, 5 } }
    };

    unsigned    parts[4];
    ngx_uint_t  i, filler, ok;

    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        ut_ok(ut_parts(rules[i].end, rules[i].parts) == rules[i].rc,
              rules[i].name);
    }

    ok = 1;

    for (i = 1; i < NGX_CHAT_LANE_TYPES; i++) {
        parts[0] = i;
        parts[1] = 0;
        parts[2] = 1;
        parts[3] = 0;

        filler = (i <= NGX_CHAT_LANE_DRAIN || i >= NGX_CHAT_LANE_KEPT);

        ok &= ut_parts(NGX_CHAT_LANE_WORKER, parts)
              == (filler ? NGX_DONE : NGX_ERROR);
        ok &= ut_parts(NGX_CHAT_LANE_FILLER, parts)
              == (filler ? NGX_ERROR : NGX_DONE);
    }

    ut_ok(ok, "each type from its sender only");
}


static ngx_int_t
ut_parts(ngx_chat_lane_end_e which, const unsigned *parts)
{
    ngx_int_t         rc;
    ut_end_t          end;
    ngx_chat_bytes_t  message;

    ngx_memzero(&message, sizeof(ngx_chat_bytes_t));
    ut_open(&end, which);

    for ( /* void */ ; parts[0]; parts += 3) {
        ut_part(&message, parts[0], parts[1], parts[2],
                parts[1] == 2 ? "" : "part");
    }

    rc = ut_feed(&end, &message);

    ut_close(&end);
    ngx_chat_bytes_free(&message);

    return rc;
}


static void
ut_limits(void)
{
    size_t            len;
    ngx_int_t         rc;
    ngx_uint_t        ok;
    ut_end_t          end;
    ngx_str_t         text;
    ngx_chat_bytes_t  message, part;

    ngx_memzero(&message, sizeof(ngx_chat_bytes_t));
    ngx_memzero(&part, sizeof(ngx_chat_bytes_t));

    text = ut_repeat("0123456789abcdef", 4000);
    text.data[text.len - 1] = '\0';
    ut_part(&part, NGX_CHAT_LANE_FILL, 1, 5, (char *) text.data);

    ut_open(&end, NGX_CHAT_LANE_FILLER);
    rc = NGX_DONE;

    for (len = 0; rc == NGX_DONE && len < 2 * NGX_CHAT_LANE_RECORD;
         len += text.len - 1)
    {
        message.len = 0;
        (void) ngx_chat_bytes_append(&message, part.data, part.len);
        rc = ut_feed(&end, &message);
    }

    ok = (rc == NGX_ERROR && len > NGX_CHAT_LANE_RECORD
          && len - (text.len - 1) <= NGX_CHAT_LANE_RECORD
          && end.reader.parts.len <= NGX_CHAT_LANE_RECORD);
    ut_ok(ok, "a record without an end is an error, once it is too large");

    ut_close(&end);
    ut_open(&end, NGX_CHAT_LANE_FILLER);

    message.len = 0;
    ut_part(&message, NGX_CHAT_LANE_FILL, 1, 5, "");
    ut_ok(ut_feed(&end, &message) == NGX_ERROR, "an empty part");
    ut_close(&end);

    /* no memory */

    ngx_chat_bytes_free(&message);

    ut_fail_alloc = 1;
    ok = ut_add(&message, NGX_CHAT_LANE_IDLE, 1, "", "") == NGX_ERROR
         && message.len == 0;
    ut_fail_alloc = 0;
    ut_ok(ok, "no memory for a message");

    ut_part(&message, NGX_CHAT_LANE_FILL, 1, 5, "part");
    ut_open(&end, NGX_CHAT_LANE_FILLER);

    ut_fail_alloc = 1;
    ok = ut_feed(&end, &message) == NGX_ERROR;
    ut_fail_alloc = 0;
    ut_ok(ok, "no memory for a part");

    ut_close(&end);
    ut_free(&text);
    ngx_chat_bytes_free(&part);
    ngx_chat_bytes_free(&message);
}


/* only where a part ends a message can end, and then it has so many records */

static void
ut_cuts(void)
{
    size_t            i;
    ngx_int_t         rc;
    ngx_uint_t        ok;
    ut_end_t          end;
    ngx_chat_bytes_t  message, cut;

    ngx_memzero(&message, sizeof(ngx_chat_bytes_t));

    (void) ut_add(&message, NGX_CHAT_LANE_CHUNK, 1, "abcd", "text");
    ut_part(&message, NGX_CHAT_LANE_FILL, 1, 2, "fi");
    ut_part(&message, NGX_CHAT_LANE_FILL, 0, 2, "ll");
    (void) ut_add(&message, NGX_CHAT_LANE_IDLE, 3, "", "");

    ok = 1;

    for (i = 0; i <= message.len; i++) {
        ut_open(&end, NGX_CHAT_LANE_FILLER);

        cut = message;
        cut.len = i;

        rc = ut_feed(&end, &cut);

        ok &= end.n == (ngx_uint_t) (i >= 16) + (i >= 36) + (i >= 44);
        ok &= rc == ((i == 0 || i == 16 || i == 26 || i == 36 || i == 44)
                     ? NGX_DONE : NGX_ERROR);

        ut_close(&end);
    }

    ut_ok(ok && message.len == 44, "a message cut at each byte");

    ngx_chat_bytes_free(&message);
}


/* bytes that are not what they should be: no more is read than there is */

static void
ut_garbage(void)
{
    u_char             byte;
    ngx_int_t          rc;
    ngx_uint_t         i, j, n, ok, good, bad;
    ut_end_t           end;
    unsigned int       seed;
    ngx_chat_bytes_t   message;

    ngx_memzero(&message, sizeof(ngx_chat_bytes_t));

    seed = 11;
    ok = 1;
    good = 0;
    bad = 0;

    for (i = 0; i < UT_ROUNDS; i++) {
        message.len = 0;

        if (i % 4 == 0) {
            n = rand_r(&seed) % 64;

            for (j = 0; j < n; j++) {
                byte = rand_r(&seed);
                (void) ngx_chat_bytes_append(&message, &byte, 1);
            }

        } else {
            (void) ut_add(&message, NGX_CHAT_LANE_CHUNK, 1, "abcd", "text");
            ut_part(&message, NGX_CHAT_LANE_FILL, 1, 2, "fi");
            ut_part(&message, NGX_CHAT_LANE_FILL, 0, 2, "ll");
            ut_part(&message, NGX_CHAT_LANE_CHUNK, 1, 1, "text");
            ut_part(&message, NGX_CHAT_LANE_CHUNK, 2, 1, "");
            (void) ut_add(&message, NGX_CHAT_LANE_IDLE, 3, "", "");

            for (n = 1 + rand_r(&seed) % 3; n; n--) {
                j = rand_r(&seed) % message.len;
                message.data[j] ^= 1 << rand_r(&seed) % 8;
            }
        }

        ut_open(&end, i % 2 ? NGX_CHAT_LANE_FILLER : NGX_CHAT_LANE_WORKER);

        rc = ut_feed(&end, &message);

        ok &= (rc == NGX_DONE || rc == NGX_ERROR);
        good += (rc == NGX_DONE);
        bad += (rc == NGX_ERROR);

        ut_close(&end);
    }

    ut_ok(ok && good > 100 && bad > UT_ROUNDS / 2, "garbage");

    ngx_chat_bytes_free(&message);
}


static void
ut_open(ut_end_t *end, ngx_chat_lane_end_e which)
{
    ngx_memzero(end, sizeof(ut_end_t));

    end->reader.end = which;
}


/* reads a message, from a block of its size, and empties it */

static ngx_int_t
ut_feed(ut_end_t *end, ngx_chat_bytes_t *message)
{
    ngx_int_t                        rc;
    ngx_str_t                        block, rest;
    ngx_chat_lane_message_record_t   record;

    block = ut_bytes(message->data, message->len);
    rest = block;

    message->len = 0;

    for ( ;; ) {
        rc = ngx_chat_lane_message_next(&end->reader, &rest, &record);

        if (rc != NGX_OK) {
            break;
        }

        ut_free(&end->body);

        end->n++;
        end->type = record.type;
        end->stream = record.stream;
        end->body = ut_bytes(record.body.data, record.body.len);
    }

    ut_free(&block);

    return rc;
}


static void
ut_close(ut_end_t *end)
{
    ut_free(&end->body);

    ngx_chat_lane_message_free(&end->reader);
}


static ngx_uint_t
ut_got(ut_end_t *end, ngx_uint_t n, ngx_chat_lane_type_e type, uint32_t stream,
    const char *body)
{
    return end->n == n && end->type == type && end->stream == stream
           && ut_is(&end->body, body);
}


static ngx_int_t
ut_add(ngx_chat_bytes_t *message, ngx_chat_lane_type_e type, uint32_t stream,
    const char *head, const char *text)
{
    ngx_chat_lane_record_t  record;

    record.type = type;
    record.stream = stream;
    record.head.data = (u_char *) head;
    record.head.len = strlen(head);
    record.text.data = (u_char *) text;
    record.text.len = strlen(text);
    record.taken = 0;

    return ngx_chat_lane_message_add(message, &record);
}


static void
ut_part(ngx_chat_bytes_t *message, unsigned type, unsigned flags,
    uint32_t stream, const char *text)
{
    u_char    head[NGX_CHAT_LANE_HEAD];
    uint16_t  len;

    len = strlen(text);

    memcpy(head, &len, 2);
    head[2] = type;
    head[3] = flags;
    memcpy(&head[4], &stream, 4);

    (void) ngx_chat_bytes_append(message, head, NGX_CHAT_LANE_HEAD);
    (void) ngx_chat_bytes_append(message, text, len);
}
