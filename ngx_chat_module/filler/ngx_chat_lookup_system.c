
/*
 * getaddrinfo() waits for name servers and cannot be cancelled: it runs in a
 * thread for each name, which notifies the event loop at its end.  Threads
 * whose look-ups were all cancelled go on, and count for the limit.
 */


#include "ngx_chat_lookup_private.h"

#include <netdb.h>
#include <pthread.h>


#define NGX_CHAT_LOOKUP_SYSTEM_MAX    32     /* threads at once */
#define NGX_CHAT_LOOKUP_SYSTEM_VALID  60000  /* ms */


/* a name and its addresses; never freed: names come from the configuration */

typedef struct {
    ngx_queue_t        queue;
    ngx_queue_t        waiting;    /* of ngx_chat_lookup_t */

    struct addrinfo   *found;      /* or NULL */
    ngx_msec_t         expires;    /* of found */

    ngx_queue_t        ended;
    struct addrinfo   *result;     /* the thread's while it runs */
    int                rc;

    unsigned           running:1;
    u_char             name[1];
} ngx_chat_lookup_name_t;


static ngx_chat_lookup_name_t *ngx_chat_lookup_system_find_name(
    ngx_str_t *name, ngx_log_t *log);
static const char *ngx_chat_lookup_system_start_thread(
    ngx_chat_lookup_name_t *n, ngx_log_t *log);
static void *ngx_chat_lookup_system_thread(void *data);
static void ngx_chat_lookup_system_ended_handler(ngx_event_t *ev);
static void ngx_chat_lookup_system_end_name(ngx_chat_lookup_name_t *n);
static ngx_int_t ngx_chat_lookup_system_copy(ngx_chat_lookup_t *lk,
    struct addrinfo *ai);
static void ngx_chat_lookup_system_timer_handler(ngx_event_t *ev);


static ngx_queue_t      ngx_chat_lookup_system_names = {
    &ngx_chat_lookup_system_names, &ngx_chat_lookup_system_names
};

/* threads */

static ngx_uint_t       ngx_chat_lookup_system_running;

/* names whose threads have ended */

static ngx_queue_t      ngx_chat_lookup_system_ended = {
    &ngx_chat_lookup_system_ended, &ngx_chat_lookup_system_ended
};

static pthread_mutex_t  ngx_chat_lookup_system_mutex =
    PTHREAD_MUTEX_INITIALIZER;


ngx_int_t
ngx_chat_lookup_system_start(ngx_chat_lookup_t *lk, ngx_msec_t timeout,
    ngx_log_t *log)
{
    ngx_chat_lookup_name_t  *n;

    n = ngx_chat_lookup_system_find_name(&lk->name, log);
    if (n == NULL) {
        return NGX_ERROR;
    }

    if (n->found && (ngx_msec_int_t) (n->expires - ngx_current_msec) > 0) {
        return ngx_chat_lookup_system_copy(lk, n->found);
    }

    if (!n->running) {
        lk->reason = ngx_chat_lookup_system_start_thread(n, log);

        if (lk->reason) {
            return NGX_DECLINED;
        }
    }

    lk->timer.handler = ngx_chat_lookup_system_timer_handler;
    lk->timer.data = lk;
    lk->timer.log = log;

    lk->waiting = 1;
    ngx_queue_insert_tail(&n->waiting, &lk->queue);
    ngx_add_timer(&lk->timer, timeout);

    return NGX_AGAIN;
}


void
ngx_chat_lookup_system_cancel(ngx_chat_lookup_t *lk)
{
    if (lk->waiting) {
        lk->waiting = 0;
        ngx_queue_remove(&lk->queue);
    }

    if (lk->timer.timer_set) {
        ngx_del_timer(&lk->timer);
    }
}


static ngx_chat_lookup_name_t *
ngx_chat_lookup_system_find_name(ngx_str_t *name, ngx_log_t *log)
{
    ngx_queue_t             *q;
    ngx_chat_lookup_name_t  *n;

    for (q = ngx_queue_head(&ngx_chat_lookup_system_names);
         q != ngx_queue_sentinel(&ngx_chat_lookup_system_names);
         q = ngx_queue_next(q))
    {
        n = ngx_queue_data(q, ngx_chat_lookup_name_t, queue);

        if (ngx_strcmp(n->name, name->data) == 0) {
            return n;
        }
    }

    n = ngx_calloc(sizeof(ngx_chat_lookup_name_t) + name->len, log);
    if (n == NULL) {
        return NULL;
    }

    ngx_memcpy(n->name, name->data, name->len);

    ngx_queue_init(&n->waiting);
    ngx_queue_insert_tail(&ngx_chat_lookup_system_names, &n->queue);

    return n;
}


/* NULL: the thread runs; else the reason why not */

static const char *
ngx_chat_lookup_system_start_thread(ngx_chat_lookup_name_t *n, ngx_log_t *log)
{
    int             err;
    sigset_t        all, set;
    pthread_t       tid;
    pthread_attr_t  attr;

    if (ngx_chat_lookup_system_running == NGX_CHAT_LOOKUP_SYSTEM_MAX) {
        return "too many names are looked up";
    }

    if (ngx_notify == NULL || pthread_attr_init(&attr) != 0) {
        return "no thread can be started";
    }

    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);

    n->running = 1;
    n->result = NULL;

    /* signals are for the event loop, which they are to wake up */

    sigfillset(&all);

    (void) pthread_sigmask(SIG_SETMASK, &all, &set);
    err = pthread_create(&tid, &attr, ngx_chat_lookup_system_thread, n);
    (void) pthread_sigmask(SIG_SETMASK, &set, NULL);

    (void) pthread_attr_destroy(&attr);

    if (err) {
        ngx_log_error(NGX_LOG_ALERT, log, err,
                      "chat lookup of \"%s\" fails: pthread_create() failed",
                      n->name);

        n->running = 0;
        return "no thread can be started";
    }

    ngx_chat_lookup_system_running++;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, log, 0,
                   "chat lookup \"%s\" thread started, running:%ui",
                   n->name, ngx_chat_lookup_system_running);

    return NULL;
}


/* in the thread: touches nothing but n and the queue of ended names */

static void *
ngx_chat_lookup_system_thread(void *data)
{
    ngx_chat_lookup_name_t *n = data;

    struct addrinfo  hints;

    ngx_memzero(&hints, sizeof(struct addrinfo));

    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;

    n->rc = getaddrinfo((char *) n->name, NULL, &hints, &n->result);

    (void) pthread_mutex_lock(&ngx_chat_lookup_system_mutex);
    ngx_queue_insert_tail(&ngx_chat_lookup_system_ended, &n->ended);
    (void) pthread_mutex_unlock(&ngx_chat_lookup_system_mutex);

    (void) ngx_notify(ngx_chat_lookup_system_ended_handler);

    return NULL;
}


static void
ngx_chat_lookup_system_ended_handler(ngx_event_t *ev)
{
    ngx_queue_t             *q;
    ngx_chat_lookup_name_t  *n;

    for ( ;; ) {
        n = NULL;

        (void) pthread_mutex_lock(&ngx_chat_lookup_system_mutex);

        if (!ngx_queue_empty(&ngx_chat_lookup_system_ended)) {
            q = ngx_queue_head(&ngx_chat_lookup_system_ended);
            ngx_queue_remove(q);
            n = ngx_queue_data(q, ngx_chat_lookup_name_t, ended);
        }

        (void) pthread_mutex_unlock(&ngx_chat_lookup_system_mutex);

        if (n == NULL) {
            return;
        }

        ngx_chat_lookup_system_end_name(n);
    }
}


static void
ngx_chat_lookup_system_end_name(ngx_chat_lookup_name_t *n)
{
    ngx_int_t           rc;
    const char         *reason;
    ngx_queue_t        *q, waiting;
    ngx_chat_lookup_t  *lk;

    ngx_chat_lookup_system_running--;
    n->running = 0;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, ngx_cycle->log, 0,
                   "chat lookup \"%s\" thread ended rc:%d", n->name, n->rc);

    if (n->found) {
        freeaddrinfo(n->found);
        n->found = NULL;
    }

    if (n->rc == 0) {
        n->found = n->result;
        n->expires = ngx_current_msec + NGX_CHAT_LOOKUP_SYSTEM_VALID;
    }

    if (ngx_queue_empty(&n->waiting)) {
        return;
    }

    reason = n->rc ? gai_strerror(n->rc) : "no address";

    /* a handler may start a look-up of this name: not to be ended here */

    ngx_queue_init(&waiting);
    ngx_queue_add(&waiting, &n->waiting);
    ngx_queue_init(&n->waiting);

    while (!ngx_queue_empty(&waiting)) {
        q = ngx_queue_head(&waiting);
        lk = ngx_queue_data(q, ngx_chat_lookup_t, queue);

        ngx_chat_lookup_system_cancel(lk);

        if (n->found) {
            rc = ngx_chat_lookup_system_copy(lk, n->found);

        } else {
            lk->reason = reason;
            rc = NGX_DECLINED;
        }

        lk->handler(lk, rc);
    }
}


static ngx_int_t
ngx_chat_lookup_system_copy(ngx_chat_lookup_t *lk, struct addrinfo *ai)
{
    ngx_uint_t        n;
    struct addrinfo  *next;

    n = 0;

    for (next = ai; next; next = next->ai_next) {
        n++;
    }

    if (ngx_chat_lookup_addrs_init(lk, n) != NGX_OK) {
        return NGX_ERROR;
    }

    for ( /* void */ ; ai; ai = ai->ai_next) {
        ngx_chat_lookup_addrs_add(lk, ai->ai_addr, ai->ai_addrlen);
    }

    return NGX_OK;
}


static void
ngx_chat_lookup_system_timer_handler(ngx_event_t *ev)
{
    ngx_chat_lookup_t  *lk;

    lk = ev->data;

    ngx_chat_lookup_system_cancel(lk);

    lk->reason = "Operation timed out";
    lk->handler(lk, NGX_DECLINED);
}
