
/*
 * Verbs as commands, and replies as results: the test is the connection to
 * Redis, sees what a verb sends, and answers it.
 */


#include "../../ngx_chat_module/store/ngx_chat_store_filler.h"
#include "../../ngx_chat_module/store/ngx_chat_store_tasks.h"
#include "../../ngx_chat_module/store/ngx_chat_store_worker.h"

#include "fake_loop.h"
#include "ut_command.h"

#include <stdio.h>


/* by each handler: once for each reply */
typedef struct {
    ngx_uint_t           fired;
    ngx_int_t            rc;
    ngx_chat_claimed_t   claimed;
    u_char               entry[64];
    ngx_uint_t           listeners;
    ngx_uint_t           stop;
    ngx_msec_t           wait;
    ngx_uint_t           tasks;     /* of a page */
    ngx_chat_queue_e     queue;     /* of the last one */
} ut_result_t;


static void ut_start(void);
static void ut_answer(const char *bytes);
static void ut_claimed_handler(void *data, ngx_int_t rc,
    ngx_chat_claimed_t *claimed);
static void ut_appended_handler(void *data, ngx_int_t rc, ngx_uint_t listeners,
    ngx_uint_t stop);
static void ut_insured_handler(void *data, ngx_int_t rc, ngx_str_t *entry);
static void ut_page_handler(void *data, ngx_int_t rc,
    ngx_chat_task_page_t *page);
static void ut_rc_handler(void *data, ngx_int_t rc);
static void ut_push_handler(void *data, ngx_int_t rc, ngx_msec_t wait);
static void ut_open_handler(void *data, ngx_int_t rc, u_char *id,
    ngx_chat_answer_t *a);
static void ut_claim(void);
static void ut_claim_send(ngx_chat_claim_t *claim);
static ngx_uint_t ut_claim_refused(const char *bytes);
static void ut_claim_garbage(void);
static void ut_append(void);
static void ut_insure(void);
static void ut_queues(void);
static void ut_push(void);
static void ut_open(void);
static void ut_update(void);


#define UT_H         "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"                        \
                     "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
#define UT_ID        "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii"
#define UT_FP        "ffffffffffffffffffffffffffffffff"
#define UT_S         "chat:stream:" UT_H
#define UT_GEN       "{" UT_S "}:1:gen:" UT_ID
#define UT_KEYS      "{" UT_S "}:1:live:" UT_FP " " UT_GEN " " UT_GEN ":own "
#define UT_UPDATE    "{" UT_S "}:1:update:" UT_FP " "
#define UT_LED       "chat:led:1:{chat:tasks:1}"
#define UT_FIELDS    "h " UT_H " id " UT_ID " fp " UT_FP " providers p=q "     \
                     "messages [] ttl 9 max_answer 8 cancel 1 grace 7 "        \
                     "request_id r"


static ngx_chat_store_t          ut_store;
static ngx_chat_lease_t          ut_lease;
static ngx_chat_task_entry_t     ut_task;
static ngx_log_t                 ut_log;
static ut_result_t               ut_result;


static void
ut_start(void)
{
    fake_loop_init();

    ngx_memzero(&ut_store, sizeof(ngx_chat_store_t));

    ut_store.redis = (ngx_chat_redis_t *) "redis";
    ut_store.broker = (ngx_chat_redis_t *) "broker";
    ut_store.log = &ut_log;
    ngx_queue_init(&ut_store.calls);

    ngx_memset(ut_lease.gen.h, 'h', NGX_CHAT_HASH_LEN);
    ngx_memset(ut_lease.gen.id, 'i', NGX_CHAT_ID_LEN);
    ngx_memset(ut_lease.gen.fp, 'f', NGX_CHAT_FP_LEN);
    ngx_memcpy(ut_lease.token, "t.1", 3);
    ut_lease.token_len = 3;
    ut_lease.n = 0;

    ngx_memzero(&ut_task, sizeof(ngx_chat_task_entry_t));

    ut_task.gen = ut_lease.gen;
    ngx_str_set(&ut_task.providers, "p=q");
    ngx_str_set(&ut_task.messages, "[]");
    ngx_str_set(&ut_task.trace.request_id, "r");
    ut_task.ttl = 9;
    ut_task.max_answer = 8;
    ut_task.cancel = 1;
    ut_task.grace = 7;

    ngx_memzero(&ut_result, sizeof(ut_result_t));
}


static void
ut_answer(const char *bytes)
{
    ngx_memzero(&ut_result, sizeof(ut_result_t));

    ut_reply(bytes);
}


static void
ut_claimed_handler(void *data, ngx_int_t rc, ngx_chat_claimed_t *claimed)
{
    ut_result.fired++;
    ut_result.rc = rc;

    if (rc != NGX_OK) {
        ut_result.fired += (claimed != NULL);
        return;
    }

    ut_result.claimed = *claimed;
    ngx_memcpy(ut_result.entry, claimed->task.data, claimed->task.len);
}


static void
ut_appended_handler(void *data, ngx_int_t rc, ngx_uint_t listeners,
    ngx_uint_t stop)
{
    ut_result.fired++;
    ut_result.rc = rc;
    ut_result.listeners = listeners;
    ut_result.stop = stop;
}


static void
ut_insured_handler(void *data, ngx_int_t rc, ngx_str_t *entry)
{
    ut_result.fired++;
    ut_result.rc = rc;

    if (entry) {
        ngx_memcpy(ut_result.entry, entry->data, entry->len);
    }
}


static void
ut_page_handler(void *data, ngx_int_t rc, ngx_chat_task_page_t *page)
{
    ngx_chat_task_entry_t  task;

    ut_result.fired++;
    ut_result.rc = rc;

    while (page && ngx_chat_store_task_take(page, &task) != NGX_DONE) {
        ut_result.tasks++;
        ut_result.queue = task.queue;
    }
}


static void
ut_rc_handler(void *data, ngx_int_t rc)
{
    ut_result.fired++;
    ut_result.rc = rc;
}


static void
ut_push_handler(void *data, ngx_int_t rc, ngx_msec_t wait)
{
    ut_result.fired++;
    ut_result.rc = rc;
    ut_result.wait = wait;
}


static void
ut_open_handler(void *data, ngx_int_t rc, u_char *id, ngx_chat_answer_t *a)
{
    ut_result.fired++;
    ut_result.rc = rc;
}


static void
ut_claim_send(ngx_chat_claim_t *claim)
{
    ut_lease.n = 77;

    (void) ngx_chat_store_claim(&ut_store, &ut_lease, claim, 0,
                                ut_claimed_handler, NULL);
}


static void
ut_claim(void)
{
    ngx_chat_claim_t  claim;

    ut_start();

    ngx_memzero(&claim, sizeof(ngx_chat_claim_t));

    ngx_str_set(&claim.label, "w.3");
    claim.fill = 2;
    claim.budget = 5000;

    ut_claim_send(&claim);
    ut_ok(strstr(ut_command, UT_ID " t.1   w.3 2 10000 10000 5000 3 10 0 ")
          != NULL, "claim: a lane's, its arguments");

    ut_answer("*7\r\n$3\r\nRUN\r\n:4\r\n:250\r\n:1\r\n:65\r\n$3\r\n7-1\r\n"
             ":1\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_OK
          && ut_result.claimed.result == NGX_CHAT_CLAIM_RUN,
          "claim: RUN");
    ut_ok(ut_result.claimed.tries == 1 && ut_result.claimed.bytes == 65
          && ut_result.claimed.joined && ut_lease.n == 4,
          "claim: RUN, numbers");
    ut_ok(ut_result.claimed.task.len == 3
          && ngx_memcmp(ut_result.entry, "7-1", 3) == 0,
          "claim: RUN, task");

    ut_ok(ut_result.claimed.queue == NGX_CHAT_QUEUE_TASKS,
          "claim: RUN, of the queue");

    ut_claim_send(&claim);
    ut_answer("*7\r\n$3\r\nRUN\r\n:4\r\n:250\r\n:1\r\n:65\r\n$4\r\nl7-1\r\n"
             ":1\r\n");
    ut_ok(ut_result.rc == NGX_OK
          && ut_result.claimed.queue == NGX_CHAT_QUEUE_LED
          && ut_result.claimed.task.len == 3
          && ngx_memcmp(ut_result.entry, "7-1", 3) == 0,
          "claim: RUN, of the led stream");

    ngx_str_set(&claim.task, "5-1");
    ngx_str_set(&claim.predecessor, "pre");
    claim.fill = 0;
    claim.alone = 1;

    ut_claim_send(&claim);
    ut_ok(strstr(ut_command, " t.1 5-1 pre w.3 0 10000 10000 5000 3 10 1 ")
          != NULL, "claim: a task's, its arguments");
    ut_answer("*1\r\n$3\r\nDUP\r\n");
    ut_ok(ut_result.rc == NGX_OK
          && ut_result.claimed.result == NGX_CHAT_CLAIM_DUP, "claim: DUP");

    claim.queue = NGX_CHAT_QUEUE_LED;
    ut_claim_send(&claim);
    ut_ok(strstr(ut_command, UT_ID " t.1 l5-1 pre w.3 ") != NULL,
          "claim: a led task's, its arguments");

    ut_answer("*7\r\n$3\r\nRUN\r\n:1\r\n:0\r\n:2\r\n:0\r\n$0\r\n\r\n:0\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_OK
          && ut_result.claimed.tries == 2 && ut_result.claimed.bytes == 0
          && !ut_result.claimed.joined && ut_result.claimed.task.len == 0,
          "claim: RUN, nothing there");

    ut_claim_send(&claim);
    ut_answer("*1\r\n$4\r\nBUSY\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_OK
          && ut_result.claimed.result == NGX_CHAT_CLAIM_BUSY
          && ut_lease.n == 77, "claim: BUSY");

    ut_claim_send(&claim);
    ut_answer("*1\r\n$4\r\nGONE\r\n");
    ut_ok(ut_result.rc == NGX_OK
          && ut_result.claimed.result == NGX_CHAT_CLAIM_GONE, "claim: GONE");
}


/* nothing is taken of a reply that cannot be */

static ngx_uint_t
ut_claim_refused(const char *bytes)
{
    ngx_chat_claim_t  claim;

    ngx_memzero(&claim, sizeof(ngx_chat_claim_t));

    ut_claim_send(&claim);
    ut_answer(bytes);

    if (ut_result.fired != 1 || ut_result.rc != NGX_ABORT || ut_lease.n != 77) {
        printf("# taken: %s\n", bytes);
        return 0;
    }

    return 1;
}


static void
ut_claim_garbage(void)
{
    char        reply[512];
    ngx_uint_t  i, j, n, ok;

    static const char  *whole[] = {
        "$3\r\nRUN\r\n", ":4\r\n", ":250\r\n", ":1\r\n", ":65\r\n",
        "$3\r\n7-1\r\n", ":1\r\n"
    };

    static const char  *odd[] = {
        "$-1\r\n", ":-1\r\n", "*0\r\n", "$1\r\nx\r\n", "$2\r\n1-\r\n",
        "$4\r\n1-1 \r\n", "$5\r\n01-01\r\n", "$3\r\n1.5\r\n",
        "$42\r\n184467440737095516150-1844674407370955161-\r\n", "-ERR\r\n",
        "$4\r\nl1-x\r\n", "$4\r\nll-1\r\n"
    };

    ut_start();

    for (ok = 1, n = 1; n < 7; n++) {
        sprintf(reply, "*%d\r\n", (int) n);

        for (i = 0; i < n; i++) {
            strcat(reply, whole[i]);
        }

        ok &= ut_claim_refused(reply);
    }

    ut_ok(ok, "claim: RUN, cut behind each element");

    for (ok = 1, n = 1; n < 7; n++) {

        if (n == 2) {
            /* ms: nobody needs it */
            continue;
        }

        for (j = 0; j < sizeof(odd) / sizeof(odd[0]); j++) {
            strcpy(reply, "*7\r\n");

            for (i = 0; i < 7; i++) {
                strcat(reply, (i == n) ? odd[j] : whole[i]);
            }

            ok &= ut_claim_refused(reply);
        }
    }

    ut_ok(ok, "claim: RUN, each element odd");

    ut_ok(ut_claim_refused("*1\r\n$4\r\nWHAT\r\n"), "claim: an unknown word");
    ut_ok(ut_claim_refused("+OK\r\n"), "claim: no array");
    ut_ok(ut_claim_refused("-ERR no\r\n"), "claim: an error");
}


static void
ut_append(void)
{
    uint32_t           lens[2] = { 2, 3 };
    ngx_chat_append_t  append;

    ut_start();

    ngx_memzero(&append, sizeof(ngx_chat_append_t));

    append.text = (u_char *) "Hello";
    append.chunk_lens = lens;
    append.count = 2;
    ut_lease.n = 1;

    (void) ngx_chat_store_append(&ut_store, &ut_lease, &append, 0,
                                 ut_appended_handler, NULL);
    ut_ok(ut_sent("3 " UT_KEYS UT_ID " t.1 2    He llo"),
          "append: chunks, its arguments");

    ut_answer("*3\r\n$2\r\nOK\r\n:4\r\n:0\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_OK
          && ut_result.listeners == 4 && !ut_result.stop && ut_lease.n == 3,
          "append: chunks, OK");

    ngx_str_set(&append.label, "w.2");
    ngx_str_set(&append.task, "7-1");
    append.queue = NGX_CHAT_QUEUE_LED;
    append.renew = 1;

    (void) ngx_chat_store_append(&ut_store, &ut_lease, &append, 0,
                                 ut_appended_handler, NULL);
    ut_ok(ut_sent("3 " UT_KEYS UT_ID " t.1 4 10000 w.2 l7-1 He llo"),
          "append: a label and a task, its arguments");

    ut_answer("*3\r\n$2\r\nOK\r\n:0\r\n:1\r\n");
    ut_ok(ut_result.rc == NGX_OK && ut_result.stop && ut_lease.n == 6,
          "append: a label counts as an event");

    (void) ngx_chat_store_append(&ut_store, &ut_lease, &append, 0,
                                 ut_appended_handler, NULL);
    ut_answer("*2\r\n$2\r\nOK\r\n:0\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_ABORT,
          "append: half a reply");

    (void) ngx_chat_store_append(&ut_store, &ut_lease, &append, 0,
                                 ut_appended_handler, NULL);
    ut_answer("*1\r\n$4\r\nLOST\r\n");
    ut_ok(ut_result.rc == NGX_DECLINED, "append: LOST");

    ngx_memzero(&append, sizeof(ngx_chat_append_t));

    append.give_back = 1;
    ut_lease.n = 6;

    (void) ngx_chat_store_append(&ut_store, &ut_lease, &append, 0,
                                 ut_appended_handler, NULL);
    ut_ok(ut_sent("3 " UT_KEYS UT_ID " t.1 7 0  "),
          "append: given back, its arguments");
    ut_answer("*3\r\n$2\r\nOK\r\n:0\r\n:0\r\n");
    ut_ok(ut_result.rc == NGX_OK && ut_lease.n == 6, "append: given back, OK");
}


static void
ut_insure(void)
{
    ngx_uint_t  i, ok;
    ngx_str_t   consumer = ngx_string("me");

    static const char  *odd[] = {
        "*1\r\n$2\r\nOK\r\n", "*2\r\n$2\r\nOK\r\n$0\r\n\r\n",
        "*2\r\n$2\r\nOK\r\n$-1\r\n", "*2\r\n$2\r\nOK\r\n:7\r\n",
        "*2\r\n$2\r\nOK\r\n$2\r\n7-\r\n", "*1\r\n$4\r\nFULL\r\n",
        "*0\r\n"
    };

    ut_start();

    (void) ngx_chat_store_tasks_insure(&ut_store, &consumer, &ut_task, 5000,
                                       ut_insured_handler, NULL);
    ut_ok(ut_sent("1 " UT_LED " me " UT_FIELDS), "insure: its arguments");

    ut_answer("*2\r\n$2\r\nOK\r\n$3\r\n7-1\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_OK
          && strcmp((char *) ut_result.entry, "7-1") == 0, "insure: OK");

    for (ok = 1, i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        (void) ngx_chat_store_tasks_insure(&ut_store, &consumer, &ut_task, 0,
                                           ut_insured_handler, NULL);
        ut_answer(odd[i]);
        ok &= (ut_result.fired == 1 && ut_result.rc == NGX_ABORT);
    }

    ut_ok(ok, "insure: odd replies");

    (void) ngx_chat_store_tasks_insure(&ut_store, &consumer, &ut_task, 5000,
                                       ut_insured_handler, NULL);
    ut_command[0] = '\0';
    ut_answer("");
    ut_ok(ut_result.fired == 0 && ut_sent("1 " UT_LED " me " UT_FIELDS),
          "insure: sent again after a loss");

    ut_answer("");
    ut_ok(ut_result.fired == 0 && !ut_pending(), "insure: waits");
    fake_loop_run(200);
    ut_answer("*2\r\n$2\r\nOK\r\n$3\r\n7-2\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_OK
          && strcmp((char *) ut_result.entry, "7-2") == 0,
          "insure: and again, while its time lasts");
}


static void
ut_queues(void)
{
    ngx_str_t  me = ngx_string("me");
    ngx_str_t  entry = ngx_string("7-1");

    ut_start();

    (void) ngx_chat_store_tasks_remove(&ut_store, NGX_CHAT_QUEUE_TASKS, &entry,
                                       0, ut_rc_handler, NULL);
    ut_ok(ut_sent("1 chat:tasks:1 7-1"), "remove: from the queue");
    ut_answer("*1\r\n$2\r\nOK\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_OK, "remove: OK");

    (void) ngx_chat_store_tasks_remove(&ut_store, NGX_CHAT_QUEUE_LED, &entry,
                                       0, ut_rc_handler, NULL);
    ut_ok(ut_sent("1 " UT_LED " 7-1"), "remove: a led one");
    ut_answer("*1\r\n$2\r\nOK\r\n");

    (void) ngx_chat_store_tasks_give_back(&ut_store, NGX_CHAT_QUEUE_TASKS,
                                          &entry, ut_rc_handler, NULL);
    ut_ok(ut_sent("2 chat:tasks:1 chat:tasks:1 7-1"),
          "give back: to the queue it is in");
    ut_answer("*1\r\n$2\r\nOK\r\n");

    (void) ngx_chat_store_tasks_give_back(&ut_store, NGX_CHAT_QUEUE_LED,
                                          &entry, ut_rc_handler, NULL);
    ut_ok(ut_sent("2 " UT_LED " chat:tasks:1 7-1"), "give back: a led one");
    ut_answer("*1\r\n$4\r\nGONE\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_OK, "give back: GONE");

    (void) ngx_chat_store_tasks_push(&ut_store, &ut_task, ut_rc_handler, NULL);
    ut_ok(ut_sent("1 chat:tasks:1 2147483647 " UT_FIELDS),
          "push by a filler: its arguments");
    ut_answer("*1\r\n$2\r\nOK\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_OK,
          "push by a filler: OK");

    (void) ngx_chat_store_tasks_keep(&ut_store, NGX_CHAT_QUEUE_LED, &me,
                                     &entry, 1, ut_rc_handler, NULL);
    ut_ok(ut_sent("XCLAIM " UT_LED " fill me 0 7-1 JUSTID"), "keep: led ones");
    ut_answer("-NOGROUP none\r\n");
    ut_ok(ut_result.rc == NGX_DECLINED, "keep: no group");

    (void) ngx_chat_store_tasks_sweep(&ut_store, NGX_CHAT_QUEUE_LED,
                                      ut_rc_handler, NULL);
    ut_ok(ut_sent("1 " UT_LED " 600000"), "sweep: of led ones");
    ut_answer("*1\r\n:0\r\n");

    (void) ngx_chat_store_tasks_find_idle(&ut_store, NGX_CHAT_QUEUE_LED, &me,
                                          5, 9, ut_page_handler, NULL);
    ut_ok(ut_sent("1 " UT_LED " me 5 9"), "find idle: led ones");
    ut_answer("*2\r\n*2\r\n$3\r\n7-1\r\n*0\r\n*2\r\n$3\r\n8-1\r\n*0\r\n");
    ut_ok(ut_result.rc == NGX_OK && ut_result.tasks == 2
          && ut_result.queue == NGX_CHAT_QUEUE_LED,
          "find idle: entries know their queue");

    (void) ngx_chat_store_tasks_read(&ut_store, ut_store.broker, &me, 9,
                                     ut_page_handler, NULL);
    ut_ok(ut_sent("XREADGROUP GROUP fill me COUNT 9 BLOCK 5000 STREAMS "
                  "chat:tasks:1 >"), "read: the queue alone");
    ut_answer("*1\r\n*2\r\n$1\r\nx\r\n*1\r\n*2\r\n$3\r\n7-1\r\n*0\r\n");
    ut_ok(ut_result.tasks == 1 && ut_result.queue == NGX_CHAT_QUEUE_TASKS,
          "read: an entry knows its queue");
}


static void
ut_push(void)
{
    ngx_chat_task_t   task;
    ngx_chat_limit_t  limit;

    ut_start();

    task.gen = ut_task.gen;
    task.providers = ut_task.providers;
    task.messages = ut_task.messages;
    task.trace = ut_task.trace;
    task.ttl = 9;
    task.stale = 0;
    task.max_answer = 8;
    task.cancel = 1;
    task.grace = 7;

    ngx_memzero(&limit, sizeof(ngx_chat_limit_t));

    (void) ngx_chat_store_push(&ut_store, &task, 3, &limit, ut_push_handler,
                               NULL);
    ut_ok(ut_sent("1 chat:tasks:1 3 " UT_FIELDS), "push: its arguments");
    ut_answer("*1\r\n$4\r\nFULL\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_DECLINED, "push: FULL");

    task.stale = 60;

    (void) ngx_chat_store_push(&ut_store, &task, 3, &limit, ut_push_handler,
                               NULL);
    ut_ok(ut_sent("1 chat:tasks:1 3 " UT_FIELDS " stale 60"),
          "push: of an answer that is kept");
    ut_answer("*1\r\n$4\r\nFULL\r\n");

    limit.interval = 1000;
    limit.burst = 2;
    ngx_memset(limit.name, 'n', NGX_CHAT_HASH_LEN);

    (void) ngx_chat_store_count(&ut_store, task.gen.id, &limit,
                                ut_push_handler, NULL);
    ut_ok(ut_sent("2 chat:tasks:1 chat:limit:1:{chat:tasks:1}:"
                  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
                  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn 0 1000 2 " UT_ID),
          "count: its arguments");
    ut_answer("*2\r\n$5\r\nLIMIT\r\n:40\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_AGAIN
          && ut_result.wait == 40, "count: LIMIT");

    (void) ngx_chat_store_count(&ut_store, task.gen.id, &limit,
                                ut_push_handler, NULL);
    ut_answer("*1\r\n$2\r\nOK\r\n");
    ut_ok(ut_result.rc == NGX_OK, "count: OK");
}


static void
ut_open(void)
{
    ngx_chat_opening_t  opening;

    ut_start();

    ngx_memzero(&opening, sizeof(ngx_chat_opening_t));

    opening.cache = 1;
    opening.queue_timeout = 30000;

    (void) ngx_chat_store_open(&ut_store, &ut_lease.gen, &opening,
                               ut_open_handler, NULL);
    ut_ok(ut_sent("5 " UT_S " " UT_KEYS UT_UPDATE UT_ID " 1 0 30000 " UT_FP
                  " "),
          "open: for the queue, its arguments");
    ut_answer("*1\r\n$4\r\nMISS\r\n");

    ngx_str_set(&opening.label, "w.1");

    (void) ngx_chat_store_open(&ut_store, &ut_lease.gen, &opening,
                               ut_open_handler, NULL);
    ut_ok(ut_sent("5 " UT_S " " UT_KEYS UT_UPDATE UT_ID " 1 0 30000 " UT_FP
                  " w.1"),
          "open: led, its arguments");
    ut_answer("*1\r\n$4\r\nMISS\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_OK, "open: MISS");

    opening.cache = 0;
    opening.refresh = 1;

    (void) ngx_chat_store_open(&ut_store, &ut_lease.gen, &opening,
                               ut_open_handler, NULL);
    ut_ok(ut_sent("5 " UT_S " " UT_KEYS UT_UPDATE UT_ID " 3 0 30000 " UT_FP
                  " w.1"),
          "open: a refresh, its arguments");
    ut_answer("*1\r\n$4\r\nMISS\r\n");
}


static void
ut_update(void)
{
    ut_start();

    (void) ngx_chat_store_update(&ut_store, &ut_lease.gen, 30000,
                                 ut_rc_handler, NULL);
    ut_ok(ut_sent("5 " UT_S " " UT_KEYS UT_UPDATE UT_ID " 30000 " UT_FP),
          "update: its arguments");
    ut_answer("*1\r\n$2\r\nOK\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_OK, "update: OK");

    (void) ngx_chat_store_update(&ut_store, &ut_lease.gen, 30000,
                                 ut_rc_handler, NULL);
    ut_answer("*1\r\n$4\r\nNONE\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_DECLINED,
          "update: NONE");

    (void) ngx_chat_store_update(&ut_store, &ut_lease.gen, 30000,
                                 ut_rc_handler, NULL);
    ut_answer("-OOM command not allowed\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_DECLINED,
          "update: refused, nothing is opened");

    (void) ngx_chat_store_update(&ut_store, &ut_lease.gen, 30000,
                                 ut_rc_handler, NULL);
    ut_answer("");
    ut_ok(ut_result.fired == 0 && ut_pending(), "update: sent again");
    ut_answer("-OOM command not allowed\r\n");
    ut_ok(ut_result.fired == 1 && ut_result.rc == NGX_ERROR,
          "update: refused the second time, it may be open");
}


int
main(void)
{
    ut_claim();
    ut_claim_garbage();
    ut_append();
    ut_insure();
    ut_queues();
    ut_push();
    ut_open();
    ut_update();

    ut_ok(ngx_queue_empty(&ut_store.calls), "all calls: none is left");

    return ut_done();
}
