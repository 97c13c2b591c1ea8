/* SPDX-License-Identifier: Apache-2.0
 * distill_test.c - weights in planes that learn: softened they are what the engine reads, unlearned they
 * are the same bytes; a few steps bring a file of 3 bits nearer to its source, whole, checked and at its
 * size; what is cancelled or fails leaves the file alone, and what is killed goes on. */
#include "tests/unit/train/desk.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fikr/quantize.h"
#include "fikr/train.h"
#include "src/base/alloc.h"
#include "src/base/map.h"
#include "src/model/model.h"
#include "src/train/soft_planes.h"

static char folder[] = "/tmp/fikr-distill-XXXXXX", source[512], planes[64];

static int setup(void **state)
{
    (void)state;
    snprintf(source, sizeof source, "%s/llama.gguf", GOLDEN);
    if (!mkdtemp(folder)) return 1;
    snprintf(planes, sizeof planes, "%s/planes.gguf", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(planes);
    return rmdir(folder);
}

static void quantize(const char *plan, int strip)
{
    struct fk_quantize_params p;
    fk_quantize_default_params(&p);
    p.n_threads = 2;
    p.max_tokens = 1024;
    p.plan = plan;
    p.strip = strip;
    OK(fk_quantize(source, planes, &p, err));
}

static char *bytes_of_file(size_t *n)
{
    char *bytes;
    OK(file_read(planes, (size_t)1 << 30, &bytes, n, err));
    return bytes;
}

static void put_file(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* w as softened is w as read at every width of the file, and the same bytes. */
static void check_soft(struct device *d, const struct planes *p, const char *name, float pull)
{
    const struct tensor t = {.dtype = DT_PLANES, .n_cols = p->n_cols, .name = name, .n_rows = p->n_rows,
                             .n_mats = p->n_mats, .data = (void *)p};
    size_t n = (size_t)tensor_n_elements(&t);
    float *read = mem_array(n, sizeof *read, MEM_TRAIN);
    struct soft_planes s;
    assert_non_null(read);
    OK(device_read_weight(d, &t, 0, t.n_mats, p->plan, read, err));
    OK(soft_planes_init(&s, p, name, read, pull, false, d, err));
    for (int w = 0; w < p->n_planes; w++) {
        OK(device_read_weight(d, &t, 0, t.n_mats, planes_bits(w), read, err));
        soft_planes_round(&s, w, d);
        for (size_t k = 0; k < n; k++) assert_float_equal(((const float *)s.w)[k], read[k], 1e-6f);
    }
    for (int64_t tile = 0; tile < p->n_groups * p->n_blocks; tile++) {
        uint8_t codes[PLANES_TILE], was[PLANES_TILE];
        int8_t scales[PLANES_ROWS];
        soft_planes_tile(&s, tile, codes, scales);
        assert_memory_equal(scales, p->scales + tile * PLANES_ROWS, PLANES_ROWS);
        planes_unpack_tile(p, tile, p->n_planes, was);
        assert_memory_equal(codes, was, sizeof was);
    }
    soft_planes_fini(&s);
    mem_free(read);
}

/* Planned for each width, and for none; wherever places begin in their cells. */
static void soft_weights_are_what_is_read(void **state)
{
    (void)state;
    struct device_params dp = {.n_threads = 2};
    struct device *d = NULL;
    OK(device_cpu_create(&d, &dp, err));
    static const char *const plans[] = {NULL, "=2", "=3", "=4", "=6", "=8"};
    for (int i = 0; i < 6; i++) {
        struct model *m = NULL;
        quantize(plans[i], i % 2 ? FK_STRIP_PLAN : 0);
        OK(model_open(&m, planes, false, err));
        for (const struct model_planes *p = m->plane_weights; p; p = p->next)
            for (int pull = 0; pull < 3; pull++) check_soft(d, p->planes, p->name, (float)pull / 2);
        model_close(&m);
    }
    device_destroy(&d);
}

static struct fk_distill_params few_steps(struct fk_distill_report *r)
{
    struct fk_distill_params p;
    fk_distill_default_params(&p);
    p.minutes = 0;
    p.max_steps = 40;
    p.n_threads = 2;
    p.report = r;
    return p;
}

static void a_few_steps_help(void **state)
{
    (void)state;
    size_t n_before, n_after;
    struct fk_distill_report r, again;
    struct fk_distill_params p = few_steps(&r);
    quantize("=3", FK_STRIP_PLAN);
    char *before = bytes_of_file(&n_before);
    OK(fk_distill(source, planes, &p, err));
    char *after = bytes_of_file(&n_after);
    assert_true(r.is_kept);
    assert_true(r.n_widths == 1 && r.bits[0] == 0);
    if (!(r.kl_after[0] < 0.9 * r.kl_before[0])) fail_msg("%g after %g", r.kl_after[0], r.kl_before[0]);
    assert_int_equal(r.n_steps, 40);
    assert_int_equal(n_before, n_after);
    assert_memory_not_equal(before, after, n_before);
    OK(fk_check_planes(planes, NULL, NULL, NULL, err));
    /* What was written is what was judged, and the same steps give the same bytes. */
    p.report = &again;
    p.max_steps = 1;
    OK(fk_distill(source, planes, &p, err));
    assert_float_equal(again.kl_before[0], r.kl_after[0], 1e-6);
    put_file(planes, before, n_before);
    p.max_steps = 40;
    p.n_threads = 1;
    OK(fk_distill(source, planes, &p, err));
    size_t n;
    char *other = bytes_of_file(&n);
    assert_memory_equal(other, after, n_after);
    mem_free(other);
    mem_free(before);
    mem_free(after);
}

/* A file for all widths learns for three of them at once, and gains at 3 and 4 bits. */
static void several_widths_learn(void **state)
{
    (void)state;
    struct fk_distill_report r, again;
    struct fk_distill_params p = few_steps(&r);
    p.max_steps = 60;
    quantize(NULL, 0);
    OK(fk_distill(source, planes, &p, err));
    if (!r.is_kept) fail_msg("%g %g %g after %g %g %g", r.kl_after[0], r.kl_after[1], r.kl_after[2], r.kl_before[0],
                             r.kl_before[1], r.kl_before[2]);
    assert_true(r.n_widths == 3 && r.bits[0] == 3 && r.bits[1] == 4 && r.bits[2] == 8);
    for (int i = 0; i < 2; i++)
        if (!(r.kl_after[i] < r.kl_before[i])) fail_msg("%d bits: %g after %g", r.bits[i], r.kl_after[i], r.kl_before[i]);
    OK(fk_check_planes(planes, NULL, NULL, NULL, err));
    p.report = &again;
    p.max_steps = 1;
    OK(fk_distill(source, planes, &p, err));
    for (int i = 0; i < 3; i++) assert_float_equal(again.kl_before[i], r.kl_after[i], 1e-6);
}

static int stop_at_once(void *arg, const char *what, unsigned long long done, unsigned long long total)
{
    (void)arg;
    (void)what;
    (void)done;
    (void)total;
    return 1;
}

static int stop_after_twenty(void *arg, const char *what, unsigned long long done, unsigned long long total)
{
    (void)what;
    (void)done;
    (void)total;
    return ++*(int *)arg > 20;
}

static void what_is_stopped_late_is_kept(void **state)
{
    (void)state;
    int n_calls = 0;
    struct fk_distill_report r;
    struct fk_distill_params p = few_steps(&r);
    struct fk_error stopped = {0};
    quantize("=3", FK_STRIP_PLAN);
    p.progress = stop_after_twenty;
    p.progress_arg = &n_calls;
    assert_int_equal(fk_distill(source, planes, &p, &stopped), FK_ECANCELLED);
    assert_true(r.n_steps == 20 && r.is_kept && r.kl_after[0] < r.kl_before[0]);
    OK(fk_check_planes(planes, NULL, NULL, NULL, err));
    p.max_steps = 1;
    p.progress = NULL;
    double kept = r.kl_after[0];
    OK(fk_distill(source, planes, &p, err));
    assert_float_equal(r.kl_before[0], kept, 1e-6);
}

static void what_is_stopped_leaves_the_file(void **state)
{
    (void)state;
    size_t n_before, n_after;
    struct fk_error refused = {0};
    struct fk_distill_params p = few_steps(NULL);
    quantize("=4", FK_STRIP_PLAN);
    char *before = bytes_of_file(&n_before);
    p.progress = stop_at_once;
    assert_int_equal(fk_distill(source, planes, &p, &refused), FK_ECANCELLED);
    p.progress = NULL;
    p.text = "too short";
    p.n_bytes = 9;
    assert_int_equal(fk_distill(source, planes, &p, &refused), FK_EINVAL);
    assert_int_equal(fk_distill(planes, planes, NULL, &refused), FK_EINVAL);
    assert_int_equal(fk_distill(source, source, NULL, &refused), FK_EINVAL);
    char *after = bytes_of_file(&n_after);
    assert_int_equal(n_before, n_after);
    assert_memory_equal(before, after, n_before);
    mem_free(before);
    mem_free(after);
}

static int die_after(void *arg, const char *what, unsigned long long done, unsigned long long total)
{
    (void)what;
    (void)done;
    (void)total;
    if (--*(int *)arg == 0) raise(SIGKILL);
    return 0;
}

/* A process that distils and dies after so many steps, each of which it saves. */
static void die_at(int n_steps, struct fk_distill_params p)
{
    int left = n_steps + 1, status;
    pid_t pid = fork();
    if (!pid) {
        p.progress = die_after;
        p.progress_arg = &left;
        p.report = NULL;
        fk_distill(source, planes, &p, NULL);
        _exit(0);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Killed in the text and in what the source writes; the bytes are those of a run that nobody killed. */
static void what_is_killed_goes_on(void **state)
{
    (void)state;
    char kept[80], *before, *whole, *after, *damaged;
    size_t n, n_after, n_state;
    struct fk_distill_report r;
    struct fk_distill_params p = few_steps(&r);
    p.save_seconds = 1e-9;
    p.max_steps = 50;
    snprintf(kept, sizeof kept, "%s.distill", planes);
    quantize("=3", FK_STRIP_PLAN);
    before = bytes_of_file(&n);
    OK(fk_distill(source, planes, &p, err));
    assert_true(r.n_resumed == 0 && !r.is_unsaved && access(kept, F_OK) != 0);
    whole = bytes_of_file(&n_after);
    put_file(planes, before, n);
    die_at(7, p);
    die_at(33, p);
    OK(file_read(kept, (size_t)1 << 30, &damaged, &n_state, err));
    OK(fk_distill(source, planes, &p, err));
    assert_int_equal(r.n_resumed, 40);
    assert_int_equal(r.n_steps, 50);
    assert_true(access(kept, F_OK) != 0);
    after = bytes_of_file(&n_after);
    assert_memory_equal(after, whole, n);

    /* Damaged, cut, or of another run: not taken, and nothing is wrong with that. */
    p.max_steps = 41;
    for (int i = 0; i < 3; i++) {
        put_file(planes, before, n);
        damaged[n_state / 2] ^= (char)(i == 0);
        if (i == 2) p.max_steps = 3;
        put_file(kept, damaged, i == 1 ? n_state - 9 : n_state);
        damaged[n_state / 2] ^= (char)(i == 0);
        OK(fk_distill(source, planes, &p, err));
        assert_true(r.n_resumed == 0 && !r.is_unsaved && access(kept, F_OK) != 0);
    }
    /* A user's own file of that name is told before anything is learned, and stays what it is. */
    put_file(planes, before, n);
    put_file(kept, "mine", 4);
    struct fk_error refused = {0};
    assert_int_equal(fk_distill(source, planes, &p, &refused), FK_EINVAL);
    assert_non_null(strstr(refused.message, "none of ours"));
    mem_free(after);
    OK(file_read(kept, 100, &after, &n_after, err));
    assert_true(n_after == 4 && !memcmp(after, "mine", 4));
    mem_free(after);
    after = bytes_of_file(&n_after);
    assert_true(n_after == n && !memcmp(after, before, n));
    unlink(kept);
    mem_free(before);
    mem_free(whole);
    mem_free(after);
    mem_free(damaged);
}

static void every_failed_allocation_is_told(void **state)
{
    (void)state;
    struct fk_distill_params p = few_steps(NULL);
    p.max_steps = 1;
    p.n_threads = 1;
    quantize("=3", FK_STRIP_PLAN);
    for (int64_t n = 0;; n += 1 + n / 8) {
        struct fk_error failed = {0};
        mem_inject(n, false);
        enum fk_status st = fk_distill(source, planes, &p, &failed);
        if (!mem_inject(-1, false)) {
            assert_int_equal(st, FK_OK);
            return;
        }
        assert_true(st == FK_ENOMEM || st == FK_OK); /* some are only wishes: a vocabulary's cache */
        OK(fk_check_planes(planes, NULL, NULL, NULL, err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(soft_weights_are_what_is_read), cmocka_unit_test(a_few_steps_help),
        cmocka_unit_test(several_widths_learn),
        cmocka_unit_test(what_is_stopped_late_is_kept),
        cmocka_unit_test(what_is_stopped_leaves_the_file), cmocka_unit_test(what_is_killed_goes_on), cmocka_unit_test(every_failed_allocation_is_told)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
