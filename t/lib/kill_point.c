
/*
 * Kills a process of nginx at one message of a lane, once: a library that the
 * dynamic linker puts before libc (LD_PRELOAD).  Lanes and the meeting point
 * where they are offered are the only sockets of the type SOCK_SEQPACKET.
 *
 * The environment variable CHAT_KILL_POINT names a file of this layout, which
 * all processes of an instance share.  The test writes all of it, armed last,
 * and reads who was struck.  Without the variable nothing is ever done.
 */


#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


/* of each part of a message: see lane/ngx_chat_lane_private.h */
#define KILL_POINT_HEAD   8

/* not a record: a lane on its way to the filler */
#define KILL_POINT_OFFER  0


enum {
    KILL_POINT_BEFORE = 1,     /* the sender, which has not sent it */
    KILL_POINT_AFTER,          /* the sender, which has */
    KILL_POINT_RECEIVE         /* the receiver, which has not acted on it */
};


typedef struct {
    uint32_t   armed;
    uint32_t   where;
    uint32_t   type;           /* of ngx_chat_lane_type_e, or OFFER */
    uint32_t   left;           /* so many parts of this type, with the last */
    uint32_t   only;           /* pid of the process to kill; 0: any */
    uint32_t   struck;         /* pid of the one that was killed, or 0 */
    uint64_t   at;             /* when, us since the epoch */
} kill_point_t;


typedef ssize_t (*kill_point_send_pt)(int fd, const void *buf, size_t len,
    int flags);
typedef ssize_t (*kill_point_recv_pt)(int fd, void *buf, size_t len, int flags);
typedef ssize_t (*kill_point_sendmsg_pt)(int fd, const struct msghdr *msg,
    int flags);
typedef ssize_t (*kill_point_recvmsg_pt)(int fd, struct msghdr *msg, int flags);


static void kill_point_init(void) __attribute__((constructor));
static int kill_point_is_lane(int fd);
static void kill_point_look(uint32_t where, const unsigned char *p, size_t len);
static void kill_point_look_msg(uint32_t where, const struct msghdr *msg);
static void kill_point_count(uint32_t where, uint32_t type);


static kill_point_t           *kill_point;

static kill_point_send_pt      kill_point_send;
static kill_point_recv_pt      kill_point_recv;
static kill_point_sendmsg_pt   kill_point_sendmsg;
static kill_point_recvmsg_pt   kill_point_recvmsg;


static void
kill_point_init(void)
{
    int          fd;
    void        *p;
    const char  *name;

    kill_point_send = (kill_point_send_pt) dlsym(RTLD_NEXT, "send");
    kill_point_recv = (kill_point_recv_pt) dlsym(RTLD_NEXT, "recv");
    kill_point_sendmsg = (kill_point_sendmsg_pt) dlsym(RTLD_NEXT, "sendmsg");
    kill_point_recvmsg = (kill_point_recvmsg_pt) dlsym(RTLD_NEXT, "recvmsg");

    name = getenv("CHAT_KILL_POINT");

    if (name == NULL) {
        return;
    }

    fd = open(name, O_RDWR|O_CLOEXEC);

    if (fd == -1) {
        return;
    }

    p = mmap(NULL, sizeof(kill_point_t), PROT_READ|PROT_WRITE, MAP_SHARED, fd,
             0);

    (void) close(fd);

    if (p != MAP_FAILED) {
        kill_point = p;
    }
}


ssize_t
send(int fd, const void *buf, size_t len, int flags)
{
    int      lane;
    ssize_t  n;

    lane = kill_point_is_lane(fd);

    if (lane) {
        kill_point_look(KILL_POINT_BEFORE, buf, len);
    }

    n = kill_point_send(fd, buf, len, flags);

    if (lane && n > 0) {
        kill_point_look(KILL_POINT_AFTER, buf, n);
    }

    return n;
}


ssize_t
recv(int fd, void *buf, size_t len, int flags)
{
    ssize_t  n;

    n = kill_point_recv(fd, buf, len, flags);

    if (n > 0 && kill_point_is_lane(fd)) {
        kill_point_look(KILL_POINT_RECEIVE, buf,
                        (size_t) n < len ? (size_t) n : len);
    }

    return n;
}


ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
    int      lane;
    ssize_t  n;

    lane = kill_point_is_lane(fd);

    if (lane) {
        kill_point_look_msg(KILL_POINT_BEFORE, msg);
    }

    n = kill_point_sendmsg(fd, msg, flags);

    if (lane && n > 0) {
        kill_point_look_msg(KILL_POINT_AFTER, msg);
    }

    return n;
}


ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
    ssize_t  n;

    n = kill_point_recvmsg(fd, msg, flags);

    if (n > 0 && kill_point_is_lane(fd)) {
        kill_point_look_msg(KILL_POINT_RECEIVE, msg);
    }

    return n;
}


static int
kill_point_is_lane(int fd)
{
    int        type;
    socklen_t  len;

    if (kill_point == NULL
        || !__atomic_load_n(&kill_point->armed, __ATOMIC_ACQUIRE))
    {
        return 0;
    }

    len = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0
           && type == SOCK_SEQPACKET;
}


static void
kill_point_look(uint32_t where, const unsigned char *p, size_t len)
{
    uint16_t              size;
    const unsigned char  *last;

    last = p + len;

    while (last - p >= KILL_POINT_HEAD) {
        memcpy(&size, p, sizeof(size));

        kill_point_count(where, p[2]);

        p += KILL_POINT_HEAD;

        if (size > last - p) {
            return;
        }

        p += size;
    }
}


static void
kill_point_look_msg(uint32_t where, const struct msghdr *msg)
{
    struct cmsghdr  *cmsg;

    cmsg = CMSG_FIRSTHDR(msg);

    if (cmsg && cmsg->cmsg_level == SOL_SOCKET
        && cmsg->cmsg_type == SCM_RIGHTS)
    {
        kill_point_count(where, KILL_POINT_OFFER);
    }
}


static void
kill_point_count(uint32_t where, uint32_t type)
{
    uint32_t         pid;
    struct timespec  now;

    pid = (uint32_t) getpid();

    if (kill_point->where != where
        || kill_point->type != type
        || (kill_point->only && kill_point->only != pid)
        || __atomic_sub_fetch(&kill_point->left, 1, __ATOMIC_ACQ_REL) != 0
        || !__atomic_exchange_n(&kill_point->armed, 0, __ATOMIC_ACQ_REL))
    {
        return;
    }

    (void) clock_gettime(CLOCK_REALTIME, &now);

    kill_point->at = (uint64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;

    __atomic_store_n(&kill_point->struck, pid, __ATOMIC_RELEASE);

    (void) kill((pid_t) pid, SIGKILL);

    for ( ;; ) {
        (void) pause();
    }
}
