
#include "ngx_chat_curl.h"
#include <ngx_event.h>


/* a resolver, two attempts to connect, a file of certificates */
#define NGX_CHAT_CURL_FILES  4


typedef struct {
    ngx_queue_t               queue;
    CURL                     *easy;
    ngx_chat_curl_done_pt     done;
    void                     *data;
    unsigned                  failed:1;
} ngx_chat_curl_transfer_t;


struct ngx_chat_curl_s {
    CURLM                    *multi;
    ngx_queue_t               transfers;
    ngx_event_t               timer;
    ngx_event_t               failure;
    ngx_connection_t          dummy;   /* what the two events point to */
    ngx_log_t                *log;
};


static ngx_uint_t ngx_chat_curl_files(ngx_chat_curl_t *cu);
static int ngx_chat_curl_socket(CURL *easy, curl_socket_t s, int what,
    void *data, void *sockp);
static ngx_connection_t *ngx_chat_curl_open(ngx_chat_curl_t *cu,
    curl_socket_t s);
static void ngx_chat_curl_close(ngx_connection_t *c);
static ngx_int_t ngx_chat_curl_watch(ngx_event_t *ev, ngx_uint_t on);
static void ngx_chat_curl_fail(ngx_chat_curl_t *cu, CURL *easy);
static int ngx_chat_curl_timeout(CURLM *multi, long ms, void *data);
static void ngx_chat_curl_event_handler(ngx_event_t *ev);
static void ngx_chat_curl_timer_handler(ngx_event_t *ev);
static void ngx_chat_curl_failure_handler(ngx_event_t *ev);
static void ngx_chat_curl_action(ngx_chat_curl_t *cu, curl_socket_t s,
    int mask);
static void ngx_chat_curl_end(ngx_chat_curl_t *cu,
    ngx_chat_curl_transfer_t *t, CURLcode rc);


ngx_chat_curl_t *
ngx_chat_curl_create(ngx_uint_t max, ngx_log_t *log)
{
    CURLM            *multi;
    CURLMcode         rc;
    ngx_chat_curl_t  *cu;

    cu = ngx_calloc(sizeof(ngx_chat_curl_t), log);
    if (cu == NULL) {
        return NULL;
    }

    multi = curl_multi_init();
    if (multi == NULL) {
        ngx_free(cu);
        return NULL;
    }

    cu->multi = multi;
    cu->log = log;

    ngx_queue_init(&cu->transfers);

    cu->dummy.fd = (ngx_socket_t) -1;
    cu->dummy.data = cu;

    cu->timer.handler = ngx_chat_curl_timer_handler;
    cu->timer.data = &cu->dummy;
    cu->timer.log = log;

    cu->failure.handler = ngx_chat_curl_failure_handler;
    cu->failure.data = &cu->dummy;
    cu->failure.log = log;

    rc = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION,
                           ngx_chat_curl_socket);

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, cu);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION,
                               ngx_chat_curl_timeout);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_TIMERDATA, cu);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) max);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_PIPELINING,
                               (long) CURLPIPE_MULTIPLEX);
    }

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "libcurl cannot be set up: \"%s\"",
                      curl_multi_strerror(rc));
        ngx_chat_curl_destroy(cu);
        return NULL;
    }

    return cu;
}


void
ngx_chat_curl_destroy(ngx_chat_curl_t *cu)
{
    ngx_queue_t               *q;
    ngx_chat_curl_transfer_t  *t;

    while (!ngx_queue_empty(&cu->transfers)) {
        q = ngx_queue_head(&cu->transfers);
        t = ngx_queue_data(q, ngx_chat_curl_transfer_t, queue);

        ngx_chat_curl_remove(cu, t->easy);
    }

    /* closes the connections it kept, and calls back for each */
    (void) curl_multi_cleanup(cu->multi);

    if (cu->timer.timer_set) {
        ngx_del_timer(&cu->timer);
    }

    if (cu->timer.posted) {
        ngx_delete_posted_event(&cu->timer);
    }

    if (cu->failure.posted) {
        ngx_delete_posted_event(&cu->failure);
    }

    ngx_free(cu);
}


ngx_int_t
ngx_chat_curl_add(ngx_chat_curl_t *cu, CURL *easy, ngx_chat_curl_done_pt done,
    void *data)
{
    CURLMcode                  rc;
    ngx_chat_curl_transfer_t  *t;

    t = ngx_calloc(sizeof(ngx_chat_curl_transfer_t), cu->log);
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->easy = easy;
    t->done = done;
    t->data = data;

    if (curl_easy_setopt(easy, CURLOPT_PRIVATE, t) != CURLE_OK) {
        ngx_free(t);
        return NGX_ERROR;
    }

    if (!ngx_chat_curl_files(cu)) {
        ngx_queue_insert_tail(&cu->transfers, &t->queue);
        ngx_chat_curl_fail(cu, easy);
        return NGX_OK;
    }

    /* only arms the timer */
    rc = curl_multi_add_handle(cu->multi, easy);

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_CRIT, cu->log, 0,
                      "libcurl refused a transfer: \"%s\"",
                      curl_multi_strerror(rc));

        (void) curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
        ngx_free(t);
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&cu->transfers, &t->queue);

    return NGX_OK;
}


/*
 * Are there open files to be had?  Without, libcurl would tell of a host that
 * has no name, or refuses connections, or has no certificate.
 */

static ngx_uint_t
ngx_chat_curl_files(ngx_chat_curl_t *cu)
{
    ngx_fd_t    fd[NGX_CHAT_CURL_FILES];
    ngx_err_t   err;
    ngx_uint_t  n;

    err = 0;

    for (n = 0; n < NGX_CHAT_CURL_FILES; n++) {
        fd[n] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

        if (fd[n] == -1) {
            err = ngx_errno;
            break;
        }
    }

    while (n) {
        (void) close(fd[--n]);
    }

    if (err != NGX_EMFILE && err != NGX_ENFILE) {
        return 1;
    }

    ngx_log_error(NGX_LOG_CRIT, cu->log, err,
                  "no open files are left for a call of a chat provider");

    return 0;
}


void
ngx_chat_curl_remove(ngx_chat_curl_t *cu, CURL *easy)
{
    char                      *p;
    CURLMcode                  rc;
    ngx_chat_curl_transfer_t  *t;

    p = NULL;

    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &p) != CURLE_OK
        || p == NULL)
    {
        return;
    }

    t = (ngx_chat_curl_transfer_t *) p;

    rc = curl_multi_remove_handle(cu->multi, easy);

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_ALERT, cu->log, 0,
                      "libcurl cannot give up a transfer: \"%s\"",
                      curl_multi_strerror(rc));
    }

    /* whoever is called back from now on finds no transfer */
    (void) curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);

    ngx_queue_remove(&t->queue);
    ngx_free(t);
}


/* libcurl says what it wants to know of a socket: inside its own calls */

static int
ngx_chat_curl_socket(CURL *easy, curl_socket_t s, int what, void *data,
    void *sockp)
{
    ngx_chat_curl_t *cu = data;

    ngx_uint_t         in, out;
    ngx_connection_t  *c;

    c = sockp;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, cu->log, 0,
                   "chat curl socket:%d what:%d", s, what);

    if (what == CURL_POLL_REMOVE) {

        if (c) {
            (void) curl_multi_assign(cu->multi, s, NULL);
            ngx_chat_curl_close(c);
        }

        return 0;
    }

    if (c == NULL) {
        c = ngx_chat_curl_open(cu, s);

        if (c == NULL) {
            ngx_chat_curl_fail(cu, easy);
            return 0;
        }
    }

    in = (what & CURL_POLL_IN) ? 1 : 0;
    out = (what & CURL_POLL_OUT) ? 1 : 0;

    if (ngx_chat_curl_watch(c->read, in) != NGX_OK
        || ngx_chat_curl_watch(c->write, out) != NGX_OK)
    {
        ngx_chat_curl_fail(cu, easy);
    }

    return 0;
}


static ngx_connection_t *
ngx_chat_curl_open(ngx_chat_curl_t *cu, curl_socket_t s)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(s, cu->log);
    if (c == NULL) {
        return NULL;
    }

    c->data = cu;
    c->read->handler = ngx_chat_curl_event_handler;
    c->write->handler = ngx_chat_curl_event_handler;
    c->read->log = cu->log;
    c->write->log = cu->log;

    if (curl_multi_assign(cu->multi, s, c) != CURLM_OK) {
        ngx_chat_curl_close(c);
        return NULL;
    }

    return c;
}


static void
ngx_chat_curl_close(ngx_connection_t *c)
{
    (void) ngx_chat_curl_watch(c->read, 0);
    (void) ngx_chat_curl_watch(c->write, 0);

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    c->read->closed = 1;
    c->write->closed = 1;

    /* the descriptor is libcurl's: it closes it, or keeps it for reuse */
    ngx_free_connection(c);

    c->fd = (ngx_socket_t) -1;
}


/*
 * Always level-triggered: libcurl does not read until nothing is left, and
 * an edge would not come again.
 */

static ngx_int_t
ngx_chat_curl_watch(ngx_event_t *ev, ngx_uint_t on)
{
    ngx_int_t          event;
    ngx_uint_t         flags;
    ngx_connection_t  *c;

    event = ev->write ? NGX_WRITE_EVENT : NGX_READ_EVENT;

    if (on && !ev->active) {
        return ngx_add_event(ev, event, NGX_LEVEL_EVENT);
    }

    if (!on && ev->active) {
        c = ev->data;

        /* a socket that never got connected is closed before we are told */

        flags = (fcntl(c->fd, F_GETFD) == -1) ? NGX_CLOSE_EVENT : 0;

        return ngx_del_event(ev, event, flags);
    }

    return NGX_OK;
}


/*
 * A socket that cannot be watched would leave its transfer hanging; an error
 * returned to libcurl would end all the others too.
 */

static void
ngx_chat_curl_fail(ngx_chat_curl_t *cu, CURL *easy)
{
    char                      *p;
    ngx_chat_curl_transfer_t  *t;

    p = NULL;

    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &p) != CURLE_OK
        || p == NULL)
    {
        return;
    }

    t = (ngx_chat_curl_transfer_t *) p;
    t->failed = 1;

    ngx_post_event(&cu->failure, &ngx_posted_events);
}


static int
ngx_chat_curl_timeout(CURLM *multi, long ms, void *data)
{
    ngx_chat_curl_t *cu = data;

    /* a timer that is set would not be moved by less than 300 ms */

    if (cu->timer.timer_set) {
        ngx_del_timer(&cu->timer);
    }

    if (cu->timer.posted) {
        ngx_delete_posted_event(&cu->timer);
    }

    if (ms > 0) {
        ngx_add_timer(&cu->timer, (ngx_msec_t) ms);

    } else if (ms == 0) {

        /*
         * A timer of 0 that a timer's handler sets expires in the same turn
         * of the loop, and as long as a provider sends all it can, curl sets
         * one each time: nothing else would ever be served.
         */

        ngx_post_event(&cu->timer, &ngx_posted_next_events);
    }

    return 0;
}


static void
ngx_chat_curl_event_handler(ngx_event_t *ev)
{
    ngx_chat_curl_t   *cu;
    ngx_connection_t  *c;

    c = ev->data;
    cu = c->data;

    ngx_chat_curl_action(cu, c->fd,
                         ev->write ? CURL_CSELECT_OUT : CURL_CSELECT_IN);
}


static void
ngx_chat_curl_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t  *dummy;

    dummy = ev->data;

    ngx_chat_curl_action(dummy->data, CURL_SOCKET_TIMEOUT, 0);
}


static void
ngx_chat_curl_failure_handler(ngx_event_t *ev)
{
    ngx_queue_t               *q;
    ngx_chat_curl_t           *cu;
    ngx_connection_t          *dummy;
    ngx_chat_curl_transfer_t  *t;

    dummy = ev->data;
    cu = dummy->data;

    q = ngx_queue_head(&cu->transfers);

    while (q != ngx_queue_sentinel(&cu->transfers)) {
        t = ngx_queue_data(q, ngx_chat_curl_transfer_t, queue);

        if (!t->failed) {
            q = ngx_queue_next(q);
            continue;
        }

        ngx_chat_curl_end(cu, t, CURLE_FAILED_INIT);

        /* done() may have removed any other */
        q = ngx_queue_head(&cu->transfers);
    }
}


static void
ngx_chat_curl_action(ngx_chat_curl_t *cu, curl_socket_t s, int mask)
{
    int                        n;
    char                      *p;
    CURLMsg                   *msg;
    CURLMcode                  rc;

    rc = curl_multi_socket_action(cu->multi, s, mask, &n);

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_ERR, cu->log, 0,
                      "libcurl failed on its sockets: \"%s\"",
                      curl_multi_strerror(rc));
    }

    for ( ;; ) {
        msg = curl_multi_info_read(cu->multi, &n);

        if (msg == NULL) {
            break;
        }

        if (msg->msg != CURLMSG_DONE) {
            continue;
        }

        p = NULL;

        if (curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &p)
            == CURLE_OK
            && p != NULL)
        {
            ngx_chat_curl_end(cu, (ngx_chat_curl_transfer_t *) p,
                              msg->data.result);
        }
    }
}


static void
ngx_chat_curl_end(ngx_chat_curl_t *cu, ngx_chat_curl_transfer_t *t,
    CURLcode rc)
{
    void                   *data;
    ngx_chat_curl_done_pt   done;

    done = t->done;
    data = t->data;

    /* frees the message that brought us here, too */
    ngx_chat_curl_remove(cu, t->easy);

    done(data, rc);
}
