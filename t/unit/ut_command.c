
#include "ut_command.h"

#include "../../ngx_chat_module/store/ngx_chat_scripts.h"
#include "../../ngx_chat_module/codec/ngx_chat_resp.h"
#include "../../ngx_chat_module/redis/ngx_chat_redis_pubsub.h"

#include <ngx_sha1.h>
#include <stdio.h>


#define UT_SCRIPT  "EVALSHA 0000000000000000000000000000000000000000 "


ngx_str_t  ngx_chat_lua_open = ngx_string("open");
ngx_str_t  ngx_chat_lua_update = ngx_string("update");
ngx_str_t  ngx_chat_lua_check = ngx_string("check");
ngx_str_t  ngx_chat_lua_claim = ngx_string("claim");
ngx_str_t  ngx_chat_lua_append = ngx_string("append");
ngx_str_t  ngx_chat_lua_finish = ngx_string("finish");
ngx_str_t  ngx_chat_lua_fail = ngx_string("fail");
ngx_str_t  ngx_chat_lua_cancel = ngx_string("cancel");
ngx_str_t  ngx_chat_lua_push = ngx_string("push");
ngx_str_t  ngx_chat_lua_insure = ngx_string("insure");
ngx_str_t  ngx_chat_lua_done = ngx_string("done");
ngx_str_t  ngx_chat_lua_give_back = ngx_string("give_back");
ngx_str_t  ngx_chat_lua_idle = ngx_string("idle");
ngx_str_t  ngx_chat_lua_sweep = ngx_string("sweep");
ngx_str_t  ngx_chat_lua_waiting = ngx_string("waiting");
ngx_str_t  ngx_chat_lua_probe = ngx_string("probe");

char  ut_command[UT_COMMAND_SIZE];

static ngx_chat_redis_reply_pt   ut_command_handler;
static void                     *ut_command_data;
static ngx_chat_redis_reply_pt   ut_earlier_handler;
static void                     *ut_earlier_data;

static void ut_reply_to(ngx_chat_redis_reply_pt handler, void *data,
    const char *bytes);


ngx_chat_redis_cmd_t *
ngx_chat_redis_command(ngx_chat_redis_t *rd, ngx_str_t *argv, ngx_uint_t argc,
    ngx_msec_t timeout, ngx_chat_redis_reply_pt handler, void *data)
{
    char        *p;
    ngx_uint_t   i;

    p = ut_command;

    for (i = 0; i < argc; i++) {
        p += sprintf(p, "%s%.*s", i ? " " : "", (int) argv[i].len,
                     (char *) argv[i].data);
    }

    ut_earlier_handler = ut_command_handler;
    ut_earlier_data = ut_command_data;

    ut_command_handler = handler;
    ut_command_data = data;

    return (ngx_chat_redis_cmd_t *) ut_command;
}


void
ngx_chat_redis_cmd_cancel(ngx_chat_redis_cmd_t *cmd)
{
    ut_command_handler = NULL;
}


ngx_uint_t
ngx_chat_redis_is_down(ngx_chat_redis_t *rd)
{
    return 0;
}


ngx_uint_t
ngx_chat_redis_is_dropped(ngx_chat_redis_t *rd)
{
    return 0;
}


ngx_uint_t
ngx_chat_redis_is_partial(ngx_chat_redis_t *rd)
{
    return 0;
}


ngx_uint_t
ngx_chat_redis_count_left(ngx_chat_redis_t *rd)
{
    return 0;
}


void
ngx_chat_pubsub_reconnect(ngx_chat_pubsub_t *ps)
{
}


/* the name of a script does not matter */

void
ngx_sha1_init(ngx_sha1_t *ctx)
{
}


void
ngx_sha1_update(ngx_sha1_t *ctx, const void *data, size_t size)
{
}


void
ngx_sha1_final(u_char result[20], ngx_sha1_t *ctx)
{
    ngx_memzero(result, 20);
}


/* without the name of a script */

ngx_uint_t
ut_sent(const char *args)
{
    const char  *sent;

    sent = ut_command;

    if (strncmp(sent, UT_SCRIPT, sizeof(UT_SCRIPT) - 1) == 0) {
        sent += sizeof(UT_SCRIPT) - 1;
    }

    if (strcmp(sent, args) != 0) {
        printf("# sent: %s\n", sent);
        return 0;
    }

    return 1;
}


void
ut_reply(const char *bytes)
{
    ngx_chat_redis_reply_pt  handler;

    handler = ut_command_handler;
    ut_command_handler = NULL;

    ut_reply_to(handler, ut_command_data, bytes);
}


void
ut_reply_earlier(const char *bytes)
{
    ut_reply_to(ut_earlier_handler, ut_earlier_data, bytes);
}


static void
ut_reply_to(ngx_chat_redis_reply_pt handler, void *data, const char *bytes)
{
    ngx_str_t          in;
    ngx_chat_resp_t   *resp;
    ngx_chat_reply_t  *reply;

    if (bytes[0] == '\0') {
        handler(data, NULL);
        return;
    }

    resp = ngx_chat_resp_create(65536);
    in = ut_str(bytes);

    if (ngx_chat_resp_feed(resp, in.data, in.len) == NGX_OK
        && ngx_chat_resp_next(resp, &reply) == NGX_OK)
    {
        handler(data, reply);
        ngx_chat_reply_free(reply);
    }

    ut_free(&in);
    ngx_chat_resp_free(resp);
}


ngx_uint_t
ut_pending(void)
{
    return ut_command_handler != NULL;
}
