
/*
 * A command on its way, and what it does to the generation of ut_jobs.h.
 */


#ifndef _UT_JOBS_CALL_H_INCLUDED_
#define _UT_JOBS_CALL_H_INCLUDED_


#include "ut_jobs.h"


struct ngx_chat_call_s {
    ngx_chat_call_t       *next;
    ut_verb_e              verb;
    ngx_uint_t             filler;
    ngx_chat_lease_t      *lease;
    char                   token[UT_WORD];
    uint64_t               n0;
    char                   task[UT_WORD];
    char                   label[UT_WORD];
    char                   predecessor[UT_WORD];
    ngx_uint_t             fill;
    ngx_uint_t             count;
    uint32_t               lens[NGX_CHAT_APPEND_CHUNKS];
    char                   text[UT_TEXT];
    size_t                 text_len;
    ngx_uint_t             renew;
    ngx_uint_t             give_back;
    ngx_uint_t             cached;
    ngx_uint_t             entry;
    ngx_chat_error_e       error;
    ngx_msec_t             until;      /* is repeated */
    ngx_uint_t             done;       /* carried out, not answered */
    ngx_uint_t             fired;
    void                 (*handler)(void);
    void                  *data;
};


/* as the scripts of these names */
ngx_chat_claim_e ut_claim_generation(ngx_chat_call_t *call, size_t *bytes);
ngx_int_t ut_append(ngx_chat_call_t *call);
ngx_int_t ut_finish(ngx_chat_call_t *call);
ngx_int_t ut_fail(ngx_chat_call_t *call);
ngx_int_t ut_cancel(ngx_chat_call_t *call);

/* an entry is done with, given back, or pushed */
void ut_remove(ngx_chat_call_t *call);


#endif /* _UT_JOBS_CALL_H_INCLUDED_ */
