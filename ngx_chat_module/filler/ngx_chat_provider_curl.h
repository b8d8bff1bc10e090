
/*
 * The filler's transport to providers: libcurl.  The context of a call is the
 * filler's ngx_chat_curl_t.  text() fires inside libcurl, and not inside start.
 */


#ifndef _NGX_CHAT_PROVIDER_CURL_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_CURL_H_INCLUDED_


#include "ngx_chat_curl.h"
#include "../provider/ngx_chat_provider_call.h"


extern const ngx_chat_transport_t  ngx_chat_provider_curl_transport;


#endif /* _NGX_CHAT_PROVIDER_CURL_H_INCLUDED_ */
