
/*
 * The time that an answer has left, as the store reads it out of what Redis
 * says: fresh, stale, without an end, or not known.
 */


#include "../../ngx_chat_module/store/ngx_chat_store_worker.h"

#include "fake_loop.h"
#include "ut_command.h"

#include <stdio.h>


#define UT_NONE  (-77)               /* the handler has not fired */

#define UT_ID    "cccccccccccccccccccccccccccccccc"
#define UT_FP    "ffffffffffffffffffffffffffffffff"


static void ut_start(void);
static void ut_lookup_handler(void *data, ngx_int_t rc, ngx_chat_answer_t *a);
static void ut_open_handler(void *data, ngx_int_t rc, u_char *id,
    ngx_chat_answer_t *a);
static void ut_peek_handler(void *data, ngx_int_t rc, ngx_str_t *label,
    int64_t left);
static char *ut_fields(const char *version, const char *stale);
static ngx_int_t ut_lookup(const char *left, const char *version,
    const char *stale);
static ngx_int_t ut_open(const char *left, const char *version,
    const char *stale);
static ngx_int_t ut_peek(const char *left);
static void ut_lookups(void);
static void ut_versions(void);
static void ut_opens(void);
static void ut_peeks(void);


static ngx_chat_store_t  ut_store;
static ngx_chat_gen_t    ut_gen;
static ngx_log_t         ut_log;
static ngx_int_t         ut_rc;
static int64_t           ut_ttl;
static char              ut_text[1024];


static void
ut_start(void)
{
    fake_loop_init();

    ngx_memzero(&ut_store, sizeof(ngx_chat_store_t));

    ut_store.redis = (ngx_chat_redis_t *) "redis";
    ut_store.log = &ut_log;
    ngx_queue_init(&ut_store.calls);

    ngx_memset(ut_gen.h, 'h', NGX_CHAT_HASH_LEN);
    ngx_memcpy(ut_gen.id, UT_ID, NGX_CHAT_ID_LEN);
    ngx_memcpy(ut_gen.fp, UT_FP, NGX_CHAT_FP_LEN);

    ut_rc = UT_NONE;
    ut_ttl = UT_NONE;
}


static void
ut_lookup_handler(void *data, ngx_int_t rc, ngx_chat_answer_t *a)
{
    ut_rc = rc;

    if (a) {
        ut_ttl = a->ttl;
    }
}


static void
ut_open_handler(void *data, ngx_int_t rc, u_char *id, ngx_chat_answer_t *a)
{
    ut_lookup_handler(data, rc, a);
}


static void
ut_peek_handler(void *data, ngx_int_t rc, ngx_str_t *label, int64_t left)
{
    ut_rc = rc;
    ut_ttl = left;
}


/* an answer as it lies in Redis; stale NULL: without that field */

static char *
ut_fields(const char *version, const char *stale)
{
    char  *p;

    p = ut_text;

    p += sprintf(p, "*%d\r\n$6\r\nstatus\r\n$9\r\ncompleted\r\n"
                 "$5\r\nchunk\r\n$5\r\nHello\r\n$4\r\ncuts\r\n$3\r\n2 3\r\n"
                 "$3\r\ngen\r\n$32\r\n" UT_ID "\r\n"
                 "$2\r\nfp\r\n$32\r\n" UT_FP "\r\n"
                 "$6\r\nfinish\r\n$4\r\nstop\r\n"
                 "$8\r\nprovider\r\n$1\r\np\r\n$5\r\nmodel\r\n$1\r\nm\r\n"
                 "$1\r\nv\r\n$%zu\r\n%s\r\n",
                 stale ? 20 : 18, strlen(version), version);

    if (stale) {
        (void) sprintf(p, "$5\r\nstale\r\n$%zu\r\n%s\r\n", strlen(stale),
                       stale);
    }

    return ut_text;
}


static ngx_int_t
ut_lookup(const char *left, const char *version, const char *stale)
{
    char  reply[2048];

    ut_start();

    (void) ngx_chat_store_lookup(&ut_store, &ut_gen, ut_lookup_handler, NULL);

    (void) sprintf(reply, "*1\r\n*2\r\n$3\r\n3-3\r\n%s",
                   ut_fields(version, stale));

    ut_reply_earlier(left);
    ut_reply(reply);

    return ut_rc;
}


static ngx_int_t
ut_open(const char *left, const char *version, const char *stale)
{
    char                reply[2048];
    ngx_chat_opening_t  opening;

    ut_start();

    ngx_memzero(&opening, sizeof(ngx_chat_opening_t));

    opening.cache = 1;
    opening.queue_timeout = 30000;

    (void) ngx_chat_store_open(&ut_store, &ut_gen, &opening, ut_open_handler,
                               NULL);

    (void) sprintf(reply, "*3\r\n$3\r\nHIT\r\n%s%s", left,
                   ut_fields(version, stale));

    ut_reply(reply);

    return ut_rc;
}


static ngx_int_t
ut_peek(const char *left)
{
    ut_start();

    (void) ngx_chat_store_peek(&ut_store, &ut_gen, ut_peek_handler, NULL);

    ut_reply_earlier(left);
    ut_reply("*1\r\n*2\r\n$3\r\n1-1\r\n*4\r\n$6\r\nstatus\r\n"
             "$10\r\nprocessing\r\n$4\r\ncall\r\n$3\r\nw.1\r\n");

    return ut_rc;
}


static void
ut_lookups(void)
{
    ut_ok(ut_lookup(":5000\r\n", "1", NULL) == NGX_OK && ut_ttl == 5000,
          "version 1: its time is that of the key");
    ut_ok(ut_lookup(":0\r\n", "1", NULL) == NGX_OK && ut_ttl == 0,
          "version 1: the last moment");
    ut_ok(ut_lookup(":65000\r\n", "2", "60000") == NGX_OK && ut_ttl == 5000,
          "version 2: its time ends before that of the key");
    ut_ok(ut_lookup(":60000\r\n", "2", "60000") == NGX_OK && ut_ttl == 0,
          "version 2: the last fresh moment");
    ut_ok(ut_lookup(":59999\r\n", "2", "60000") == NGX_OK && ut_ttl == -1,
          "version 2: the first stale moment");
    ut_ok(ut_lookup(":0\r\n", "2", "9223372036854775807") == NGX_OK
          && ut_ttl == -INT64_MAX,
          "version 2: stale for very long");

    ut_ok(ut_lookup(":-1\r\n", "1", NULL) == NGX_OK
          && ut_ttl == NGX_CHAT_ANSWER_NO_TTL
          && ut_lookup(":-1\r\n", "2", "60000") == NGX_OK
          && ut_ttl == NGX_CHAT_ANSWER_NO_TTL,
          "a key that does not expire: no end");

    ut_ok(ut_lookup(":-2\r\n", "1", NULL) == NGX_DECLINED
          && ut_lookup(":-2\r\n", "2", "60000") == NGX_DECLINED,
          "a key that came after its time was asked for: \"open\" is to say");
    ut_ok(ut_lookup("-NOPERM no\r\n", "1", NULL) == NGX_DECLINED
          && ut_lookup("-NOPERM no\r\n", "2", "60000") == NGX_DECLINED
          && ut_lookup("+OK\r\n", "2", "60000") == NGX_DECLINED,
          "no time where a number was expected: not known");
}


static void
ut_versions(void)
{
    ngx_uint_t   i, wrong;
    const char  *bad[] = { "", "x", "-1", "+1", "1.5", "1 ", " 1",
                           "9223372036854775808" };

    wrong = 0;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        wrong += (ut_lookup(":5000\r\n", "2", bad[i]) != NGX_DECLINED);
    }

    ut_ok(wrong == 0, "version 2: how long it is kept is a number");
    ut_ok(ut_lookup(":5000\r\n", "2", NULL) == NGX_DECLINED,
          "version 2: and is said");
    ut_ok(ut_lookup(":5000\r\n", "1", "60000") == NGX_OK && ut_ttl == 5000,
          "version 1: such a field means nothing");
    ut_ok(ut_lookup(":5000\r\n", "3", "60000") == NGX_DECLINED,
          "version 3: no answer");
}


static void
ut_opens(void)
{
    ut_ok(ut_open(":65000\r\n", "2", "60000") == NGX_DONE && ut_ttl == 5000,
          "open: the time of a hit");
    ut_ok(ut_open(":-1\r\n", "2", "60000") == NGX_DONE
          && ut_ttl == NGX_CHAT_ANSWER_NO_TTL,
          "open: a hit without an end");

    /* a generation is opened without a look at what is there */

    ut_ok(ut_open("$1\r\nx\r\n", "1", NULL) == UT_NONE && ut_pending()
          && strstr(ut_command, UT_ID " 2 0 30000 ") != NULL,
          "open: a hit of which the time is not known is none");
    ut_reply("*1\r\n$4\r\nMISS\r\n");
    ut_ok(ut_rc == NGX_OK, "open: and a generation is opened");
}


static void
ut_peeks(void)
{
    ut_ok(ut_peek(":5000\r\n") == NGX_OK && ut_ttl == 5000,
          "peek: the time of the key");
    ut_ok(ut_peek(":-1\r\n") == NGX_OK && ut_ttl == -1,
          "peek: a key that does not expire");
    ut_ok(ut_peek(":-2\r\n") == NGX_DECLINED
          && ut_peek("-NOPERM no\r\n") == NGX_DECLINED,
          "peek: not known");
}


int
main(void)
{
    ut_lookups();
    ut_versions();
    ut_opens();
    ut_peeks();

    return ut_done();
}
