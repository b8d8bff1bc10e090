
/*
 * Fillers with their jobs, the lanes that these are led over, and one
 * generation in a Redis that is part of the test, as scripts would write it.
 *
 * A chunk names its attempt and its place, "<attempt>:<i>;", so that what Redis
 * holds shows by itself whether it is the beginning of one attempt.
 */


#ifndef _UT_JOBS_H_INCLUDED_
#define _UT_JOBS_H_INCLUDED_


#include "fake_loop.h"
#include "../../ngx_chat_module/filler/ngx_chat_job_led.h"

#include <stdio.h>


#define UT_FILLERS  2
#define UT_WORD     128
#define UT_TEXT     16384
#define UT_ENTRIES  64


typedef enum {
    UT_CLAIM = 0,
    UT_APPEND,
    UT_FINISH,
    UT_FAIL,
    UT_CANCEL,
    UT_INSURE,
    UT_REMOVE,
    UT_GIVE_BACK,
    UT_PUSH,
    UT_VERBS
} ut_verb_e;


/* the generation, and what lies in the queues for it */
typedef struct {
    char         state;                /* q, r, d, f; 0: gone */
    char         token[UT_WORD];
    char         call[UT_WORD];        /* label of the attempt */
    char         by[UT_WORD];
    char         task[UT_WORD];        /* with l before that of a led one */
    ngx_uint_t   fill;
    ngx_uint_t   tries;
    ngx_uint_t   n;
    ngx_uint_t   processings;
    ngx_uint_t   chunks;               /* since the last processing */
    size_t       bytes;
    char         text[UT_TEXT];
    ngx_msec_t   till;                 /* end of the lease */
    ngx_uint_t   joined;               /* somebody has */
    ngx_uint_t   listeners;
    ngx_uint_t   stop;
    ngx_uint_t   cached;
    char         error[UT_WORD];

    ngx_uint_t   entries;              /* in the queue of led ones, ever */
    ngx_uint_t   pending[UT_ENTRIES];  /* of them: 1 and the filler's number */
    ngx_uint_t   queued;               /* in the other queue */
} ut_gen_t;


/* a generation's way from its worker, as the worker sees it */
typedef struct {
    ngx_chat_job_t  *job;              /* NULL: told all, or the lane ended */
    char             told[UT_TEXT];    /* a letter for each report */
    char             why[UT_WORD];
} ut_lane_t;


extern ut_gen_t         ut_gen;
extern ngx_chat_jobs_t  ut_jobs[UT_FILLERS];
extern ngx_uint_t       ut_sent[UT_VERBS];   /* commands, ever */
extern ngx_uint_t       ut_down;       /* Redis answers nothing */
extern ngx_uint_t       ut_closed;     /* ... and takes only what is repeated */
extern ngx_uint_t       ut_refuses;    /* ... to whoever queues */
extern ngx_uint_t       ut_oom;        /* ... to whoever pushes */
extern ngx_uint_t       ut_slow;       /* ... for now */
extern ngx_uint_t       ut_alone;      /* as the last claim says */
extern ngx_uint_t       ut_chaos;      /* replies and calls get lost */
extern ngx_uint_t       ut_asked;      /* calls of the provider, ever */
extern ngx_uint_t       ut_asking;     /* likewise, under way */
extern ngx_uint_t       ut_shown;      /* filler 0 runs, on the scoreboard */
extern ngx_uint_t       ut_wrong;      /* rules that were broken */
extern const char      *ut_fault;      /* the first of them */


void ut_begin(void);                   /* the generation is open */
void ut_end(void);                     /* with nothing left behind */
void ut_bad(const char *what);

uint32_t ut_random(uint32_t n);        /* below n */
void ut_seed(uint32_t seed);

/* Redis carries out and answers one command, or all; 0: there was none */
ngx_uint_t ut_redis_one(void);
ngx_uint_t ut_redis_last(void);        /* the one that was sent last */
void ut_redis(void);

/* commands in flight */
ngx_uint_t ut_flying(void);

/* the lane's first record, a chunk of this number, and others */
void ut_fill(ut_lane_t *lane, ngx_uint_t filler, const char *label,
    ngx_uint_t fill);
void ut_chunk(ut_lane_t *lane, const char *attempt, ngx_uint_t i);
void ut_chunks(ut_lane_t *lane, const char *attempt, ngx_uint_t from,
    ngx_uint_t n);
void ut_restart(ut_lane_t *lane, const char *label);
void ut_complete(ut_lane_t *lane);
void ut_failed(ut_lane_t *lane, ngx_chat_error_e error);
void ut_idle(ut_lane_t *lane);
void ut_hand_over(ut_lane_t *lane);
void ut_lose(ut_lane_t *lane);

/* a job that is being written, from filler 0, with n chunks */
void ut_lead(ut_lane_t *lane, ngx_uint_t n);

/* was it told exactly this */
ngx_uint_t ut_told(ut_lane_t *lane, const char *letters);

/* is the text in Redis that of n chunks of an attempt */
ngx_uint_t ut_written(const char *attempt, ngx_uint_t n);

/* the provider of the job that asks says so */
void ut_says(ngx_uint_t i);
void ut_ends(void);

/* a filler takes an entry; all of its jobs are gone */
ngx_int_t ut_take(ngx_uint_t filler, ngx_chat_queue_e queue,
    ngx_uint_t entry);
void ut_kill(ngx_uint_t filler);

ngx_uint_t ut_running(ngx_uint_t filler);


#endif /* _UT_JOBS_H_INCLUDED_ */
