
/*
 * A hub with leads, its clients, and a maker whose words a test speaks, over
 * lanes and a Redis that are fakes.
 */


#ifndef _UT_LEADS_H_INCLUDED_
#define _UT_LEADS_H_INCLUDED_


#include "ut_client.h"
#include "fake_lanes.h"

#include <stdio.h>


/* the provider's side */
typedef struct {
    ngx_chat_lead_t       *lead;
    ngx_chat_channel_t    *channel;    /* NULL: it is through */
    ngx_uint_t             prepared;
    ngx_uint_t             discarded;
    ngx_uint_t             abandoned;
    ngx_chat_error_e       told;       /* stopped or cancelled */
    ngx_uint_t             declines;   /* start() says so */
    u_char                 text[UT_TEXT];
    size_t                 len;
} ut_maker_t;

extern ut_maker_t   ut_maker;
extern ngx_uint_t   ut_wrong;


void ut_bad(const char *what);

void ut_begin(uint32_t seed);
void ut_queue_timeout(ngx_msec_t ms);
void ut_limit(void);                   /* questions are counted */
void ut_end(void);                     /* with nothing left behind */

/* a question, and one of which a generation is led already */
void ut_ask_maker(ut_client_t *cl, ngx_chat_ask_mode_e mode);
void ut_lead(ut_client_t *cl, ngx_chat_ask_mode_e mode);

/* the maker says so, unless it is through */
void ut_chunk(const char *text);
void ut_restart(void);
void ut_complete(void);
void ut_fail(ngx_chat_error_e e);


#endif /* _UT_LEADS_H_INCLUDED_ */
