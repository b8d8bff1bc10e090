
/*
 * nginx's event loop for unit tests: timers on a clock that the test moves,
 * posted events, and the trees both and the index of the hub live in.
 */


#ifndef _FAKE_LOOP_H_INCLUDED_
#define _FAKE_LOOP_H_INCLUDED_


#include "ut.h"
#include <ngx_event.h>


/* us, of ngx_chat_metrics_clock(), which stands still unless a test moves it */
extern uint64_t  fake_clock;


void fake_loop_init(void);

/*
 * Moves the clock, fires what is due, and handles posted events; a turn of the
 * loop, and one more for each timer.
 */
void fake_loop_run(ngx_msec_t ms);

/* events that were posted for the next turn are due in this one */
void fake_loop_move_next(void);

/* ms to the next timer, -1: there is none */
ngx_int_t fake_loop_next(void);


#endif /* _FAKE_LOOP_H_INCLUDED_ */
