
/*
 * A connection to Redis that is the test: sees the command that was sent last,
 * and answers it.
 */


#ifndef _UT_COMMAND_H_INCLUDED_
#define _UT_COMMAND_H_INCLUDED_


#include "ut.h"
#include "../../ngx_chat_module/redis/ngx_chat_redis.h"


#define UT_COMMAND_SIZE  4096


/* the arguments, with a space between them */
extern char  ut_command[UT_COMMAND_SIZE];


/* is this the command, or the script with these keys and arguments? */
ngx_uint_t ut_sent(const char *args);

/* a reply in RESP; "": the connection is lost */
void ut_reply(const char *bytes);

/* likewise, to the command that went out before the last one */
void ut_reply_earlier(const char *bytes);

/* is there a command that was not answered? */
ngx_uint_t ut_pending(void);


#endif /* _UT_COMMAND_H_INCLUDED_ */
