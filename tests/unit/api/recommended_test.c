/* SPDX-License-Identifier: Apache-2.0
 * recommended_test.c - a file's general.sampling.* keys become a session's parameters; what is out of
 * bounds or of another type does not. And generation_config.json there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "fikr/session.h"
#include "src/convert/recommended.h"

static char dir[] = "/tmp/fikr-recommended-XXXXXX";
static char path[64], json_path[64];

static void write_json(const char *text)
{
    FILE *f = fopen(json_path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* A file without tensors, with the keys that put gives it. */
static void with_model(void (*put)(struct gguf_writer *w), void (*look)(const fk_model *m))
{
    struct fk_error err = {.message = ""};
    struct fk_model_params mp;
    struct gguf_writer *w = NULL;
    fk_model *m = NULL;
    assert_int_equal(gguf_writer_create(&w, 32, &err), FK_OK);
    gguf_put_str(w, "general.architecture", "llama");
    put(w);
    assert_int_equal(gguf_writer_write(w, path, NULL, NULL, &err), FK_OK);
    gguf_writer_destroy(&w);
    fk_model_default_params(&mp);
    mp.container_only = 1;
    if (fk_model_open(&m, path, &mp, &err)) fail_msg("%s", err.message);
    look(m);
    fk_model_close(&m);
}

static void put_good(struct gguf_writer *w)
{
    gguf_put_f32(w, "general.sampling.temp", 0);
    gguf_put_f32(w, "general.sampling.top_p", 0.5f);
    gguf_put_f32(w, "general.sampling.min_p", 0.25f);
    gguf_put_f32(w, "general.sampling.penalty_repeat", 1.5f);
    gguf_put_u32(w, "general.sampling.top_k", 20);
    gguf_put_u32(w, "general.sampling.penalty_last_n", 7);
}

static void look_good(const fk_model *m)
{
    struct fk_session_params p;
    fk_session_model_params(m, &p);
    const struct fk_sampling *s = &p.sampling;
    assert_true(s->temperature == 0 && s->top_p == 0.5f && s->min_p == 0.25f);
    assert_true(s->repeat_penalty == 1.5f && s->top_k == 20 && s->penalty_last_n == 7);
}

static void put_bad(struct gguf_writer *w)
{
    gguf_put_f32(w, "general.sampling.temp", 0.0f / 0.0f);
    gguf_put_f32(w, "general.sampling.top_p", 1.5f);
    gguf_put_str(w, "general.sampling.min_p", "0.5");
    gguf_put_f32(w, "general.sampling.penalty_repeat", 0);
    gguf_put_u32(w, "general.sampling.top_k", UINT32_MAX);
    gguf_put_bool(w, "general.sampling.penalty_last_n", true);
}

static void look_bad(const fk_model *m)
{
    struct fk_session_params p, defaults;
    fk_session_default_params(&defaults);
    fk_session_model_params(m, &p);
    assert_memory_equal(&p.sampling, &defaults.sampling, sizeof p.sampling);
}

static void file_to_session(void **state)
{
    (void)state;
    with_model(put_good, look_good);
    with_model(put_bad, look_bad);
}

static void put_json(struct gguf_writer *w)
{
    struct fk_error err = {.message = ""};
    assert_int_equal(recommended_put_keys(dir, w, &err), FK_OK);
}

static void look_json(const fk_model *m)
{
    struct fk_session_params p, defaults;
    fk_session_default_params(&defaults);
    fk_session_model_params(m, &p);
    assert_true(p.sampling.temperature == 0.7f && p.sampling.top_k == 20);
    assert_true(p.sampling.top_p == defaults.sampling.top_p);
}

static void config_to_file_and_back(void **state)
{
    (void)state;
    struct fk_error err = {.message = ""};
    struct gguf *g = NULL;
    json_t *o = json_object();
    write_json("{\"temperature\":0.7,\"top_k\":20,\"top_p\":7,\"min_p\":\"x\",\"repetition_penalty\":null}");
    with_model(put_json, look_json);
    assert_int_equal(gguf_open(&g, path, &err), FK_OK);
    recommended_put_json(g, o);
    gguf_close(&g);
    char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(6));
    assert_string_equal(text, "{\"temperature\":0.7,\"top_k\":20}");
    free(text);
    json_decref(o);
    unlink(json_path);
    struct gguf_writer *w = NULL;
    assert_int_equal(gguf_writer_create(&w, 32, &err), FK_OK);
    assert_int_equal(recommended_put_keys(dir, w, &err), FK_OK); /* no file: nothing, and no error */
    gguf_writer_destroy(&w);
}

static int make(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    snprintf(json_path, sizeof json_path, "%s/generation_config.json", dir);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(file_to_session),
                                       cmocka_unit_test(config_to_file_and_back)};
    return cmocka_run_group_tests(tests, make, clean);
}
