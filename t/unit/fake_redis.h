
/*
 * Shared by the two halves of the fake: the worker's calls, and the Redis and
 * the filler behind them.
 */


#ifndef _FAKE_REDIS_H_INCLUDED_
#define _FAKE_REDIS_H_INCLUDED_


#include "fake_store.h"

#include <stdio.h>
#include <stdlib.h>


#define FAKE_EVENTS  1024


typedef enum {
    FAKE_LOOKUP = 0, FAKE_OPEN, FAKE_PUSH, FAKE_COUNT, FAKE_READ, FAKE_CHECK,
    FAKE_PURGE, FAKE_UPDATE
} fake_verb_e;


typedef struct {
    ngx_chat_status_e      status;
    char                   text[32];
    const char            *code;
    uint64_t               ms;
} fake_event_t;


typedef struct fake_gen_s  fake_gen_t;

struct fake_gen_s {
    fake_gen_t            *next;
    ngx_chat_gen_t         gen;
    ngx_uint_t             serial;
    ngx_uint_t             cache;
    ngx_uint_t             pushed;
    ngx_uint_t             joined;
    ngx_uint_t             own;        /* 'q', 'r', 'd', 'f', 0: gone */
    ngx_uint_t             stream;
    ngx_uint_t             attempt;
    ngx_uint_t             i;
    ngx_uint_t             dead;
    ngx_uint_t             rewritten;
    ngx_msec_t             start;
    ngx_msec_t             since;      /* queued, or dead */
    ngx_uint_t             n;
    fake_event_t           events[FAKE_EVENTS];
};


typedef struct {
    ngx_uint_t             present;
    ngx_chat_gen_t         gen;
    char                   text[FAKE_EVENTS * 32];
    char                   chunk_lens[FAKE_EVENTS * 8];
} fake_answer_t;


struct ngx_chat_call_s {
    ngx_chat_call_t       *next;
    fake_verb_e            verb;
    void                 (*handler)(void);
    void                  *data;
    ngx_chat_gen_t         gen;
    uint64_t               n;
    ngx_uint_t             arg;
    ngx_uint_t             full;
    ngx_uint_t             limited;    /* FAKE_PUSH: is counted, too */
    ngx_uint_t             erase;
    ngx_uint_t             executed;

    ngx_int_t              rc;
    u_char                 id[NGX_CHAT_ID_LEN];
    fake_answer_t         *answer;
    fake_gen_t            *page;
    ngx_uint_t             last;
};


struct ngx_chat_pubsub_sub_s {
    ngx_chat_pubsub_sub_t        *next;
    const ngx_chat_pubsub_ops_t  *ops;
    void                         *data;
    u_char                        id[NGX_CHAT_ID_LEN];
    ngx_uint_t                    active;
    ngx_uint_t                    asked;
    ngx_uint_t                    told;   /* confirmed */
};


typedef struct fake_message_s  fake_message_t;

struct fake_message_s {
    fake_message_t        *next;
    ngx_chat_pubsub_sub_t *confirm;
    u_char                 id[NGX_CHAT_ID_LEN];
    size_t                 len;
    char                   data[512];
};


extern ngx_chat_call_t        *fake_calls;
extern ngx_chat_pubsub_sub_t  *fake_subs;
extern fake_message_t         *fake_messages;


fake_gen_t *fake_gen(u_char *id);


#endif /* _FAKE_REDIS_H_INCLUDED_ */
