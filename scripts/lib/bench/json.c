
#include "bench.h"

#include <string.h>


static void bench_json_utf8(bench_buf_t *b, uint32_t c);
static int bench_json_hex4(const char *p, uint32_t *c);
static int bench_json_escape(bench_json_t *j, uint32_t *c);
static int bench_json_skip_depth(bench_json_t *j, int depth);


char
bench_json_peek(bench_json_t *j)
{
    while (j->pos < j->last
           && (*j->pos == ' ' || *j->pos == '\n' || *j->pos == '\r'
               || *j->pos == '\t'))
    {
        j->pos++;
    }

    return j->pos < j->last ? *j->pos : '\0';
}


int
bench_json_end(bench_json_t *j)
{
    return bench_json_peek(j) ? -1 : 0;
}


static void
bench_json_utf8(bench_buf_t *b, uint32_t c)
{
    char    p[4];
    size_t  n;

    if (c < 0x80) {
        p[0] = (char) c;
        n = 1;

    } else if (c < 0x800) {
        p[0] = (char) (0xc0 | c >> 6);
        p[1] = (char) (0x80 | (c & 63));
        n = 2;

    } else if (c < 0x10000) {
        p[0] = (char) (0xe0 | c >> 12);
        p[1] = (char) (0x80 | (c >> 6 & 63));
        p[2] = (char) (0x80 | (c & 63));
        n = 3;

    } else {
        p[0] = (char) (0xf0 | c >> 18);
        p[1] = (char) (0x80 | (c >> 12 & 63));
        p[2] = (char) (0x80 | (c >> 6 & 63));
        p[3] = (char) (0x80 | (c & 63));
        n = 4;
    }

    bench_buf_add(b, p, n);
}


static int
bench_json_hex4(const char *p, uint32_t *c)
{
    int          i;
    const char  *at;

    static const char  digits[] = "0123456789abcdef0123456789ABCDEF";

    *c = 0;

    for (i = 0; i < 4; i++) {
        at = p[i] ? strchr(digits, p[i]) : NULL;

        if (at == NULL) {
            return -1;
        }

        *c = *c << 4 | ((uint32_t) (at - digits) & 15);
    }

    return 0;
}


/* behind the backslash */

static int
bench_json_escape(bench_json_t *j, uint32_t *c)
{
    uint32_t     low;
    const char  *at;

    static const char  names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";

    if (j->pos == j->last) {
        return -1;
    }

    if (*j->pos != 'u') {
        at = *j->pos ? strchr(names, *j->pos) : NULL;

        if (at == NULL) {
            return -1;
        }

        *c = (uint32_t) values[at - names];
        j->pos++;

        return 0;
    }

    j->pos++;

    if (j->last - j->pos < 4 || bench_json_hex4(j->pos, c)) {
        return -1;
    }

    j->pos += 4;

    if (*c < 0xd800 || *c > 0xdfff) {
        return 0;
    }

    if (*c >= 0xdc00 || j->last - j->pos < 6 || j->pos[0] != '\\'
        || j->pos[1] != 'u' || bench_json_hex4(j->pos + 2, &low)
        || low < 0xdc00 || low > 0xdfff)
    {
        return -1;
    }

    j->pos += 6;
    *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);

    return 0;
}


int
bench_json_string(bench_json_t *j, bench_buf_t *out)
{
    uint32_t     c;
    const char  *from;

    if (bench_json_peek(j) != '"') {
        return -1;
    }

    j->pos++;
    from = j->pos;

    while (j->pos < j->last) {

        if (*j->pos != '"' && *j->pos != '\\') {
            if ((unsigned char) *j->pos < 0x20) {
                return -1;
            }

            j->pos++;
            continue;
        }

        if (out) {
            bench_buf_add(out, from, (size_t) (j->pos - from));
        }

        if (*j->pos++ == '"') {
            return 0;
        }

        if (bench_json_escape(j, &c)) {
            return -1;
        }

        if (out) {
            bench_json_utf8(out, c);
        }

        from = j->pos;
    }

    return -1;
}


/* a key that does not fit is cut: none of those looked for is so long */

int
bench_json_key(bench_json_t *j, int *first, char *key, size_t size)
{
    size_t       n;
    const char  *from;

    if (*first ? bench_json_peek(j) != '{'
               : bench_json_peek(j) != ',' && bench_json_peek(j) != '}')
    {
        return -1;
    }

    if (*j->pos++ == '}') {
        return 0;
    }

    if (*first && bench_json_peek(j) == '}') {
        j->pos++;
        return 0;
    }

    *first = 0;

    if (bench_json_peek(j) != '"') {
        return -1;
    }

    from = j->pos + 1;

    if (bench_json_string(j, NULL)) {
        return -1;
    }

    n = (size_t) (j->pos - 1 - from);
    n = n < size ? n : size - 1;
    memcpy(key, from, n);
    key[n] = '\0';

    if (bench_json_peek(j) != ':') {
        return -1;
    }

    j->pos++;

    return 1;
}


int
bench_json_elem(bench_json_t *j, int *first)
{
    char  c;

    c = bench_json_peek(j);

    if (*first) {
        if (c != '[') {
            return -1;
        }

        j->pos++;
        *first = 0;

        if (bench_json_peek(j) != ']') {
            return 1;
        }

        j->pos++;

        return 0;
    }

    if (c != ',' && c != ']') {
        return -1;
    }

    j->pos++;

    return c == ',';
}


int
bench_json_skip(bench_json_t *j)
{
    return bench_json_skip_depth(j, 0);
}


static int
bench_json_skip_depth(bench_json_t *j, int depth)
{
    int          rc, first;
    char         key[8];
    const char  *from;

    if (depth > 64) {
        return -1;
    }

    first = 1;

    switch (bench_json_peek(j)) {

    case '"':
        return bench_json_string(j, NULL);

    case '{':
        while ((rc = bench_json_key(j, &first, key, sizeof(key))) == 1) {
            if (bench_json_skip_depth(j, depth + 1)) {
                return -1;
            }
        }

        return rc;

    case '[':
        while ((rc = bench_json_elem(j, &first)) == 1) {
            if (bench_json_skip_depth(j, depth + 1)) {
                return -1;
            }
        }

        return rc;

    default:
        from = j->pos;

        while (j->pos < j->last && *j->pos
               && strchr("+-.0123456789truefalsnE", *j->pos))
        {
            j->pos++;
        }

        return j->pos > from ? 0 : -1;
    }
}
