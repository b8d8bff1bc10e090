
/*
 * The board: a few lines of shared memory in which fillers write how they
 * are and workers read it for the health page.  It outlives reloads and
 * crashes, so it also keeps the token of a filler that died together with
 * its worker for the successor (ngx_chat_scoreboard_dead).
 *
 * Workers write how many requests they have, so that a filler that is to
 * quit, and has no successor, stays for the tasks of those.
 *
 * The size is fixed, as nginx keeps a zone on reload only at its size: there
 * is room for all workers that one master can have, of whatever generations,
 * and for fillers of some generations.  Are these more, those that drain
 * make room.
 *
 * Each slot has one writer, the process that took it; words are written whole,
 * readers take what they see.  Nothing on the board decides anything about
 * answers.
 */


#ifndef _NGX_CHAT_SCOREBOARD_H_INCLUDED_
#define _NGX_CHAT_SCOREBOARD_H_INCLUDED_


#include "../ngx_chat.h"

#include <pthread.h>


#define NGX_CHAT_SCOREBOARD_FILLERS    8      /* of one generation, at most */
#define NGX_CHAT_SCOREBOARD_SLOTS      (4 * NGX_CHAT_SCOREBOARD_FILLERS)
#define NGX_CHAT_SCOREBOARD_PROVIDERS  32  /* further providers are not shown */


typedef enum {
    NGX_CHAT_SLOT_FREE = 0,
    NGX_CHAT_SLOT_STARTING,
    NGX_CHAT_SLOT_RUNNING,
    NGX_CHAT_SLOT_DRAINING
} ngx_chat_slot_state_e;


/* a provider as one filler sees it */
typedef struct {
    ngx_atomic_t     key;           /* ngx_chat_scoreboard_key(); 0: none */
    ngx_atomic_t     down_until;    /* seconds since the epoch; 0: it is not */
    ngx_atomic_t     limited_until;
    ngx_atomic_t     answers;
    ngx_atomic_t     failures;
} ngx_chat_slot_provider_t;


typedef struct {
    pthread_mutex_t  life;         /* held as long as the process lives */
    ngx_atomic_t     pid;          /* 0: free */
    ngx_atomic_t     state;        /* ngx_chat_slot_state_e */
    ngx_atomic_t     beat;         /* seconds since the epoch */
    ngx_atomic_t     redis;        /* 1: both connections serve */
    ngx_atomic_t     running;      /* generations in this filler */
    ngx_atomic_t     queued;       /* tasks waiting, as last seen */
    ngx_uint_t       number;       /* which of chat_fill processes=N */
    u_char           token[NGX_CHAT_TOKEN_LEN];

    ngx_chat_slot_provider_t  providers[NGX_CHAT_SCOREBOARD_PROVIDERS];
} ngx_chat_slot_t;


/*
 * Adds the shared zone to the configuration; call once, only if some location
 * says "chat".  *board is valid in init_process and later.
 */
ngx_int_t ngx_chat_scoreboard_add(ngx_conf_t *cf, void *tag,
    ngx_chat_scoreboard_t **board);

/*
 * Takes the slot of the predecessor, which may be empty, else a free one, else
 * that of anybody who has died.  NULL: all are taken; the filler works
 * without one, is missing from the page, and asks again, as those that drain
 * make room (ngx_chat_scoreboard_yield).
 */
ngx_chat_slot_t *ngx_chat_scoreboard_take(ngx_chat_scoreboard_t *board,
    ngx_pid_t pid,
    ngx_uint_t number, u_char *token, ngx_str_t *predecessor);

void ngx_chat_scoreboard_release(ngx_chat_slot_t *slot);

/*
 * Releases the slot if somebody found none; for a filler that drains, and
 * is missing from the page then.  NGX_OK, NGX_DECLINED: it is not needed.
 */
ngx_int_t ngx_chat_scoreboard_yield(ngx_chat_scoreboard_t *board,
    ngx_chat_slot_t *slot);

/*
 * Copies the token of a filler that has died and is this one's to replace,
 * and frees its slot: the one with its number, or with a number beyond those
 * of this configuration.  NGX_DECLINED: there is none.
 */
ngx_int_t ngx_chat_scoreboard_dead(ngx_chat_scoreboard_t *board,
    ngx_uint_t number,
    ngx_uint_t processes, u_char *token);

/* all NGX_CHAT_SCOREBOARD_SLOTS slots, for reading */
ngx_chat_slot_t *ngx_chat_scoreboard_slots(ngx_chat_scoreboard_t *board);

/*
 * The key of a provider in a slot, a hash of its name: fillers of an earlier
 * configuration may number providers otherwise.
 */
ngx_atomic_uint_t ngx_chat_scoreboard_key(ngx_str_t *name);

/* does a filler other than pid take tasks? */
ngx_uint_t ngx_chat_scoreboard_successor(ngx_chat_scoreboard_t *board,
    ngx_pid_t pid);


/*
 * A worker's count of requests, from their first handler call to their end,
 * for the worker to write.  NULL: no room, and nobody waits for them.
 */
ngx_atomic_t *ngx_chat_scoreboard_worker(ngx_chat_scoreboard_t *board);

/* of all workers that live */
ngx_uint_t ngx_chat_scoreboard_requests(ngx_chat_scoreboard_t *board);


#endif /* _NGX_CHAT_SCOREBOARD_H_INCLUDED_ */
