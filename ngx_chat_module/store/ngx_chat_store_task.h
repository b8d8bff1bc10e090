
/*
 * A task as fields of an entry of a queue: written by the worker's side and by
 * the filler's, read by ngx_chat_store_task_take().
 *
 * Private to store/.
 */


#ifndef _NGX_CHAT_STORE_TASK_H_INCLUDED_
#define _NGX_CHAT_STORE_TASK_H_INCLUDED_


#include "ngx_chat_call.h"
#include "ngx_chat_store_worker.h"


/* names and values, as arguments of the call */
void ngx_chat_store_task_add_fields(ngx_chat_call_t *call,
    ngx_chat_task_t *task);


#endif /* _NGX_CHAT_STORE_TASK_H_INCLUDED_ */
