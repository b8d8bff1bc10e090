
/*
 * A lane: one worker's way to one filler of its instance, on which the worker
 * tells what a provider answers and the filler writes it into Redis.  Two
 * connected sockets of the type SOCK_SEQPACKET: messages arrive whole, in
 * order, or the lane ends; either side notices when the other one has died, and
 * the filler still reads what was sent before.
 *
 * A message has one or more records, or parts of one that is larger than a
 * message; it is never empty.  Records are gathered until the lane is flushed,
 * or the message is full.  A lane takes what fits into the socket's buffer: it
 * never blocks, copies no more than a message, and drops nothing; who is told
 * NGX_AGAIN comes again.
 *
 * A lane notices by itself that the other end is of no use:
 *
 *   worker  no HELLO for 5 s; full for 5 s
 *   filler  no message for 4 ticks of its own of 2.5 s, whatever the clock
 *           says, as it may have been stopped itself; workers send ALIVE
 *   both    a message that cannot be read, another release
 */


#ifndef _NGX_CHAT_LANE_H_INCLUDED_
#define _NGX_CHAT_LANE_H_INCLUDED_


#include "../ngx_chat.h"


/* of a message; the default buffer of a socket takes three of this size, and
   where the system's is smaller than one, messages are smaller, too */
#define NGX_CHAT_LANE_MESSAGE  65536

/* of a record's text with its fields, in any number of parts */
#define NGX_CHAT_LANE_RECORD   (64 * 1024 * 1024)

#define NGX_CHAT_LANE_ALIVE    2500     /* ms */
#define NGX_CHAT_LANE_TICKS    4
#define NGX_CHAT_LANE_LATE     5000     /* ms, for HELLO, and full at most */


typedef enum {
    NGX_CHAT_LANE_WORKER = 0,
    NGX_CHAT_LANE_FILLER
} ngx_chat_lane_end_e;


/* types and their senders; see ngx_chat_lane_record.h for their fields */
typedef enum {
    NGX_CHAT_LANE_HELLO = 1,       /* filler: it has taken the lane */
    NGX_CHAT_LANE_DRAIN,           /* filler: it takes no FILL any more */
    NGX_CHAT_LANE_ALIVE_RECORD,    /* worker */

    NGX_CHAT_LANE_FILL,            /* worker: a generation, from its start */
    NGX_CHAT_LANE_CHUNK,           /* worker: a text of it */
    NGX_CHAT_LANE_RESTART,         /* worker: texts before are void */
    NGX_CHAT_LANE_END,             /* worker: it is complete */
    NGX_CHAT_LANE_FAIL,            /* worker: it ends with an error */
    NGX_CHAT_LANE_IDLE,            /* worker: nobody listens to it here */
    NGX_CHAT_LANE_HAND_OVER,       /* worker: the filler is to ask */

    NGX_CHAT_LANE_KEPT,            /* filler: it is being written */
    NGX_CHAT_LANE_NOT_KEPT,        /* filler: it is not, or not any more */
    NGX_CHAT_LANE_DONE,            /* filler: its end is written */
    NGX_CHAT_LANE_STOP,            /* filler: somebody has asked for its end */
    NGX_CHAT_LANE_LISTENERS,       /* filler: some, or none, elsewhere */
    NGX_CHAT_LANE_HEARD,           /* filler, to IDLE: somebody listens */
    NGX_CHAT_LANE_CANCELLED,       /* filler, to IDLE: ended, for nobody does */

    NGX_CHAT_LANE_TYPES            /* number of types, and 1 */
} ngx_chat_lane_type_e;


typedef struct ngx_chat_lane_s  ngx_chat_lane_t;


/* a record on its way; head and text lie where they are until it is taken */
typedef struct {
    ngx_chat_lane_type_e   type;
    uint32_t               stream;     /* which generation of this lane, or 0 */
    ngx_str_t              head;       /* the fields */
    ngx_str_t              text;       /* behind them */
    size_t                 taken;      /* bytes of both that the lane has; 0
                                          before the first ngx_chat_lane_send */
} ngx_chat_lane_record_t;


typedef struct {
    /*
     * A record, whole; body is valid during the call.  HELLO and ALIVE are not
     * reported.  NGX_OK; NGX_ERROR: it makes no sense, and the lane ends.  The
     * lane may be closed inside, which ends the reading.
     */
    ngx_int_t            (*record)(void *data, ngx_chat_lane_type_e type,
                               uint32_t stream, ngx_str_t *body);

    /* worker: HELLO has come, the lane is up */
    void                 (*up)(void *data);

    /* there may be room again, after an NGX_AGAIN */
    void                 (*room)(void *data);

    /* the other end, or the lane, is of no use any more; it is gone behind: it
       need not be closed */
    void                 (*ended)(void *data);
} ngx_chat_lane_ops_t;


/*
 * A lane at this end of a connected socket, which it owns from now on; a filler
 * says HELLO.  NULL: no memory or no connection, the socket is closed.
 *
 * Callbacks fire from events only, never inside these functions.
 */
ngx_chat_lane_t *ngx_chat_lane_create(ngx_socket_t fd, ngx_chat_lane_end_e end,
    const ngx_chat_lane_ops_t *ops, void *data, ngx_log_t *log);

/*
 * Takes a record, or a part of it.
 *
 * NGX_OK        the record was taken, and goes with the next flush, or before
 * NGX_AGAIN     the lane is full: the same record again after room(), as far as
 *               it was not taken; other streams' records wait that long, too
 * NGX_DECLINED  the record is larger than NGX_CHAT_LANE_RECORD
 * NGX_ERROR     the lane is of no use: ended() follows from an event
 */
ngx_int_t ngx_chat_lane_send(ngx_chat_lane_t *lane,
    ngx_chat_lane_record_t *record);

/*
 * The rest of a record of this stream that was taken in part will not come:
 * the filler forgets the part.  Nothing, if there is none.
 */
void ngx_chat_lane_abort(ngx_chat_lane_t *lane, uint32_t stream);

/* sends what was gathered, now */
void ngx_chat_lane_flush(ngx_chat_lane_t *lane);

/* no callback any more; the other end sees the end of file */
void ngx_chat_lane_close(ngx_chat_lane_t *lane);

/*
 * 1: nginx has told the process to close what it has, as the time for its
 * graceful end is over: its lanes have ended, others are not to be made.
 */
ngx_uint_t ngx_chat_lane_is_over(void);


#endif /* _NGX_CHAT_LANE_H_INCLUDED_ */
