
#include "ngx_chat_filler_private.h"


#define NGX_CHAT_FILLER_PULSE         1000    /* ms */

/* at the start, and while the filler drains */
#define NGX_CHAT_FILLER_QUICK_PULSE   100     /* ms */
#define NGX_CHAT_FILLER_QUICK_PULSES  10


static void ngx_chat_filler_pulse_handler(ngx_event_t *ev);
static void ngx_chat_filler_pulse_find_slot(ngx_chat_filler_t *fl);
static void ngx_chat_filler_pulse_write(ngx_chat_filler_t *fl);
static void ngx_chat_filler_pulse_take_over(ngx_chat_filler_t *fl);


void
ngx_chat_filler_pulse_start(ngx_chat_filler_t *fl)
{
    fl->dummy.fd = (ngx_socket_t) -1;
    fl->dummy.data = fl;
    fl->pulse.handler = ngx_chat_filler_pulse_handler;
    fl->pulse.data = &fl->dummy;
    fl->pulse.log = fl->cycle->log;

    ngx_chat_filler_pulse_handler(&fl->pulse);
}


void
ngx_chat_filler_pulse_soon(ngx_chat_filler_t *fl)
{
    ngx_del_timer(&fl->pulse);
    ngx_add_timer(&fl->pulse, NGX_CHAT_FILLER_QUICK_PULSE);
}


static void
ngx_chat_filler_pulse_handler(ngx_event_t *ev)
{
    ngx_connection_t   *dummy;
    ngx_chat_filler_t  *fl;

    dummy = ev->data;
    fl = dummy->data;

    ngx_chat_filler_pulse_find_slot(fl);

    if (fl->slot) {
        ngx_chat_filler_pulse_write(fl);
    }

    fl->pulses++;

    if (fl->quit || fl->terminating) {
        ngx_add_timer(ev, NGX_CHAT_FILLER_QUICK_PULSE);
        return;
    }

    ngx_chat_filler_pulse_take_over(fl);

    ngx_add_timer(ev, fl->pulses < NGX_CHAT_FILLER_QUICK_PULSES
                      ? NGX_CHAT_FILLER_QUICK_PULSE : NGX_CHAT_FILLER_PULSE);
}


static void
ngx_chat_filler_pulse_find_slot(ngx_chat_filler_t *fl)
{
    ngx_chat_scoreboard_t  *scoreboard;

    scoreboard = fl->conf->scoreboard;

    if (fl->slot && fl->quit
        && ngx_chat_scoreboard_yield_slot(scoreboard, fl->slot) == NGX_OK)
    {
        ngx_log_debug0(NGX_LOG_DEBUG_CORE, fl->cycle->log, 0,
                       "chat filler yields its slot");
        fl->slot = NULL;
    }

    /* the scoreboard may have been full of fillers that drain */

    if (fl->slot == NULL && !fl->quit && !fl->terminating) {
        fl->slot = ngx_chat_scoreboard_take_slot(scoreboard, ngx_pid,
                                                 fl->number, fl->jobs.token,
                                                 &fl->jobs.predecessor);

        ngx_log_debug1(NGX_LOG_DEBUG_CORE, fl->cycle->log, 0,
                       "chat filler slot:%p", fl->slot);
    }

    fl->jobs.places = fl->slot ? &fl->slot->running : NULL;
}


static void
ngx_chat_filler_pulse_write(ngx_chat_filler_t *fl)
{
    ngx_uint_t              i, redis;
    ngx_chat_slot_t        *slot;
    ngx_chat_slot_state_e   state;

    slot = fl->slot;

    slot->pulse = ngx_time();
    slot->running = ngx_chat_jobs_count_asking(&fl->jobs);
    slot->led = fl->jobs.led;
    slot->queued = ngx_chat_consumer_maintenance_queued(fl->maintenance);

    redis = ngx_chat_redis_is_up(fl->jobs.store.redis)
            && ngx_chat_consumer_is_up(fl->consumer)
            && ngx_chat_store_get_refusal(&fl->jobs.store,
                                          NGX_CHAT_SERVICE_QUEUE)
               ->len == 0;

    state = fl->quit ? NGX_CHAT_SLOT_DRAINING : NGX_CHAT_SLOT_RUNNING;

    if (slot->redis != redis || slot->state != state) {
        ngx_log_debug4(NGX_LOG_DEBUG_CORE, fl->cycle->log, 0,
                       "chat filler pulse state:%ui redis:%ui running:%uA "
                       "queued:%uA", (ngx_uint_t) state, redis,
                       slot->running, slot->queued);
    }

    slot->redis = redis;
    ngx_chat_peers_show(fl->jobs.peers, slot);

    for (i = 0; i < ngx_min(fl->jobs.peers->nelts,
                            NGX_CHAT_SCOREBOARD_PROVIDERS); i++)
    {
        slot->providers[i].shared = ngx_chat_curl_is_shared(fl->jobs.curl, i);
    }

    slot->state = state;
}


/*
 * A filler that dies together with its worker, or after it, leaves its token on
 * the scoreboard alone, and may die a moment after its successor has started:
 * each pulse looks.
 */

static void
ngx_chat_filler_pulse_take_over(ngx_chat_filler_t *fl)
{
    u_char  token[NGX_CHAT_TOKEN_LEN];

    if (ngx_chat_consumer_maintenance_is_taking_over(fl->maintenance)
        || ngx_chat_scoreboard_reap_slot(fl->conf->scoreboard, fl->number,
                                         fl->conf->processes, token)
           != NGX_OK)
    {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, fl->cycle->log, 0,
                  "chat filler takes over the tasks of a dead filler");

    ngx_chat_consumer_maintenance_take_over(fl->maintenance, token);
}
