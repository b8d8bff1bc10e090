
/*
 * The texts of lua/<name>.lua, made into C by scripts/lua-to-c.
 */


#ifndef _NGX_CHAT_SCRIPTS_H_INCLUDED_
#define _NGX_CHAT_SCRIPTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


extern ngx_str_t  ngx_chat_lua_open;
extern ngx_str_t  ngx_chat_lua_update;
extern ngx_str_t  ngx_chat_lua_check;

extern ngx_str_t  ngx_chat_lua_claim;
extern ngx_str_t  ngx_chat_lua_append;
extern ngx_str_t  ngx_chat_lua_finish;
extern ngx_str_t  ngx_chat_lua_fail;
extern ngx_str_t  ngx_chat_lua_cancel;

extern ngx_str_t  ngx_chat_lua_push;
extern ngx_str_t  ngx_chat_lua_insure;
extern ngx_str_t  ngx_chat_lua_done;
extern ngx_str_t  ngx_chat_lua_give_back;
extern ngx_str_t  ngx_chat_lua_idle;
extern ngx_str_t  ngx_chat_lua_sweep;
extern ngx_str_t  ngx_chat_lua_waiting;
extern ngx_str_t  ngx_chat_lua_probe;


#endif /* _NGX_CHAT_SCRIPTS_H_INCLUDED_ */
