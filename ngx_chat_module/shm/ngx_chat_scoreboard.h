
/*
 * The scoreboard: shared memory with a slot for each filler and each worker.
 * Fillers write their state and a pulse, workers read these for the health
 * page.  The zone outlives reloads and crashes, so a slot also keeps the token
 * of a filler that died together with its worker, for the successor
 * (ngx_chat_scoreboard_reap_slot).
 *
 * Workers write how many requests they have: a filler that is to quit, and has
 * no successor, stays for the tasks of these.  They also write how many
 * generations they lead, since these and those of fillers together are bounded.
 *
 * The size is fixed, as nginx keeps a zone on reload only at its size: there
 * are slots for all workers that one master can have, whatever configuration
 * they were started with, and for the fillers of several configurations.  With
 * more fillers than slots, those that drain yield theirs.
 *
 * Each slot has one writer, the process that took it; words are written whole,
 * and readers take what they see.  No answer depends on the scoreboard.  Places
 * for generations are the exception: processes take these one after another.
 */


#ifndef _NGX_CHAT_SCOREBOARD_H_INCLUDED_
#define _NGX_CHAT_SCOREBOARD_H_INCLUDED_


#include "../ngx_chat.h"

#include <pthread.h>


#define NGX_CHAT_SCOREBOARD_FILLERS    8    /* of one configuration, at most */
#define NGX_CHAT_SCOREBOARD_SLOTS      (4 * NGX_CHAT_SCOREBOARD_FILLERS)
#define NGX_CHAT_SCOREBOARD_PROVIDERS  32   /* further ones are not shown */


typedef enum {
    NGX_CHAT_SLOT_FREE = 0,
    NGX_CHAT_SLOT_STARTING,
    NGX_CHAT_SLOT_RUNNING,
    NGX_CHAT_SLOT_DRAINING
} ngx_chat_slot_state_e;


/* a provider as one filler sees it */
typedef struct {
    ngx_atomic_t     key;           /* of the name; 0: no provider */
    ngx_atomic_t     down_until;    /* seconds since the epoch; 0: not down */
    ngx_atomic_t     limited_until;
    ngx_atomic_t     answers;
    ngx_atomic_t     failures;
    ngx_atomic_t     shared;        /* 1: a connection that calls share is up */
} ngx_chat_slot_provider_t;


typedef struct {
    pthread_mutex_t  alive;        /* held as long as the process lives */
    ngx_atomic_t     pid;          /* 0: free */
    ngx_atomic_t     state;        /* ngx_chat_slot_state_e */
    ngx_atomic_t     pulse;        /* seconds since the epoch */
    ngx_atomic_t     redis;        /* 1: both connections serve */
    ngx_atomic_t     running;      /* generations that it asks providers for */
    ngx_atomic_t     led;          /* generations that it writes for workers */
    ngx_atomic_t     queued;       /* tasks waiting, as far as is known */
    ngx_uint_t       number;       /* 0 to N - 1 of chat_fill processes=N */
    u_char           token[NGX_CHAT_TOKEN_LEN];

    ngx_chat_slot_provider_t  providers[NGX_CHAT_SCOREBOARD_PROVIDERS];
} ngx_chat_slot_t;


/* of a worker */
typedef struct {
    ngx_atomic_t     requests;     /* from first handler call to their end */
    ngx_atomic_t     led;          /* generations whose provider it asks */
} ngx_chat_scoreboard_counts_t;


/*
 * Adds the shared zone to the configuration; called once, only if some location
 * says "chat".  *sb is valid in init_process and later.
 */
ngx_int_t ngx_chat_scoreboard_add(ngx_conf_t *cf, void *tag,
    ngx_chat_scoreboard_t **sb);

/*
 * Takes the slot of the predecessor, which may be empty, else a free one, else
 * that of any process that has died.  NULL: all are taken; the filler works
 * without one, is missing from the health page, and tries at its next pulse,
 * as fillers that drain yield theirs (ngx_chat_scoreboard_yield_slot).
 */
ngx_chat_slot_t *ngx_chat_scoreboard_take_slot(ngx_chat_scoreboard_t *sb,
    ngx_pid_t pid, ngx_uint_t number, u_char *token, ngx_str_t *predecessor);

void ngx_chat_scoreboard_release_slot(ngx_chat_slot_t *slot);

/*
 * Releases the slot of a filler that drains if another filler found none; the
 * one that drains is missing from the health page then.
 *
 * NGX_OK        released
 * NGX_DECLINED  kept, no filler needs a slot
 */
ngx_int_t ngx_chat_scoreboard_yield_slot(ngx_chat_scoreboard_t *sb,
    ngx_chat_slot_t *slot);

/*
 * Copies the token of a dead filler, and frees its slot.  Filler "number"
 * replaces the one with the same number, and its share of those whose numbers
 * this configuration does not have.  NGX_DECLINED: none has died.
 */
ngx_int_t ngx_chat_scoreboard_reap_slot(ngx_chat_scoreboard_t *sb,
    ngx_uint_t number, ngx_uint_t processes, u_char *token);

/* all NGX_CHAT_SCOREBOARD_SLOTS slots, for reading */
ngx_chat_slot_t *ngx_chat_scoreboard_slots(ngx_chat_scoreboard_t *sb);

/*
 * The key of a provider in a slot, a hash of its name: fillers of an earlier
 * configuration may number providers otherwise.
 */
ngx_atomic_uint_t ngx_chat_scoreboard_provider_key(ngx_str_t *name);

/* 1: a filler other than pid takes tasks */
ngx_uint_t ngx_chat_scoreboard_has_successor(ngx_chat_scoreboard_t *sb,
    ngx_pid_t pid);


/*
 * Takes a slot for the calling worker, with its counts at 0.  NULL: all are
 * taken, and nobody sees the counts of this worker.
 */
ngx_chat_scoreboard_counts_t *ngx_chat_scoreboard_take_worker(
    ngx_chat_scoreboard_t *sb);

/* the requests of all workers that live */
ngx_uint_t ngx_chat_scoreboard_count_requests(ngx_chat_scoreboard_t *sb);

/*
 * Generations whose provider is asked now: those that workers lead and those
 * that run in fillers, of all processes that live.  A filler that drains does
 * not count: its successor may have as many.
 */
ngx_uint_t ngx_chat_scoreboard_count_generations(ngx_chat_scoreboard_t *sb);

/*
 * Takes one of "most" places for generations: *count is one more, the led or
 * the running ones of the caller's slot.  The caller counts it down again.
 *
 * NGX_OK        taken
 * NGX_DECLINED  as many run already; or a process that was stopped, or has no
 *               processor, is just deciding: never waits for one
 */
ngx_int_t ngx_chat_scoreboard_take_place(ngx_chat_scoreboard_t *sb,
    ngx_atomic_t *count, ngx_uint_t most);

/* has a filler that lives a connection to the provider that calls share? */
ngx_uint_t ngx_chat_scoreboard_has_shared(ngx_chat_scoreboard_t *sb,
    ngx_atomic_uint_t key);

/* tasks that wait in the queue, as a filler that lives has seen it last */
ngx_uint_t ngx_chat_scoreboard_get_queued(ngx_chat_scoreboard_t *sb);


#endif /* _NGX_CHAT_SCOREBOARD_H_INCLUDED_ */
