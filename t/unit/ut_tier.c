
/*
 * The zone of answers in shared memory: what is found in it, and what goes.
 */


#include "ut_tiers.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>


static ngx_uint_t ut_count(ngx_chat_tier_t *tier);
static ngx_uint_t ut_adds_up(ngx_chat_tier_t *tier);
static void ut_found(void);
static void ut_changes(void);
static void ut_coverage(void);
static void ut_small(void);


static u_char  ut_h[NGX_CHAT_HASH_LEN];


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


/* all that was ever stored is there, or has gone for one reason */

static ngx_uint_t
ut_adds_up(ngx_chat_tier_t *tier)
{
    ngx_chat_tier_state_t  state;

    ngx_chat_tier_get_state(tier, &state);

    return state.counts[NGX_CHAT_TIER_STORED]
           == state.entries
              + state.counts[NGX_CHAT_TIER_NO_ROOM]
              + state.counts[NGX_CHAT_TIER_CHANGED]
              + state.counts[NGX_CHAT_TIER_EXPIRED]
              + state.counts[NGX_CHAT_TIER_LOST];
}


static void
ut_found(void)
{
    ngx_uint_t              n;
    ngx_chat_tier_t        *tier;
    ngx_chat_tier_key_t     key;
    ngx_chat_tier_state_t   state;

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

    ngx_chat_tier_get_state(tier, &state);
    ut_ok(state.entries == UT_KEYS - 1
          && state.counts[NGX_CHAT_TIER_STORED] == UT_KEYS
          && state.counts[NGX_CHAT_TIER_EXPIRED] == 1, "and counted");

    ut_ok(ut_write(tier, 4, ngx_chat_tier_ticket(tier), UT_NO_TTL) == NGX_OK,
          "in place of one whose time is over, for ever");

    ngx_current_msec += 1000000000;
    ut_ok(ut_has(tier, 4), "for ever");

    ut_ok(ut_count(tier) == tier->shared->nblocks - 1, "no block is lost");
    ut_ok(ut_adds_up(tier), "and no answer");

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
    ngx_chat_tier_state_t    state;
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

    ut_ok(tier->shared->nfree == tier->shared->nblocks - 1,
          "free at once, also if the worker does nothing more");

    ut_ok(ut_count(tier) == tier->shared->nblocks - 1
          && tier->shared->nfree > before, "and is free then");

    ut_ok(ngx_chat_tier_purge(tier, h) == NGX_DECLINED, "purge: nothing");
    (void) ut_write(tier, 9, ngx_chat_tier_ticket(tier), 1000);
    ut_ok(ngx_chat_tier_purge(tier, h) == NGX_OK && !ut_has(tier, 9),
          "purge: an answer");

    ngx_chat_tier_get_state(tier, &state);
    ut_ok(state.entries == 0 && ut_adds_up(tier)
          && state.counts[NGX_CHAT_TIER_CHANGED]
             == state.counts[NGX_CHAT_TIER_STORED], "all have changed");

    ngx_destroy_pool(pool);
    ut_tier_free(tier);
}


static void
ut_coverage(void)
{
    int                    fds[2];
    char                   c;
    pid_t                  pid;
    ngx_chat_tier_t       *tier;
    ngx_chat_tier_slot_t  *other;

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
        ut_enter(tier);
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

    /* so it has while a third one looks, and has its lock for a moment */

    other = &tier->shared->slots[1];
    other->covers = tier->slot->covers;

    pid = fork();

    if (pid == 0) {
        (void) ngx_chat_zone_lock(&other->alive);
        (void) !write(fds[1], "x", 1);
        pause();
    }

    (void) !read(fds[0], &c, 1);

    (void) ut_write(tier, 1, ngx_chat_tier_ticket(tier), UT_NO_TTL);
    ngx_chat_tier_uncover(tier, 0);
    ngx_chat_tier_cover(tier);
    ut_ok(!ut_has(tier, 1), "the other has died, and somebody looks");

    kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);

    close(fds[0]);
    close(fds[1]);
    ut_tier_free(tier);
}


static void
ut_small(void)
{
    ngx_uint_t              n, refused;
    ngx_chat_tier_t        *tier;
    ngx_chat_tier_state_t   state;

    tier = ut_tier(NGX_CHAT_TIER_MIN);

    for (n = 0; n < 1000; n++) {
        (void) ut_write(tier, n, ngx_chat_tier_ticket(tier), UT_NO_TTL);
    }

    ngx_chat_tier_get_state(tier, &state);
    refused = state.counts[NGX_CHAT_TIER_REFUSED];

    ut_ok(ut_write(tier, 27, ngx_chat_tier_ticket(tier), UT_NO_TTL) != NGX_OK,
          "an answer that is too long is not taken");

    ngx_chat_tier_get_state(tier, &state);
    ut_ok(state.counts[NGX_CHAT_TIER_REFUSED] == refused + 1
          && state.counts[NGX_CHAT_TIER_NO_ROOM] > 0, "and counted");
    ut_ok(ut_adds_up(tier), "and no answer is lost");

    ut_ok(ut_write(tier, 0, ngx_chat_tier_ticket(tier), UT_NO_TTL) == NGX_OK
          && ut_has(tier, 0), "a short one is, in place of others");

    ut_ok(tier->shared->nentries > 1 || tier->shared->nfree > 10,
          "and for nothing, others do not go");

    ut_ok(ut_count(tier) == tier->shared->nblocks - 1, "no block is lost");

    ut_tier_free(tier);
}


int
main(void)
{
    ut_found();
    ut_changes();
    ut_coverage();
    ut_small();

    return ut_done();
}
