
/*
 * Calls that are due: of subscribers, as there is something to take, and of
 * askers, as there is a result.  Wakes are those of one channel, or all who
 * wait for one reply; each is due or idle.  Wakes take turns, a few calls each,
 * and a turn of the event loop has so much time for all of them, that whatever
 * else the worker serves has its turn in between.  A wake that is due already
 * does not become so twice: a subscriber takes all that has come meanwhile.
 * They outlive the hub, as subscribers do.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_WAKES_H_INCLUDED_
#define _NGX_CHAT_WAKES_H_INCLUDED_


#include "ngx_chat_hub.h"


/*
 * us for calls in a turn of the event loop: with the last one, which may send
 * 256 KiB, others wait for less than a millisecond.
 */
#define NGX_CHAT_WAKES_TIME   250

/*
 * Calls before others have their turn: so few that one reader hardly waits for
 * the thousands of another channel, and so many that these do not wait for
 * ever for a thousand channels with one each.
 */
#define NGX_CHAT_WAKES_SHARE  8


typedef struct {
    ngx_queue_t            queue;      /* with waits: among all such */
    ngx_queue_t            due;
    ngx_queue_t            idle;
    ngx_uint_t             called;     /* in this turn */
    ngx_uint_t             waits;      /* some are due */
} ngx_chat_wakes_t;


/* zeroed, but for handler and data */
typedef struct {
    ngx_queue_t            queue;      /* in wakes->due or wakes->idle */
    ngx_chat_wakes_t      *wakes;      /* NULL: in none */
    ngx_chat_wake_pt       handler;
    void                  *data;
} ngx_chat_wake_t;


void ngx_chat_wakes_init(ngx_chat_wakes_t *wakes);

/* idle; it was in none before */
void ngx_chat_wakes_insert(ngx_chat_wakes_t *wakes, ngx_chat_wake_t *wake);

/*
 * Due, behind all of wakes that are, wherever it was before; idle from the
 * moment in which it is called.
 */
void ngx_chat_wakes_add(ngx_chat_wakes_t *wakes, ngx_chat_wake_t *wake);

/* all that are idle are due; in no time, however many there are */
void ngx_chat_wakes_all(ngx_chat_wakes_t *wakes);

/* idempotent; wakes must last until all are removed */
void ngx_chat_wakes_remove(ngx_chat_wake_t *wake);


#endif /* _NGX_CHAT_WAKES_H_INCLUDED_ */
