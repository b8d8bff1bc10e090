
/*
 * The data of one event of a provider: what is taken from it can be sent on
 * and stored.
 */


#include "fuzz.h"
#include "ngx_chat_delta.h"


static void fuzz_delta(ngx_chat_delta_t *d, ngx_str_t *data);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    ngx_int_t          rc;
    ngx_str_t          event;
    ngx_pool_t        *pool;
    ngx_chat_delta_t   d;

    pool = ut_pool();

    ngx_memzero(&d, sizeof(ngx_chat_delta_t));

    event.len = size;
    event.data = (u_char *) data;

    ngx_memzero(&d, sizeof(ngx_chat_delta_t));

    /* half a character from the event before, and the name of the event */

    d.half = (size % 3 == 0) ? 0xd83d : 0;
    d.is_error = (size % 7 == 0);

    rc = ngx_chat_delta_parse(&d, &event, pool);

    if (rc == NGX_OK) {
        fuzz_delta(&d, &event);

    } else {
        fuzz_must(rc == NGX_DONE || rc == NGX_DECLINED || rc == NGX_ERROR,
                  "the result");
    }

    ngx_destroy_pool(pool);

    return 0;
}


static void
fuzz_delta(ngx_chat_delta_t *d, ngx_str_t *data)
{
    ngx_chat_event_t  ev = { NGX_CHAT_STREAMING, d->text, d->finish };

    fuzz_text(&d->text);
    fuzz_text(&d->model);
    fuzz_frame(&ev);

    ev.status = NGX_CHAT_COMPLETED;
    fuzz_frame(&ev);

    fuzz_must(d->finish.len <= 32 && d->error_code <= 999999999, "limits");
    fuzz_must(d->is_error || d->error_code == 0, "a code of an error");
    fuzz_must(d->half == 0 || (d->half >= 0xd800 && d->half <= 0xdbff),
              "half a character");

    if (d->usage.len) {
        fuzz_must(d->usage.data > data->data && d->usage.data[0] == '{'
                  && d->usage.data + d->usage.len < data->data + data->len,
                  "usage is an object in the input");
        fuzz_json(&d->usage);
    }
}
