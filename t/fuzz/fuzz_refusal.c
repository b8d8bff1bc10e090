
/*
 * The refusal of a provider: only short words of it go to the log.
 */


#include "fuzz.h"
#include "ngx_chat_refusal.h"


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    size_t               i;
    u_char               ch;
    ngx_str_t            body;
    ngx_pool_t          *pool;
    ngx_chat_refusal_t   rf;

    pool = ut_pool();

    body.len = size;
    body.data = (u_char *) data;

    ngx_chat_refusal_parse(&rf, &body, pool);

    fuzz_must(rf.len <= NGX_CHAT_REFUSAL_WORDS, "the room for words");

    for (i = 0; i < rf.len; i++) {
        ch = rf.words[i];

        fuzz_must((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
                  || (ch >= '0' && ch <= '9') || ch == '_' || ch == '.'
                  || ch == '-' || ch == ' ',
                  "words alone");
    }

    fuzz_must(rf.len == 0 || (rf.words[0] != ' '
                              && rf.words[rf.len - 1] != ' '),
              "spaces in between");

    ngx_destroy_pool(pool);

    return 0;
}
