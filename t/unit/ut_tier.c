
/*
 * The zone of answers in shared memory of the test: what is found in it, what
 * goes, and workers that are killed at any time, inside the lock, too.
 */


#include "../../ngx_chat_module/shm/ngx_chat_tier_private.h"

#include "ut_zone.h"

#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>


#define UT_NO_TTL    NGX_CHAT_ANSWER_NO_TTL
#define UT_KEYS      40
#define UT_WORKERS   4
#define UT_KILLS     300


static ngx_chat_tier_t *ut_tier(size_t size);
static ngx_chat_tier_key_t *ut_key(ngx_uint_t n);
static size_t ut_len(ngx_uint_t n);
static ngx_int_t ut_write(ngx_chat_tier_t *tier, ngx_uint_t n,
    ngx_atomic_uint_t ticket, int64_t ttl);
static ngx_uint_t ut_is_right(ngx_chat_tier_hit_t *hit, ngx_uint_t n);
static ngx_uint_t ut_has(ngx_chat_tier_t *tier, ngx_uint_t n);
static ngx_uint_t ut_count(ngx_chat_tier_t *tier);
static void ut_worker(ngx_chat_tier_t *tier, unsigned seed);
static void ut_found(void);
static void ut_changes(void);
static void ut_coverage(void);
static void ut_small(void);
static void ut_killed(void);


volatile ngx_msec_t  ngx_current_msec = 1000;

static u_char  ut_h[NGX_CHAT_HASH_LEN];


/* a zone as at a start, with a slot */

static ngx_chat_tier_t *
ut_tier(size_t size)
{
    u_char            realm[NGX_CHAT_TIER_REALM];
    ngx_str_t         name;
    ngx_conf_t        cf;
    ngx_chat_tier_t  *tier;

    ngx_memset(realm, 'r', sizeof(realm));

    ut_zone_conf(&cf);
    name = ut_str("chat");

    if (ngx_chat_tier_add(&cf, &name, size, realm, NULL, &tier) != NGX_OK) {
        return NULL;
    }

    ut_free(&name);

    if (ut_zone_start() != NGX_OK) {
        return NULL;
    }

    ngx_chat_tier_take(tier);

    return tier;
}


/* a lock must not be held when its memory goes */

static void
ut_tier_free(ngx_chat_tier_t *tier)
{
    ngx_chat_tier_release(tier);
    ut_zone_end();
}


static ngx_chat_tier_key_t *
ut_key(ngx_uint_t n)
{
    static u_char               fp[NGX_CHAT_FP_LEN], text[4000];
    static ngx_chat_tier_key_t  key;

    ngx_memset(fp, 'f', sizeof(fp));
    ngx_memset(text, 'a' + n % 26, sizeof(text));

    key.kind = n % 3;
    key.dialect = 0;
    key.scope.len = n % 7;
    key.scope.data = text;
    key.key.len = 1 + n * 97 % (sizeof(text) - 1);
    key.key.data = text;
    key.fp = fp;

    return &key;
}


/* short ones, and long ones that are read from the zone */

static size_t
ut_len(ngx_uint_t n)
{
    return 1 + n * 1777 % (3 * NGX_CHAT_TIER_COPY);
}


static ngx_int_t
ut_write(ngx_chat_tier_t *tier, ngx_uint_t n, ngx_atomic_uint_t ticket,
    int64_t ttl)
{
    u_char                   piece[5000];
    size_t                   len, part;
    ngx_chat_tier_answer_t   answer;
    ngx_chat_tier_writer_t   w;

    ngx_memzero(&answer, sizeof(answer));

    ngx_memset(answer.h, 'h', NGX_CHAT_HASH_LEN);
    answer.h[0] = (u_char) ('a' + n % 26);
    answer.h[1] = (u_char) ('a' + n / 26);
    ngx_memset(answer.id, 'i', NGX_CHAT_ID_LEN);
    (void) sprintf((char *) answer.id, "%lu", (unsigned long) ticket);
    answer.ttl = ttl;

    ngx_str_set(&answer.origin.provider, "provider");
    ngx_str_set(&answer.origin.model, "model");

    len = ut_len(n);

    if (ngx_chat_tier_write_begin(&w, tier, ticket, ut_key(n), &answer, len)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_memset(piece, '0' + n % 64, sizeof(piece));

    while (len) {
        part = ngx_min(len, sizeof(piece));

        if (ngx_chat_tier_write(&w, piece, part) != NGX_OK) {
            ngx_chat_tier_write_abort(&w);
            return NGX_DECLINED;
        }

        len -= part;
    }

    return ngx_chat_tier_write_end(&w, ut_key(n), n);
}


static ngx_uint_t
ut_is_right(ngx_chat_tier_hit_t *hit, ngx_uint_t n)
{
    size_t     i, len;
    ngx_str_t  bytes;

    len = 0;

    if (hit->length != ut_len(n)) {
        return 0;
    }

    for ( ;; ) {

        if (hit->body.data) {
            bytes = hit->body;

        } else if (ngx_chat_tier_read(hit, 3000, &bytes) != NGX_OK) {
            break;
        }

        for (i = 0; i < bytes.len; i++) {
            if (bytes.data[i] != '0' + n % 64) {
                return 0;
            }
        }

        len += bytes.len;

        if (hit->body.data) {
            break;
        }
    }

    return len == ut_len(n);
}


static ngx_uint_t
ut_has(ngx_chat_tier_t *tier, ngx_uint_t n)
{
    ngx_uint_t               rc;
    ngx_pool_t              *pool;
    ngx_chat_tier_hit_t      hit;
    ngx_chat_tier_answer_t   answer;

    pool = ut_pool();

    rc = ngx_chat_tier_find(tier, ut_key(n), pool, &answer, &hit) == NGX_OK
         && ut_is_right(&hit, n)
         && answer.chunks == n
         && ut_is(&answer.origin.provider, "provider")
         && ut_is(&answer.origin.model, "model");

    ngx_chat_tier_leave(&hit);
    ngx_destroy_pool(pool);

    return rc;
}


/* blocks that are free or in an entry that is listed */

static ngx_uint_t
ut_count(ngx_chat_tier_t *tier)
{
    uint32_t                 n;
    ngx_uint_t               count;
    ngx_chat_tier_shared_t  *shared;

    shared = tier->shared;

    (void) ngx_chat_tier_lock(tier);

    count = 0;

    for (n = shared->free; n; n = shared->next[n]) {
        count++;
    }

    if (count != shared->nfree) {
        count = 0;
    }

    for (n = shared->newest; n; n = ngx_chat_tier_entry(shared, n)->older) {
        count += ngx_chat_tier_entry(shared, n)->nblocks;
    }

    ngx_chat_tier_unlock(tier);

    return count;
}


static void
ut_found(void)
{
    ngx_uint_t            n;
    ngx_chat_tier_t      *tier;
    ngx_chat_tier_key_t   key;

    tier = ut_tier(2 * 1024 * 1024);

    ut_ok(tier && tier->slot, "a zone, and a slot");
    ut_ok(!ut_has(tier, 1), "nothing is there");

    for (n = 0; n < UT_KEYS; n++) {
        if (ut_write(tier, n, ngx_chat_tier_ticket(tier), 1000) != NGX_OK) {
            break;
        }
    }

    ut_ok(n == UT_KEYS, "answers of all lengths go in");

    for (n = 0; n < UT_KEYS; n++) {
        if (!ut_has(tier, n)) {
            break;
        }
    }

    ut_ok(n == UT_KEYS, "and are found, byte by byte");

    key = *ut_key(3);
    key.scope.len++;

    ut_ok(ngx_chat_tier_search(tier, &key, ngx_chat_tier_hash(tier, &key))
          == 0, "another scope is another answer");

    key = *ut_key(3);
    key.fp = (u_char *) "another fingerprint, 32 bytes it is";

    ut_ok(ngx_chat_tier_search(tier, &key, ngx_chat_tier_hash(tier, &key))
          == 0, "and so is another fingerprint");

    tier->realm[5] = 's';
    ut_ok(!ut_has(tier, 3), "and another realm");
    tier->realm[5] = 'r';

    ut_ok(ut_has(tier, 3), "the same is there");

    ngx_current_msec += 999;
    ut_ok(ut_has(tier, 3), "it is there to its end");

    ngx_current_msec += 1;
    ut_ok(!ut_has(tier, 3), "and not longer");

    ut_ok(ut_write(tier, 4, ngx_chat_tier_ticket(tier), UT_NO_TTL) == NGX_OK,
          "in place of one whose time is over, for ever");

    ngx_current_msec += 1000000000;
    ut_ok(ut_has(tier, 4), "for ever");

    ut_ok(ut_count(tier) == tier->shared->nblocks - 1, "no block is lost");

    ut_tier_free(tier);
}


static void
ut_changes(void)
{
    u_char                   h[NGX_CHAT_HASH_LEN];
    ngx_uint_t               before;
    ngx_pool_t              *pool;
    ngx_atomic_uint_t        ticket, later;
    ngx_chat_tier_t         *tier;
    ngx_chat_tier_hit_t      hit;
    ngx_chat_tier_answer_t   answer;

    tier = ut_tier(1024 * 1024);
    pool = ut_pool();

    ngx_memset(h, 'h', NGX_CHAT_HASH_LEN);
    h[0] = 'a' + 9;
    h[1] = 'a';

    ticket = ngx_chat_tier_ticket(tier);
    (void) ut_write(tier, 9, ticket, 1000);

    ngx_chat_tier_change(tier, h);
    ut_ok(!ut_has(tier, 9), "a change behind it");

    ticket = ngx_chat_tier_ticket(tier);
    ngx_chat_tier_change(tier, h);

    ut_ok(ut_write(tier, 9, ticket, 1000) != NGX_OK && !ut_has(tier, 9),
          "a change before it, behind the ticket");

    ticket = ngx_chat_tier_ticket(tier);
    ngx_chat_tier_change(tier, ut_h);

    ut_ok(ut_write(tier, 9, ticket, 1000) == NGX_OK, "a change of another");

    ticket = ngx_chat_tier_ticket(tier);
    later = ngx_chat_tier_ticket(tier);

    ut_ok(ut_write(tier, 9, later, 1000) == NGX_OK, "a later one");
    ut_ok(ut_write(tier, 9, ticket, 1000) != NGX_OK,
          "is not replaced by one that was asked for before");
    ut_ok(ut_has(tier, 9), "but stays");

    /* a reader of what goes */

    (void) ut_write(tier, 23, ngx_chat_tier_ticket(tier), 1000);

    ut_ok(ngx_chat_tier_find(tier, ut_key(23), pool, &answer, &hit) == NGX_OK
          && hit.entry, "a long answer is referred to");

    before = tier->shared->nfree;

    ngx_chat_tier_change_all(tier);

    ut_ok(!ut_has(tier, 23) && !ut_has(tier, 9), "a change of all");
    ut_ok(tier->shared->nfree < tier->shared->nblocks - 1,
          "memory that is read is not free");
    ut_ok(ut_is_right(&hit, 23), "it is read to its end");

    ngx_chat_tier_leave(&hit);
    ngx_chat_tier_leave(&hit);

    ut_ok(ut_count(tier) == tier->shared->nblocks - 1
          && tier->shared->nfree > before, "and is free then");

    ut_ok(ngx_chat_tier_purge(tier, h) == NGX_DECLINED, "purge: nothing");
    (void) ut_write(tier, 9, ngx_chat_tier_ticket(tier), 1000);
    ut_ok(ngx_chat_tier_purge(tier, h) == NGX_OK && !ut_has(tier, 9),
          "purge: an answer");

    ngx_destroy_pool(pool);
    ut_tier_free(tier);
}


static void
ut_coverage(void)
{
    int               fds[2];
    char              c;
    pid_t             pid;
    ngx_chat_tier_t  *tier;

    tier = ut_tier(1024 * 1024);

    (void) ut_write(tier, 1, ngx_chat_tier_ticket(tier), UT_NO_TTL);
    ngx_chat_tier_cover(tier);
    ut_ok(!ut_has(tier, 1), "the first that covers drops all");

    (void) ut_write(tier, 1, ngx_chat_tier_ticket(tier), UT_NO_TTL);
    ngx_chat_tier_uncover(tier, 0);
    ngx_chat_tier_cover(tier);
    ut_ok(!ut_has(tier, 1), "nobody has covered for a moment");

    /* another worker that covers */

    (void) pipe(fds);
    pid = fork();

    if (pid == 0) {
        tier->slot = NULL;
        ngx_chat_tier_take(tier);
        ngx_chat_tier_cover(tier);
        (void) !write(fds[1], "x", 1);
        pause();
    }

    (void) !read(fds[0], &c, 1);

    (void) ut_write(tier, 1, ngx_chat_tier_ticket(tier), UT_NO_TTL);
    ngx_chat_tier_uncover(tier, 0);
    ngx_chat_tier_cover(tier);
    ut_ok(ut_has(tier, 1), "another has covered all the time");

    ngx_chat_tier_uncover(tier, 1);
    ngx_chat_tier_cover(tier);
    ut_ok(!ut_has(tier, 1), "changes may have been lost");

    (void) ut_write(tier, 1, ngx_chat_tier_ticket(tier), UT_NO_TTL);
    ngx_chat_tier_uncover(tier, 0);
    ngx_chat_tier_cover(tier);
    ut_ok(ut_has(tier, 1), "once");

    kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);

    ngx_chat_tier_uncover(tier, 0);
    ngx_chat_tier_cover(tier);
    ut_ok(!ut_has(tier, 1), "the other has died");

    close(fds[0]);
    close(fds[1]);
    ut_tier_free(tier);
}


static void
ut_small(void)
{
    ngx_uint_t        n;
    ngx_chat_tier_t  *tier;

    tier = ut_tier(NGX_CHAT_TIER_MIN);

    for (n = 0; n < 1000; n++) {
        (void) ut_write(tier, n, ngx_chat_tier_ticket(tier), UT_NO_TTL);
    }

    ut_ok(ut_write(tier, 27, ngx_chat_tier_ticket(tier), UT_NO_TTL) != NGX_OK,
          "an answer that is too long is not taken");

    ut_ok(ut_write(tier, 0, ngx_chat_tier_ticket(tier), UT_NO_TTL) == NGX_OK
          && ut_has(tier, 0), "a short one is, in place of others");

    ut_ok(tier->shared->nentries > 1 || tier->shared->nfree > 10,
          "and for nothing, others do not go");

    ut_ok(ut_count(tier) == tier->shared->nblocks - 1, "no block is lost");

    ut_tier_free(tier);
}


/* does all that workers do, and shows what is not right by its exit status */

static void
ut_worker(ngx_chat_tier_t *tier, unsigned seed)
{
    ngx_uint_t               n, i, held;
    ngx_pool_t              *pool;
    ngx_uint_t               key[8];
    ngx_chat_tier_hit_t      hit[8];
    ngx_chat_tier_answer_t   answer;

    tier->slot = NULL;
    tier->pending = 0;
    ngx_memzero(tier->refs, sizeof(tier->refs));

    ngx_chat_tier_take(tier);

    held = 0;

    for ( ;; ) {
        n = rand_r(&seed) % UT_KEYS;

        switch (rand_r(&seed) % 4) {

        case 0:
            (void) ut_write(tier, n, ngx_chat_tier_ticket(tier), UT_NO_TTL);
            break;

        case 1:
            ut_h[0] = (u_char) n;
            ngx_chat_tier_change(tier, ut_h);
            break;

        default:
            pool = ut_pool();
            i = held % 8;

            if (held >= 8) {

                if (hit[i].entry && !ut_is_right(&hit[i], key[i])) {
                    _exit(3);
                }

                ngx_chat_tier_leave(&hit[i]);
            }

            hit[i].entry = 0;
            key[i] = n;

            if (ngx_chat_tier_find(tier, ut_key(n), pool, &answer, &hit[i])
                == NGX_OK)
            {
                if (hit[i].body.data && !ut_is_right(&hit[i], n)) {
                    _exit(4);
                }
            }

            held++;
            ngx_destroy_pool(pool);
        }
    }
}


static void
ut_killed(void)
{
    int               status;
    pid_t             pids[UT_WORKERS];
    unsigned          seed;
    ngx_uint_t        i, n, bad, others, repairs;
    ngx_chat_tier_t  *tier;

    tier = ut_tier(512 * 1024);
    seed = 42;
    bad = 0;
    repairs = 0;

    ngx_memzero(pids, sizeof(pids));

    for (i = 0; i < UT_KILLS; i++) {
        n = i % UT_WORKERS;

        if (pids[n]) {
            usleep(rand_r(&seed) % 3000);
            kill(pids[n], SIGKILL);
            (void) waitpid(pids[n], &status, 0);
            bad += !WIFSIGNALED(status);
        }

        pids[n] = fork();

        if (pids[n] == 0) {
            ut_worker(tier, i);
        }
    }

    for (n = 0; n < UT_WORKERS; n++) {
        kill(pids[n], SIGKILL);
        (void) waitpid(pids[n], &status, 0);
        bad += !WIFSIGNALED(status);
    }

    ut_ok(bad == 0, "killed: nobody has seen another answer");

    /* all that nobody refers to can be had */

    for (i = 0, others = 0; i < UT_KEYS; i++) {
        others += ut_write(tier, i, ngx_chat_tier_ticket(tier), UT_NO_TTL)
                  == NGX_OK;
    }

    ut_ok(others == UT_KEYS, "killed: answers go in");

    (void) ngx_chat_tier_lock(tier);

    while (tier->shared->oldest) {
        ngx_chat_tier_drop(tier->shared, tier->shared->oldest);
    }

    repairs = ngx_chat_tier_alloc(tier->shared, tier->shared->nblocks - 1,
                                  &(uint32_t) { 0 });
    ngx_chat_tier_unlock(tier);

    ut_ok(repairs != 0, "killed: no block is lost");

    ut_tier_free(tier);
}


int
main(void)
{
    ut_found();
    ut_changes();
    ut_coverage();
    ut_small();
    ut_killed();

    return ut_done();
}
