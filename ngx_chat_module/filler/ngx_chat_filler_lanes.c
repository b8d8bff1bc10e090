
#include "ngx_chat_filler_lanes.h"
#include "ngx_chat_filler_lane.h"
#include "../lane/ngx_chat_lane_rendezvous.h"

#include <ngx_event.h>


struct ngx_chat_filler_lanes_s {
    ngx_chat_jobs_t   *jobs;
    ngx_connection_t  *rendezvous;   /* NULL: drains */
    ngx_queue_t        lanes;        /* of ngx_chat_filler_lane_t */
    ngx_log_t         *log;
};


static void ngx_chat_filler_lanes_read_handler(ngx_event_t *rev);


ngx_chat_filler_lanes_t *
ngx_chat_filler_lanes_create(ngx_chat_jobs_t *jobs, ngx_socket_t rendezvous,
    ngx_log_t *log)
{
    ngx_connection_t         *c;
    ngx_chat_filler_lanes_t  *lanes;

    lanes = ngx_calloc(sizeof(ngx_chat_filler_lanes_t), log);
    if (lanes == NULL) {
        return NULL;
    }

    lanes->jobs = jobs;
    lanes->log = log;

    ngx_queue_init(&lanes->lanes);

    c = ngx_get_connection(rendezvous, log);
    if (c == NULL) {
        ngx_free(lanes);
        return NULL;
    }

    c->data = lanes;
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->read->handler = ngx_chat_filler_lanes_read_handler;

    lanes->rendezvous = c;

    return lanes;
}


void
ngx_chat_filler_lanes_open(ngx_chat_filler_lanes_t *lanes)
{
    ngx_chat_filler_lanes_read_handler(lanes->rendezvous->read);
}


static void
ngx_chat_filler_lanes_read_handler(ngx_event_t *rev)
{
    ngx_int_t                 rc;
    ngx_socket_t              fd;
    ngx_connection_t         *c;
    ngx_chat_filler_lanes_t  *lanes;

    c = rev->data;
    lanes = c->data;

    do {
        rc = ngx_chat_lane_rendezvous_accept(c->fd, &fd, lanes->log);

        if (rc == NGX_OK) {
            (void) ngx_chat_filler_lane_create(lanes->jobs, fd, &lanes->lanes,
                                               lanes->log);
        }

    } while (rc == NGX_OK);

    if (rc == NGX_AGAIN) {
        rev->ready = 0;
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, lanes->log, 0,
                      "chat filler cannot take lanes from workers any more");
    }
}


void
ngx_chat_filler_lanes_drain(ngx_chat_filler_lanes_t *lanes)
{
    ngx_queue_t             *q;
    ngx_connection_t        *c;
    ngx_chat_filler_lane_t  *lane;

    c = lanes->rendezvous;

    if (c == NULL) {
        return;
    }

    lanes->rendezvous = NULL;

    /*
     * other processes have this file, too: closing it does not take it out of
     * the event loop
     */

    if (c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, 0);
    }

    ngx_close_connection(c);

    for (q = ngx_queue_head(&lanes->lanes);
         q != ngx_queue_sentinel(&lanes->lanes);
         q = ngx_queue_next(q))
    {
        lane = ngx_queue_data(q, ngx_chat_filler_lane_t, queue);
        ngx_chat_filler_lane_drain(lane);
    }
}


ngx_uint_t
ngx_chat_filler_lanes_are_gone(ngx_chat_filler_lanes_t *lanes)
{
    return ngx_queue_empty(&lanes->lanes);
}
