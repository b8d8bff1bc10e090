
/*
 * A subscriber as the hub sees it.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_SUB_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_SUB_PRIVATE_H_INCLUDED_


#include "ngx_chat_channel.h"


/*
 * Sheets that a subscriber holds at once: more than go well together in one
 * write, as long as frames are of the usual length.
 */
#define NGX_CHAT_SUB_SHEETS  16


struct ngx_chat_sub_s {
    ngx_chat_wake_t        wake;       /* of channel->wakes */
    ngx_chat_channel_t    *channel;
    ngx_chat_entry_t     **next;       /* the link to the next entry, in the
                                          contents of that fill */
    ngx_uint_t             fill;
    ngx_chat_question_t   *question;   /* to be asked again, until it is fed */
    ngx_chat_ask_t        *ask;        /* until that is answered */

    const ngx_chat_dialect_t  *dialect;
    ngx_uint_t             reasks;     /* times asked again */

    /* taken since the last "processing", of which there were so many */
    size_t                 taken;
    ngx_uint_t             chunks;
    ngx_uint_t             restarts;

    /* of the next entry, these were taken already */
    size_t                 passed;
    ngx_uint_t             passed_chunks;

    ngx_uint_t             nsheets;
    ngx_chat_sheet_t      *sheets[NGX_CHAT_SUB_SHEETS];

    unsigned               within:1;   /* the last piece ends within an event */
    unsigned               done:1;     /* the terminal entry was taken */
};


#endif /* _NGX_CHAT_SUB_PRIVATE_H_INCLUDED_ */
