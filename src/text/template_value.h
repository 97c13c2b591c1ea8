/* SPDX-License-Identifier: Apache-2.0
 * template_value.h - the values of a template: numbers, strings with trust marks, lists, mappings.
 *
 * Values are small and copied; what they point to lives in the render's arena and never changes
 * once it is seen (strings may share one growing buffer, see struct jgrow). Namespaces, cyclers and
 * joiners are the only mutable objects. Every function that can fail returns false with the
 * sentence already in the run. */
#ifndef TEXT_TEMPLATE_VALUE_H
#define TEXT_TEMPLATE_VALUE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

struct jrun;
struct jmacro;
struct jmethod;
struct jloop;

enum jkind {
    J_UNDEFINED, J_NONE, J_BOOL, J_INT, J_FLOAT, J_STR,
    J_LIST, J_TUPLE, J_VIEW, J_GEN, /* one struct jlist: [..], (..), d.items(), map(..) */
    J_RANGE, J_DICT, J_NAMESPACE, J_MACRO, J_METHOD, J_FUNCTION, J_LOOP, J_CYCLER, J_JOINER,
    J_MISSING /* an argument that was not given; never reaches a template */
};

/* Bytes being collected, with one mark per byte. A string whose end is the end of what was
 * collected may be extended in place: a shorter string over the same bytes is not disturbed by
 * that. */
struct jgrow {
    char *p;
    uint8_t *marks;
    size_t n, cap;
};

struct jvalue {
    uint8_t kind;
    bool trusted;         /* a string without marks, or a scalar once it is written out */
    bool markup;          /* came from |safe or |escape: "+" escapes the other side */
    union {
        bool b;
        int64_t i;
        double f;
        const char *s;    /* strings; for J_UNDEFINED the name that was not found */
        struct jlist *list;
        struct jrange *range;
        struct jdict *dict;
        struct jnamespace *ns;
        const struct jmacro *macro;
        const struct jmethod *method;
        struct jloop *loop;
        struct jcounter *counter;
        int function;     /* index in the table of template_call.c */
    } u;
    size_t n;             /* string bytes */
    const uint8_t *marks; /* NULL: all bytes are `trusted` */
    struct jgrow *grow;   /* NULL: borrowed bytes */
};

struct jlist {
    struct jvalue *v;
    size_t n, cap;
    int depth;            /* of nesting below: bounds the recursion of print, compare and tojson */
};
struct jpair { struct jvalue key, value; };
struct jdict {
    struct jpair *v;
    size_t n, cap;
    int depth;
};
struct jrange { int64_t start, step; size_t n; };
struct jnamespace { struct jdict attrs; };
struct jcounter { struct jlist *items; struct jvalue sep; size_t i; }; /* cycler, joiner */

#define JINJA_MAX_DEPTH 100

/* Memory of the render. NULL: the cap was reached or memory ran out; the sentence is written. */
void *jinja_alloc(struct jrun *r, size_t bytes);
/* Fuel: false when it is used up. Work on bytes costs one step for 128 of them. */
bool jinja_spend(struct jrun *r, uint64_t steps);
bool jinja_work(struct jrun *r, size_t bytes);
bool jinja_work_slowly(struct jrun *r, size_t bytes); /* one for 16: character by character */
bool jinja_fail(struct jrun *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool jinja_vfail(struct jrun *r, const char *fmt, __builtin_va_list ap);

static inline struct jvalue jinja_kind(enum jkind kind)
{
    return (struct jvalue){.kind = (uint8_t)kind, .trusted = true};
}
static inline struct jvalue jinja_bool(bool b)
{
    return (struct jvalue){.kind = J_BOOL, .trusted = true, .u.b = b};
}
static inline struct jvalue jinja_int(int64_t i)
{
    return (struct jvalue){.kind = J_INT, .trusted = true, .u.i = i};
}
static inline struct jvalue jinja_float(double f)
{
    return (struct jvalue){.kind = J_FLOAT, .trusted = true, .u.f = f};
}
static inline struct jvalue jinja_str(const char *s, size_t n, bool trusted)
{
    return (struct jvalue){.kind = J_STR, .trusted = trusted, .u.s = s, .n = n};
}
static inline struct jvalue jinja_undefined(const char *name, size_t n)
{
    return (struct jvalue){.kind = J_UNDEFINED, .trusted = true, .u.s = name, .n = n};
}
/* v.s[at .. at + n) with its marks. */
struct jvalue jinja_sub(struct jvalue v, size_t at, size_t n);
bool jinja_is_text(struct jvalue v, const char *s); /* a string equal to s */
bool jinja_str_eq(struct jvalue a, struct jvalue b);
const char *jinja_kind_name(struct jvalue v);       /* "a string", for sentences */
static inline bool jinja_is_number(struct jvalue v)
{
    return v.kind == J_BOOL || v.kind == J_INT || v.kind == J_FLOAT;
}
static inline double jinja_number(struct jvalue v) /* of a number */
{
    return v.kind == J_FLOAT ? v.u.f : v.kind == J_INT ? (double)v.u.i : v.u.b;
}
static inline int64_t jinja_integer(struct jvalue v) /* of a bool or int */
{
    return v.kind == J_INT ? v.u.i : v.u.b;
}

/* Building strings. */
struct jgrow *jinja_grow(struct jrun *r, size_t cap);
bool jinja_put(struct jrun *r, struct jgrow *g, const char *p, size_t n, bool trusted);
bool jinja_put_str(struct jrun *r, struct jgrow *g, struct jvalue v);
struct jvalue jinja_grown(struct jgrow *g);
bool jinja_concat(struct jrun *r, struct jvalue a, struct jvalue b, struct jvalue *out);

/* Lists and mappings. push and put copy the value in and keep depth. */
struct jlist *jinja_list(struct jrun *r, size_t cap);
bool jinja_push(struct jrun *r, struct jlist *l, struct jvalue v);
static inline struct jvalue jinja_list_value(enum jkind kind, struct jlist *l)
{
    return (struct jvalue){.kind = (uint8_t)kind, .trusted = true, .u.list = l};
}
struct jdict *jinja_dict(struct jrun *r, size_t cap);
bool jinja_dict_put(struct jrun *r, struct jdict *d, struct jvalue key, struct jvalue v,
                    bool fresh);
/* Returns the value or NULL; *failed is set when fuel ran out. */
struct jvalue *jinja_dict_get(struct jrun *r, const struct jdict *d, struct jvalue key);
struct jvalue *jinja_dict_find(const struct jdict *d, const char *s, size_t n);
bool jinja_pair(struct jrun *r, struct jvalue a, struct jvalue b, struct jvalue *out); /* a tuple */

/* Sequences (lists, tuples, views, generators, ranges): length and element. */
bool jinja_is_seq(struct jvalue v);
size_t jinja_seq_n(struct jvalue v);
struct jvalue jinja_seq_at(struct jvalue v, size_t i);
/* Anything that can be iterated as a sequence: mappings give keys, strings characters, undefined
 * nothing. A generator is used up by it. */
bool jinja_iterate(struct jrun *r, struct jvalue v, struct jvalue *seq);

bool jinja_truth(struct jvalue v);
bool jinja_equal(struct jrun *r, struct jvalue a, struct jvalue b, bool *out);
bool jinja_compare(struct jrun *r, struct jvalue a, struct jvalue b, int *out); /* -1, 0, 1 */
bool jinja_contains(struct jrun *r, struct jvalue item, struct jvalue in, bool *out);
bool jinja_length(struct jrun *r, struct jvalue v, size_t *out);

/* template_print.c: Python's str(), repr() and float text. */
bool jinja_text(struct jrun *r, struct jvalue v, struct jvalue *out);
bool jinja_repr(struct jrun *r, struct jgrow *g, struct jvalue v);
size_t jinja_float_text(double f, char out[64]);
bool jinja_read_float(const char *text, double *out); /* all of text, with a point in any locale */

/* template_json.c */
bool jinja_from_json(struct jrun *r, const json_t *j, bool trusted, int depth, struct jvalue *out);
struct jjson { bool ascii, sort_keys; int indent; /* -1: one line */ struct jvalue indent_text,
    item_sep, key_sep; };
bool jinja_tojson(struct jrun *r, struct jvalue v, const struct jjson *how, struct jvalue *out);

/* template_text.c: Python's str methods on bytes with marks. Indices count characters. */
size_t jinja_chars(struct jvalue s);
size_t jinja_char_offset(struct jvalue s, size_t i_char); /* clamped to the end */
enum jtrim { JTRIM_LEFT = 1, JTRIM_RIGHT = 2, JTRIM_BOTH = 3 };
struct jvalue jinja_trim(struct jvalue s, const struct jvalue *chars, enum jtrim sides);
bool jinja_find(struct jvalue s, struct jvalue needle, size_t from, size_t *at);
bool jinja_replace(struct jrun *r, struct jvalue s, struct jvalue old, struct jvalue by,
                   int64_t max, struct jvalue *out);
enum jcase { JCASE_UPPER, JCASE_LOWER, JCASE_CAPITALIZE, JCASE_TITLE, JCASE_WORDS };
bool jinja_recase(struct jrun *r, struct jvalue s, enum jcase how, struct jvalue *out);
bool jinja_split(struct jrun *r, struct jvalue s, const struct jvalue *sep, int64_t max,
                 bool from_right, struct jlist *out);
bool jinja_splitlines(struct jrun *r, struct jvalue s, bool keep_ends, struct jlist *out);
bool jinja_escape_html(struct jrun *r, struct jvalue s, struct jvalue *out);
bool jinja_percent(struct jrun *r, struct jvalue fmt, struct jvalue args, struct jvalue *out);
bool jinja_is_space(uint32_t cp); /* Python's str.isspace */

#endif
