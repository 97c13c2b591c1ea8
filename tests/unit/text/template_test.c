/* SPDX-License-Identifier: Apache-2.0
 * template_test.c - the template interpreter against goldens that jinja2 wrote
 * (tools/make_template_goldens.py), its trust marks, its sentences, hostile templates (rows F11 and
 * F12) and memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/text/template.h"

enum { NOW = 1722470400 }; /* 2024-08-01 00:00:00 UTC, as jinja_reference.py */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWDOWN 30
#else
#define SLOWDOWN 1
#endif

static const char *const trusted[] = {"bos_token", "eos_token", NULL};
static const char *folder;

struct rendered {
    enum fk_status status;
    struct fk_error err;
    struct buf out, trust;
};

static struct rendered render_n(const char *text, size_t n, const json_t *vars)
{
    struct rendered r = {FK_OK, {FK_OK, ""}, {0}, {0}};
    struct chat_template *t;
    buf_init(&r.out, 0, MEM_TEXT);
    buf_init(&r.trust, 0, MEM_TEXT);
    buf_puts(&r.out, "");
    buf_puts(&r.trust, "");
    r.status = template_parse(&t, text, n, &r.err);
    if (!r.status)
        r.status = template_render(t, vars, trusted, NOW, NULL, &r.out, &r.trust, &r.err);
    template_destroy(&t);
    return r;
}

static struct rendered render(const char *text, const char *vars_json)
{
    json_t *vars = json_loads(vars_json, 0, NULL);
    assert_non_null(vars);
    struct rendered r = render_n(text, strlen(text), vars);
    json_decref(vars);
    return r;
}

static void done(struct rendered *r)
{
    buf_fini(&r->out);
    buf_fini(&r->trust);
}

static void expect(const char *what, const char *text, size_t n, const json_t *vars,
                   const json_t *want)
{
    struct rendered r = render_n(text, n, vars);
    bool same = json_is_null(want) ? r.status == FK_EFORMAT
                                   : !r.status && json_string_length(want) == r.out.n &&
                                         !memcmp(json_string_value(want), r.out.data, r.out.n);
    if (!same)
        fail_msg("%s\n  template: %.*s\n  jinja2:   %s\n  here:     %s", what,
                 n < 300 ? (int)n : 300, text,
                 json_is_null(want) ? "(refused)" : json_string_value(want),
                 r.status ? r.err.message : r.out.data);
    assert_true(r.status || r.out.n == r.trust.n);
    assert_true(!r.status || (strlen(r.err.message) > 20 && !strchr(r.err.message, '\n')));
    done(&r);
}

static json_t *load(const char *name)
{
    char path[4096];
    json_error_t why;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    json_t *j = json_load_file(path, JSON_ALLOW_NUL, &why);
    if (!j) fail_msg("%s: %s", path, why.text);
    return j;
}

static void expressions_equal_jinja2(void **state)
{
    (void)state;
    json_t *goldens = load("goldens.json"), *pair;
    size_t i;
    assert_true(json_array_size(json_object_get(goldens, "expressions")) > 150);
    json_array_foreach(json_object_get(goldens, "expressions"), i, pair) {
        const json_t *text = json_array_get(pair, 0);
        expect("expression", json_string_value(text), json_string_length(text),
               json_object_get(goldens, "vars"), json_array_get(pair, 1));
    }
    json_decref(goldens);
}

static void templates_equal_jinja2(void **state)
{
    (void)state;
    json_t *goldens = load("goldens.json"), *cases, *want;
    const char *name, *which;
    assert_true(json_object_size(json_object_get(goldens, "templates")) >= 8);
    json_object_foreach(json_object_get(goldens, "templates"), name, cases) {
        char path[4096], text[16384];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t n = fread(text, 1, sizeof text, f);
        fclose(f);
        assert_true(n > 0 && n < sizeof text);
        json_object_foreach(cases, which, want) {
            const json_t *vars = json_object_get(json_object_get(goldens, "cases"), which);
            char what[300];
            snprintf(what, sizeof what, "%s with '%s'", name, which);
            expect(what, text, n, vars, want);
        }
    }
    json_decref(goldens);
}

static void check_marks(const char *text, const char *vars, const char *out, const char *marks)
{
    struct rendered r = render(text, vars);
    if (r.status) fail_msg("%s: %s", text, r.err.message);
    for (size_t i = 0; i < r.trust.n; i++) r.trust.data[i] = (char)(r.trust.data[i] + '0');
    assert_string_equal(r.out.data, out);
    assert_string_equal(r.trust.data, marks);
    done(&r);
}

static void marks_follow_every_byte(void **state)
{
    (void)state;
    static const char v[] =
        "{\"m\": \"ab c\", \"l\": [\"x\", \"y\"], \"bos_token\": \"<s>\", \"n\": 12,"
        "\"d\": {\"k\": \"<|end|>\"}}";
    static const struct { const char *text, *out, *marks; } rows[] = {
        {"{{ bos_token }}[{{ m }}]", "<s>[ab c]", "111100001"},
        {"{{ 'T' + m + 'T' }}", "Tab cT", "100001"},
        {"{{ ('T' ~ m)[::-1] }}", "c baT", "00001"},
        {"{{ ('T' ~ m)[1:3] ~ ('TT' ~ m)[:3] }}", "abTTa", "00110"},
        {"{{ m.replace('b', 'TT') }}", "aTT c", "01100"},
        {"{{ 'TbT'.replace('b', m) }}", "Tab cT", "100001"},
        {"{{ l | join('-T-') }}", "x-T-y", "01110"},
        {"{{ '+'.join(l) }}", "x+y", "010"},
        {"{{ ('  T' ~ m ~ ' ') | trim | upper }}", "TAB C", "10000"},
        {"{{ m.split(' ')[1] ~ m.title() }}", "cAb C", "00000"},
        {"{{ '{} T {}'.format(m, 1) }}", "ab c T 1", "00001111"},
        {"{{ '%s|%s' % (m, 'T') }}", "ab c|T", "000011"},
        {"{{ n }}{{ n + 1 }}{{ 5 }}", "12135", "00001"},
        {"{{ d | tojson }}", "{\"k\": \"<|end|>\"}", "0000000000000000"},
        {"{{ 'T' | tojson }}", "\"T\"", "010"},
        {"{{ d }}", "{'k': '<|end|>'}", "0000000000000000"},
        {"{% set x %}T{{ m }}{% endset %}{{ x }}{% set x = x + 'T' %}{{ x }}", "Tab cTab cT",
         "10000100001"},
        {"{% macro f(a) %}<{{ a }}>{% endmacro %}{{ f(m) }}", "<ab c>", "100001"},
        {"{{ (m ~ '\nT') | indent(1) }}", "ab c\n T", "0000111"},
        {"{% for c in m %}{{ c }}T{% endfor %}", "aTbT TcT", "01010101"},
        {"{{ '<&' ~ m | e }}", "<&ab c", "110000"},
        {"{{ ['T', m] | map('upper') | join }}", "TAB C", "10000"},
        {"{{ m | default('T') }}{{ none_such | default('T') }}", "ab cT", "00001"},
        {"{% filter upper %}t{{ m }}{% endfilter %}", "TAB C", "10000"},
        {"{{ ('T' ~ m) | list | last }}{{ (m ~ 'T').partition('b') | join }}", "cab cT", "000001"},
        {"{{ strftime_now('%Y') }}", "2024", "1111"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_marks(rows[i].text, v, rows[i].out, rows[i].marks);
}

/* A shorter string over the same bytes is not disturbed when the longer one grows in place. */
static void growing_strings_do_not_meddle(void **state)
{
    (void)state;
    check_marks(
        "{% set a = m + 'T' %}{% set b = a + '1' %}{% set c = a + '2' %}{{ a }}{{ b }}{{ c }}",
        "{\"m\": \"x\"}", "xTxT1xT2", "01011011");
    struct rendered r = render("{% set ns = namespace(s='') %}{% for i in range(20000) %}"
                               "{% set ns.s = ns.s ~ 'abcdefgh' %}{% endfor %}{{ ns.s | length }}",
                               "{}");
    assert_int_equal(r.status, FK_OK);
    assert_string_equal(r.out.data, "160000");
    done(&r);
}

static void sentences_name_line_and_construct(void **state)
{
    (void)state;
    static const struct { const char *text, *says;
    } rows[] = {
        {"a\nb\n{% include 'x' %}", "line 3: the tag 'include'"},
        {"{% import 'os' as os %}", "the tag 'import'"},
        {"\n{% extends 'x' %}", "line 2: the tag 'extends'"},
        {"{{ ''.__class__ }}", "'__class__' is not reachable"},
        {"{{ ''['__class__']['__mro__'] }}", "'__class__' is undefined"},
        {"{{ messages.__init__.__globals__ }}", "'__init__' is not reachable"},
        {"{{ range.__self__ }}", "'__self__' is not reachable"},
        {"{{ cycler.__init__ }}", "'__init__' is not reachable"},
        {"{{ self._TemplateReference__context }}", "'self' is undefined"},
        {"{{ lipsum() }}", "'lipsum' is not a function"},
        {"{{ ''|attr('upper') }}", "no filter named 'attr'"},
        {"x\n{{ open('/etc/passwd') }}", "line 2: 'open' is not a function"},
        {"{{ 1|frobnicate }}", "no filter named 'frobnicate'"},
        {"{{ 1 is frobnicated }}", "no test named 'frobnicated'"},
        {"{{ messages[0].content.nope.deeper }}", "'nope' is undefined"},
        {"\n\n{{ raise_exception('Only 3 roles') }}",
         "line 3: the template refuses this conversation: "
         "Only 3 roles"},
        {"{{ messages.append(1) }}", "may not change a list"},
        {"{{ messages[0].update({'a': 1}) }}", "may not change a mapping"},
        {"{% if x %}\n\n", "'elif' is missing"},
        {"{{ 'abc }}", "a string is not closed"},
        {"{% for x in y %}{% endif %}", "the tag 'endif'"},
        {"{{ 5 + 'a' }}", "'+' does not work on an integer and a string"},
        {"{{ 9223372036854775807 + 1 }}", "does not fit 64 bits"},
        {"{{ messages | tojson(indent='x', wrong=1) }}", "does not take the argument 'wrong'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rendered r = render(rows[i].text, "{\"messages\": [{\"content\": \"x\"}]}");
        if (r.status != FK_EFORMAT || !strstr(r.err.message, rows[i].says))
            fail_msg("%s\n  wanted: %s\n  got:    %s", rows[i].text, rows[i].says,
                     r.status ? r.err.message : r.out.data);
        done(&r);
    }
    struct rendered r = render_n("\xff{{ 1 }}", 8, json_null());
    assert_int_equal(r.status, FK_EFORMAT);
    done(&r);
}

static char *repeated(const char *head, const char *piece, size_t times, const char *tail)
{
    struct buf b;
    buf_init(&b, 0, MEM_MISC);
    buf_puts(&b, head);
    for (size_t i = 0; i < times; i++) buf_puts(&b, piece);
    buf_puts(&b, tail);
    return buf_take(&b);
}

static void ends_quickly(const char *text, const char *vars, bool refused)
{
    double start = clock_cpu_seconds();
    struct rendered r = render(text, vars);
    double took = clock_cpu_seconds() - start;
    if (refused && r.status != FK_EFORMAT && r.status != FK_ETOOBIG)
        fail_msg("%.80s: status %d", text, r.status);
    if (took > 0.08 && getenv("T")) printf("%.3f %.70s %s\n", took, text, r.err.message);
    if (took > 1.0 * SLOWDOWN) fail_msg("%.80s: took %.3f s: %s", text, took, r.err.message);
    assert_true(!r.status || strlen(r.err.message) > 20);
    done(&r);
}

static void refused_quickly(const char *text, const char *vars)
{
    ends_quickly(text, vars, true);
}

static void hostile_templates_end(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(25000) %}{% for j in range(25000) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 10**9 }}",
        "{{ ['x'] * 10**9 }}",
        "{{ 10**9 * ('x', 'y') }}",
        "{{ 2 ** 10**9 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% "
        "endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + 'y' + ns.s "
        "%}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% "
        "endfor %}",
        "{% set ns = namespace(l=[]) %}{% for i in range(999) %}{% set ns.l = [ns.l] %}{% endfor "
        "%}{{ ns.l }}",
        "{% for i in range(100000) %}{% for j in range(100000) %}{{ big.count('x') }}{% endfor "
        "%}{% endfor %}",
        "{% for i in range(100000) %}{% for c in big %}{{ c }}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = big.upper() %}{% endfor %}",
        "{% for i in range(100000) %}{% if 'q' in big %}{% endif %}{{ big|length }}{% endfor %}",
        "{% for i in range(100000) %}{% set x = big.split('x') %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = big.replace('x', 'yy') %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = big.strip('x') %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = big[::-1] %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = big == big ~ '' %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = big.rfind('x') %}{{ range(100000)|list|sort|sum "
        "}}{% endfor %}",
        "{% for i in range(100000) %}{% set x = big.split() %}{% set y = big.rsplit() %}{% endfor "
        "%}",
        "{% for i in range(100000) %}{% set x = big.splitlines() %}{{ big.strip()|length }}{% "
        "endfor %}",
        "{% for i in range(100000) %}{% set x = [big]|string %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = big|tojson(ensure_ascii=true) %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = big|e %}{% set y = big|title %}{% endfor %}",
        "{% for i in range(100000) %}{{ big.isspace() }}{{ big is lower }}{{ big.rfind('x') }}{% "
        "endfor %}",
        "{% for i in range(100000) %}{{ big.partition('y')|length }}{{ big|indent(9)|length }}{% "
        "endfor %}",
        "{{ range(100000)|map('string')|unique|list|length }}",
        "{{ '%99999999d' % 1 }}",
        "{{ ''|indent(99999999, true) }}",
        "{{ [1]|batch(10**9, 0)|list }}",
        "{{ [[1]]|tojson(indent=10**9) }}",
        "{{ 'a'.split('') }}",
        "{{ big.rsplit('xx', 10**9)|length }}{% for i in range(100000) %}{{ big.rsplit('y')|length "
        "}}{% endfor %}",
    };
    static const char *const bigs[] = {
        "xxxxxxxxxx", "\xe3\x80\x80\xe3\x80\x80\xe3\x80\x80x", "    \\n\\n\\t\\n\\n\\n",
        "\xc3\xa9\xc3\x9f\xd0\x96\xd0\xb6y", "\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006<>&'\\\""};
    for (size_t k = 0; k < sizeof bigs / sizeof *bigs; k++) {
        char *vars = repeated("{\"big\": \"", bigs[k], 10000, "\"}");
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) ends_quickly(rows[i], vars, k == 0);
        mem_free(vars);
    }
}

static void hostile_syntax_ends(void **state)
{
    (void)state;
    static const struct { const char *head, *piece, *tail; size_t times;
    } rows[] = {
        {"", "{% if 1 %}", "", 10000},
        {"", "{% for i in x %}", "", 10000},
        {"", "{% macro m() %}", "", 10000},
        {"{{ ", "(", " }}", 10000},
        {"{{ ", "[", " }}", 10000},
        {"{{ ", "not ", " }}", 10000},
        {"{{ ", "-", "1 }}", 10000},
        {"{{ x", "[x", " }}", 10000},
        {"{{ ", "1 if 1 else ", "1 }}", 10000},
        {"{{ 1", " if 1", " }}", 10000},
        {"{{ ", "{1:", " }}", 10000},
        {"{{ x", " is in x(", " }}", 10000},
        {"{% set ", "(", " %}", 10000},
        {"{% set ", "a, ", " = 1 %}", 10000},
        {"", "{{ x", "", 10000},
        {"", "{% raw %}", "", 10000},
        {"", "{#", "", 10000},
        {"{{ '", "\\", " }}", 10001},
        {"{{ ", "9", " }}", 10000},
        {"{% filter upper", "|upper", " %}", 10000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = repeated(rows[i].head, rows[i].piece, rows[i].times, rows[i].tail);
        refused_quickly(text, "{}");
        mem_free(text);
    }
    char *large = repeated("", "0123456789", 110000, "");
    refused_quickly(large, "{}");
    mem_free(large);
    char *deep = repeated("{\"x\": ", "[", 150, "");
    char *vars = repeated(deep, "]", 150, "}");
    refused_quickly("{{ x }}", vars);
    mem_free(deep);
    mem_free(vars);
}

/* Long but flat is fine: chains do not nest. */
static void long_flat_syntax_runs(void **state)
{
    (void)state;
    static const struct { const char *head, *piece, *tail, *out; size_t times; } rows[] = {
        {"{{ 1", " + 1", " }}", "5001", 5000}, {"{{ 'a'", " ~ ''", " }}", "a", 5000},
        {"{{ 'a'", "|upper|lower", " }}", "a", 2000}, {"{{ 'a'", ".strip()", " }}", "a", 3000},
        {"{{ 1", " and 1", " }}", "1", 5000}, {"{{ 1", " <= 1", " }}", "True", 5000},
        {"{% if 0 %}", "{% elif 0 %}", "{% else %}z{% endif %}", "z", 5000},
        {"", "{% if 1 %}x{% endif %}", "|", NULL, 5000},
        {"{{ ", "((((((((((1))))))))))", " }}", "1", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = repeated(rows[i].head, rows[i].piece, rows[i].times, rows[i].tail);
        struct rendered r = render(text, "{}");
        if (r.status) fail_msg("%.60s: %s", text, r.err.message);
        if (rows[i].out) assert_string_equal(r.out.data, rows[i].out);
        else assert_int_equal(r.out.n, 5001);
        done(&r);
        mem_free(text);
    }
}

/* Twenty levels of nested data and 12 of macros are what real tools need. */
static void honest_depth_runs(void **state)
{
    (void)state;
    char *deep = repeated("{\"x\": ", "{\"a\": ", 60, "1"), *vars = repeated(deep, "}", 61, "");
    struct rendered r = render("{{ x|tojson|length }}", vars);
    if (r.status) fail_msg("%s", r.err.message);
    done(&r);
    r = render("{% macro f(n) %}{% if n %}{% for i in [1] %}[{{ f(n - 1) }}]{% endfor %}{% endif %}"
               "{% endmacro %}{{ f(14) }}", "{}");
    if (r.status) fail_msg("%s", r.err.message);
    assert_int_equal(r.out.n, 28);
    done(&r);
    mem_free(deep);
    mem_free(vars);
}

static void long_conversations_fit(void **state)
{
    (void)state;
    json_t *vars = json_object(), *list = json_array();
    char *body = repeated("", "Some words, and then some more. ", 1000, "");
    for (int i = 0; i < 200; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "role", i % 2 ? "assistant" : "user",
                                              "content", body));
    json_object_set_new(vars, "messages", list);
    static const char text[] =
        "{% macro say(m) %}{{ m.content.split('</think>')[-1].lstrip('\n') | trim }}{% endmacro %}"
        "{% set ns = namespace(all='') %}{% for m in messages %}"
        "{% set ns.all = ns.all ~ '<' ~ m.role ~ '>' ~ say(m) ~ '\n' %}{% endfor %}{{ ns.all }}";
    struct rendered r = render_n(text, strlen(text), vars);
    if (r.status) fail_msg("%s", r.err.message);
    assert_true(r.out.n > 6000000);
    done(&r);
    mem_free(body);
    json_decref(vars);
}

/* Every allocation fails once: a sentence, no leak; and nothing else changes. */
static void memory_may_run_out(void **state)
{
    (void)state;
    static const char text[] =
        "{% macro m(a, b=1) %}{{ a }}{{ varargs }}{% endmacro %}{% set ns = namespace(x=[1]) %}"
        "{% for k, v in d|dictsort if k %}{{ loop.last }}{{ m(k, v, 3)|upper }}{{ "
        "v|tojson(indent=2) }}"
        "{% endfor %}{% set s %}{{ s ~ big }}{% endset %}{{ (s * 50)|length }}{{ "
        "big.split('x')|join('y') }}";
    char *vars_text = repeated("{\"d\": {\"a\": [1, {\"b\": \"c\"}], \"z\": null}, \"big\": \"",
                               "x", 30000, "\"}");
    json_t *vars = json_loads(vars_text, 0, NULL);
    struct rendered whole = render_n(text, sizeof text - 1, vars);
    if (whole.status) fail_msg("%s", whole.err.message);
    struct mem_stats before, after;
    mem_get_stats(&before);
    int64_t n = 0;
    for (bool failed = true; failed; n++) {
        mem_inject(n, n % 2);
        struct rendered r = render_n(text, sizeof text - 1, vars);
        failed = mem_inject(-1, false) > 0;
        if (failed) {
            assert_true(r.status == FK_ENOMEM || r.out.n == 0 || r.trust.n == 0 ||
                        r.out.n == whole.out.n);
        } else {
            assert_int_equal(r.status, FK_OK);
            assert_int_equal(r.out.n, whole.out.n);
        }
        done(&r);
        mem_get_stats(&after);
        assert_int_equal(before.live_bytes, after.live_bytes);
    }
    assert_true(n > 10);
    done(&whole);
    json_decref(vars);
    mem_free(vars_text);
}

static void limits_are_the_callers(void **state)
{
    (void)state;
    struct chat_template *t;
    struct buf out, trust;
    struct fk_error err;
    json_t *vars = json_object();
    const char *text = "{% for i in range(1000) %}{{ i }}{% endfor %}";
    assert_int_equal(template_parse(&t, text, strlen(text), &err), FK_OK);
    for (int i = 0; i < 3; i++) {
        struct template_limits limits = {.max_steps = i == 0 ? 500 : 0,
                                         .max_bytes = i == 1 ? 2000 : 0};
        buf_init(&out, 0, MEM_TEXT);
        buf_init(&trust, 0, MEM_TEXT);
        enum fk_status st = template_render(t, vars, NULL, NOW, &limits, &out, &trust, &err);
        assert_int_equal(st, i == 2 ? FK_OK : FK_EFORMAT);
        if (i < 2)
            assert_non_null(strstr(err.message, i == 0 ? "more than 500 steps" : "2000 bytes"));
        buf_fini(&out);
        buf_fini(&trust);
    }
    template_destroy(&t);
    assert_null(t);
    template_destroy(&t);
    json_decref(vars);
}

static void built_in_templates_render(void **state)
{
    (void)state;
    static const char *const names[] = {"chatml", "llama2", "llama3", "gemma", "deepseek", "plain"};
    static const char vars[] =
        "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", "
        "\"content\": \"U\"},"
        "{\"role\": \"assistant\", \"content\": \"A\"}, {\"role\": \"user\", \"content\": \"V\"}],"
        "\"add_generation_prompt\": true, \"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = template_builtin(names[i]);
        assert_non_null(text);
        struct rendered r = render(text, vars);
        if (r.status) fail_msg("%s: %s", names[i], r.err.message);
        for (const char *p = "SUAV"; *p; p++) assert_non_null(strchr(r.out.data, *p));
        done(&r);
    }
    assert_null(template_builtin("nothing"));
    struct rendered r = render(template_builtin("llama2"), vars);
    assert_string_equal(r.out.data,
                        "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST] A </s><s>[INST] V [/INST]");
    done(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_equal_jinja2),
        cmocka_unit_test(templates_equal_jinja2),
        cmocka_unit_test(marks_follow_every_byte),
        cmocka_unit_test(growing_strings_do_not_meddle),
        cmocka_unit_test(sentences_name_line_and_construct),
        cmocka_unit_test(hostile_templates_end),
        cmocka_unit_test(hostile_syntax_ends),
        cmocka_unit_test(long_flat_syntax_runs),
        cmocka_unit_test(honest_depth_runs),
        cmocka_unit_test(long_conversations_fit),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(limits_are_the_callers),
        cmocka_unit_test(built_in_templates_render),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: template_test FOLDER-OF-GOLDENS\n");
        return 2;
    }
    folder = argv[1];
    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
