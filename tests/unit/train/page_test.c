/* SPDX-License-Identifier: Apache-2.0
 * page_test.c - the page of a run: what a model writes stays text, tags close, curves are curves, and any
 * allocation may fail. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/train/card.h"
#include "src/train/chart.h"
#include "src/train/page.h"
#include "tests/unit/train/desk.h"

static const char log_text[] =
    "{\"step\":1,\"stage\":0,\"tokens\":500,\"loss\":5.5,\"mean_loss\":5.6,\"accuracy\":0.1,\"cpu_seconds\":1800}\n"
    "{\"step\":2,\"stage\":0,\"loss\":0,\"mean_loss\":5.0,\"accuracy\":0.3}\n"
    "{\"step\":2,\"eval\":{\"accuracy\":0.25,\"thinking\":12,\"families\":{\"add\":{\"n\":4,\"right\":1,"
    "\"ended\":3,\"thinking\":12}},\"samples\":[{\"prompt\":\"<b>2+2\",\"right_answer\":\"4\",\"thinking\":"
    "\"first </pre><script>alert(1)</script>\",\"answer\":\"5\",\"right\":false}]}}\n"
    "{\"step\":9,\"stage\":1,\"reward\":0.4,\"right\":0.3,\"thinking\":20,\"entropy\":0.5}\n"
    "{\"step\":9,\"eval\":{\"accuracy\":0.5,\"families\":{\"add\":{\"n\":4,\"right\":2}},\"samples\":"
    "[{\"prompt\":\"<b>2+2\",\"right_answer\":\"4\",\"thinking\":\"\",\"answer\":\"<img src=x onerror=y> \\\"'& "
    "\\u202eabc\\u001b[0m\",\"right\":true}]}}\n";

struct scene {
    struct recipe r;
    struct journal j;
    struct run_facts f;
};

static void set_up(struct scene *s)
{
    *s = (struct scene){.j = {.has_cpu = true}};
    OK(recipe_parse(&s->r, desk_recipe, strlen(desk_recipe), "desk", err));
    strcpy(s->r.name, "<i>&name");
    OK(journal_parse(&s->j, log_text, strlen(log_text), err));
    s->f = (struct run_facts){.recipe = &s->r, .journal = &s->j, .machine = "cpu<1>", .settings = "a <b>\n",
                              .step = 9, .n_steps = 12, .stage = 1, .loss = 0.5, .n_tokens = 1000,
                              .cost = {3600, 10, 0.05, "<USD>", true}};
}

static void tear_down(struct scene *s)
{
    journal_close(&s->j);
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++) n++;
    return n;
}

static char *render(struct scene *s)
{
    struct buf b;
    buf_init(&b, 0, MEM_TRAIN);
    assert_true(page_write(&s->f, &b));
    assert_int_equal(strlen(b.data), b.n);
    return buf_take(&b);
}

static void text_of_the_model_stays_text(void **state)
{
    struct scene s;
    (void)state;
    set_up(&s);
    char *page = render(&s);
    assert_int_equal(count(page, "<script"), 1);
    assert_int_equal(count(page, "</script"), 1);
    assert_int_equal(count(page, "<img"), 0);
    assert_int_equal(count(page, "<b>2+2"), 0);
    assert_int_equal(count(page, "<i>"), 0);
    assert_int_equal(count(page, "<USD>"), 0);
    assert_int_equal(count(page, "\xe2\x80\xae"), 0); /* no override of the direction */
    assert_int_equal(count(page, "\x1b"), 0);
    assert_non_null(strstr(page, "&lt;img src=x onerror=y&gt; &quot;&#39;&amp; &#xFFFD;abc&#xFFFD;[0m"));
    assert_non_null(strstr(page, "first &lt;/pre&gt;&lt;script&gt;"));
    assert_int_equal(count(page, "http"), 3); /* two http-equiv and the name space of SVG: no address */
    assert_non_null(strstr(page, "default-src 'none'"));
    assert_int_equal(count(page, "script-src 'sha256-"), 1);
    mem_free(page);
    tear_down(&s);
}

/* Tags nest: a stack of names. */
static void tags_close(void **state)
{
    static const char *const empty[] = {"meta", "path", "rect", "polyline", "br", "!doctype"};
    struct scene s;
    char stack[64][16];
    int depth = 0;
    (void)state;
    set_up(&s);
    char *page = render(&s);
    for (char *p = page; (p = strchr(p, '<'));) {
        bool closes = p[1] == '/', raw = false, single = false;
        char name[16] = {0};
        p += 1 + closes;
        size_t n = strcspn(p, " >/");
        assert_true(n > 0 && n < sizeof name);
        memcpy(name, p, n);
        for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) single |= !strcmp(name, empty[i]);
        raw = !strcmp(name, "script") || !strcmp(name, "style");
        if (closes && (!depth || strcmp(stack[--depth], name))) fail_msg("</%s> closes nothing", name);
        if (!closes && !single) {
            assert_true(depth < 64);
            strcpy(stack[depth++], name);
        }
        if (raw && !closes) p = strstr(p, name[1] == 'c' ? "</script" : "</style");
        assert_non_null(p);
    }
    assert_int_equal(depth, 0);
    mem_free(page);
    tear_down(&s);
}

static void says_what_the_log_says(void **state)
{
    struct scene s;
    (void)state;
    set_up(&s);
    char *page = render(&s);
    assert_non_null(strstr(page, "step 9 of 12, stage 2 of 2: second"));
    assert_non_null(strstr(page, "50%</span>"));
    assert_non_null(strstr(page, "2 of 4 right, 15 to 85%"));
    assert_non_null(strstr(page, "<dt>CPU-hours</dt><dd>1</dd>"));
    assert_non_null(strstr(page, "10 Wh"));
    assert_non_null(strstr(page, "its wall time is counted"));
    assert_non_null(strstr(page, "Reward <output>0.400"));
    assert_int_equal(count(page, "<small>step 2</small>"), 1); /* the earlier reply */
    assert_non_null(strstr(page, "data-live=\"1\""));
    mem_free(page);
    s.f.is_over = true;
    page = render(&s);
    assert_non_null(strstr(page, "data-live=\"0\""));
    assert_int_equal(count(page, "http-equiv=\"refresh\""), 0);
    mem_free(page);
    tear_down(&s);
}

static void the_card_says_what_the_log_says(void **state)
{
    struct scene s;
    struct buf b;
    (void)state;
    set_up(&s);
    strcpy(s.r.name, "a`b");
    s.f.data_dir = "/home/me/texts";
    buf_init(&b, 0, MEM_TRAIN);
    assert_true(card_write(&s.f, &b));
    assert_non_null(strstr(b.data, "# `a?b`\n"));
    assert_non_null(strstr(b.data, "come from `texts`."));
    assert_non_null(strstr(b.data, "| add | 2 of 4 | 50.0 % | 15.0 to 85.0 |"));
    assert_non_null(strstr(b.data, s.r.sha256));
    assert_non_null(strstr(b.data, "\n1 CPU-hours"));
    assert_non_null(strstr(b.data, "0.01 kWh at 10 W a busy core; 0.05 `<USD>` at 0.05 a CPU-hour"));
    assert_non_null(strstr(b.data, "| `second` | next token | 4 |"));
    assert_non_null(strstr(b.data, "\n    a <b>\n"));
    buf_fini(&b);
    journal_close(&s.j);
    buf_init(&b, 0, MEM_TRAIN);
    assert_true(card_write(&s.f, &b));
    assert_non_null(strstr(b.data, "Nothing was evaluated."));
    buf_fini(&b);
}

static void an_empty_run_has_a_page(void **state)
{
    struct scene s;
    (void)state;
    set_up(&s);
    journal_close(&s.j);
    s.f.step = 0;
    char *page = render(&s);
    assert_non_null(strstr(page, "No evaluation yet"));
    assert_int_equal(count(page, "nan"), 0);
    mem_free(page);
    tear_down(&s);
}

static void any_allocation_may_fail(void **state)
{
    struct scene s;
    struct buf b;
    (void)state;
    set_up(&s);
    int n_failed = 0;
    for (int64_t i = 0; i < 40; i++) {
        buf_init(&b, 0, MEM_TRAIN);
        mem_inject(i, false);
        bool ok = page_write(&s.f, &b);
        if (mem_inject(-1, false)) {
            assert_false(ok);
            n_failed++;
        }
        buf_fini(&b);
    }
    assert_true(n_failed > 3);
    tear_down(&s);
}

static void a_curve_keeps_its_ends_and_leaves_out_what_is_no_number(void **state)
{
    double x[1000], y[1000];
    struct buf b;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        x[i] = i;
        y[i] = i % 10 == 3 ? NAN : i % 10 == 4 ? -1 : 0.01 + i;
    }
    struct chart_line line = {"line", x, y, 1000};
    struct chart c = {.title = "t", .unit = "", .lines = &line, .n_lines = 1, .x_max = 999, .is_log = true};
    buf_init(&b, 0, MEM_TRAIN);
    chart_write(&c, &b);
    assert_false(b.failed);
    assert_int_equal(count(b.data, "nan"), 0);
    assert_int_equal(count(b.data, "inf"), 0);
    const char *points = strstr(b.data, "points=\"");
    assert_non_null(points);
    int n = 0;
    double last_x = 0;
    for (const char *p = points + 8; *p != '"'; n++) {
        char *end;
        double px = strtod(p, &end), py = strtod(end + 1, &end);
        assert_true(px >= last_x && px <= 352 && py >= 8 && py <= 154);
        last_x = px;
        p = end + 1;
    }
    assert_true(n > 200 && n <= 300);
    assert_true(last_x > 350);
    buf_fini(&b);
}

static void one_point_is_a_dot(void **state)
{
    double x = 3, y = 67;
    struct chart_line line = {"line", &x, &y, 1};
    struct chart c = {.title = "t", .unit = "", .lines = &line, .n_lines = 1, .x_max = 6};
    struct buf b;
    (void)state;
    buf_init(&b, 0, MEM_TRAIN);
    chart_write(&c, &b);
    double at[4] = {0};
    const char *points = strstr(b.data, "points=\"");
    assert_non_null(points);
    assert_int_equal(sscanf(points, "points=\"%lf,%lf %lf,%lf", &at[0], &at[1], &at[2], &at[3]), 4);
    assert_true(at[0] == at[2] && at[1] == at[3] && at[1] > 60 && at[1] < 100);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_the_model_stays_text),
        cmocka_unit_test(tags_close),
        cmocka_unit_test(says_what_the_log_says),
        cmocka_unit_test(the_card_says_what_the_log_says),
        cmocka_unit_test(an_empty_run_has_a_page),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(one_point_is_a_dot),
        cmocka_unit_test(a_curve_keeps_its_ends_and_leaves_out_what_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
