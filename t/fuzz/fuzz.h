
/*
 * A harness is a program of libFuzzer for one codec: it reads any input, and
 * aborts where what comes out is not what the codec's header says.
 */


#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include "../unit/ut.h"
#include "ngx_chat_resp.h"


int LLVMFuzzerTestOneInput(const u_char *data, size_t size);

/* aborts unless it is so */
void fuzz_must(ngx_uint_t ok, const char *what);

/* valid UTF-8 */
void fuzz_text(ngx_str_t *s);

/* a JSON value of at most 32 levels */
void fuzz_json(ngx_str_t *s);

/* the frame that clients would get is one line of valid JSON */
void fuzz_frame(ngx_chat_event_t *ev);

/* appends a reply and all below it, as the access functions have them */
void fuzz_reply(ngx_chat_bytes_t *b, ngx_chat_reply_t *reply);

void fuzz_append(ngx_chat_bytes_t *b, const void *p, size_t len);
void fuzz_append_str(ngx_chat_bytes_t *b, ngx_str_t *s);
void fuzz_append_text(ngx_chat_bytes_t *b, const char *text);


#endif /* _FUZZ_H_INCLUDED_ */
