
/*
 * A led generation: this worker asks the provider, its subscribers get each
 * event at once, and a filler writes the generation into Redis behind them,
 * for readers elsewhere and for later.  Nothing that happens to Redis or to
 * fillers reaches subscribers here.
 *
 * The maker, whoever asks the provider, feeds the channel as any source does;
 * the lead goes along the channel's events with a position of its own and
 * sends them over a lane: the channel's memory is the only copy.  It holds the
 * channel until the filler says that all is written, or that nothing will be.
 * If the lane ends before, the events go over the next one from the start of
 * the attempt, as another fill of the same generation; if there is none for
 * long, the generation's task is queued, and the filler that takes it makes an
 * answer of its own.
 *
 * Sent at once: the begin of each attempt, its first chunk, its end, and
 * everything while somebody elsewhere listens; else what came is gathered.
 */


#ifndef _NGX_CHAT_LEAD_H_INCLUDED_
#define _NGX_CHAT_LEAD_H_INCLUDED_


#include "ngx_chat_hub.h"
#include "../codec/ngx_chat_error.h"


typedef struct ngx_chat_lead_s  ngx_chat_lead_t;


/*
 * Makers, as an ask needs them.  prepare() is called while the asker is there,
 * the others at any time until start() has returned something else than
 * NGX_DECLINED, or discard() was called.
 */
typedef struct {
    /* data is the asker's; NULL: it is to go through the queue */
    void                *(*prepare)(void *data);

    /*
     * The generation is open: the maker is the source of its channel (see
     * ngx_chat_lead_feed) and asks the provider at once.  NGX_OK;
     * NGX_DECLINED: it cannot, discard() follows.
     */
    ngx_int_t            (*start)(void *maker, ngx_chat_lead_t *lead);

    void                 (*discard)(void *maker);
} ngx_chat_maker_t;


/* reports of a filler to a maker whose channel has not ended yet */
typedef struct {
    /* somebody has asked for the end of the generation */
    void                 (*stopped)(void *data);

    /* after ngx_chat_lead_idle(): nobody listens, it has ended in Redis */
    void                 (*cancelled)(void *data);
} ngx_chat_lead_ops_t;


/*
 * Inside start(): source feeds the channel, which is returned, and ops are
 * called, until the maker is through.
 */
ngx_chat_channel_t *ngx_chat_lead_feed(ngx_chat_lead_t *lead,
    const ngx_chat_source_t *source, const ngx_chat_lead_ops_t *ops,
    void *data);

/*
 * The maker is through, in place of ngx_chat_hub_append() of the last event and
 * ngx_chat_hub_end(): completed, after ngx_chat_hub_set_origin(), with the
 * provider's usage object or an empty string, or an error.  Lead and channel
 * may be gone afterwards.
 *
 * A completed event reaches subscribers once the answer is in the cache, or
 * will not be, or soon: whoever has seen it and asks again finds it there.
 */
void ngx_chat_lead_complete(ngx_chat_lead_t *lead, ngx_chat_event_t *ev,
    ngx_str_t *usage);
void ngx_chat_lead_fail(ngx_chat_lead_t *lead, ngx_chat_error_e e);

/*
 * The provider cannot be asked from here, and nothing has come: a filler is to
 * ask it, and the channel follows what that writes.  NGX_OK: the maker is
 * through, as above; NGX_DECLINED: it is too late for that, or nobody else can.
 */
ngx_int_t ngx_chat_lead_hand_over(ngx_chat_lead_t *lead);

/*
 * Nobody listens here for the grace time: is anybody elsewhere?  cancelled()
 * follows if not, once a filler can tell; NGX_DECLINED: nobody else can, no
 * filler has had it.
 */
ngx_int_t ngx_chat_lead_idle(ngx_chat_lead_t *lead);


/* nobody writes it any more: it is of use to subscribers here alone */
ngx_uint_t ngx_chat_lead_is_forgotten(ngx_chat_lead_t *lead);


#endif /* _NGX_CHAT_LEAD_H_INCLUDED_ */
