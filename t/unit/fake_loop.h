
/*
 * nginx's event loop for unit tests: timers on a clock that the test moves,
 * posted events, and the trees both and the index of the hub live in.
 */


#ifndef _FAKE_LOOP_H_INCLUDED_
#define _FAKE_LOOP_H_INCLUDED_


#include "ut.h"
#include <ngx_event.h>


void fake_loop_init(void);

/* moves the clock, fires what is due, and handles posted events */
void fake_loop_run(ngx_msec_t ms);

/* ms to the next timer, -1: there is none */
ngx_int_t fake_loop_next(void);


#endif /* _FAKE_LOOP_H_INCLUDED_ */
