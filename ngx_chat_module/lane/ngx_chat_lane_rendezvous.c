
#include "ngx_chat_lane_rendezvous.h"

#include <sys/socket.h>


/* more descriptors than one are a fault, and closed */
#define NGX_CHAT_LANE_RENDEZVOUS_FDS  4


/* control data of a message; aligned by the first member */
typedef union {
    struct cmsghdr   head;
    u_char           data[CMSG_SPACE(NGX_CHAT_LANE_RENDEZVOUS_FDS
                                     * sizeof(int))];
} ngx_chat_lane_rendezvous_control_t;


/* a pair of a number that has none yet: not is_made */
typedef struct {
    ngx_socket_t   worker;         /* where lanes are offered */
    ngx_socket_t   filler;         /* where they are accepted */
    ngx_uint_t     is_made;
} ngx_chat_lane_rendezvous_pair_t;


static ngx_int_t ngx_chat_lane_rendezvous_send(ngx_socket_t rendezvous,
    ngx_socket_t fd);
static ngx_int_t ngx_chat_lane_rendezvous_take_fd(struct msghdr *msg,
    ngx_socket_t *fd);


/* made in the master, inherited by all */
static ngx_chat_lane_rendezvous_pair_t
    ngx_chat_lane_rendezvous_pairs[NGX_CHAT_LANE_FILLERS];


ngx_int_t
ngx_chat_lane_rendezvous_create(ngx_uint_t n, ngx_log_t *log)
{
    ngx_uint_t                        i;
    ngx_socket_t                      fd[2];
    ngx_chat_lane_rendezvous_pair_t  *pair;

    for (i = 0; i < n && i < NGX_CHAT_LANE_FILLERS; i++) {
        pair = &ngx_chat_lane_rendezvous_pairs[i];

        if (pair->is_made) {
            continue;
        }

        if (socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC|SOCK_NONBLOCK, 0,
                       fd)
            == -1)
        {
            ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                          "chat has no sockets for lanes: "
                          "socketpair() failed");
            return NGX_ERROR;
        }

        pair->worker = fd[0];
        pair->filler = fd[1];
        pair->is_made = 1;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_lane_rendezvous_offer(ngx_uint_t number, ngx_socket_t *fd,
    ngx_log_t *log)
{
    ngx_int_t                         rc;
    ngx_socket_t                      lane[2];
    ngx_chat_lane_rendezvous_pair_t  *pair;

    if (number >= NGX_CHAT_LANE_FILLERS
        || !ngx_chat_lane_rendezvous_pairs[number].is_made)
    {
        return NGX_DECLINED;
    }

    pair = &ngx_chat_lane_rendezvous_pairs[number];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC|SOCK_NONBLOCK, 0, lane)
        == -1)
    {
        ngx_log_debug1(NGX_LOG_DEBUG_CORE, log, ngx_errno,
                       "chat lane to filler %ui: socketpair() failed", number);
        return NGX_DECLINED;
    }

    rc = ngx_chat_lane_rendezvous_send(pair->worker, lane[1]);

    /* EAGAIN, ETOOMANYREFS: nobody has accepted for long */

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, log, rc == NGX_OK ? 0 : ngx_socket_errno,
                   "chat lane to filler %ui is offered: %i", number, rc);

    (void) close(lane[1]);

    if (rc != NGX_OK) {
        (void) close(lane[0]);
        return NGX_DECLINED;
    }

    *fd = lane[0];

    return NGX_OK;
}


/* a byte goes along, as an empty message would be the end of file */

static ngx_int_t
ngx_chat_lane_rendezvous_send(ngx_socket_t rendezvous, ngx_socket_t fd)
{
    u_char                               byte;
    struct iovec                         iov;
    struct msghdr                        msg;
    struct cmsghdr                      *cmsg;
    ngx_chat_lane_rendezvous_control_t   control;

    byte = 0;

    iov.iov_base = &byte;
    iov.iov_len = 1;

    ngx_memzero(&control, sizeof(ngx_chat_lane_rendezvous_control_t));
    ngx_memzero(&msg, sizeof(struct msghdr));

    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control.data;
    msg.msg_controllen = CMSG_SPACE(sizeof(int));

    cmsg = CMSG_FIRSTHDR(&msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));

    ngx_memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));

    return sendmsg(rendezvous, &msg, MSG_DONTWAIT|MSG_NOSIGNAL) == -1
           ? NGX_ERROR : NGX_OK;
}


ngx_socket_t
ngx_chat_lane_rendezvous_get_fd(ngx_uint_t number)
{
    if (number >= NGX_CHAT_LANE_FILLERS
        || !ngx_chat_lane_rendezvous_pairs[number].is_made)
    {
        return (ngx_socket_t) -1;
    }

    return ngx_chat_lane_rendezvous_pairs[number].filler;
}


ngx_int_t
ngx_chat_lane_rendezvous_accept(ngx_socket_t rendezvous, ngx_socket_t *fd,
    ngx_log_t *log)
{
    u_char                               byte;
    ssize_t                              n;
    ngx_err_t                            err;
    struct iovec                         iov;
    struct msghdr                        msg;
    ngx_chat_lane_rendezvous_control_t   control;

    for ( ;; ) {
        iov.iov_base = &byte;
        iov.iov_len = 1;

        ngx_memzero(&msg, sizeof(struct msghdr));

        msg.msg_iov = &iov;
        msg.msg_iovlen = 1;
        msg.msg_control = control.data;
        msg.msg_controllen = sizeof(control.data);

        n = recvmsg(rendezvous, &msg, MSG_DONTWAIT|MSG_CMSG_CLOEXEC);

        if (n == -1) {
            err = ngx_socket_errno;

            if (err == NGX_EINTR) {
                continue;
            }

            if (err == NGX_EAGAIN) {
                return NGX_AGAIN;
            }

            ngx_log_error(NGX_LOG_ALERT, log, err,
                          "chat filler gets no lanes: recvmsg() failed");
            return NGX_ERROR;
        }

        if (n == 0) {

            /* no worker and no master are left */

            return NGX_ERROR;
        }

        if (ngx_chat_lane_rendezvous_take_fd(&msg, fd) == NGX_OK) {
            return NGX_OK;
        }

        /* the worker sees the end of its lane, and offers another */

        ngx_log_debug0(NGX_LOG_DEBUG_CORE, log, 0,
                       "chat filler: an offered lane without its descriptor");
    }
}


/* exactly one, or none is kept; short of files, the kernel drops it */

static ngx_int_t
ngx_chat_lane_rendezvous_take_fd(struct msghdr *msg, ngx_socket_t *fd)
{
    int              fds[NGX_CHAT_LANE_RENDEZVOUS_FDS];
    ngx_uint_t       i, n;
    struct cmsghdr  *cmsg;

    n = 0;

    for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }

        n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        n = ngx_min(n, NGX_CHAT_LANE_RENDEZVOUS_FDS);

        ngx_memcpy(fds, CMSG_DATA(cmsg), n * sizeof(int));
        break;
    }

    if (n == 1 && !(msg->msg_flags & MSG_CTRUNC)) {
        *fd = fds[0];
        return NGX_OK;
    }

    for (i = 0; i < n; i++) {
        (void) close(fds[i]);
    }

    return NGX_ERROR;
}
