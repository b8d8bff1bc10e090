
/*
 * Shared memory of a test in place of nginx's: one zone, whose memory is never
 * given back, and not clear when it is new.
 */


#ifndef _UT_ZONE_H_INCLUDED_
#define _UT_ZONE_H_INCLUDED_


#include "ut.h"


/* the zone that was asked for last, as nginx maps and inits it at a start */
ngx_int_t ut_zone_start(void);
void ut_zone_end(void);

/* a configuration, with a pool that lasts until the end */
void ut_zone_conf(ngx_conf_t *cf);


#endif /* _UT_ZONE_H_INCLUDED_ */
