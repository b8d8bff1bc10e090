
/*
 * The worker's verbs over a Redis of this process, with a filler in it.
 * Commands are carried out and answered one at a time when the test says so,
 * messages arrive likewise, and everything can fail.
 *
 * A chunk names its generation, attempt and place: "<serial>.<try>.<i>;".
 */


#ifndef _FAKE_STORE_H_INCLUDED_
#define _FAKE_STORE_H_INCLUDED_


#include "fake_loop.h"
#include "../../ngx_chat_module/codec/ngx_chat_hit_body.h"
#include "../../ngx_chat_module/store/ngx_chat_store_worker.h"


#define FAKE_KEYS           3
#define FAKE_QUEUE_TIMEOUT  30000


typedef struct {
    ngx_uint_t       redis_down;   /* commands are refused */
    ngx_uint_t       redis_lost;   /* but not known to be down */
    ngx_uint_t       pubsub_down;
    ngx_uint_t       queue_full;
    int64_t          ttl;          /* of answers; negative: stale */
    ngx_uint_t       updating;     /* stale ones: no more of that */
    ngx_uint_t       updates;      /* asked for */
    ngx_uint_t       tasks;        /* pushed */
    ngx_uint_t       refused;      /* as the queue is full */
    ngx_uint_t       counted;      /* under a limit, without a task */
    u_char           last[NGX_CHAT_ID_LEN];  /* of the limit */
    ngx_uint_t       opened;
    ngx_uint_t       erased;
    ngx_uint_t       subscribed;   /* ever */
    ngx_uint_t       checks;
    ngx_uint_t       calls;        /* under way */
    ngx_uint_t       sent;         /* ever */
    ngx_uint_t       subs;
    ngx_uint_t       bad;          /* broken rules of the interface */
} fake_store_t;

extern fake_store_t  fake;


uint32_t fake_random(uint32_t n);   /* below n */
void fake_seed(uint32_t seed);

/* a step each; 0: there was nothing to do */
ngx_uint_t fake_execute(void);
ngx_uint_t fake_answer(ngx_int_t rc);   /* NGX_OK, or what went wrong */
ngx_uint_t fake_deliver(void);

/* for hubs whose frames do not matter */
size_t fake_frame_len(ngx_chat_event_t *ev);
u_char *fake_frame(u_char *p, ngx_chat_event_t *ev);

/* of a dialect: a frame at a time, led by a letter, while there is room */
u_char *fake_replay(ngx_chat_hit_body_t *rp, u_char *p, u_char *last);

/* faults */
void fake_cut_commands(void);       /* all get NGX_ERROR, done or not */
void fake_cut_pubsub(void);
void fake_pubsub_up(void);
void fake_garbage(void);            /* publishes nonsense */

/* 0: streams; 1: generations; 2: answers; 3: the latest events */
void fake_lose(ngx_uint_t what);

void fake_orphan(void);             /* a filler dies */

/* generations that wait for a task nobody has pushed */
ngx_uint_t fake_traps(void);

/* generations of which there is something in Redis */
ngx_uint_t fake_kept(void);

typedef enum {
    FAKE_ANY = 0,                   /* something somewhere */
    FAKE_RESTART,                   /* each starts over */
    FAKE_END,                       /* each ends */
    FAKE_CANCEL                     /* each is cancelled */
} fake_write_e;

/* the filler writes */
void fake_write(fake_write_e what);

void fake_free(void);


#endif /* _FAKE_STORE_H_INCLUDED_ */
