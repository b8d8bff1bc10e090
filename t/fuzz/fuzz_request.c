
/*
 * The body of POST /chat: a question that is accepted keeps the rules, and
 * written anew it is the same.  The same bytes are read as those of a purge.
 */


#include "fuzz.h"
#include "ngx_chat_json.h"
#include "ngx_chat_request.h"


#define FUZZ_MAX_QUESTION  24


static void fuzz_any(ngx_chat_request_t *rq, ngx_int_t rc, ngx_str_t *body,
    ngx_pool_t *pool);
static void fuzz_purge(ngx_str_t *body, ngx_pool_t *pool);
static void fuzz_again(ngx_chat_request_t *rq, ngx_pool_t *pool);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    ngx_int_t            rc;
    ngx_str_t            body;
    ngx_pool_t          *pool;
    ngx_chat_request_t   rq;

    pool = ut_pool();

    body.len = size;
    body.data = (u_char *) data;

    rc = ngx_chat_request_parse(&rq, &body, FUZZ_MAX_QUESTION, pool);

    fuzz_any(&rq, rc, &body, pool);

    if (rc == NGX_OK) {
        fuzz_json(&body);
        fuzz_text(&rq.question);
        fuzz_must(rq.question.len <= FUZZ_MAX_QUESTION, "within the limit");
        fuzz_must(rq.error.len == 0 && rq.use_cache <= 1, "no error");
        fuzz_again(&rq, pool);

    } else if (rc == NGX_DECLINED) {
        fuzz_json(&body);
        fuzz_must(rq.error.len, "an error has a text");

    } else {
        fuzz_must(rc == NGX_ABORT && rq.error.len, "not JSON, with a text");
    }

    fuzz_purge(&body, pool);

    ngx_destroy_pool(pool);

    return 0;
}


/* the short way for the usual form is no other one */

static void
fuzz_any(ngx_chat_request_t *rq, ngx_int_t rc, ngx_str_t *body,
    ngx_pool_t *pool)
{
    ngx_chat_request_t  any;

    fuzz_must(ngx_chat_request_parse_any(&any, body, FUZZ_MAX_QUESTION, pool)
              == rc, "the same result");

    if (rc == NGX_OK) {
        fuzz_must(ut_same(&any.question, &rq->question)
                  && any.use_cache == rq->use_cache, "the same fields");

    } else {
        fuzz_must(any.error.data == rq->error.data, "the same error");
    }
}


static void
fuzz_purge(ngx_str_t *body, ngx_pool_t *pool)
{
    size_t               i;
    ngx_int_t            rc;
    ngx_chat_request_t   rq;

    rc = ngx_chat_request_parse_purge(&rq, body, FUZZ_MAX_QUESTION, pool);

    if (rc == NGX_ABORT || rc == NGX_DECLINED) {
        fuzz_must(rq.error.len, "a purge that is refused, with a text");
        return;
    }

    fuzz_must(rc == NGX_OK && rq.error.len == 0, "a purge");

    if (rq.key.len == 0) {
        fuzz_text(&rq.question);
        fuzz_must(rq.question.len && rq.question.len <= FUZZ_MAX_QUESTION,
                  "a purge by its question");
        return;
    }

    fuzz_must(rq.question.len == 0 && rq.key.len == NGX_CHAT_HASH_LEN,
              "a purge by its key");

    for (i = 0; i < rq.key.len; i++) {
        fuzz_must(rq.key.data[i]
                  && strchr("0123456789abcdef", rq.key.data[i]),
                  "a key of digits");
    }
}


static void
fuzz_again(ngx_chat_request_t *rq, ngx_pool_t *pool)
{
    u_char              *p;
    ngx_str_t            body;
    ngx_chat_request_t   again;

    body.len = sizeof("{\"question\":\"\",\"use_cache\":false}") - 1
               + ngx_chat_json_escaped_len(rq->question.data,
                                           rq->question.len);
    body.data = ngx_pnalloc(pool, body.len);

    p = ngx_cpymem(body.data, "{\"question\":\"", 13);
    p = ngx_chat_json_escape(p, rq->question.data, rq->question.len);
    p = ngx_cpymem(p, "\",\"use_cache\":", 14);
    p = rq->use_cache ? ngx_cpymem(p, "true}", 5) : ngx_cpymem(p, "false}", 6);

    body.len = p - body.data;

    fuzz_must(ngx_chat_request_parse(&again, &body, rq->question.len, pool)
              == NGX_OK, "a question written anew");
    fuzz_must(ut_same(&again.question, &rq->question)
              && again.use_cache == rq->use_cache, "the same question");
}
