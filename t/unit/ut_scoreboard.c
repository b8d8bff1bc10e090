
/*
 * Places for generations, with processes that take them at the same time, and
 * are killed: the zone is shared memory of the test.
 */


#include "../../ngx_chat_module/shm/ngx_chat_scoreboard.h"

#include "ut.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>


#define UT_PROCESSES  4
#define UT_MOST       3
#define UT_ROUNDS     20000
#define UT_KILLS      100
#define UT_LOOKS      20000
#define UT_WAIT       10       /* s, for places to be taken */


/* by all processes of the test */
typedef struct {
    ngx_atomic_t  taken;       /* times that a place was */
    ngx_atomic_t  declined;
    ngx_atomic_t  held;        /* places, now */
    ngx_atomic_t  too_many;
    ngx_atomic_t  wrong;       /* looks that saw a dead process live */
} ut_seen_t;


static ngx_chat_scoreboard_t *ut_board(void);
static pid_t ut_child(ngx_uint_t rounds);
static void ut_one(void);
static void ut_many(void);
static void ut_killed(void);
static void ut_looks(void);


ngx_pid_t                       ngx_pid;
ngx_uint_t                      ngx_pagesize = 4096;
ngx_uint_t                      ngx_cacheline_size = 64;
uint32_t                       *ngx_crc32_table_short;
uint32_t                        ngx_crc32_table256[256];
volatile ngx_time_t            *ngx_cached_time;

static ngx_time_t               ut_time = { .sec = 1000 };
static ngx_shm_zone_t           ut_zone;
static ngx_pool_t              *ut_mem;
static ngx_chat_scoreboard_t   *ut_sb;
static ut_seen_t               *ut_seen;


ngx_shm_zone_t *
ngx_shared_memory_add(ngx_conf_t *cf, ngx_str_t *name, size_t size, void *tag)
{
    ut_zone.shm.size = size;

    return &ut_zone;
}


void *
ngx_slab_calloc(ngx_slab_pool_t *pool, size_t size)
{
    if (4096 + size > ut_zone.shm.size) {
        return NULL;
    }

    return ut_zone.shm.addr + 4096;
}


static ngx_chat_scoreboard_t *
ut_board(void)
{
    ngx_conf_t              cf;
    ngx_chat_scoreboard_t  *sb;

    ngx_memzero(&cf, sizeof(ngx_conf_t));

    ut_mem = ut_pool();
    cf.pool = ut_mem;

    if (ngx_chat_scoreboard_add(&cf, NULL, &sb) != NGX_OK) {
        return NULL;
    }

    ut_zone.shm.addr = mmap(NULL, ut_zone.shm.size, PROT_READ|PROT_WRITE,
                            MAP_ANON|MAP_SHARED, -1, 0);
    ut_seen = mmap(NULL, sizeof(ut_seen_t), PROT_READ|PROT_WRITE,
                   MAP_ANON|MAP_SHARED, -1, 0);

    if (ut_zone.shm.addr == MAP_FAILED || ut_seen == MAP_FAILED
        || ut_zone.init(&ut_zone, NULL) != NGX_OK)
    {
        return NULL;
    }

    return sb;
}


/* a worker that takes places and gives them back; 0 rounds: until it dies */

static pid_t
ut_child(ngx_uint_t rounds)
{
    pid_t                          pid;
    ngx_uint_t                     i;
    ngx_chat_scoreboard_counts_t  *counts;

    pid = fork();

    if (pid != 0) {
        return pid;
    }

    ngx_pid = getpid();
    counts = ngx_chat_scoreboard_take_worker(ut_sb);

    if (counts == NULL) {
        _exit(1);
    }

    for (i = 0; rounds == 0 || i < rounds; i++) {

        if (ngx_chat_scoreboard_take_place(ut_sb, &counts->led, UT_MOST)
            != NGX_OK)
        {
            (void) ngx_atomic_fetch_add(&ut_seen->declined, 1);
            continue;
        }

        (void) ngx_atomic_fetch_add(&ut_seen->taken, 1);

        /* the scoreboard's sum may see one that moves on twice */

        if (ngx_atomic_fetch_add(&ut_seen->held, 1) >= UT_MOST) {
            (void) ngx_atomic_fetch_add(&ut_seen->too_many, 1);
        }

        ngx_sched_yield();

        (void) ngx_atomic_fetch_add(&ut_seen->held, -1);
        counts->led--;
    }

    _exit(0);
}


static void
ut_one(void)
{
    ngx_chat_slot_t               *slot;
    ngx_chat_scoreboard_counts_t  *counts;

    counts = ngx_chat_scoreboard_take_worker(ut_sb);
    slot = &ngx_chat_scoreboard_slots(ut_sb)[0];

    ut_ok(ngx_chat_scoreboard_take_place(ut_sb, &counts->led, 0)
          == NGX_DECLINED && counts->led == 0,
          "none where there may be none");

    ut_ok(ngx_chat_scoreboard_take_place(ut_sb, &counts->led, 2) == NGX_OK
          && ngx_chat_scoreboard_take_place(ut_sb, &counts->led, 2) == NGX_OK
          && ngx_chat_scoreboard_take_place(ut_sb, &counts->led, 2)
             == NGX_DECLINED
          && counts->led == 2,
          "as many as there may be, and no more");

    counts->led = 1;

    ut_ok(ngx_chat_scoreboard_take_place(ut_sb, &slot->running, 2) == NGX_OK
          && slot->running == 1,
          "one that was given back is anybody's");

    counts->led = 0;
    slot->running = 0;
}


static void
ut_many(void)
{
    int         status;
    pid_t       pids[UT_PROCESSES];
    ngx_uint_t  i, ended;

    for (i = 0; i < UT_PROCESSES; i++) {
        pids[i] = ut_child(UT_ROUNDS);
    }

    ended = 0;

    for (i = 0; i < UT_PROCESSES; i++) {

        if (waitpid(pids[i], &status, 0) == pids[i] && status == 0) {
            ended++;
        }
    }

    ut_ok(ended == UT_PROCESSES && ut_seen->taken, "processes take places");
    ut_ok(ut_seen->declined, "there are not enough for all");
    ut_ok(ut_seen->too_many == 0, "never more at once than there may be");
    ut_ok(ngx_chat_scoreboard_count_generations(ut_sb) == 0, "none is left");
}


static void
ut_killed(void)
{
    pid_t                          pids[UT_PROCESSES];
    time_t                         until;
    ngx_uint_t                     i, n, before;
    ngx_chat_scoreboard_counts_t  *counts;

    for (n = 0; n < UT_KILLS; n++) {
        before = ut_seen->taken;
        until = time(NULL) + UT_WAIT;

        for (i = 0; i < UT_PROCESSES; i++) {
            pids[i] = ut_child(0);
        }

        while (ut_seen->taken < before + 10 && time(NULL) < until) {
            ngx_sched_yield();
        }

        for (i = 0; i < UT_PROCESSES; i++) {
            (void) kill(pids[i], SIGKILL);
        }

        for (i = 0; i < UT_PROCESSES; i++) {
            (void) waitpid(pids[i], NULL, 0);
        }

        if (ut_seen->taken < before + 10) {
            break;
        }
    }

    counts = ngx_chat_scoreboard_take_worker(ut_sb);

    ut_ok(n == UT_KILLS, "killed: those that follow take places");
    ut_ok(ngx_chat_scoreboard_count_generations(ut_sb) == 0,
          "killed: their places fall away");
    ut_ok(counts
          && ngx_chat_scoreboard_take_place(ut_sb, &counts->led, 1) == NGX_OK,
          "killed: the lock is no dead process's");

    if (counts) {
        counts->led = 0;
    }
}


/* processes that look at once, at a worker and a filler that are dead */

static void
ut_looks(void)
{
    int                            status;
    pid_t                          pids[UT_PROCESSES];
    u_char                         token[NGX_CHAT_TOKEN_LEN];
    ngx_str_t                      none;
    ngx_uint_t                     i, n;
    ngx_chat_slot_t               *slot;
    ngx_chat_scoreboard_counts_t  *counts;

    ngx_str_null(&none);
    ngx_memzero(token, NGX_CHAT_TOKEN_LEN);

    pids[0] = fork();

    if (pids[0] == 0) {
        ngx_pid = getpid();
        counts = ngx_chat_scoreboard_take_worker(ut_sb);
        slot = ngx_chat_scoreboard_take_slot(ut_sb, ngx_pid, 0, token, &none);

        if (counts == NULL || slot == NULL) {
            _exit(1);
        }

        counts->led = 5;
        counts->requests = 7;
        slot->running = 3;
        slot->state = NGX_CHAT_SLOT_RUNNING;
        _exit(0);
    }

    ut_ok(waitpid(pids[0], &status, 0) == pids[0] && status == 0,
          "two that died");

    for (i = 0; i < UT_PROCESSES; i++) {
        pids[i] = fork();

        if (pids[i] != 0) {
            continue;
        }

        for (n = 0; n < UT_LOOKS; n++) {

            if (ngx_chat_scoreboard_has_successor(ut_sb, getpid())
                || ngx_chat_scoreboard_count_generations(ut_sb)
                || ngx_chat_scoreboard_count_requests(ut_sb))
            {
                (void) ngx_atomic_fetch_add(&ut_seen->wrong, 1);
            }
        }

        _exit(0);
    }

    for (i = 0; i < UT_PROCESSES; i++) {
        (void) waitpid(pids[i], NULL, 0);
    }

    ut_ok(ut_seen->wrong == 0, "nobody who looks takes the dead for alive");
}


int
main(void)
{
    ngx_cached_time = &ut_time;

    ut_sb = ut_board();

    if (ut_sb == NULL) {
        ut_ok(0, "there is a scoreboard");
        return ut_done();
    }

    ut_one();
    ut_many();
    ut_killed();
    ut_looks();

    ngx_destroy_pool(ut_mem);

    return ut_done();
}
