
/*
 * Where workers and fillers meet: what was offered is accepted once, in order,
 * by whoever reads, and what is no offer harms nobody.
 */


#include "ut_side.h"
#include "../../ngx_chat_module/lane/ngx_chat_lane_rendezvous.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>


#define UT_OFFERS  2000


static void ut_pairs(void);
static void ut_offer(void);
static void ut_dead_offers(void);
static void ut_full(void);
static void ut_odd(void);
static void ut_short_of_files(void);
static ngx_socket_t ut_make_offer(ngx_uint_t number);
static ngx_socket_t ut_accept(ngx_uint_t number);
static ngx_uint_t ut_connected(ngx_socket_t a, ngx_socket_t b);
static void ut_send_fds(ngx_uint_t number, ngx_uint_t n);
static ngx_uint_t ut_limit_files(ngx_uint_t spare);


/* the worker's end of pair 0, the file before the other end */
static ngx_socket_t  ut_worker;


int
main(void)
{
    ngx_uint_t  files;

    fake_socket_init(1);

    ut_pairs();

    files = fake_socket_files();

    ut_offer();
    ut_dead_offers();
    ut_full();
    ut_odd();
    ut_short_of_files();

    ut_ok(fake_socket_files() == files, "no file is left open");

    return ut_done();
}


static void
ut_pairs(void)
{
    ngx_uint_t    files;
    ngx_socket_t  fd, first;

    ut_ok(ngx_chat_lane_rendezvous_get_fd(0) == -1
          && ngx_chat_lane_rendezvous_offer(0, &fd, ngx_cycle->log)
             == NGX_DECLINED,
          "no pair, no offer");

    files = fake_socket_files();

    ut_ok(ngx_chat_lane_rendezvous_create(1, ngx_cycle->log) == NGX_OK
          && fake_socket_files() == files + 2, "a pair for one filler");

    first = ngx_chat_lane_rendezvous_get_fd(0);
    ut_worker = first - 1;

    ut_ok(ngx_chat_lane_rendezvous_create(3, ngx_cycle->log) == NGX_OK
          && fake_socket_files() == files + 6
          && ngx_chat_lane_rendezvous_get_fd(0) == first
          && ngx_chat_lane_rendezvous_get_fd(2) != -1,
          "more later: the first stays");

    ut_ok(ngx_chat_lane_rendezvous_create(2, ngx_cycle->log) == NGX_OK
          && fake_socket_files() == files + 6
          && ngx_chat_lane_rendezvous_get_fd(2) != -1,
          "fewer later: all stay");

    ut_ok(ngx_chat_lane_rendezvous_create(100, ngx_cycle->log) == NGX_OK
          && ngx_chat_lane_rendezvous_get_fd(NGX_CHAT_LANE_FILLERS - 1) != -1
          && ngx_chat_lane_rendezvous_get_fd(NGX_CHAT_LANE_FILLERS) == -1
          && ngx_chat_lane_rendezvous_offer(NGX_CHAT_LANE_FILLERS, &fd,
                                            ngx_cycle->log) == NGX_DECLINED,
          "no more than there are numbers");
}


static void
ut_offer(void)
{
    ngx_uint_t    i, ok;
    ngx_socket_t  lanes[5], far;

    ut_ok(ut_accept(0) == -1, "nothing is offered yet");

    for (i = 0; i < 5; i++) {
        lanes[i] = ut_make_offer(0);
    }

    ut_ok(ut_accept(1) == -1, "an offer is for one number");

    ok = 1;

    for (i = 0; i < 5; i++) {
        far = ut_accept(0);

        ok &= far != -1 && ut_connected(lanes[i], far)
              && (fcntl(far, F_GETFD) & FD_CLOEXEC)
              && (fcntl(far, F_GETFL) & O_NONBLOCK)
              && (fcntl(lanes[i], F_GETFD) & FD_CLOEXEC)
              && (fcntl(lanes[i], F_GETFL) & O_NONBLOCK);

        (void) close(far);
        (void) close(lanes[i]);
    }

    ut_ok(ok, "offers before anybody reads are accepted in order");
    ut_ok(ut_accept(0) == -1, "and once");
}


/* a filler that died has accepted some, its successor gets the others */

static void
ut_dead_offers(void)
{
    char          ch;
    ngx_socket_t  gone, lane, taken, far;

    gone = ut_make_offer(0);
    taken = ut_make_offer(0);
    lane = ut_make_offer(0);

    (void) close(gone);

    far = ut_accept(0);
    ut_ok(far != -1 && recv(far, &ch, 1, 0) == 0,
          "an offer whose worker is gone ends at once");
    (void) close(far);

    (void) close(ut_accept(0));
    ut_ok(recv(taken, &ch, 1, 0) == 0, "a worker sees that its filler is gone");
    (void) close(taken);

    far = ut_accept(0);
    ut_ok(far != -1 && ut_connected(lane, far), "another filler gets the next");
    (void) close(far);
    (void) close(lane);
}


static void
ut_full(void)
{
    ngx_int_t     rc;
    ngx_uint_t    n, m, files;
    ngx_socket_t  fd, far;

    files = fake_socket_files();
    rc = NGX_OK;

    for (n = 0; n < UT_OFFERS; n++) {
        rc = ngx_chat_lane_rendezvous_offer(0, &fd, ngx_cycle->log);

        if (rc != NGX_OK) {
            break;
        }

        (void) close(fd);
    }

    ut_ok(rc == NGX_DECLINED && n > 100 && fake_socket_files() == files,
          "full, as nobody reads: declined, and nothing is left");

    for (m = 0; (far = ut_accept(0)) != -1; m++) {
        (void) close(far);
    }

    ut_ok(m == n, "all of them are there");

    fd = ut_make_offer(0);
    far = ut_accept(0);
    ut_ok(far != -1 && ut_connected(fd, far), "others after them");

    (void) close(far);
    (void) close(fd);
}


static void
ut_odd(void)
{
    ngx_uint_t    files;
    ngx_socket_t  fd, far;

    files = fake_socket_files();

    ut_send_fds(0, 0);
    ut_send_fds(0, 2);
    ut_send_fds(0, 4);
    ut_send_fds(0, 20);

    fd = ut_make_offer(0);
    far = ut_accept(0);

    ut_ok(far != -1 && ut_connected(fd, far),
          "none, or too many descriptors: passed over");

    (void) close(far);
    (void) close(fd);

    ut_ok(fake_socket_files() == files, "and closed");

    ut_send_fds(0, 2);
    ut_ok(ut_accept(0) == -1 && fake_socket_files() == files,
          "no offer behind it");
}


static void
ut_short_of_files(void)
{
    char          ch;
    ngx_uint_t    limit;
    ngx_socket_t  fd, far;

    fd = ut_make_offer(0);

    limit = ut_limit_files(0);
    ut_ok(ut_accept(0) == -1, "a filler without a file to spare gets none");
    (void) ut_limit_files(limit);

    ut_ok(recv(fd, &ch, 1, 0) == 0, "and the worker sees it");
    (void) close(fd);

    ut_send_fds(0, 2);

    limit = ut_limit_files(1);
    ut_ok(ut_accept(0) == -1, "two descriptors and a file for one: none");
    (void) ut_limit_files(limit);

    limit = ut_limit_files(1);
    ut_ok(ngx_chat_lane_rendezvous_offer(0, &fd, ngx_cycle->log)
          == NGX_DECLINED,
          "a worker without files to spare offers none");
    (void) ut_limit_files(limit);

    fd = ut_make_offer(0);
    far = ut_accept(0);
    ut_ok(far != -1 && ut_connected(fd, far), "both do later");

    (void) close(far);
    (void) close(fd);
}


static ngx_socket_t
ut_make_offer(ngx_uint_t number)
{
    ngx_socket_t  fd;

    if (ngx_chat_lane_rendezvous_offer(number, &fd, ngx_cycle->log) != NGX_OK) {
        abort();
    }

    return fd;
}


/* -1: none */

static ngx_socket_t
ut_accept(ngx_uint_t number)
{
    ngx_int_t     rc;
    ngx_socket_t  fd, rendezvous;

    rendezvous = ngx_chat_lane_rendezvous_get_fd(number);

    rc = ngx_chat_lane_rendezvous_accept(rendezvous, &fd, ngx_cycle->log);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        abort();
    }

    return rc == NGX_OK ? fd : -1;
}


static ngx_uint_t
ut_connected(ngx_socket_t a, ngx_socket_t b)
{
    char  buf[8];

    return send(a, "there", 5, MSG_NOSIGNAL) == 5
           && recv(b, buf, sizeof(buf), 0) == 5
           && send(b, "back", 4, MSG_NOSIGNAL) == 4
           && recv(a, buf, sizeof(buf), 0) == 4;
}


/* a message with so many descriptors */

static void
ut_send_fds(ngx_uint_t number, ngx_uint_t n)
{
    int              fds[32];
    char             byte;
    ngx_uint_t       i;
    struct iovec     iov;
    struct msghdr    msg;
    struct cmsghdr  *cmsg;
    union {
        struct cmsghdr   head;
        u_char           data[CMSG_SPACE(sizeof(fds))];
    } control;

    byte = 0;
    iov.iov_base = &byte;
    iov.iov_len = 1;

    ngx_memzero(&control, sizeof(control));
    ngx_memzero(&msg, sizeof(struct msghdr));

    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;

    for (i = 0; i < n; i++) {
        fds[i] = STDERR_FILENO;
    }

    if (n) {
        msg.msg_control = control.data;
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));

        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));

        memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
    }

    if (sendmsg(ut_worker, &msg, MSG_NOSIGNAL) != 1) {
        abort();
    }
}


/* leaves so many files below the limit, which it returns; or sets a limit */

static ngx_uint_t
ut_limit_files(ngx_uint_t spare)
{
    int            fd;
    ngx_uint_t     was;
    struct rlimit  rlmt;

    if (getrlimit(RLIMIT_NOFILE, &rlmt) == -1) {
        abort();
    }

    was = rlmt.rlim_cur;

    if (spare > 16) {
        rlmt.rlim_cur = spare;

    } else {
        fd = dup(STDERR_FILENO);
        (void) close(fd);
        rlmt.rlim_cur = fd + spare;
    }

    if (setrlimit(RLIMIT_NOFILE, &rlmt) == -1) {
        abort();
    }

    return was;
}
