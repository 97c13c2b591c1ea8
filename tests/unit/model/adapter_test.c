/* SPDX-License-Identifier: Apache-2.0
 * adapter_test.c - adapter files that do not fit are refused with a sentence; one that fits changes the
 * logits, in one step or many alike, and one whose B is 0 changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/base/fail.h"
#include "src/file/gguf_write.h"
#include "src/model/adapter.h"
#include "tests/golden/gold.h"
#undef fail_msg
#define fail_msg(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

struct half {
    const char *name;
    uint64_t shape[2];
    float value;
};

static enum fk_status fill(void *arg, struct out_file *f, struct fk_error *err)
{
    const struct half *h = arg;
    for (uint64_t i = 0; i < h->shape[0] * h->shape[1]; i++) {
        float x = h->value * (float)((int)(i * 7 % 11) - 5);
        TRY(out_file_write(f, &x, sizeof x, err));
    }
    return FK_OK;
}

/* A file in the temporary folder, with the keys given (NULL: absent). */
static const char *write_file(const char *arch, const char *type, const char *kind, float alpha,
                              struct half *halves, size_t n)
{
    static char path[512];
    struct gguf_writer *w;
    const char *dir = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/fikr-adapter-%d.gguf", dir ? dir : "/tmp", (int)getpid());
    assert_int_equal(gguf_writer_create(&w, 32, NULL), FK_OK);
    if (arch) gguf_put_str(w, "general.architecture", arch);
    if (type) gguf_put_str(w, "general.type", type);
    if (kind) gguf_put_str(w, "adapter.type", kind);
    if (alpha >= 0) gguf_put_f32(w, "adapter.lora.alpha", alpha);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(gguf_add_tensor(w, halves[i].name, DT_F32, 2, halves[i].shape, fill, &halves[i],
                                         NULL), FK_OK);
    assert_int_equal(gguf_writer_write(w, path, NULL, NULL, NULL), FK_OK);
    gguf_writer_destroy(&w);
    return path;
}

#define A {"blk.0.attn_q.weight.lora_a", {32, 3}, 0.02f}
#define B {"blk.0.attn_q.weight.lora_b", {3, 32}, 0.02f}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static struct {
        const char *arch, *type, *kind;
        float alpha;
        struct half halves[2];
        size_t n;
        const char *why;
    } bad[] = {
        {"llama", NULL, "lora", 1, {A, B}, 2, "is no LoRA adapter"},
        {"llama", "adapter", "dora", 1, {A, B}, 2, "is no LoRA adapter"},
        {"qwen2", "adapter", "lora", 1, {A, B}, 2, "adapts models of the architecture 'qwen2'"},
        {"llama", "adapter", "lora", -1, {A, B}, 2, "adapter.lora.alpha"},
        {"llama", "adapter", "lora", 1, {A}, 1, "but not 'blk.0.attn_q.weight.lora_b'"},
        {"llama", "adapter", "lora", 1, {B}, 1, "but not 'blk.0.attn_q.weight.lora_a'"},
        {"llama", "adapter", "lora", 1, {A, B}, 0, "holds no adapters"},
        {"llama", "adapter", "lora", 1, {{"blk.0.attn_q.weight", {32, 3}, 0}}, 1, "neither a .lora_a"},
        {"llama", "adapter", "lora", 1, {{".lora_a", {32, 3}, 0}}, 1, "neither a .lora_a"},
        {"llama", "adapter", "lora", 1, {{"blk.0.attn_q.weight.lora_a", {31, 3}, 0}, B}, 2,
         "has the shape [31, 3, 1]; the model asks for [32, 3, 1]"},
        {"llama", "adapter", "lora", 1, {A, {"blk.0.attn_q.weight.lora_b", {4, 32}, 0}}, 2,
         "has the shape [4, 32, 1]; the model asks for [3, 32, 1]"},
        {"llama", "adapter", "lora", 1, {{"blk.9.attn_q.weight.lora_a", {32, 3}, 0},
         {"blk.9.attn_q.weight.lora_b", {3, 32}, 0}}, 2, "no weight of a plain product"},
        {"llama", "adapter", "lora", 1, {{"token_embd.weight.lora_a", {32, 3}, 0},
         {"token_embd.weight.lora_b", {3, 32}, 0}}, 2, "no weight of a plain product"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct model *m;
        struct fk_error err = {0};
        const char *path = write_file(bad[i].arch, bad[i].type, bad[i].kind, bad[i].alpha, bad[i].halves,
                                      bad[i].n);
        assert_int_equal(model_open(&m, gold_path("llama.gguf"), false, &err), FK_OK);
        assert_int_not_equal(model_add_adapter(m, path, &err), FK_OK);
        if (!strstr(err.message, bad[i].why)) fail_msg("%zu: %s", i, err.message);
        model_close(&m);
        unlink(path);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct half halves[2] = {A, B};
    const char *path = write_file("llama", "adapter", "lora", 6, halves, 2);
    bool is_open = false;
    for (int64_t n = 0; n < 1000 && !is_open; n++) {
        struct model *m;
        struct fk_error err = {0};
        assert_int_equal(model_open(&m, gold_path("llama.gguf"), false, &err), FK_OK);
        mem_inject(n, true);
        enum fk_status st = model_add_adapter(m, path, &err);
        mem_inject(-1, false);
        is_open = st == FK_OK;
        if (!is_open && st != FK_ENOMEM) fail_msg("%s", err.message);
        model_close(&m);
    }
    assert_true(is_open);
    unlink(path);
}

static const int32_t ids[8] = {3, 17, 5, 40, 2, 9, 11, 8};

static void logits_of(const char *adapter, int chunk, float *out)
{
    struct rig r;
    struct fk_error err = {0};
    rig_open(&r, gold_path("llama.gguf"), 2, DT_F32, MLA_AUTO);
    if (adapter && model_add_adapter(r.model, adapter, &err)) fail_msg("%s", err.message);
    if (adapter) assert_int_equal(model_add_adapter(r.model, adapter, &err), FK_ESTATE);
    rig_eval(&r, ids, 8, chunk, out);
    rig_close(&r);
}

static void it_changes_what_it_should(void **state)
{
    (void)state;
    enum { MAX = 8 * 1024 };
    float *x[4];
    struct half halves[2] = {A, B}, none[2] = {A, B};
    none[1].value = 0;
    for (int i = 0; i < 4; i++) x[i] = calloc(MAX, sizeof(float));
    logits_of(NULL, 8, x[0]);
    logits_of(write_file("llama", "adapter", "lora", 6, none, 2), 8, x[1]);
    assert_memory_equal(x[0], x[1], MAX * sizeof(float));
    const char *path = write_file("llama", "adapter", "lora", 6, halves, 2);
    logits_of(path, 8, x[2]);
    logits_of(path, 1, x[3]);
    assert_memory_equal(x[2], x[3], MAX * sizeof(float));
    assert_memory_not_equal(x[0], x[2], MAX * sizeof(float));
    unlink(path);
    for (int i = 0; i < 4; i++) free(x[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(it_changes_what_it_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
