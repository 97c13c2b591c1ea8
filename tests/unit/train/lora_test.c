/* SPDX-License-Identifier: Apache-2.0
 * lora_test.c - adapters of llama, qwen2 and deepseek2: their gradients are those of the merged model by
 * the chain rule, and PyTorch's; merged and apart compute the same; a base of any type carries them; a
 * run of both stages that was broken off ends with the bytes of one that was not. */
#include "tests/unit/train/desk.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fikr/convert.h"
#include "fikr/train.h"
#include "src/base/rng.h"
#include "src/train/export.h"
#include "src/train/fresh.h"
#include "src/train/learner.h"
#include "src/train/lora.h"
#undef fail_msg /* cmocka's and base/fail.h's differ */
#define fail_msg(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

#define N_IDS 64
#define CUT 40
static const char *const names[] = {"llama", "qwen2", "deepseek2-v3"};

static const char *golden(const char *name, const char *end)
{
    static char path[4][512];
    static int i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s%s", GOLDEN, name, end);
    return path[i];
}

/* A model and what learns of it. */
struct side {
    struct device *device;
    struct model *model;
    struct train_params params;
    struct pass *pass;
};

static void side_open(struct side *s, const char *path, const char *adapter)
{
    struct device_params dp = {.n_threads = 2};
    memset(s, 0, sizeof *s);
    OK(device_cpu_create(&s->device, &dp, err));
    OK(model_open(&s->model, path, false, err));
    if (adapter) {
        OK(model_add_adapter(s->model, adapter, err));
        OK(train_params_open(&s->params, s->model->adapter_gguf, err));
        OK(lora_lend(&s->params, s->model, err));
    } else {
        OK(train_params_open(&s->params, s->model->gguf, err));
        OK(train_params_lend(&s->params, s->model, err));
    }
    OK(pass_create(&s->pass, s->model, s->device, N_IDS, err));
    for (size_t i = 0; i < s->params.n_items; i++) {
        const struct param_item *it = &s->params.items[i];
        struct tensor t = {.dtype = DT_F32, .n_cols = it->n_cols, .n_rows = it->n_rows,
                           .n_mats = it->n_mats, .row_bytes = (size_t)it->n_cols * sizeof(float),
                           .mat_bytes = (size_t)(it->n_rows * it->n_cols) * sizeof(float),
                           .data = s->params.w + it->offset, .name = it->name};
        OK(tape_add_param(pass_tape(s->pass), &t, s->params.grad + it->offset, err));
    }
}

static void side_close(struct side *s)
{
    pass_destroy(&s->pass);
    model_close(&s->model);
    train_params_fini(&s->params);
    device_destroy(&s->device);
}

/* The loss of two documents of the golden's ids, as tools/make_grads.py takes it. */
static double learn(struct side *s, const char *name)
{
    static int32_t ids[N_IDS];
    static uint8_t target[N_IDS];
    size_t n;
    char *gold = desk_read(golden(name, ".gold"), &n);
    uint32_t n_ids;
    double loss = 0;
    memcpy(&n_ids, gold + 8, 4);
    assert_int_equal(n_ids, N_IDS);
    memcpy(ids, gold + 24, sizeof ids);
    free(gold);
    memset(target, 1, sizeof target);
    struct pass_doc docs[2] = {{ids, target, CUT}, {ids + CUT, target, N_IDS - CUT}};
    OK(pass_forward(s->pass, docs, 2, err));
    for (int i = 0; i < pass_n_targets(s->pass); i++) loss -= (double)pass_logp(s->pass)[i];
    OK(pass_backward(s->pass, NULL, err));
    return loss;
}

static const struct recipe recipe = {.name = "test", .seed = 3,
                                     .lora = {.is_on = true, .rank = 4, .alpha = 6}};
#define SCALE 1.5 /* alpha / rank */

/* Fresh adapters over a golden; with noise, B too is no longer 0. */
static void write_adapter(const char *name, const char *path, bool noise)
{
    struct model *base;
    struct gguf *fresh;
    struct train_params p;
    char other[600];
    snprintf(other, sizeof other, "%s.fresh", path);
    OK(model_open(&base, golden(name, ".gguf"), false, err));
    OK(lora_fresh_write(&recipe, base, noise ? other : path, err));
    model_close(&base);
    if (!noise) return;
    OK(gguf_open(&fresh, other, err));
    OK(train_params_open(&p, fresh, err));
    for (size_t i = 0; i < p.n_items; i++)
        for (size_t k = 0; k < p.items[i].n; k++)
            p.w[p.items[i].offset + k] += (float)(0.2 * rng_uniform(5, i, k) - 0.1);
    OK(export_f16(&p, fresh, path, err));
    train_params_fini(&p);
    gguf_close(&fresh);
}

static void merge(const char *in, const char *adapter, const char *type, const char *out)
{
    struct fk_convert_params p;
    fk_convert_default_params(&p);
    p.type = type;
    p.lora = adapter;
    OK(fk_convert(in, out, &p, err));
}

static void near(const char *what, const float *got, const double *want, size_t n, double bound)
{
    double norm = 0, error = 0;
    for (size_t i = 0; i < n; i++) {
        norm += want[i] * want[i];
        error += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
    }
    if (!(norm > 0) || !(error <= bound * bound * norm))
        fail_msg("%s: off by %g of its norm %g", what, sqrt(error / norm), sqrt(norm));
}

/* Against dw, the gradient of the whole weight W + s B A:   dB = s dW A'   dA = s B' dW */
static void compare_pair(const struct side *apart, const struct model_adapter *a, const float *dw,
                         bool b_is_zero)
{
    const struct param_item *ia = train_params_find(&apart->params, a->a.name);
    const struct param_item *ib = train_params_find(&apart->params, a->b.name);
    int64_t rank = ia->n_rows, n_in = ia->n_cols, n_out = ib->n_rows;
    const float *wa = apart->params.w + ia->offset, *wb = apart->params.w + ib->offset;
    double *da = calloc(ia->n, sizeof *da), *db = calloc(ib->n, sizeof *db);
    for (int64_t r = 0; r < n_out; r++)
        for (int64_t k = 0; k < rank; k++)
            for (int64_t c = 0; c < n_in; c++) {
                double d = SCALE * (double)dw[r * n_in + c];
                db[r * rank + k] += d * (double)wa[k * n_in + c];
                da[k * n_in + c] += d * (double)wb[r * rank + k];
            }
    near(a->b.name, apart->params.grad + ib->offset, db, ib->n, 1e-4);
    if (!b_is_zero) near(a->a.name, apart->params.grad + ia->offset, da, ia->n, 1e-4);
    for (size_t i = 0; b_is_zero && i < ia->n; i++)
        assert_true(apart->params.grad[ia->offset + i] == 0);
    free(da);
    free(db);
}

static void gradients_are_those_of_the_merged_model(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct side apart, whole;
        char *dir = desk_folder();
        int n = 0;
        write_adapter(names[i], desk_path(dir, "a.gguf"), true);
        merge(golden(names[i], ".gguf"), desk_path(dir, "a.gguf"), "f32", desk_path(dir, "m.gguf"));
        side_open(&apart, golden(names[i], ".gguf"), desk_path(dir, "a.gguf"));
        side_open(&whole, desk_path(dir, "m.gguf"), NULL);
        double loss = learn(&apart, names[i]), want = learn(&whole, names[i]);
        if (!(fabs(loss - want) < 1e-5 * want)) fail_msg("%s: %.9g, %.9g", names[i], loss, want);
        for (struct model_adapter *a = apart.model->adapters; a; a = a->next, n++)
            compare_pair(&apart, a, whole.params.grad +
                         train_params_find(&whole.params, a->weight->name)->offset, false);
        assert_true(n == (i == 2 ? 3 * 4 + 3 + 2 * 3 : 2 * 7));
        side_close(&apart);
        side_close(&whole);
        desk_remove(dir);
    }
}

/* dW is PyTorch's: the golden that tools/make_grads.py writes. */
static void gradients_are_pytorchs(void **state)
{
    (void)state;
    struct side s;
    struct gguf *want;
    char *dir = desk_folder();
    write_adapter("deepseek2-v3", desk_path(dir, "a.gguf"), false);
    side_open(&s, golden("deepseek2-v3", ".gguf"), desk_path(dir, "a.gguf"));
    learn(&s, "deepseek2-v3");
    OK(gguf_open(&want, golden("deepseek2-v3", ".grads"), err));
    for (struct model_adapter *a = s.model->adapters; a; a = a->next) {
        const struct gguf_tensor *t = gguf_find_tensor(want, a->weight->name);
        assert_non_null(t);
        compare_pair(&s, a, (const float *)(const void *)t->data, true);
    }
    gguf_close(&want);
    side_close(&s);
    desk_remove(dir);
}

/* Through Q8_0 weights, whose floats the backward pass reads: near the gradient through F32 ones. */
static void a_quantized_base_is_frozen(void **state)
{
    (void)state;
    struct side s[2];
    char *dir = desk_folder();
    write_adapter("llama", desk_path(dir, "a.gguf"), true);
    merge(golden("llama", ".gguf"), NULL, "q8_0", desk_path(dir, "q.gguf"));
    side_open(&s[0], golden("llama", ".gguf"), desk_path(dir, "a.gguf"));
    side_open(&s[1], desk_path(dir, "q.gguf"), desk_path(dir, "a.gguf"));
    assert_int_equal(s[1].model->layers[0].wq->dtype, DT_Q8_0);
    double loss[2] = {learn(&s[0], "llama"), learn(&s[1], "llama")};
    assert_true(loss[0] != loss[1] && fabs(loss[0] - loss[1]) < 0.01 * loss[0]);
    for (size_t i = 0; i < s[0].params.n_items; i++) {
        const struct param_item *it = &s[0].params.items[i];
        double *want = calloc(it->n, sizeof *want);
        for (size_t k = 0; k < it->n; k++) want[k] = (double)s[0].params.grad[it->offset + k];
        near(it->name, s[1].params.grad + it->offset, want, it->n, 0.2);
        free(want);
    }
    side_close(&s[0]);
    side_close(&s[1]);
    desk_remove(dir);
}

/* A run: a fresh model of our own is the base, whose template opens a thinking. */

static const char text_recipe[] =
    "{\"name\": \"pair\", \"seed\": 2, \"checkpoint_steps\": 3, \"log_steps\": 1,"
    " \"lora\": {\"rank\": 8, \"alpha\": 16, \"context\": 200, \"targets\": [\"attn_output\","
    " \"ffn_down\", \"attn_q_b\", \"ffn_up_shexp\"]}, \"optimizer\": {\"weight_decay\": 0},"
    " \"stages\": [{\"name\": \"sft\", \"steps\": 8, \"batch_tokens\": 512, \"lr\": 1e-2,"
    " \"warmup\": 1, \"sets\": {\"gsm8k\": 1, \"mawps\": 1}},"
    " {\"name\": \"rl\", \"steps\": 3, \"batch_tokens\": 512, \"lr\": 1e-3, \"warmup\": 0,"
    " \"sets\": {\"mawps\": 1}, \"grpo\": {\"prompts\": 2, \"group\": 4, \"max_new\": 24,"
    " \"reward_format\": 0}}]}";
static const char text_gsm8k[] =
    "{\"question\": \"Tom has 3 cups and buys 4. How many?\", \"answer\": \"He has 3+4=<<3+4=7>>7.\\n"
    "#### 7\"}\n";
static const char text_mawps[] =
    "{\"split\": \"train\", \"question\": \"Sue has number0 pens . She loses number1 . What 's left ?\","
    " \"numbers\": [8.0, 2.0], \"equation\": \"- number0 number1\"}\n";

struct seen {
    double first, last;
    int n_steps, stop_after, n_rewards;
};

static int watch(void *arg, const struct fk_train_event *e)
{
    struct seen *s = arg;
    if (e->kind != FK_TRAIN_STEP) return 0;
    if (!s->n_steps++) s->first = e->loss;
    s->last = e->loss;
    s->n_rewards += e->reward >= 0;
    return s->n_steps == s->stop_after;
}

static enum fk_status train(const char *dir, const char *data, const char *base, int resume,
                            struct seen *s, struct fk_error *err)
{
    struct fk_train_params p;
    desk_write(desk_path(dir, "recipe.json"), text_recipe, strlen(text_recipe));
    fk_train_default_params(&p);
    p.recipe = desk_path(dir, "recipe.json");
    p.out_dir = dir;
    p.data_dir = data;
    p.base = base;
    p.resume = resume;
    p.n_threads = resume + 1;
    p.event = watch;
    p.event_arg = s;
    return fk_train(&p, err);
}

static void write_data(const char *dir)
{
    char path[600];
    snprintf(path, sizeof path, "%s/gsm8k", dir);
    assert_int_equal(mkdir(path, 0777), 0);
    snprintf(path, sizeof path, "%s/mawps", dir);
    assert_int_equal(mkdir(path, 0777), 0);
    desk_write(desk_path(dir, "gsm8k/train.jsonl"), text_gsm8k, strlen(text_gsm8k));
    desk_write(desk_path(dir, "mawps/mawps_templates.jsonl"), text_mawps, strlen(text_mawps));
}

static void remove_data(char *dir)
{
    char path[600];
    unlink(desk_path(dir, "gsm8k/train.jsonl"));
    unlink(desk_path(dir, "mawps/mawps_templates.jsonl"));
    snprintf(path, sizeof path, "%s/gsm8k", dir);
    rmdir(path);
    snprintf(path, sizeof path, "%s/mawps", dir);
    rmdir(path);
    desk_remove(dir);
}

static void a_broken_run_ends_with_the_same_bits(void **state)
{
    (void)state;
    struct recipe r;
    struct seen whole = {0}, part = {.stop_after = 9}, rest = {0};
    struct fk_error why = {0};
    char base[600], *home = desk_folder(), *data = desk_folder(), *a = desk_folder(),
         *b = desk_folder();
    OK(recipe_parse(&r, desk_recipe, strlen(desk_recipe), "desk", err));
    snprintf(base, sizeof base, "%s/base.gguf", home);
    OK(fresh_write(&r, NULL, base, err));
    write_data(data);
    OK(train(a, data, base, 0, &whole, err));
    assert_int_equal(whole.n_steps, 11);
    assert_int_equal(whole.n_rewards, 3);
    if (!(whole.first > 5 && whole.last < whole.first - 0.1))
        fail_msg("the loss went from %g to %g", whole.first, whole.last);
    assert_int_equal(train(b, data, base, 0, &part, &why), FK_ECANCELLED);
    OK(train(b, data, base, 1, &rest, err));
    assert_int_equal(rest.n_steps, 2);
    desk_expect_same(a, b, "adapter.gguf");
    /* Another base of the same shape is refused. */
    desk_write(base, "", 0);
    r.seed++;
    OK(fresh_write(&r, NULL, base, err));
    assert_int_equal(train(b, data, base, 1, &rest, &why), FK_EINVAL);
    assert_non_null(strstr(why.message, "were begun over another base"));
    remove_data(data);
    desk_remove(home);
    desk_remove(a);
    desk_remove(b);
}

static void conversations_have_the_form_of_the_base(void **state)
{
    (void)state;
    struct recipe r;
    struct model *m;
    struct chat_form form;
    struct sets *sets;
    struct pack p;
    struct buf text;
    size_t first;
    char *dir = desk_folder(), *data = desk_folder();
    const bool needed[N_SETS] = {true, true};
    const uint32_t weights[N_SETS] = {1, 0};
    OK(recipe_parse(&r, desk_recipe, strlen(desk_recipe), "desk", err));
    OK(fresh_write(&r, NULL, desk_path(dir, "base.gguf"), err));
    write_data(data);
    OK(model_open(&m, desk_path(dir, "base.gguf"), true, err));
    OK(chat_form_open(&form, desk_path(dir, "base.gguf"), m->tokenizer, err));
    OK(sets_open(&sets, data, needed, err));
    struct pack_words words = {&form, sets, weights};
    OK(pack_init_words(&p, m->tokenizer, &words, 512, 256, err));
    OK(pack_draw(&p, &r.stages[0].mix, 0, err));
    OK(pack_encode(&p, &first, err));
    struct detokenizer d;
    buf_init(&text, 0, MEM_TEXT);
    detokenizer_init(&d, m->tokenizer, true);
    for (size_t i = 0; i < p.doc.n; i++) {
        if (i == first) buf_putc(&text, '\1');
        detokenizer_push(&d, p.doc.ids[i], &text);
    }
    assert_string_equal(text.data, "<|user|>Tom has 3 cups and buys 4. How many?<|assistant|><think>\1"
                                   "He has 3+4=7.\n</think>\n\nThe answer is 7.<|end|>");
    assert_int_equal(sets_grade(&p.puzzle, "It is 7.0", 9), FK_VERDICT_RIGHT);
    assert_int_equal(sets_grade(&p.puzzle, "7, so 8", 7), FK_VERDICT_WRONG);
    /* Templates get fresh numbers, and lose the spaces that their words were cut by. */
    const uint32_t templates[N_SETS] = {0, 1};
    OK(sets_make(sets, templates, 1, 5, &p.puzzle, err));
    int x, y, z, end = 0;
    assert_int_equal(sscanf(p.puzzle.prompt, "Sue has %d pens. She loses %d. What's left?%n", &x, &y, &end), 2);
    assert_true(end == (int)strlen(p.puzzle.prompt));
    assert_int_equal(sscanf(p.puzzle.answer, "%d", &z), 1);
    assert_int_equal(x - y, z);
    buf_fini(&text);
    pack_fini(&p);
    sets_close(sets);
    chat_form_close(&form);
    model_close(&m);
    remove_data(data);
    desk_remove(dir);
}

static void recipes_are_strict(void **state)
{
    (void)state;
    static const struct { const char *from, *to, *why; } bad[] = {
        {"\"sets\": {\"mawps\": 1}", "\"sets\": {\"svamp\": 1}", "there is no set 'svamp'"},
        {"\"sets\": {\"mawps\": 1}", "\"families\": {\"add\": 1}", "needs 'sets'"},
        {"\"lr\": 1e-3", "\"langs\": [1, 0]", "has no 'langs'"},
        {"\"rank\": 8", "\"rank\": 0", "'rank' is 0; it must be from 1 to"},
        {"\"attn_q_b\"", "\"attn_kv_b\"", "'targets' is none of"},
        {"\"checkpoint_steps\": 3", "\"eval_steps\": 3", "a recipe with 'lora' has no 'eval_steps'"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct recipe r;
        struct fk_error err = {0};
        char text[sizeof text_recipe + 64];
        const char *at = strstr(text_recipe, bad[i].from);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - text_recipe), text_recipe, bad[i].to,
                 at + strlen(bad[i].from));
        assert_int_equal(recipe_parse(&r, text, strlen(text), "r", &err), FK_EFORMAT);
        if (!strstr(err.message, bad[i].why)) fail_msg("%s", err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_the_merged_model),
        cmocka_unit_test(gradients_are_pytorchs),
        cmocka_unit_test(a_quantized_base_is_frozen),
        cmocka_unit_test(a_broken_run_ends_with_the_same_bits),
        cmocka_unit_test(conversations_have_the_form_of_the_base),
        cmocka_unit_test(recipes_are_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
