
/*
 * Turns of an event loop, and the writes in each: a library that the dynamic
 * linker puts before libc (LD_PRELOAD).  A turn is the time from one
 * epoll_wait() to the next.
 *
 * The environment variable CHAT_WATCH_TURNS names a file that gets lines, each
 * with the process and the number of the turn:
 *
 *     <pid> <turn> write <port of the peer> <pieces of memory> <bytes sent>
 *     <pid> <turn> cpu <us>                  of a turn with such writes
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>


typedef int (*watch_turns_wait_pt)(int ep, struct epoll_event *events, int n,
    int timeout);
typedef ssize_t (*watch_turns_writev_pt)(int fd, const struct iovec *iov,
    int n);


static void watch_turns_init(void) __attribute__((constructor));


static int                     watch_turns_fd = -1;
static watch_turns_wait_pt     watch_turns_wait;
static watch_turns_writev_pt   watch_turns_writev;

static unsigned long           watch_turns_turn;
static unsigned long           watch_turns_writes;   /* in this turn */
static unsigned long           watch_turns_begun;    /* us of this thread */


static void
watch_turns_init(void)
{
    const char  *name;

    *(void **) &watch_turns_wait = dlsym(RTLD_NEXT, "epoll_wait");
    *(void **) &watch_turns_writev = dlsym(RTLD_NEXT, "writev");

    name = getenv("CHAT_WATCH_TURNS");

    if (name) {
        watch_turns_fd = open(name, O_WRONLY|O_APPEND|O_CREAT|O_CLOEXEC, 0666);
    }
}


static unsigned long
watch_turns_clock(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return ts.tv_sec * 1000000UL + ts.tv_nsec / 1000;
}


int
epoll_wait(int ep, struct epoll_event *events, int n, int timeout)
{
    int  rc;

    if (watch_turns_writes) {
        dprintf(watch_turns_fd, "%d %lu cpu %lu\n", (int) getpid(),
                watch_turns_turn, watch_turns_clock() - watch_turns_begun);
    }

    rc = watch_turns_wait(ep, events, n, timeout);

    watch_turns_turn++;
    watch_turns_writes = 0;
    watch_turns_begun = watch_turns_clock();

    return rc;
}


ssize_t
writev(int fd, const struct iovec *iov, int n)
{
    ssize_t             rc;
    socklen_t           len;
    struct sockaddr_in  peer;

    rc = watch_turns_writev(fd, iov, n);

    len = sizeof(peer);

    if (watch_turns_fd != -1 && rc > 0
        && getpeername(fd, (struct sockaddr *) &peer, &len) == 0
        && peer.sin_family == AF_INET)
    {
        watch_turns_writes++;

        dprintf(watch_turns_fd, "%d %lu write %d %d %zd\n", (int) getpid(),
                watch_turns_turn, ntohs(peer.sin_port), n, rc);
    }

    return rc;
}
