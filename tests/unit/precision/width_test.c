/* SPDX-License-Identifier: Apache-2.0
 * width_test.c - a width touches its own planes only, may change between two tokens, and fits budgets. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fikr/quantize.h"
#include "fikr/session.h"
#include "src/precision/budget.h"
#include "tests/golden/gold.h"

#define N_IDS 24
#define N_VOCAB 288
#define SWITCH_AT 10

static char folder[] = "/tmp/fikr-widths-XXXXXX", whole[64], other[64];
static const int widths[6] = {2, 3, 4, 5, 6, 8};

static int32_t id_at(int i)
{
    return 3 + 11 * i % 250;
}

static int setup(void **state)
{
    (void)state;
    struct fk_quantize_params p;
    if (!mkdtemp(folder)) return 1;
    snprintf(whole, sizeof whole, "%s/whole.gguf", folder);
    snprintf(other, sizeof other, "%s/other.gguf", folder);
    fk_quantize_default_params(&p);
    p.n_threads = 2;
    return fk_quantize(gold_path("llama.gguf"), whole, &p, NULL);
}

static int teardown(void **state)
{
    (void)state;
    unlink(whole);
    unlink(other);
    return rmdir(folder);
}

/* The part of this process's map of the file that lies behind `end`, in whole pages. */
static void *map_behind(uint64_t end, size_t *n)
{
    char line[512];
    FILE *f = fopen("/proc/self/maps", "r");
    uintptr_t from = 0, to = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        unsigned long a, b;
        if (strstr(line, whole) && sscanf(line, "%lx-%lx", &a, &b) == 2) {
            assert_int_equal(from, 0);
            from = a;
            to = b;
        }
    }
    fclose(f);
    assert_true(from != 0);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    from += (end + page - 1) / page * page;
    *n = to - from;
    return (void *)from;
}

static uint64_t end_of_plane(int i)
{
    struct gguf *g = NULL;
    int64_t end = 0;
    assert_int_equal(gguf_open(&g, whole, NULL), FK_OK);
    assert_true(gguf_item_int(gguf_find(g, "fikr.plane_end"), (uint64_t)i, &end));
    gguf_close(&g);
    return (uint64_t)end;
}

/* The planes above are taken away from the process: a read of one byte of them would end it. */
static void no_page_of_higher_planes_is_touched(void **state)
{
    (void)state;
    static float want[N_IDS * N_VOCAB], got[N_IDS * N_VOCAB];
    int32_t ids[N_IDS];
    for (int i = 0; i < N_IDS; i++) ids[i] = id_at(i);
    for (int i = 0; i < 5; i++) {
        for (int is_guarded = 0; is_guarded < 2; is_guarded++) {
            struct fk_engine_params p;
            fk_model *m = NULL;
            fk_engine *e = NULL;
            fk_session *s = NULL;
            double gb_per_s = 0;
            fk_engine_default_params(&p);
            p.bits = widths[i];
            p.n_threads = 2;
            assert_int_equal(fk_model_open(&m, whole, NULL, NULL), FK_OK);
            if (is_guarded) {
                size_t n;
                void *at = map_behind(end_of_plane(i), &n);
                assert_true(n >= 4096);
                assert_int_equal(mprotect(at, n, PROT_NONE), 0);
            }
            assert_int_equal(fk_engine_create(&e, m, &p, NULL), FK_OK);
            assert_int_equal(fk_session_create(&s, e, NULL, NULL), FK_OK);
            float *out = is_guarded ? got : want;
            assert_int_equal(fk_session_eval(s, ids, N_IDS, 0, 0, out, NULL), FK_OK);
            assert_int_equal(fk_session_eval(s, ids, N_IDS, 0, 1, out, NULL), FK_OK);
            if (is_guarded)
                assert_int_equal(fk_engine_measure_bandwidth(e, 0.001, &gb_per_s, NULL), FK_OK);
            fk_session_destroy(&s);
            fk_engine_destroy(&e);
            fk_model_close(&m);
        }
        assert_memory_equal(got, want, sizeof want);
    }
}

/* Logits of the last of n tokens more. */
static void step(struct rig *r, int bits, const int32_t *ids, int n, float *out)
{
    const float *logits;
    r->ops.bits = bits;
    assert_int_equal(rig_step(r, ids, n, 1, &logits, NULL), FK_OK);
    memcpy(out, logits, N_VOCAB * sizeof *out);
}

static void copy_cache(struct rig *to, const struct rig *from)
{
    assert_int_equal(to->n_pages, from->n_pages);
    for (int i = 0; i < from->n_pages; i++) memcpy(to->pages[i], from->pages[i], from->kv.page_bytes);
    to->pos = from->pos;
}

/* One that ran at another width before, and one that only got its cache. */
static void a_switch_equals_a_fresh_run(void **state)
{
    (void)state;
    int32_t ids[N_IDS];
    for (int i = 0; i < N_IDS; i++) ids[i] = id_at(i);
    for (int from = 0; from < 6; from++) {
        struct rig a;
        static float x[N_VOCAB], y[N_VOCAB], stay[N_VOCAB];
        rig_open(&a, whole, 2, DT_F16, MLA_AUTO);
        for (int to = 0; to < 6; to++) {
            struct rig b;
            rig_open(&b, whole, 2, DT_F16, MLA_AUTO);
            rig_rewind(&a);
            step(&a, widths[from], ids, SWITCH_AT - 1, x);
            step(&a, widths[from], ids + SWITCH_AT - 1, 1, x);
            copy_cache(&b, &a);
            step(&a, widths[from], ids + SWITCH_AT, 1, stay);
            copy_cache(&a, &b);
            for (int i = SWITCH_AT; i < N_IDS; i++) {
                step(&a, widths[to], ids + i, 1, x);
                step(&b, widths[to], ids + i, 1, y);
                assert_memory_equal(x, y, sizeof x);
                if (i == SWITCH_AT && from != to) assert_memory_not_equal(x, stay, sizeof x);
            }
            rig_close(&b);
        }
        rig_close(&a);
    }
}

/* The engine's switch, between two tokens of a reply, is that switch. */
static void the_engine_switches_between_tokens(void **state)
{
    (void)state;
    struct fk_engine_params p;
    struct fk_session_params sp;
    fk_model *m = NULL;
    fk_engine *e = NULL;
    fk_session *s = NULL;
    int32_t ids[SWITCH_AT];
    for (int i = 0; i < SWITCH_AT; i++) ids[i] = id_at(i);
    fk_engine_default_params(&p);
    p.bits = 8;
    fk_session_default_params(&sp);
    sp.sampling.temperature = 0;
    sp.raw = 1;
    sp.no_loop_guard = 1;
    assert_int_equal(fk_model_open(&m, whole, NULL, NULL), FK_OK);
    assert_int_equal(fk_engine_create(&e, m, &p, NULL), FK_OK);
    assert_int_equal(fk_session_create(&s, e, &sp, NULL), FK_OK);
    assert_int_equal(fk_session_prompt(s, ids, SWITCH_AT, 0, NULL), FK_OK);
    struct rig r;
    static float z[N_VOCAB];
    rig_open(&r, whole, 1, DT_F16, MLA_AUTO);
    step(&r, 8, ids, SWITCH_AT, z);
    struct fk_event ev = {0};
    struct fk_engine_info info;
    assert_int_equal(fk_engine_set_head(e, 4, NULL), FK_OK);
    assert_int_equal(fk_engine_set_head(e, 7, NULL), FK_EINVAL);
    assert_int_equal(fk_engine_set_head(e, 8, NULL), FK_EINVAL);
    assert_int_equal(fk_engine_get_info(e, &info), FK_OK);
    assert_int_equal(info.head_bits, 4);
    assert_int_equal(fk_engine_set_head(e, FK_HEAD_WHOLE, NULL), FK_OK); /* and step's has one stage */
    for (int i = 0; i < 12; i++) {
        int bits = i < 5 ? 8 : i < 9 ? 3 : 4;
        assert_int_equal(fk_engine_set_bits(e, bits, NULL), FK_OK);
        if (i) step(&r, bits, &ev.token, 1, z); /* a token is computed when the next is asked for */
        assert_int_equal(fk_session_next(s, &ev, NULL), FK_OK);
        int best = 0;
        double sum = 0;
        for (int k = 1; k < N_VOCAB; k++) best = z[k] > z[best] ? k : best;
        for (int k = 0; k < N_VOCAB; k++) sum += exp((double)(z[k] - z[best]));
        assert_int_equal(ev.token, best);
        assert_true(fabs((double)ev.logprob + log(sum)) < 1e-5);
        assert_int_equal(ev.finish, FK_RUNNING);
    }
    rig_close(&r);
    fk_session_destroy(&s);
    fk_engine_destroy(&e);
    fk_model_close(&m);
}

/* What of a token's logits is the widest read's, and what that of 3 bits: whole groups of 8, those with the
 * largest of 3 bits. A token alone has the bits that it has in a batch. */
static void the_head_has_two_stages(void **state)
{
    (void)state;
    enum { N_BEST = 5, N = 9, GROUPS = N_VOCAB / 8 };
    static float low[N * N_VOCAB], wide[N * N_VOCAB], two[N * N_VOCAB], one[N_VOCAB];
    struct rig r;
    uint64_t bytes[3];
    rig_open(&r, whole, 2, DT_F16, MLA_AUTO);
    const struct tensor *w = r.model->output;
    struct tensor x = {.dtype = DT_F32, .n_cols = w->n_cols, .n_rows = N, .n_mats = 1};
    x.row_bytes = (size_t)w->n_cols * sizeof(float);
    x.mat_bytes = N * x.row_bytes;
    float *data = aligned_alloc(64, (x.mat_bytes + 63) & ~(size_t)63);
    assert_non_null(data);
    for (int i = 0; i < N * (int)w->n_cols; i++) data[i] = sinf((float)(i * i % 977));
    x.data = data;
    ops_begin(&r.ops, NULL);
    for (int i = 0; i < 3; i++) {
        float *to = i == 0 ? low : i == 1 ? wide : two;
        r.ops.bits = i == 0 ? 3 : 8;
        r.ops.weight_bytes_read = 0;
        struct tensor *y = i < 2 ? op_matmul(&r.ops, w, NULL, &x) : op_matmul_best(&r.ops, w, &x, 3, 2);
        assert_non_null(y);
        bytes[i] = r.ops.weight_bytes_read;
        if (i == 2) y = op_matmul_best(&r.ops, w, &x, 3, N_BEST);
        for (int t = 0; t < N; t++) memcpy(to + t * N_VOCAB, tensor_row_f32(y, t), N_VOCAB * sizeof *to);
    }
    assert_true(bytes[2] > bytes[0] && bytes[2] <= bytes[0] + bytes[1]);
    for (int t = 0; t < N; t++) {
        float least = INFINITY, most = -INFINITY;
        int n = 0;
        for (int g = 0; g < GROUPS; g++) {
            size_t at = (size_t)(t * N_VOCAB + 8 * g);
            bool again = memcmp(two + at, wide + at, 32) == 0;
            if (!again) assert_memory_equal(two + at, low + at, 32);
            float m = -INFINITY;
            for (size_t k = 0; k < 8; k++) m = fmaxf(m, low[at + k]);
            if (again) least = fminf(least, m);
            else most = fmaxf(most, m);
            n += again;
        }
        assert_int_equal(n, N_BEST);
        assert_true(least >= most);
        struct tensor row = x;
        row.data = data + (size_t)t * (size_t)w->n_cols;
        row.n_rows = 1;
        struct tensor *y = op_matmul_best(&r.ops, w, &row, 3, N_BEST);
        assert_non_null(y);
        memcpy(one, y->data, sizeof one);
        assert_memory_equal(one, two + t * N_VOCAB, sizeof one);
    }
    /* No narrower, or no more groups than are read again: one stage. */
    struct tensor *y = op_matmul_best(&r.ops, w, &x, 8, N_BEST);
    assert_memory_equal(tensor_row_f32(y, 1), wide + N_VOCAB, N_VOCAB * sizeof *wide);
    y = op_matmul_best(&r.ops, w, &x, 3, GROUPS);
    assert_memory_equal(tensor_row_f32(y, 1), wide + N_VOCAB, N_VOCAB * sizeof *wide);
    free(data);
    rig_close(&r);
}

static void choices_are_the_best_ones(void **state)
{
    (void)state;
    /* The second loses much at 3 bits, the third little at any width and is large. */
    struct budget_unit u[3] = {{{20, 30, 40, 60, 80}, {9, 3, 1, 0.3, 0}, 0},
                               {{20, 30, 40, 60, 80}, {90, 30, 10, 3, 0}, 0},
                               {{200, 300, 400, 600, 800}, {0.9, 0.3, 0.1, 0.03, 0}, 0}};
    assert_false(budget_choose(u, 3, 1, 4, 359));
    assert_true(budget_choose(u, 3, 1, 4, 360));
    assert_true(u[0].at == 1 && u[1].at == 1 && u[2].at == 1);
    assert_true(budget_choose(u, 3, 1, 4, 370));
    assert_true(u[0].at == 1 && u[1].at == 2 && u[2].at == 1);
    assert_true(budget_choose(u, 3, 1, 4, 380));
    assert_true(u[0].at == 2 && u[1].at == 2 && u[2].at == 1);
    assert_true(budget_choose(u, 3, 1, 4, 1e9));
    assert_true(u[0].at == 4 && u[1].at == 4 && u[2].at == 4);
    assert_true(budget_choose(u, 3, 0, 4, 240));
    assert_true(u[0].at == 0 && u[1].at == 0 && u[2].at == 0);
}

/* Small steps first would leave no room for that of a large unit, which takes away more than all of them. */
static void a_large_unit_gets_its_step(void **state)
{
    (void)state;
    struct budget_unit u[4] = {{{200, 300, 400, 600, 800}, {99, 30, 10, 0.1, 0}, 0},
                               {{20, 30, 40, 60, 80}, {9, 3, 1, 0.1, 0}, 0},
                               {{20, 30, 40, 60, 80}, {9, 3, 1, 0.1, 0}, 0},
                               {{20, 30, 40, 60, 80}, {9, 3, 1, 0.1, 0}, 0}};
    for (int i = 1; i < 4; i++) { /* for a byte a little more than the large one's step */
        u[i].loss[2] = 2.3;
        u[i].loss[3] = 0.2;
    }
    assert_true(budget_choose(u, 4, 1, 4, 720));
    assert_true(u[0].at == 3);
    assert_true(u[1].at + u[2].at + u[3].at <= 6);
}

/* A budget is kept by what a run then reads, and used up to one unit's step. */
static void budgets_are_kept(void **state)
{
    (void)state;
    static const double bpw[] = {7.5, 9, 11}; /* scales count: rows are short */
    struct fk_quantize_params p;
    struct fk_quantize_report r;
    struct fk_error err = {0};
    double before = 1e9;
    for (int i = 0; i < 3; i++) {
        fk_quantize_default_params(&p);
        p.bpw = bpw[i];
        p.report = &r;
        if (fk_quantize(whole, other, &p, &err)) fail_msg("%s", err.message);
        struct model *m = NULL;
        assert_int_equal(model_open(&m, other, false, NULL), FK_OK);
        double active = 8 * (double)m->active_bytes / (double)m->n_active_params;
        model_close(&m);
        assert_true(r.plan_bpw <= bpw[i] && r.plan_bpw > bpw[i] - 0.7);
        assert_true(fabs(active / r.plan_bpw - 1) < 0.04);
        assert_true(r.plan_kl < before);
        before = r.plan_kl;
        /* A second budget goes by the losses that the file has now. */
        int n_at[6];
        memcpy(n_at, r.n_at, sizeof n_at);
        assert_int_equal(fk_quantize(other, other, &p, &err), FK_OK);
        assert_memory_equal(n_at, r.n_at, sizeof n_at);
        assert_true(access(other, R_OK) == 0);
    }
    /* What was there stays when a budget cannot be met. */
    p.bpw = 1;
    assert_int_equal(fk_quantize(whole, other, &p, &err), FK_EINVAL);
    assert_non_null(strstr(err.message, "at 2 bits"));
    assert_int_equal(access(other, R_OK), 0);
    p.size_bytes = 100000;
    assert_int_equal(fk_quantize(whole, other, &p, &err), FK_EINVAL);
    p.bpw = 0;
    p.size_bytes = 30000;
    assert_int_equal(fk_quantize(gold_path("llama.gguf"), other, &p, &err), FK_OK);
    struct model *m = NULL;
    assert_int_equal(model_open(&m, other, false, NULL), FK_OK);
    assert_true(m->weight_bytes <= p.size_bytes && m->weight_bytes > p.size_bytes * 8 / 10);
    model_close(&m);
    assert_true(r.n_tokens > 0);
    for (int i = 1; i < 6; i++) assert_true(r.kl[i] < r.kl[i - 1]);
    /* What was measured serves the next budget, and codes that are chosen for a plan are better ones. */
    char measured[64];
    snprintf(measured, sizeof measured, "%s/measured.gguf", folder);
    fk_quantize_default_params(&p);
    p.report = &r;
    p.bpw = 9;
    assert_int_equal(fk_quantize(whole, measured, &p, &err), FK_OK);
    p.plan = measured;
    assert_int_equal(fk_quantize(gold_path("llama.gguf"), other, &p, &err), FK_OK);
    assert_true(r.plan_bpw <= 9 && r.plan_bpw > 8.3);
    p.plan = NULL;
    p.bpw = 0;
    unlink(measured);

    /* A divergence is kept to, and a smaller one takes more bytes. */
    uint64_t bytes = 0;
    static const double kl[] = {0.05, 0.01};
    for (int i = 0; i < 2; i++) {
        p.kl = kl[i];
        if (fk_quantize(gold_path("llama.gguf"), other, &p, &err)) fail_msg("%s", err.message);
        assert_true(r.plan_kl <= kl[i]);
        assert_true(r.plan_bytes > bytes);
        bytes = r.plan_bytes;
        if (fk_quantize(whole, other, &p, &err)) fail_msg("%s", err.message);
        assert_true(r.plan_kl <= kl[i]);
    }
    p.kl = 1e-9;
    assert_int_equal(fk_quantize(gold_path("llama.gguf"), other, &p, &err), FK_EINVAL);
    assert_non_null(strstr(err.message, "is not reached"));
    p.bpw = 4;
    assert_int_equal(fk_quantize(gold_path("llama.gguf"), other, &p, &err), FK_EINVAL);
}

static void plans_of(const char *path, int *of_head, int *first, int *of_others)
{
    struct model *m = NULL;
    *of_others = 0;
    assert_int_equal(model_open(&m, path, false, NULL), FK_OK);
    for (const struct model_planes *p = m->plane_weights; p; p = p->next) {
        if (p->planes != m->output->data) {
            assert_int_equal(p->planes->first, 0);
            *of_others += p->planes->plan != 0;
            continue;
        }
        *of_head = p->planes->plan;
        *first = p->planes->first;
    }
    model_close(&m);
}

/* A head in two stages is planned by the budget, kept by what is made of the file, and dropped by a budget
 * without one. */
static void a_budget_plans_the_head_in_two_stages(void **state)
{
    (void)state;
    struct fk_quantize_params p;
    struct fk_error err = {0};
    int of_head, first, of_others;
    fk_quantize_default_params(&p);
    p.bpw = 11;
    p.head_bits = 3;
    const char *const from[] = {whole, gold_path("llama.gguf")};
    for (int i = 0; i < 2; i++) {
        if (fk_quantize(from[i], other, &p, &err)) fail_msg("%s", err.message);
        plans_of(other, &of_head, &first, &of_others);
        assert_true(of_head == 0 && first == 3 && of_others > 3);
        if (i == 0) assert_int_equal(fk_check_planes(other, NULL, NULL, NULL, &err), FK_OK);
    }
    /* Another file that follows this one's plan has it too; without a budget a file in planes gets none. */
    char again[64];
    snprintf(again, sizeof again, "%s/again.gguf", folder);
    struct fk_quantize_params q;
    fk_quantize_default_params(&q);
    q.plan = other;
    if (fk_quantize(gold_path("llama.gguf"), again, &q, &err)) fail_msg("%s", err.message);
    plans_of(again, &of_head, &first, &of_others);
    assert_true(of_head == 0 && first == 3 && of_others > 3);
    unlink(again);
    p.strip = FK_STRIP_PLAN;
    p.bpw = 0;
    assert_int_equal(fk_quantize(other, other, &p, &err), FK_EINVAL);
    p.head_bits = 0;
    assert_int_equal(fk_quantize(other, other, &p, &err), FK_OK);
    plans_of(other, &of_head, &first, &of_others);
    assert_true(of_head == 0 && first == 3);
    fk_quantize_default_params(&p);
    p.bpw = 11;
    assert_int_equal(fk_quantize(whole, other, &p, &err), FK_OK);
    plans_of(other, &of_head, &first, &of_others);
    assert_true(of_head != 0 && first == 0);
    p.head_bits = 7;
    assert_int_equal(fk_quantize(whole, other, &p, &err), FK_EINVAL);
    p.head_bits = 8;
    assert_int_equal(fk_quantize(whole, other, &p, &err), FK_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_page_of_higher_planes_is_touched),
        cmocka_unit_test(a_switch_equals_a_fresh_run),
        cmocka_unit_test(the_engine_switches_between_tokens),
        cmocka_unit_test(the_head_has_two_stages),
        cmocka_unit_test(choices_are_the_best_ones),
        cmocka_unit_test(a_large_unit_gets_its_step),
        cmocka_unit_test(budgets_are_kept),
        cmocka_unit_test(a_budget_plans_the_head_in_two_stages),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
