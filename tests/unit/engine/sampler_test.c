/* SPDX-License-Identifier: Apache-2.0
 * sampler_test.c - the sampler against a slow one that sorts, on logits of many kinds. */
#include "tests/unit/engine/desk.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/rng.h"
#include "src/engine/logits.h"

#define N 3000

static uint64_t counter;

static double uniform(void)
{
    return rng_uniform(11, 12, counter++);
}

static struct fk_sampling plain(void)
{
    return (struct fk_sampling){.temperature = 1, .top_p = 1, .repeat_penalty = 1};
}

/* kind 0: bell-shaped; 1: few different values, so many ties; 2: all equal; 3: one far ahead */
static void fill(float *x, int n, int kind)
{
    for (int i = 0; i < n; i++) {
        double bell = uniform() + uniform() + uniform() + uniform() - 2;
        x[i] = kind == 0 ? (float)(bell * 6) : kind == 1 ? (float)(int)(uniform() * 5) - 2.0f : 0;
    }
    if (kind == 3) x[n / 3] = 60;
}

struct candidate { float x; double p; int32_t id; };

static int by_rank(const void *a, const void *b)
{
    const struct candidate *p = a, *q = b;
    if (p->x != q->x) return p->x > q->x ? -1 : 1;
    return p->id < q->id ? -1 : 1;
}

/* Which ids may be drawn, by sorting: allowed[id]. */
static void sort_and_cut(const struct fk_sampling *p, const float *x, char *allowed)
{
    static struct candidate c[N];
    float max = x[0];
    double sum = 0;
    for (int i = 0; i < N; i++) max = x[i] > max ? x[i] : max;
    for (int i = 0; i < N; i++)
        c[i] = (struct candidate){x[i], exp((double)(x[i] - max) / (double)p->temperature), i};
    qsort(c, N, sizeof *c, by_rank);
    int n = p->top_k && p->top_k < N ? p->top_k : N;
    for (int i = 0; i < n; i++) sum += c[i].p;
    double mass = 0;
    int kept = 0;
    while (kept < n && (kept == 0 || mass < (double)p->top_p * sum)) mass += c[kept++].p;
    memset(allowed, 0, N);
    for (int i = 0; i < kept; i++) allowed[c[i].id] = c[i].p >= (double)p->min_p;
}

static void only_allowed_tokens_are_drawn(void **state)
{
    (void)state;
    struct sampler s = {0};
    static float x[N];
    static char allowed[N], seen[N];
    assert_int_equal(sampler_init(&s, N, NULL), FK_OK);
    const int ks[] = {0, 1, 2, 40, 500, N, 2 * N};
    const float ps[] = {1, 0.999f, 0.9f, 0.5f, 0.01f, 0}, ms[] = {0, 0.05f, 0.9f, 1};
    for (int kind = 0; kind < 4; kind++) {
        fill(x, N, kind);
        for (int c = 0; c < 7 * 6 * 4; c++) {
            struct fk_sampling p = plain();
            p.temperature = c % 3 ? 0.7f : 2;
            p.top_k = ks[c % 7];
            p.top_p = ps[c / 7 % 6];
            p.min_p = ms[c / 42];
            sort_and_cut(&p, x, allowed);
            int n_allowed = 0, n_seen = 0;
            memset(seen, 0, N);
            for (int i = 0; i < N; i++) n_allowed += allowed[i];
            for (int draw = 0; draw < 60; draw++) {
                int32_t id = sampler_pick(&s, &p, x, NULL, 0, draw);
                assert_in_range(id, 0, N - 1);
                /* one step of rounding at the edge of top-p is no error: mass is summed elsewise */
                if (!allowed[id]) {
                    struct fk_sampling wider = p;
                    wider.top_p = p.top_p * 1.00001f + 1e-7f;
                    sort_and_cut(&wider, x, allowed);
                    assert_true(allowed[id]);
                    sort_and_cut(&p, x, allowed);
                }
                if (!seen[id]) n_seen++;
                seen[id] = 1;
            }
            if (n_allowed == 1) assert_int_equal(n_seen, 1);
            if (n_allowed > 300 && kind != 3) assert_true(n_seen > 10);
        }
    }
    sampler_fini(&s);
}

static void draws_follow_the_distribution(void **state)
{
    (void)state;
    enum { K = 8, DRAWS = 40000 };
    struct sampler s = {0};
    float x[K] = {0, 1, 2, -1, 0.5f, 1.5f, -3, 0};
    int counts[K] = {0};
    double p[K], sum = 0, chi2 = 0;
    assert_int_equal(sampler_init(&s, K, NULL), FK_OK);
    struct fk_sampling set = plain();
    set.temperature = 0.8f;
    for (int i = 0; i < DRAWS; i++) counts[sampler_pick(&s, &set, x, NULL, 0, i)]++;
    for (int i = 0; i < K; i++) sum += p[i] = exp((double)x[i] / 0.8);
    for (int i = 0; i < K; i++) {
        double want = DRAWS * p[i] / sum, d = counts[i] - want;
        chi2 += d * d / want;
    }
    assert_true(chi2 < 30); /* 7 degrees of freedom: beyond this once in 10,000 */
    sampler_fini(&s);
}

static void greedy_ties_go_to_the_lowest_id(void **state)
{
    (void)state;
    struct sampler s = {0};
    static float x[N];
    struct fk_sampling p = plain();
    p.temperature = 0;
    assert_int_equal(sampler_init(&s, N, NULL), FK_OK);
    for (int at = 0; at < N; at += 37) {
        memset(x, 0, sizeof x);
        for (int i = at; i < N; i += 5) x[i] = 3;
        assert_int_equal(sampler_pick(&s, &p, x, NULL, 0, 0), at);
    }
    x[17] = 9;
    struct fk_logit_bias bias[] = {{17, -100}, {2000, 50}};
    p.bias = bias;
    p.n_bias = 2;
    assert_int_equal(sampler_pick(&s, &p, x, NULL, 0, 0), 2000);
    sampler_fini(&s);
}

static void penalties_change_what_was_said(void **state)
{
    (void)state;
    struct sampler s = {0};
    float x[6] = {5, 4.9f, 4, -1, -1.1f, 0};
    int32_t said[] = {0, 0, 3, 1};
    assert_int_equal(sampler_init(&s, 6, NULL), FK_OK);
    struct fk_sampling p = plain();
    p.temperature = 0;
    p.penalty_last_n = 64;
    p.presence_penalty = 0.2f;
    assert_int_equal(sampler_pick(&s, &p, x, said, 3, 3), 1); /* 0 was said: 4.8 */
    p.presence_penalty = 0;
    p.frequency_penalty = 0.6f;
    assert_int_equal(sampler_pick(&s, &p, x, said, 4, 4), 1); /* 3.8 against 4.3 */
    p.frequency_penalty = 1.1f;
    assert_int_equal(sampler_pick(&s, &p, x, said, 4, 4), 2); /* 2.8, 3.8, 4 */
    p.penalty_last_n = 1;
    assert_int_equal(sampler_pick(&s, &p, x, said, 4, 4), 0); /* only the last is looked at */
    p = plain();
    p.temperature = 0;
    p.penalty_last_n = 64;
    p.repeat_penalty = 1.5f;
    assert_int_equal(sampler_pick(&s, &p, x, said, 4, 4), 2);
    float y[3] = {-1, -1.2f, -9}; /* a negative logit gets smaller, not larger */
    struct sampler t = {0};
    int32_t first = 0;
    assert_int_equal(sampler_init(&t, 3, NULL), FK_OK);
    assert_int_equal(sampler_pick(&t, &p, y, &first, 1, 1), 1);
    for (int i = 0; i < 6; i++) assert_int_equal(s.counts[i], 0);
    sampler_fini(&t);
    sampler_fini(&s);
}

static void the_seed_and_the_position_fix_the_draw(void **state)
{
    (void)state;
    struct sampler s = {0}, other = {0};
    static float x[N];
    int n_differ = 0;
    assert_int_equal(sampler_init(&s, N, NULL), FK_OK);
    assert_int_equal(sampler_init(&other, N, NULL), FK_OK);
    fill(x, N, 0);
    struct fk_sampling p = plain(), q = plain();
    p.seed = 1;
    q.seed = 2;
    for (int i = 0; i < 100; i++) {
        int32_t id = sampler_pick(&s, &p, x, NULL, 0, i);
        n_differ += id != sampler_pick(&s, &q, x, NULL, 0, i);
        assert_int_equal(id, sampler_pick(&other, &p, x, NULL, 0, i));
    }
    assert_true(n_differ > 80);
    sampler_fini(&s);
    sampler_fini(&other);
}

static void logprobs_are_right(void **state)
{
    (void)state;
    static float x[N];
    for (int kind = 0; kind < 4; kind++) {
        fill(x, N, kind);
        double max = (double)x[0], sum = 0;
        for (int i = 0; i < N; i++) max = fmax(max, (double)x[i]);
        for (int i = 0; i < N; i++) sum += exp((double)x[i] - max);
        for (int i = 0; i < N; i += 7) {
            double want = (double)x[i] - max - log(sum);
            assert_true(fabs((double)logits_logprob(x, N, i) - want) < 2e-6 * (1 + fabs(want)));
        }
        for (int n = N - 17; n <= N; n++) { /* rests of a vector of every length */
            static float p[N];
            double part = 0;
            memcpy(p, x, sizeof p);
            for (int i = 0; i < n; i++) part += exp((double)x[i] - max);
            logits_softmax(p, n, (float)max);
            for (int i = 0; i < n; i++) assert_true(fabs((double)p[i] - exp((double)x[i] - max) / part) < 2e-6);
            for (int i = n; i < N; i++) assert_true(p[i] == x[i]);
        }
    }
}

static void settings_out_of_range_are_named(void **state)
{
    (void)state;
    struct fk_error err;
    struct fk_logit_bias bias = {N, 1};
    const struct { size_t offset; float bad; const char *name; } cases[] = {
        {offsetof(struct fk_sampling, temperature), -1, "temperature"},
        {offsetof(struct fk_sampling, temperature), NAN, "temperature"},
        {offsetof(struct fk_sampling, top_p), 1.5f, "top_p"},
        {offsetof(struct fk_sampling, min_p), -0.1f, "min_p"},
        {offsetof(struct fk_sampling, repeat_penalty), 0, "repeat_penalty"},
        {offsetof(struct fk_sampling, frequency_penalty), INFINITY, "frequency_penalty"},
        {offsetof(struct fk_sampling, presence_penalty), NAN, "presence_penalty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fk_sampling p = plain();
        memcpy((char *)&p + cases[i].offset, &cases[i].bad, sizeof(float));
        assert_int_equal(sampling_check(&p, N, &err), FK_EINVAL);
        assert_non_null(strstr(err.message, cases[i].name));
    }
    struct fk_sampling p = plain();
    assert_int_equal(sampling_check(&p, N, &err), FK_OK);
    p.bias = &bias;
    p.n_bias = 1;
    assert_int_equal(sampling_check(&p, N, &err), FK_EINVAL);
    p.n_bias = 1000000;
    assert_int_equal(sampling_check(&p, N, &err), FK_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_allowed_tokens_are_drawn),
        cmocka_unit_test(draws_follow_the_distribution),
        cmocka_unit_test(greedy_ties_go_to_the_lowest_id),
        cmocka_unit_test(penalties_change_what_was_said),
        cmocka_unit_test(the_seed_and_the_position_fix_the_draw),
        cmocka_unit_test(logprobs_are_right),
        cmocka_unit_test(settings_out_of_range_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
