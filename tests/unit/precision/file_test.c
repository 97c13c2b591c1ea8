/* SPDX-License-Identifier: Apache-2.0
 * file_test.c - a tiny model into planes and back: every width, cuts, pages that are not touched, and
 * files that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fikr/quantize.h"
#include "fikr/session.h"
#include "fikr/tokenizer.h"
#include "src/file/gguf.h"

#define N_IDS 24
#define MAX_VOCAB 512

static char folder[] = "/tmp/fikr-planes-XXXXXX", source[1100], whole[64], part[64];
static const int widths[6] = {2, 3, 4, 5, 6, 8};

static void must(enum fk_status st, const struct fk_error *err)
{
    if (st) fail_msg("%s", err->message);
}

static int setup(void **state)
{
    (void)state;
    struct fk_error err = {0};
    const char *dir = getenv("FIKR_GOLDEN_DIR");
    if (!mkdtemp(folder)) return 1;
    snprintf(source, sizeof source, "%s/llama.gguf", dir ? dir : "tests/golden");
    snprintf(whole, sizeof whole, "%s/whole.gguf", folder);
    snprintf(part, sizeof part, "%s/part.gguf", folder);
    struct fk_quantize_params p;
    fk_quantize_default_params(&p);
    p.n_threads = 2;
    must(fk_quantize(source, whole, &p, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(whole);
    unlink(part);
    return rmdir(folder);
}

/* Logits of a fixed sequence; the status where the model or the engine is refused. */
static enum fk_status logits_of(const char *path, int bits, float *out, struct fk_error *err)
{
    fk_model *m = NULL;
    fk_engine *e = NULL;
    fk_session *s = NULL;
    int32_t ids[N_IDS];
    struct fk_engine_params p;
    fk_engine_default_params(&p);
    p.n_threads = 1;
    p.bits = bits;
    p.kv_type = FK_KV_F32;
    for (int i = 0; i < N_IDS; i++) ids[i] = 3 + 11 * i % 250;
    enum fk_status st = fk_model_open(&m, path, NULL, err);
    if (!st) st = fk_engine_create(&e, m, &p, err);
    if (!st) st = fk_session_create(&s, e, NULL, err);
    if (!st) assert_true(fk_n_vocab(m) <= MAX_VOCAB);
    if (!st) st = fk_session_eval(s, ids, N_IDS, 0, 0, out, err);
    fk_session_destroy(&s);
    fk_engine_destroy(&e);
    fk_model_close(&m);
    return st;
}

static double distance(const float *a, const float *b, size_t n)
{
    double sum = 0, power = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
        power += (double)b[i] * (double)b[i];
    }
    return sqrt(sum / power);
}

static void test_widths_come_closer(void **state)
{
    (void)state;
    static float want[N_IDS * MAX_VOCAB], got[N_IDS * MAX_VOCAB];
    static const double most[6] = {2, 1, 0.45, 0.3, 0.2, 0.1};
    struct fk_error err = {0};
    must(logits_of(source, 0, want, &err), &err);
    double before = 10;
    for (int i = 0; i < 6; i++) {
        must(logits_of(whole, widths[i], got, &err), &err);
        double d = distance(got, want, N_IDS * 288);
        print_message("%d bits: %.4f\n", widths[i], d);
        assert_true(d < before);
        assert_true(d < most[i]);
        before = d;
    }
    /* Without a width the widest is read. */
    static float all[N_IDS * MAX_VOCAB];
    must(logits_of(whole, 0, all, &err), &err);
    assert_memory_equal(all, got, N_IDS * 288 * sizeof(float));
}

static void copy(const char *from, const char *to, uint64_t bytes, uint64_t poke_at, int poke)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    for (uint64_t i = 0; i < bytes; i++) {
        int c = getc(in);
        assert_true(c != EOF);
        putc(i == poke_at ? poke : c, out);
    }
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* fikr.plane_end, file size behind it. */
static void read_ends(uint64_t ends[7])
{
    struct fk_error err = {0};
    struct gguf *g = NULL;
    must(gguf_open(&g, whole, &err), &err);
    const struct gguf_kv *kv = gguf_find(g, "fikr.plane_end");
    assert_non_null(kv);
    for (uint64_t i = 0; i < 6; i++) {
        int64_t v = 0;
        assert_true(gguf_item_int(kv, i, &v));
        ends[i] = (uint64_t)v;
    }
    ends[6] = gguf_file_bytes(g);
    /* Planes begin at pages, so that no page holds bytes of two. */
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        if (t->name.n < 3 || memcmp(t->name.p + t->name.n - 3, ".p", 2) != 0) continue;
        int width = t->name.p[t->name.n - 1] - '0', k = 0;
        while (widths[k] != width) k++;
        uint64_t first_page = k ? ends[k - 1] / 4096 + (ends[k - 1] % 4096 != 0) : 0;
        assert_true(t->offset >= first_page * 4096 && t->offset + t->bytes <= ends[k]);
    }
    gguf_close(&g);
}

static void test_cut_files(void **state)
{
    (void)state;
    static float want[N_IDS * MAX_VOCAB], got[N_IDS * MAX_VOCAB];
    struct fk_error err = {0};
    uint64_t ends[7];
    read_ends(ends);
    assert_int_equal(ends[5], ends[6]);
    for (int i = 0; i < 6; i++) {
        must(logits_of(whole, widths[i], want, &err), &err);
        /* At the end of a plane, and a little beyond it. */
        for (uint64_t more = 0; more < 200; more += 100) {
            if (i == 5 && more) continue;
            copy(whole, part, ends[i] + more, UINT64_MAX, 0);
            must(logits_of(part, 0, got, &err), &err);
            assert_memory_equal(got, want, N_IDS * 288 * sizeof(float));
            if (i == 5) continue;
            assert_int_equal(logits_of(part, widths[i + 1], got, &err), FK_EINVAL);
        }
    }
    copy(whole, part, ends[0] - 1, UINT64_MAX, 0);
    assert_int_equal(logits_of(part, 0, got, &err), FK_EFORMAT);
    assert_non_null(strstr(err.message, "first plane"));
}

/* Planes above the width may hold anything: they are not read. */
static void test_higher_planes_are_not_read(void **state)
{
    (void)state;
    static float want[N_IDS * MAX_VOCAB], got[N_IDS * MAX_VOCAB];
    struct fk_error err = {0};
    uint64_t ends[7];
    read_ends(ends);
    must(logits_of(whole, 4, want, &err), &err);
    copy(whole, part, ends[6], UINT64_MAX, 0);
    int fd = open(part, O_WRONLY);
    static uint8_t noise[4096];
    memset(noise, 0x5a, sizeof noise);
    for (uint64_t at = ends[2]; at < ends[6]; at += sizeof noise) {
        size_t n = ends[6] - at < sizeof noise ? (size_t)(ends[6] - at) : sizeof noise;
        assert_int_equal(pwrite(fd, noise, n, (off_t)at), n);
    }
    close(fd);
    must(logits_of(part, 4, got, &err), &err);
    assert_memory_equal(got, want, N_IDS * 288 * sizeof(float));
    must(logits_of(part, 6, got, &err), &err);
    assert_memory_not_equal(got, want, N_IDS * 288 * sizeof(float));
}

static void test_hostile_heads(void **state)
{
    (void)state;
    static float got[N_IDS * MAX_VOCAB];
    struct fk_error err = {0};
    struct gguf *g = NULL;
    uint64_t ends[7];
    read_ends(ends);
    must(gguf_open(&g, whole, &err), &err);
    const struct gguf_tensor *t = gguf_find_tensor(g, "blk.0.attn_q.weight.s");
    assert_non_null(t);
    uint64_t at = t->offset;
    gguf_close(&g);
    /* magic, version, split, columns, rows, unit, level, base, class, plan, loss */
    static const struct { int at, v; } pokes[] = {{0, 'x'}, {4, 9}, {6, 2}, {16, 64}, {24, 200},
                                                   {43, 0xff}, {64, 100}, {92, 127}, {148, 7}, {11, 7}, {195, 0xbf}};
    for (size_t i = 0; i < sizeof pokes / sizeof *pokes; i++) {
        copy(whole, part, ends[6], at + (uint64_t)pokes[i].at, pokes[i].v);
        err.message[0] = 0;
        enum fk_status st = logits_of(part, 0, got, &err);
        if (pokes[i].at == 43 && !st) continue; /* a large factor is still a number */
        assert_true(st == FK_EFORMAT || st == FK_ENONFINITE);
        assert_true(strlen(err.message) > 20);
    }
}

/* A plan is what is read without a width, and what the codes are chosen for. */
static void test_plan(void **state)
{
    (void)state;
    static float want[N_IDS * MAX_VOCAB], plain[N_IDS * MAX_VOCAB], planned[N_IDS * MAX_VOCAB];
    struct fk_error err = {0};
    struct fk_quantize_params p;
    char plan[8];
    fk_quantize_default_params(&p);
    must(logits_of(source, 0, want, &err), &err);
    for (int i = 3; i < 6; i++) { /* at 3 and 4 bits so small a model is all noise */
        snprintf(plan, sizeof plan, "=%d", widths[i]);
        p.plan = plan;
        must(fk_quantize(source, part, &p, &err), &err);
        must(logits_of(whole, widths[i], plain, &err), &err);
        must(logits_of(part, widths[i], planned, &err), &err);
        double before = distance(plain, want, N_IDS * 288), now = distance(planned, want, N_IDS * 288);
        print_message("%d bits: %.4f, planned %.4f\n", widths[i], before, now);
        assert_true(now < before * 0.95);
        must(logits_of(part, 0, plain, &err), &err);
        assert_memory_equal(plain, planned, N_IDS * 288 * sizeof(float));
    }
    p.plan = "attn_q=3,=4";
    must(fk_quantize(source, part, &p, &err), &err);
    must(logits_of(part, 4, plain, &err), &err);
    must(logits_of(part, 0, planned, &err), &err);
    assert_memory_not_equal(plain, planned, N_IDS * 288 * sizeof(float));
    static const char *const wrong[] = {"=7", "a=44", "a=", "=4,,"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        p.plan = wrong[i];
        assert_int_equal(fk_quantize(source, part, &p, &err), FK_EINVAL);
    }
}

static uint32_t take(FILE *f)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) v |= (uint32_t)getc(f) << 8 * i;
    return v;
}

/* Every weight that was calibrated, in another tool's format, to the last byte. */
static void test_imatrix(void **state)
{
    (void)state;
    struct fk_error err = {0};
    struct fk_quantize_params p;
    char path[80];
    snprintf(path, sizeof path, "%s/seen", folder);
    fk_quantize_default_params(&p);
    p.imatrix = path;
    must(fk_quantize(source, part, &p, &err), &err);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    uint32_t n = take(f), n_up = 0;
    assert_int_equal(n, 13); /* ffn_down has too odd a number of columns */
    for (uint32_t i = 0; i < n; i++) {
        char name[64] = "";
        uint32_t length = take(f);
        assert_true(length < sizeof name);
        assert_int_equal(fread(name, 1, length, f), length);
        assert_int_equal(take(f), 1);
        uint32_t n_cols = take(f);
        assert_true(n_cols && n_cols % 32 == 0);
        n_up += strstr(name, "ffn_up") != NULL;
        for (uint32_t k = 0; k < n_cols; k++) {
            uint32_t u = take(f);
            float v;
            memcpy(&v, &u, 4);
            assert_true(v >= 0 && v < 1e6f);
        }
    }
    assert_int_equal(getc(f), EOF);
    assert_int_equal(n_up, 2);
    fclose(f);
    unlink(path);
    p.imatrix = "/nowhere/at/all";
    assert_int_not_equal(fk_quantize(source, part, &p, &err), FK_OK);
}

static uint64_t size_of(const char *path)
{
    struct fk_error err = {0};
    struct gguf *g = NULL;
    must(gguf_open(&g, path, &err), &err);
    uint64_t n = gguf_file_bytes(g);
    gguf_close(&g);
    return n;
}

/* Without the planes that its plan does not read a file gives the same bits, and so does one that is stripped
 * while it is made. */
static void test_strip(void **state)
{
    (void)state;
    static float want[N_IDS * MAX_VOCAB], got[N_IDS * MAX_VOCAB];
    struct fk_error err = {0};
    struct fk_quantize_params p, strip;
    fk_quantize_default_params(&p);
    fk_quantize_default_params(&strip);
    p.plan = "attn_q=3,ffn_up=6,=4";
    must(fk_quantize(source, part, &p, &err), &err);
    uint64_t all = size_of(part);
    must(logits_of(part, 0, want, &err), &err);
    strip.strip = FK_STRIP_PLAN;
    must(fk_quantize(part, part, &strip, &err), &err);
    uint64_t some = size_of(part);
    assert_true(some < all * 8 / 10);
    must(logits_of(part, 0, got, &err), &err);
    assert_memory_equal(got, want, N_IDS * 288 * sizeof(float));
    must(fk_check_planes(part, NULL, NULL, NULL, &err), &err);
    p.strip = FK_STRIP_PLAN;
    must(fk_quantize(source, part, &p, &err), &err);
    assert_int_equal(size_of(part), some);
    must(logits_of(part, 0, got, &err), &err);
    assert_memory_equal(got, want, N_IDS * 288 * sizeof(float));
    assert_int_equal(logits_of(part, 8, got, &err), FK_EINVAL); /* no weight has them */
    must(logits_of(part, 6, got, &err), &err); /* what there is, up to 6: with this plan the same */
    assert_memory_equal(got, want, N_IDS * 288 * sizeof(float));
    must(logits_of(part, 2, got, &err), &err);

    for (int i = 0; i < 5; i++) {
        must(logits_of(whole, widths[i], want, &err), &err);
        strip.strip = widths[i];
        must(fk_quantize(whole, part, &strip, &err), &err);
        must(logits_of(part, 0, got, &err), &err);
        assert_memory_equal(got, want, N_IDS * 288 * sizeof(float));
        assert_int_equal(logits_of(part, widths[i + 1], got, &err), FK_EINVAL);
    }
    strip.strip = FK_STRIP_PLAN;
    assert_int_equal(fk_quantize(whole, part, &strip, &err), FK_EINVAL);
    assert_non_null(strstr(err.message, "plans nothing"));
    strip.strip = 7;
    assert_int_equal(fk_quantize(whole, part, &strip, &err), FK_EINVAL);
}

/* A plan is taken over from a file, which must be of the same model. */
static void test_plan_of_a_file(void **state)
{
    (void)state;
    static float want[N_IDS * MAX_VOCAB], got[N_IDS * MAX_VOCAB];
    struct fk_error err = {0};
    struct fk_quantize_params p;
    char made[80];
    snprintf(made, sizeof made, "%s/made.gguf", folder);
    fk_quantize_default_params(&p);
    p.plan = "attn_q=3,=4";
    must(fk_quantize(source, part, &p, &err), &err);
    must(logits_of(part, 0, want, &err), &err);
    p.plan = part;
    must(fk_quantize(source, made, &p, &err), &err);
    must(logits_of(made, 0, got, &err), &err);
    assert_memory_equal(got, want, N_IDS * 288 * sizeof(float));
    p.plan = whole;
    assert_int_equal(fk_quantize(source, made, &p, &err), FK_EINVAL);
    assert_non_null(strstr(err.message, "plans nothing"));
    p.plan = "/nowhere";
    assert_int_not_equal(fk_quantize(source, made, &p, &err), FK_OK);
    unlink(made);
}

/* One flipped bit anywhere in head, scales or planes is found, and said in a sentence. */
static void test_check(void **state)
{
    (void)state;
    static const char *const parts[] = {"s", "p2", "p3", "p4", "p5", "p6", "p8"};
    struct fk_error err = {0};
    struct fk_check_report r;
    struct gguf *g = NULL;
    uint64_t ends[7];
    read_ends(ends);
    must(fk_check_planes(whole, NULL, NULL, &r, &err), &err);
    assert_true(r.n_weights == 13 && r.n_bytes > 10000);
    copy(whole, part, ends[2], UINT64_MAX, 0);
    must(fk_check_planes(part, NULL, NULL, &r, &err), &err);
    must(gguf_open(&g, whole, &err), &err);
    for (int i = 0; i < 8; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.1.attn_v.weight.%s", parts[i < 7 ? i : 0]);
        const struct gguf_tensor *t = gguf_find_tensor(g, name);
        assert_non_null(t);
        /* In the middle of a part; and in the head a level, by one. */
        uint64_t at = i < 7 ? t->bytes / 2 : 80;
        copy(whole, part, ends[6], t->offset + at, t->data[at] ^ 1);
        assert_int_equal(fk_check_planes(part, NULL, NULL, &r, &err), FK_EFORMAT);
        assert_non_null(strstr(err.message, "blk.1.attn_v.weight"));
        assert_non_null(strstr(err.message, "damaged"));
    }
    gguf_close(&g);
    assert_int_equal(fk_check_planes(source, NULL, NULL, &r, &err), FK_EUNSUPPORTED);
}

/* Kills its process when the weight after `left` others begins. */
struct killer {
    int left, n_rounded;
    char said[512];
};

static int kill_at(void *arg, const char *what, unsigned long long done, unsigned long long total)
{
    struct killer *k = arg;
    (void)done, (void)total;
    if (strcmp(what, "quantizing") != 0) return 0;
    k->n_rounded++;
    if (k->left-- == 0) raise(SIGKILL);
    return 0;
}

static void hear(void *arg, const char *sentence)
{
    struct killer *k = arg;
    snprintf(k->said, sizeof k->said, "%s", sentence);
}

static void use_killer(struct fk_quantize_params *p, struct killer *k, int left)
{
    *k = (struct killer){.left = left};
    p->progress = kill_at;
    p->progress_arg = k;
    p->notice = hear;
}

/* A run that kill -9 ends before its n-th weight from now on is rounded; whether it came to that. */
static bool killed_run(const char *out, const struct fk_quantize_params *params, int left)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct fk_quantize_params p = *params;
        struct fk_error err = {0};
        struct killer k;
        use_killer(&p, &k, left);
        _exit(fk_quantize(source, out, &p, &err) != FK_OK);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGKILL;
    assert_int_equal(status, 0);
    return false;
}

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    int c = getc(f);
    assert_true(c != EOF);
    assert_int_equal(fseek(f, -1, SEEK_CUR), 0);
    putc(c ^ 4, f);
    assert_int_equal(fclose(f), 0);
}

static void assert_same_file(const char *a, const char *b)
{
    FILE *x = fopen(a, "rb"), *y = fopen(b, "rb");
    assert_non_null(x);
    assert_non_null(y);
    int c, d;
    do {
        c = getc(x);
        d = getc(y);
        assert_int_equal(c, d);
    } while (c != EOF);
    fclose(x);
    fclose(y);
}

static int run_again(const char *out, struct fk_quantize_params p, struct killer *k)
{
    struct fk_error err = {0};
    use_killer(&p, k, -1);
    must(fk_quantize(source, out, &p, &err), &err);
    return k->n_rounded;
}

static void test_resume(void **state)
{
    (void)state;
    char left[80], want[80], other[80];
    struct fk_quantize_params p;
    struct fk_quantize_report report;
    struct killer k;
    snprintf(left, sizeof left, "%s.resume", part);
    fk_quantize_default_params(&p);
    p.n_threads = 2;
    p.max_tokens = 256;
    snprintf(want, sizeof want, "%s.want", part);
    int n = run_again(want, p, &k);
    unlink(part);
    /* Killed three times on the way: no weight is rounded twice. */
    assert_true(killed_run(part, &p, 2));
    assert_true(killed_run(part, &p, 0));
    assert_true(killed_run(part, &p, 3));
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(run_again(part, p, &k), n - 5);
    assert_non_null(strstr(k.said, "5 of"));
    assert_same_file(part, want);
    assert_int_equal(access(left, F_OK), -1);
    /* A flipped bit in what is done: that weight again. In the head: all of them. */
    assert_true(killed_run(part, &p, n - 1));
    struct stat st;
    assert_int_equal(stat(left, &st), 0);
    flip(left, st.st_size / 2);
    assert_int_equal(run_again(part, p, &k), 2);
    assert_non_null(strstr(k.said, "1 are not as they were written"));
    assert_same_file(part, want);
    assert_true(killed_run(part, &p, 4));
    flip(left, -32 * n - 108);
    assert_int_equal(run_again(part, p, &k), n);
    assert_non_null(strstr(k.said, "begins anew"));
    assert_same_file(part, want);
    /* Other options: nothing is taken over. */
    assert_true(killed_run(part, &p, 4));
    p.max_tokens = 128;
    assert_int_equal(run_again(part, p, &k), n);
    assert_non_null(strstr(k.said, "begins anew"));
    /* A budget: broken off in either round. */
    snprintf(other, sizeof other, "%s.part", part);
    p.bpw = 9;
    p.report = &report;
    assert_int_equal(run_again(want, p, &k), 2 * n);
    struct fk_quantize_report whole_report = report;
    assert_true(killed_run(part, &p, n - 1));
    assert_true(killed_run(part, &p, 3));
    memset(&report, 0, sizeof report);
    assert_int_equal(run_again(part, p, &k), n - 2);
    assert_non_null(strstr(k.said, "and the plan"));
    assert_same_file(part, want);
    assert_memory_equal(&report, &whole_report, sizeof report);
    assert_int_equal(access(other, F_OK), -1);
    unlink(want);
}

/* What stands at OUT.resume and is another run's, or a user's, is still there afterwards. */
static void test_resume_of_others(void **state)
{
    (void)state;
    char left[80], said[32] = "";
    static const char letter[] = "a letter of a user\n";
    struct fk_quantize_params p;
    struct fk_error err = {0};
    snprintf(left, sizeof left, "%s.resume", part);
    fk_quantize_default_params(&p);
    p.n_threads = 1;
    p.max_tokens = 128;
    FILE *f = fopen(left, "wb");
    assert_non_null(f);
    fputs(letter, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(fk_quantize(source, part, &p, &err), FK_EINVAL);
    assert_non_null(strstr(err.message, "none of ours"));
    f = fopen(left, "rb");
    assert_non_null(f);
    assert_non_null(fgets(said, sizeof said, f));
    assert_string_equal(said, letter);
    unlink(left);
    assert_true(killed_run(part, &p, 2));
    int fd = open(left, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(fk_quantize(source, part, &p, &err), FK_EBUSY);
    assert_int_equal(access(left, F_OK), 0);
    close(fd);
    fclose(f);
    assert_int_equal(fk_quantize(source, part, &p, &err), FK_OK);
    assert_int_equal(access(left, F_OK), -1);
}

static void test_refusals(void **state)
{
    (void)state;
    static float got[N_IDS * MAX_VOCAB];
    struct fk_error err = {0};
    assert_int_equal(logits_of(source, 4, got, &err), FK_EINVAL);
    assert_int_equal(logits_of(whole, 7, got, &err), FK_EINVAL);
    assert_int_equal(fk_quantize(whole, part, NULL, &err), FK_EINVAL);
    assert_non_null(strstr(err.message, "planes already"));
    struct fk_quantize_params p;
    fk_quantize_default_params(&p);
    p.text = "short";
    p.n_bytes = 5;
    assert_int_equal(fk_quantize(source, part, &p, &err), FK_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths_come_closer), cmocka_unit_test(test_cut_files),
        cmocka_unit_test(test_higher_planes_are_not_read), cmocka_unit_test(test_hostile_heads),
        cmocka_unit_test(test_plan), cmocka_unit_test(test_imatrix), cmocka_unit_test(test_strip),
        cmocka_unit_test(test_plan_of_a_file), cmocka_unit_test(test_check),
        cmocka_unit_test(test_resume), cmocka_unit_test(test_resume_of_others),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
