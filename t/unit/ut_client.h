
/*
 * A hub over a store that is a fake, and its clients: each asks, attaches to
 * the channel that it is told of, and reads when the test says so.
 */


#ifndef _UT_CLIENT_H_INCLUDED_
#define _UT_CLIENT_H_INCLUDED_


#include "fake_store.h"
#include "../../ngx_chat_module/hub/ngx_chat_ask.h"


#define UT_TEXT  4096


typedef struct ut_client_s  ut_client_t;

struct ut_client_s {
    ngx_chat_ask_t           *ask;
    ngx_chat_sub_t           *sub;
    ngx_msec_t                asked;
    ngx_uint_t                results;
    ngx_chat_result_t         result;
    ngx_uint_t                wakes;
    ngx_uint_t                completed;  /* times asked for the rest */
    ngx_chat_question_t       question;
    ngx_chat_question_t       rest;

    /* frames that were read */
    ngx_uint_t                frames;
    ngx_str_t                 code;       /* of the last one */
    u_char                   *first;      /* bytes of the first one */
    size_t                    len;
    u_char                    text[UT_TEXT];
    ngx_uint_t                restarts;   /* for the test to count */
    ngx_chat_status_e         status;     /* of the last one, likewise */
};


/* more that a test does; NULL: nothing, the default dialect */
typedef struct {
    ngx_uint_t              (*wants)(ut_client_t *cl);  /* 0: no channel */
    void                    (*told)(ut_client_t *cl);
    void                    (*woken)(ut_client_t *cl);
    ngx_chat_question_t    *(*complete)(ut_client_t *cl);
    const ngx_chat_dialect_t  *dialect;
} ut_client_ops_t;


extern ut_client_ops_t       ut_ops;
extern ngx_uint_t            ut_odd;   /* results that nobody waits for */
extern ngx_chat_hub_t       *ut_hub;
extern ngx_chat_hub_conf_t   ut_conf;


/* a hub; the end: 1 if nothing is left behind of it */
void ut_hub_begin(uint32_t seed);
ngx_uint_t ut_hub_end(void);

/* Redis and its connections do all they have to do */
void ut_redis(void);

/* of key h, by the provider fp; more of a question is for the test to say */
void ut_ask(ut_client_t *cl, u_char h, ngx_chat_ask_mode_e mode);
void ut_question(ngx_chat_question_t *q, u_char h, u_char fp,
    ngx_chat_ask_mode_e mode);
void ut_ask_question(ut_client_t *cl, ngx_chat_question_t *q);

void ut_leave(ut_client_t *cl);

/* takes all there is: how it ended, or processing */
ngx_chat_status_e ut_read(ut_client_t *cl);


#endif /* _UT_CLIENT_H_INCLUDED_ */
