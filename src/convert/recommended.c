/* SPDX-License-Identifier: Apache-2.0
 * recommended.c - the sampling that a model's makers recommend: generation_config.json's temperature,
 * top_k, top_p, min_p and repetition_penalty are general.sampling.temp, top_k, top_p, min_p and
 * penalty_repeat of a GGUF file. */
#include "src/convert/recommended.h"
#include <math.h>
#include "src/base/fail.h"
#include "src/convert/vocab_in.h"

static const struct {
    const char *json, *key;
    double min, max;
} numbers[] = {
    {"temperature", "general.sampling.temp", 0, 100},
    {"top_p", "general.sampling.top_p", 0, 1},
    {"min_p", "general.sampling.min_p", 0, 1},
    {"repetition_penalty", "general.sampling.penalty_repeat", 0.01, 100},
};
#define N_NUMBERS (sizeof numbers / sizeof numbers[0])
#define TOP_K_KEY "general.sampling.top_k"
#define MAX_TOP_K (1 << 24)

enum fk_status recommended_put_keys(const char *folder, struct gguf_writer *w, struct fk_error *err)
{
    json_t *o = NULL;
    TRY(vocab_load_json(folder, "generation_config.json", &o, err));
    for (size_t i = 0; i < N_NUMBERS; i++) {
        const json_t *v = json_object_get(o, numbers[i].json);
        double x = json_number_value(v);
        if (json_is_number(v) && x >= numbers[i].min && x <= numbers[i].max)
            gguf_put_f32(w, numbers[i].key, (float)x);
    }
    json_int_t top_k = json_integer_value(json_object_get(o, "top_k"));
    if (top_k > 0 && top_k <= MAX_TOP_K) gguf_put_u32(w, TOP_K_KEY, (uint32_t)top_k);
    json_decref(o);
    return FK_OK;
}

void recommended_put_json(const struct gguf *g, json_t *o)
{
    for (size_t i = 0; i < N_NUMBERS; i++) {
        double x = -1;
        if (!gguf_get_f64(g, numbers[i].key, false, numbers[i].min, numbers[i].max, &x, NULL) && x >= 0)
            json_object_set_new(o, numbers[i].json, json_real(round(x * 1e6) / 1e6)); /* 0.6f as 0.6 */
    }
    int64_t top_k = 0;
    if (!gguf_get_int(g, TOP_K_KEY, false, 0, MAX_TOP_K, &top_k, NULL) && top_k)
        json_object_set_new(o, "top_k", json_integer(top_k));
}
