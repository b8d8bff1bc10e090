
/*
 * Leads of a worker, and what they have in common: lanes, which of them has
 * something to send, and the lead that a record from a filler is meant for.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_LEADS_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_LEADS_PRIVATE_H_INCLUDED_


#include "ngx_chat_hub_private.h"
#include "ngx_chat_lead.h"
#include "../lane/ngx_chat_lane_set.h"


/* handlers of a lead, for what all have in common; none ends another lead */
typedef struct {
    /* sends what there is, as far as the lane takes it; never ends the lead */
    void                     (*send)(ngx_chat_lead_t *lead);

    /* a lane is up: goes on over it, from the start of the attempt */
    void                     (*fill)(ngx_chat_lead_t *lead);

    /* the lane has ended; releases it */
    void                     (*lose_lane)(ngx_chat_lead_t *lead);

    /* a record from the filler; NGX_OK, NGX_ERROR: it makes no sense */
    ngx_int_t                (*answer)(ngx_chat_lead_t *lead,
                                 ngx_chat_lane_type_e type, ngx_str_t *body);

    /* nothing more will be written; the lead may be gone */
    void                     (*forget)(ngx_chat_lead_t *lead);
} ngx_chat_lead_handlers_t;


struct ngx_chat_leads_s {
    ngx_chat_hub_t            *hub;
    const ngx_chat_lead_handlers_t  *handlers;
    ngx_chat_lane_set_t       *lanes;
    ngx_queue_t                all;      /* all leads */
    ngx_queue_t                ready;    /* with something to send now */
    ngx_rbtree_t               streams;  /* leads on a lane, by stream */
    ngx_rbtree_node_t          streams_sentinel;
    ngx_event_t                send;     /* posted: ready is not empty */
    ngx_uint_t                 n;
    ngx_uint_t                 waiting;  /* ended, and not told yet */
    ngx_uint_t                 late;     /* DONE comes too late to wait for */
};


/* room for another one, and a filler to write it? */
ngx_uint_t ngx_chat_leads_may(ngx_chat_hub_t *hub);

/* for the hub: lanes to so many fillers; NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_leads_create(ngx_chat_hub_t *hub, ngx_uint_t fillers,
    const ngx_chat_lead_handlers_t *handlers);

/* lanes end before makers are stopped: fillers take generations over */
void ngx_chat_leads_close(ngx_chat_hub_t *hub);

/* the lead has something to send, in this turn of the event loop */
void ngx_chat_leads_post(ngx_chat_lead_t *lead);

/* takes a lane, if one is up; NGX_OK, NGX_DECLINED */
ngx_int_t ngx_chat_leads_take_lane(ngx_chat_lead_t *lead);
void ngx_chat_leads_release_lane(ngx_chat_lead_t *lead);


#endif /* _NGX_CHAT_LEADS_PRIVATE_H_INCLUDED_ */
