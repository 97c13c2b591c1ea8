/* SPDX-License-Identifier: Apache-2.0
 * template_lex.c - template text to tokens, with Jinja's white space rules as chat templates are
 * rendered with them: trim_blocks (a newline after a block or comment tag goes), lstrip_blocks
 * (blanks before one at the start of a line go), "-" and "+" at a tag's ends, one final newline
 * dropped,
 * "\r\n" read as "\n", {% raw %}. */
#include <string.h>
#include <utf8proc.h>
#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/text/template_node.h"

enum { MAX_BRACKETS = JINJA_MAX_NEST };

struct lexer {
    struct arena *a;
    const char *s;
    size_t n, at;
    uint32_t line;
    struct jtokens *tokens;
    struct fk_error *err;
    bool line_start; /* what was read last ended with a newline, or nothing was */
    char brackets[MAX_BRACKETS];
    int n_brackets;
};

static enum fk_status bad(struct lexer *x, const char *what)
{
    return fail(x->err, FK_EFORMAT, "chat template, line %u: %s", x->line, what);
}

static enum fk_status nomem(struct lexer *x)
{
    return fail_nomem(x->err, x->n, "reading a chat template");
}

static struct jtoken *add(struct lexer *x, enum jtoken_kind kind)
{
    struct jtokens *t = x->tokens;
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 256;
        struct jtoken *p = mem_realloc(t->v, cap * sizeof *p, MEM_TEXT);
        if (!p) return NULL;
        t->v = p;
        t->cap = cap;
    }
    t->v[t->n] = (struct jtoken){.kind = (uint8_t)kind, .line = x->line};
    return &t->v[t->n++];
}

static void count_lines(struct lexer *x, size_t from, size_t to)
{
    for (; from < to; from++) x->line += x->s[from] == '\n';
}

static size_t skip_space(const struct lexer *x, size_t at)
{
    size_t len;
    while (at < x->n && jinja_is_space(utf8_decode(x->s + at, x->n - at, &len))) at += len;
    return at;
}

static bool is_at(const struct lexer *x, size_t at, const char *word)
{
    size_t n = strlen(word);
    return x->n - at >= n && !memcmp(x->s + at, word, n);
}

/* Where text before a tag ends: sign is the character after the tag's opening. */
static size_t strip_before(const struct lexer *x, size_t from, size_t to, char sign, bool is_var)
{
    struct jvalue text = jinja_str(x->s + from, to - from, true);
    if (sign == '-') return from + jinja_trim(text, NULL, JTRIM_RIGHT).n;
    if (sign == '+' || is_var) return to;
    size_t line = to;
    while (line > from && x->s[line - 1] != '\n') line--;
    if (line == from && !x->line_start) return to;
    struct jvalue rest = jinja_str(x->s + line, to - line, true);
    return jinja_trim(rest, NULL, JTRIM_LEFT).n ? to : line;
}

/* x->at stands on a block's or comment's last two characters (close), perhaps behind a sign. Moves
 * behind them and what they strip. */
static void end_tag(struct lexer *x, const char *close, bool trims)
{
    size_t begin = x->at;
    char sign = x->s[x->at];
    if (sign == '-' || sign == '+') x->at++;
    x->at += strlen(close);
    if (sign == '-') x->at = skip_space(x, x->at);
    else if (trims && sign != '+' && x->at < x->n && x->s[x->at] == '\n') x->at++;
    x->line_start = x->s[x->at - 1] == '\n';
    count_lines(x, begin, x->at);
}

/* At "}}" or "%}", perhaps behind a sign? */
static bool at_end(const struct lexer *x, size_t at, const char *close, bool plus)
{
    if (at < x->n && (x->s[at] == '-' || (plus && x->s[at] == '+'))) at++;
    return is_at(x, at, close);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                                              : -1;
}

/* Reads n hex digits (or up to 3 octal ones when n is 0) at *at. False: not there. */
static bool digits(const char *s, size_t end, size_t *at, int n, uint32_t *cp)
{
    *cp = 0;
    if (!n) {
        for (int i = 0; i < 3 && *at < end && s[*at] >= '0' && s[*at] <= '7'; i++)
            *cp = *cp * 8 + (uint32_t)(s[(*at)++] - '0');
        return true;
    }
    for (int i = 0; i < n; i++, (*at)++) {
        int d = *at < end ? hex(s[*at]) : -1;
        if (d < 0) return false;
        *cp = *cp * 16 + (uint32_t)d;
    }
    return true;
}

/* Python's escapes of a plain string literal; unknown ones stay as they are. */
static enum fk_status unescape(struct lexer *x, size_t from, size_t to, struct jtoken *t)
{
    static const char simple[] = "\\\\''\"\"n\nr\rt\ta\ab\bf\fv\v";
    char *out = arena_strndup(x->a, x->s + from, to - from);
    if (!out) return nomem(x);
    size_t n = 0;
    for (size_t i = from; i < to;) {
        if (x->s[i] != '\\') {
            out[n++] = x->s[i++];
            continue;
        }
        char c = x->s[++i]; /* the literal's end was found past it */
        const char *p = c ? strchr(simple, c) : NULL;
        if (p && (p - simple) % 2) p = NULL;
        uint32_t cp = 0;
        size_t at = i + (c < '0' || c > '7');
        int n_hex = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (p) {
            out[n++] = p[1];
            i++;
        } else if (c == '\n') {
            i++;
        } else if (n_hex || (c >= '0' && c <= '7')) {
            size_t len = digits(x->s, to, &at, n_hex, &cp) ? utf8_encode(cp, out + n) : 0;
            if (!len) return bad(x, "a string has an escape that is no character");
            n += len;
            i = at;
        } else {
            out[n++] = '\\';
        }
    }
    t->s = out;
    t->n = n;
    return FK_OK;
}

static enum fk_status lex_string(struct lexer *x)
{
    char quote = x->s[x->at];
    size_t i = x->at + 1;
    while (i < x->n && x->s[i] != quote) i += x->s[i] == '\\' ? 2 : 1;
    if (i >= x->n) return bad(x, "a string is not closed");
    struct jtoken *t = add(x, T_STR);
    if (!t) return nomem(x);
    enum fk_status status = unescape(x, x->at + 1, i, t);
    count_lines(x, x->at, i);
    x->at = i + 1;
    return status;
}

static enum fk_status integer(struct lexer *x, const char *text, struct jtoken *t)
{
    int base = 10;
    if (text[0] == '0' && text[1]) {
        char c = (char)(text[1] | 32);
        base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
    }
    uint64_t v = 0;
    for (const char *p = text + (base == 10 ? 0 : 2); *p; p++) {
        int d = hex(*p);
        if (d < 0 || d >= base) return bad(x, "a number is malformed");
        if (v > ((uint64_t)INT64_MAX - (uint64_t)d) / (uint64_t)base)
            return bad(x, "a number does not fit 64 bits");
        v = v * (uint64_t)base + (uint64_t)d;
    }
    t->num.i = (int64_t)v;
    return FK_OK;
}

static enum fk_status lex_number(struct lexer *x)
{
    char text[64];
    size_t n = 0, i = x->at;
    bool real = false, based = x->s[i] == '0' && i + 1 < x->n && strchr("xXoObB", x->s[i + 1]);
    for (; i < x->n; i++) {
        char c = x->s[i];
        bool digit = c >= '0' && c <= '9';
        if (!based && c == '.' && !real && i + 1 < x->n && x->s[i + 1] >= '0' &&
            x->s[i + 1] <= '9') {
            real = true;
        } else if (!based && (c == 'e' || c == 'E') && i + 1 < x->n &&
                   ((x->s[i + 1] >= '0' && x->s[i + 1] <= '9') ||
                    ((x->s[i + 1] == '-' || x->s[i + 1] == '+') && i + 2 < x->n &&
                     x->s[i + 2] >= '0' && x->s[i + 2] <= '9'))) {
            real = true;
            if (n + 2 < sizeof text) text[n++] = c;
            c = x->s[++i];
        } else if (c == '_') {
            continue;
        } else if (!digit && !(based && (hex(c) >= 0 || (i == x->at + 1)))) {
            break;
        }
        if (n + 2 >= sizeof text) return bad(x, "a number is too long");
        text[n++] = c;
    }
    text[n] = 0;
    struct jtoken *t = add(x, real ? T_FLOAT : T_INT);
    if (!t) return nomem(x);
    t->s = x->s + x->at;
    t->n = i - x->at;
    x->at = i;
    if (!real) return integer(x, text, t);
    return jinja_read_float(text, &t->num.f) ? FK_OK : bad(x, "a number is malformed");
}

static bool name_char(const struct lexer *x, size_t at, bool first, size_t *len)
{
    uint32_t cp = utf8_decode(x->s + at, x->n - at, len);
    if (cp < 0x80)
        return cp == '_' || (cp | 32) - 'a' < 26u || (!first && cp - '0' < 10u);
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)cp);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO && (!first || k <= 5);
}

static enum fk_status bracket(struct lexer *x, char c)
{
    if (strchr("([{", c)) {
        if (x->n_brackets == MAX_BRACKETS)
            return fail(x->err, FK_EFORMAT,
                        "chat template, line %u: brackets nested deeper than %d", x->line,
                        MAX_BRACKETS);
        x->brackets[x->n_brackets++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (strchr(")]}", c)) {
        if (!x->n_brackets || x->brackets[--x->n_brackets] != c)
            return bad(x, "a closing bracket without its opening one");
    }
    return FK_OK;
}

static enum fk_status lex_operator(struct lexer *x)
{
    static const struct { char s[3]; uint8_t op; } two[] = {
        {"==", OP_EQ}, {"!=", OP_NE}, {">=", OP_GE}, {"<=", OP_LE}, {"**", OP_POW},
        {"//", OP_FLOORDIV}};
    uint8_t op = 0;
    size_t n = 1;
    for (size_t i = 0; i < sizeof two / sizeof *two; i++) {
        if (!is_at(x, x->at, two[i].s)) continue;
        op = two[i].op;
        n = 2;
    }
    char c = x->s[x->at];
    if (!op && c && strchr("+-/*%~[](){}><=.:|,;", c)) op = (uint8_t)c;
    if (!op)
        return fail(x->err, FK_EFORMAT, "chat template, line %u: unexpected character '%.*s'",
                    x->line, 1, x->s + x->at);
    if (n == 1 && bracket(x, c)) return FK_EFORMAT;
    struct jtoken *t = add(x, T_OP);
    if (!t) return nomem(x);
    t->op = op;
    t->s = x->s + x->at;
    t->n = n;
    x->at += n;
    return FK_OK;
}

/* What stands between the tag's ends, which are included. */
static enum fk_status lex_tag(struct lexer *x, bool is_var)
{
    const char *close = is_var ? "}}" : "%}";
    uint32_t opened = x->line;
    x->n_brackets = 0;
    if (!add(x, is_var ? T_VAR_BEGIN : T_BLOCK_BEGIN)) return nomem(x);
    for (;;) {
        size_t space = skip_space(x, x->at), len;
        count_lines(x, x->at, space);
        x->at = space;
        if (x->at >= x->n)
            return fail(x->err, FK_EFORMAT, "chat template, line %u: the tag is not closed",
                        opened);
        if (!x->n_brackets && at_end(x, x->at, close, !is_var)) {
            if (!add(x, is_var ? T_VAR_END : T_BLOCK_END)) return nomem(x);
            end_tag(x, close, !is_var);
            return FK_OK;
        }
        char c = x->s[x->at];
        enum fk_status status;
        if (c == '"' || c == '\'') {
            status = lex_string(x);
        } else if (c >= '0' && c <= '9') {
            status = lex_number(x);
        } else if (name_char(x, x->at, true, &len)) {
            size_t end = x->at + len;
            while (end < x->n && name_char(x, end, false, &len)) end += len;
            struct jtoken *t = add(x, T_NAME);
            if (!t) return nomem(x);
            t->s = x->s + x->at;
            t->n = end - x->at;
            x->at = end;
            status = FK_OK;
        } else {
            status = lex_operator(x);
        }
        if (status) return status;
    }
}

static bool add_data(struct lexer *x, size_t from, size_t to)
{
    if (from == to) return true;
    struct jtoken *t = add(x, T_DATA);
    if (!t) return false;
    t->s = x->s + from;
    t->n = to - from;
    return true;
}

/* {% raw %}: x->at stands behind "{%". Returns false when it is another tag. */
static bool lex_raw(struct lexer *x, enum fk_status *status)
{
    size_t at = x->at;
    if (at < x->n && (x->s[at] == '-' || x->s[at] == '+')) at++;
    at = skip_space(x, at);
    if (!is_at(x, at, "raw")) return false;
    at = skip_space(x, at + 3);
    if (!at_end(x, at, "%}", false)) return false;
    count_lines(x, x->at, at);
    x->at = at;
    end_tag(x, "%}", false);
    size_t from = x->at;
    for (size_t i = from; i + 1 < x->n; i++) {
        if (x->s[i] != '{' || x->s[i + 1] != '%') continue;
        size_t end = i + 2;
        char sign = end < x->n ? x->s[end] : 0;
        if (sign == '-' || sign == '+') end++;
        end = skip_space(x, end);
        if (!is_at(x, end, "endraw")) continue;
        end = skip_space(x, end + 6);
        if (!at_end(x, end, "%}", true)) continue;
        *status = add_data(x, from, strip_before(x, from, i, sign, false)) ? FK_OK : nomem(x);
        count_lines(x, from, end);
        x->at = end;
        end_tag(x, "%}", true);
        return true;
    }
    *status = bad(x, "{% raw %} is not closed");
    return true;
}

static enum fk_status lex_comment(struct lexer *x)
{
    size_t i = x->at;
    while (i < x->n && !is_at(x, i, "#}")) i++;
    if (i >= x->n) return bad(x, "a comment is not closed");
    if (i > x->at && (x->s[i - 1] == '-' || x->s[i - 1] == '+')) i--;
    count_lines(x, x->at, i);
    x->at = i;
    end_tag(x, "#}", true);
    return FK_OK;
}

static enum fk_status lex_all(struct lexer *x)
{
    while (x->at < x->n) {
        size_t i = x->at;
        const char *p = NULL;
        for (; i + 1 < x->n; i++) {
            p = x->s[i] == '{' ? strchr("{%#", x->s[i + 1]) : NULL;
            if (p && *p) break;
            p = NULL;
        }
        if (!p) {
            if (!add_data(x, x->at, x->n)) return nomem(x);
            break;
        }
        char sign = i + 2 < x->n ? x->s[i + 2] : 0;
        size_t end = strip_before(x, x->at, i, sign, *p == '{');
        if (!add_data(x, x->at, end)) return nomem(x);
        count_lines(x, x->at, i);
        x->line_start = false;
        x->at = i + 2;
        enum fk_status status = FK_OK;
        if (*p == '%' && lex_raw(x, &status)) {
            if (status) return status;
            continue;
        }
        if (sign == '-' || sign == '+') x->at++;
        status = *p == '#' ? lex_comment(x) : lex_tag(x, *p == '{');
        if (status) return status;
    }
    return add(x, T_EOF) ? FK_OK : nomem(x);
}

enum fk_status jinja_lex(struct arena *a, const char *text, size_t n, struct jtokens *tokens,
                         struct fk_error *err)
{
    if (n > JINJA_MAX_TEMPLATE_BYTES)
        return fail(err, FK_ETOOBIG, "the chat template has %zu bytes, more than %u", n,
                    JINJA_MAX_TEMPLATE_BYTES);
    if (!utf8_is_valid(text, n)) return fail(err, FK_EFORMAT, "the chat template is not UTF-8");
    struct lexer x = {.a = a, .line = 1, .tokens = tokens, .err = err, .line_start = true};
    char *copy = arena_strndup(a, text, n);
    if (!copy) return fail_nomem(err, n, "reading a chat template");
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\r' && i + 1 < n && text[i + 1] == '\n') continue;
        copy[x.n++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (x.n && copy[x.n - 1] == '\n') x.n--;
    copy[x.n] = 0;
    x.s = copy;
    return lex_all(&x);
}
