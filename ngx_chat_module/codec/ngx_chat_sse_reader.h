
/*
 * Server-Sent Events from a provider, read at any byte boundary (WHATWG HTML,
 * "9.2.6 Interpreting an event stream"): LF, CR and CRLF, comments, a missing
 * space after the colon, several data lines, a byte order mark at the start.
 * Other fields are skipped but for two that make the event an error: the name
 * "error", or a line "error: ..." in place of data, as llama.cpp sends.
 */


#ifndef _NGX_CHAT_SSE_READER_H_INCLUDED_
#define _NGX_CHAT_SSE_READER_H_INCLUDED_


#include "ngx_chat_bytes.h"


#define NGX_CHAT_SSE_READER_WORD  6    /* longer than any word that matters */


typedef struct {
    ngx_chat_bytes_t   data;       /* max is the limit of one event's data */
    ngx_uint_t         state;
    ngx_uint_t         field;      /* bytes in word */
    u_char             word[NGX_CHAT_SSE_READER_WORD];
    unsigned           has_data:1;
    unsigned           error_line:1;  /* data is from an "error" line */
    unsigned           error_name:1;  /* the event is named "error" */
    unsigned           ready:1;
    unsigned           cr:1;       /* the last byte was a CR */
} ngx_chat_sse_reader_t;


/* max: the most bytes the data of one event may have */
void ngx_chat_sse_reader_init(ngx_chat_sse_reader_t *sr, size_t max);

/*
 * Reads from b->pos on.
 *
 * NGX_OK     an event that has data, or is an error, is complete: data and the
 *            error flags are valid until the next call; b may have bytes left
 * NGX_AGAIN  b is used up
 * NGX_ERROR  over the limit, or no memory; the reader is of no use any more
 */
ngx_int_t ngx_chat_sse_reader_read(ngx_chat_sse_reader_t *sr, ngx_buf_t *b);

/* after NGX_AGAIN, before a pause: no room is kept for data to come */
void ngx_chat_sse_reader_shrink(ngx_chat_sse_reader_t *sr);

void ngx_chat_sse_reader_free(ngx_chat_sse_reader_t *sr);


#endif /* _NGX_CHAT_SSE_READER_H_INCLUDED_ */
