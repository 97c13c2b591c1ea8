/* SPDX-License-Identifier: Apache-2.0
 * distill_text_test.c - what distillation reads: the text once but for what is held back, then what the source
 * writes, half of it replies in its chat form; the same whatever the threads. */
#include "tests/unit/train/desk.h"
#include <stdio.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/train/distill_text.h"

#define PIECE DISTILL_PIECE
#define N_OWN 160 /* more than are written at a time */

static struct model *open_model(const char *name)
{
    char path[512];
    struct model *m = NULL;
    snprintf(path, sizeof path, "%s/%s", GOLDEN, name);
    OK(model_open(&m, path, true, err));
    return m;
}

/* The next n pieces, some at a time; mem_free. */
static int32_t *take(struct distill_text *t, int n)
{
    int32_t *all = mem_array((size_t)n * PIECE, sizeof *all, MEM_TRAIN);
    assert_non_null(all);
    for (int done = 0, k; done < n; done += k) {
        const int32_t *pieces;
        OK(distill_text_next(t, n - done < 3 ? n - done : 3, &pieces, &k, err));
        assert_true(k >= 1 && k <= 3);
        memcpy(all + (size_t)done * PIECE, pieces, (size_t)k * PIECE * sizeof *all);
    }
    return all;
}

static bool has_piece(const int32_t *all, int n, const int32_t *piece)
{
    for (int i = 0; i < n; i++)
        if (memcmp(all + (size_t)i * PIECE, piece, PIECE * sizeof *piece) == 0) return true;
    return false;
}

static void the_text_comes_once_without_what_is_held(void **state)
{
    (void)state;
    struct model *m = open_model("../../models/thinker.gguf");
    struct distill_text t;
    OK(distill_text_open(&t, m, NULL, 0, 2, err));
    int n = t.n_pieces - t.n_held;
    assert_true(t.n_held == 4 && n > 40);
    int32_t *all = take(&t, n);
    for (int i = 0; i < t.n_held; i++) assert_false(has_piece(all, n, distill_text_held(&t, i)));
    int n_found = 0;
    for (int i = 0; i < t.n_pieces; i++) n_found += has_piece(all, n, t.ids.ids + (size_t)i * PIECE);
    assert_int_equal(n_found, n);
    mem_free(all);
    distill_text_close(&t);
    model_close(&m);
}

static void then_the_source_writes(void **state)
{
    (void)state;
    struct model *m = open_model("../../models/thinker.gguf");
    int32_t *own[2];
    for (int k = 0; k < 2; k++) {
        struct distill_text t;
        OK(distill_text_open(&t, m, NULL, 0, 1 + k, err));
        mem_free(take(&t, t.n_pieces - t.n_held));
        own[k] = take(&t, N_OWN);
        distill_text_close(&t);
    }
    assert_memory_equal(own[0], own[1], N_OWN * PIECE * sizeof **own);
    int n_ends = 0, n_repeats = 0;
    for (int i = 0; i < N_OWN * PIECE; i++) {
        assert_true(own[0][i] >= 0 && own[0][i] < m->config.n_vocab);
        n_ends += tokenizer_is_end(m->tokenizer, own[0][i]);
    }
    for (int i = 1; i < N_OWN; i++) n_repeats += has_piece(own[0], i, own[0] + (size_t)i * PIECE);
    assert_int_equal(n_repeats, 0);
    assert_true(n_ends > 40); /* it says little to what it does not know, and ends */
    mem_free(own[0]);
    mem_free(own[1]);
    model_close(&m);
}

/* Without a chat template all of it goes on from the text. */
static void a_base_model_goes_on(void **state)
{
    (void)state;
    struct model *m = open_model("llama.gguf");
    struct distill_text t;
    OK(distill_text_open(&t, m, NULL, 0, 2, err));
    assert_false(t.has_chat);
    mem_free(take(&t, t.n_pieces - t.n_held));
    mem_free(take(&t, 5));
    distill_text_close(&t);
    struct fk_error refused = {0};
    assert_int_equal(distill_text_open(&t, m, "short", 5, 2, &refused), FK_EINVAL);
    distill_text_close(&t);
    model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_text_comes_once_without_what_is_held),
                                       cmocka_unit_test(then_the_source_writes), cmocka_unit_test(a_base_model_goes_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
