
/*
 * The zone of answers in shared memory, and workers that stand still or are
 * killed at any time, inside its lock, too.
 */


#include "ut_tiers.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>


#define UT_WORKERS   4
#define UT_KILLS     300
#define UT_REPAIRS   300


static void ut_worker(ngx_chat_tier_t *tier, unsigned seed);
static void ut_killed(void);
static void ut_busy(void);
static void ut_repaired(void);
static void ut_writer(ngx_chat_tier_t *tier, volatile ngx_uint_t *over);
static ngx_uint_t ut_write_bytes(ngx_chat_tier_t *tier, ngx_uint_t bytes);


static u_char  ut_h[NGX_CHAT_HASH_LEN];


/* does all that workers do, and shows what is not right by its exit status */

static void
ut_worker(ngx_chat_tier_t *tier, unsigned seed)
{
    ngx_uint_t               n, i, held;
    ngx_pool_t              *pool;
    ngx_uint_t               key[8];
    ngx_chat_tier_hit_t      hit[8];
    ngx_chat_tier_answer_t   answer;

    ut_enter(tier);

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
        ngx_chat_tier_drop(tier->shared, tier->shared->oldest,
                           NGX_CHAT_TIER_NO_ROOM);
    }

    repairs = ngx_chat_tier_alloc(tier->shared, tier->shared->nblocks - 1,
                                  &(uint32_t) { 0 });
    ngx_chat_tier_unlock(tier);

    ut_ok(repairs != 0, "killed: no block is lost");

    ut_tier_free(tier);
}


/* a worker that starts while another one stands still inside the lock */

static void
ut_busy(void)
{
    int               fds[2];
    char              c;
    pid_t             pid;
    ngx_chat_tier_t  *tier;

    tier = ut_tier(1024 * 1024);

    ngx_chat_tier_release(tier);

    (void) pipe(fds);
    pid = fork();

    if (pid == 0) {
        (void) ngx_chat_tier_lock(tier);
        (void) !write(fds[1], "x", 1);
        pause();
    }

    (void) !read(fds[0], &c, 1);

    ngx_chat_tier_take(tier);
    ngx_chat_tier_cover(tier);

    ut_ok(ut_write(tier, 1, ngx_chat_tier_ticket(tier), UT_NO_TTL) != NGX_OK
          && tier->shared->counts[NGX_CHAT_TIER_BUSY] == 2
          && tier->shared->counts[NGX_CHAT_TIER_REFUSED] == 1,
          "the lock is not to be had");

    kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);

    ut_ok(ut_write(tier, 1, ngx_chat_tier_ticket(tier), UT_NO_TTL) == NGX_OK
          && ut_has(tier, 1), "once it is, the worker is like any other");

    ut_ok(tier->slot && tier->slot->covers, "and covers, as it said before");

    close(fds[0]);
    close(fds[1]);
    ut_tier_free(tier);
}


/* workers die inside the lock while another one writes a long answer */

static void
ut_repaired(void)
{
    int                   status;
    pid_t                 pid, writer;
    ngx_uint_t            i;
    ngx_chat_tier_t      *tier;
    volatile ngx_uint_t  *over;

    tier = ut_tier(16 * 1024 * 1024);

    over = mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);

    writer = fork();

    if (writer == 0) {
        ut_writer(tier, over);
    }

    for (i = 0; i < UT_REPAIRS; i++) {
        pid = fork();

        if (pid == 0) {
            ut_enter(tier);
            (void) ngx_chat_tier_lock(tier);
            _exit(0);
        }

        (void) waitpid(pid, NULL, 0);

        if (ngx_chat_tier_lock(tier) == NGX_OK) {
            ngx_chat_tier_unlock(tier);
        }
    }

    *over = 1;
    (void) waitpid(writer, &status, 0);

    ut_ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "repaired: who writes meanwhile writes what is right");

    (void) munmap((void *) over, 4096);
    ut_tier_free(tier);
}


static void
ut_writer(ngx_chat_tier_t *tier, volatile ngx_uint_t *over)
{
    ngx_uint_t  n;

    ut_enter(tier);

    for (n = 0; !*over; n++) {
        if (!ut_write_bytes(tier, 200000)) {
            _exit(3);
        }
    }

    _exit(n ? 0 : 4);
}


/* 5 MB, and then byte by byte; 0: something else is there then */

static ngx_uint_t
ut_write_bytes(ngx_chat_tier_t *tier, ngx_uint_t bytes)
{
    u_char                   piece[5000];
    ngx_str_t                s;
    ngx_int_t                rc;
    ngx_uint_t               i, n;
    ngx_pool_t              *pool;
    ngx_chat_tier_hit_t      hit;
    ngx_chat_tier_answer_t   answer;
    ngx_chat_tier_writer_t   w;

    ngx_memzero(&answer, sizeof(answer));
    ngx_memset(answer.h, 'h', NGX_CHAT_HASH_LEN);
    ngx_memset(piece, '+', sizeof(piece));
    answer.ttl = UT_NO_TTL;

    /* the lock may be taken for long */

    do {
        rc = ngx_chat_tier_write_begin(&w, tier, ngx_chat_tier_ticket(tier),
                                       ut_key(1), &answer, 1);
    } while (rc != NGX_OK);

    for (i = 0; i < 1000 + bytes; i++) {
        while (ngx_chat_tier_write(&w, piece, i < 1000 ? 5000 : 1) != NGX_OK) {
            sched_yield();
        }
    }

    if (ngx_chat_tier_write_end(&w, ut_key(1), 1) != NGX_OK) {
        return 1;
    }

    pool = ut_pool();

    n = 0;

    if (ngx_chat_tier_find(tier, ut_key(1), pool, &answer, &hit) == NGX_OK) {

        while (ngx_chat_tier_read(&hit, 5000, &s) == NGX_OK) {

            for (i = 0; i < s.len; i++) {
                n += (s.data[i] != '+');
            }
        }

        ngx_chat_tier_leave(&hit);
    }

    ngx_destroy_pool(pool);

    return n == 0;
}


int
main(void)
{
    ut_killed();
    ut_busy();
    ut_repaired();

    return ut_done();
}
