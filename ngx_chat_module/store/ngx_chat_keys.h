
/*
 * The names of all keys.  S = "chat:stream:<h>"; its sub-keys carry S as hash
 * tag, so that all keys of one question share a slot of a Redis Cluster.  "1"
 * is the version of the layout.
 *
 *     S                      the cached answer, complete or absent
 *     {S}:1:live:<fp>        the id of the generation others may join
 *     {S}:1:gen:<id>         one generation as it grows; its pub/sub channel
 *     {S}:1:gen:<id>:own     who writes it, and how far it is
 *     {S}:1:update:<fp>      the id of the last generation that was opened to
 *                            replace an answer past its TTL
 *     chat:tasks:1           the task queue, with consumer group "fill"
 *     chat:led:1:{chat:tasks:1}
 *                            tasks of led generations, with the same group
 *     chat:limit:1:{chat:tasks:1}:<name>
 *                            how many generations a name has begun lately
 */


#ifndef _NGX_CHAT_KEYS_H_INCLUDED_
#define _NGX_CHAT_KEYS_H_INCLUDED_


#include "ngx_chat_store.h"


#define NGX_CHAT_KEY_STREAM   "chat:stream:"
#define NGX_CHAT_KEY_TASKS    "chat:tasks:1"
#define NGX_CHAT_KEY_LED      "chat:led:1:{" NGX_CHAT_KEY_TASKS "}"
#define NGX_CHAT_KEY_LIMIT    "chat:limit:1:{" NGX_CHAT_KEY_TASKS "}:"
#define NGX_CHAT_KEY_GROUP    "fill"
#define NGX_CHAT_KEY_MAX      192


/* the names of one generation, in room of their own */
typedef struct {
    ngx_str_t        stream;       /* S */
    ngx_str_t        live;
    ngx_str_t        gen;
    ngx_str_t        own;
    ngx_str_t        update;
    u_char           room[5 * NGX_CHAT_KEY_MAX];
} ngx_chat_keys_t;


void ngx_chat_keys_init(ngx_chat_keys_t *keys, ngx_chat_gen_t *gen);

/* a stream entry's id, "<ms>-<n>"; NGX_OK, NGX_DECLINED */
ngx_int_t ngx_chat_keys_parse_entry(ngx_str_t *id, uint64_t *ms, uint64_t *n);

/* len lower-case hex digits, as all our names are; NGX_OK, NGX_DECLINED */
ngx_int_t ngx_chat_keys_check_hex(ngx_str_t *s, size_t len);


#endif /* _NGX_CHAT_KEYS_H_INCLUDED_ */
