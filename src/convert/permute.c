/* SPDX-License-Identifier: Apache-2.0
 * permute.c - the same function in another basis: residual dimensions, neurons of every feed-forward
 * block and value dimensions of every head in a random order.
 *
 * Rows and columns that meet move together, so logits change by rounding only; but blocks of weights
 * hold other weights than before. A model that was only ever published in a quantized type lies on that
 * type's grid, which would flatter whoever quantizes to the same blocks; off it, comparisons are fair. */
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/base/rng.h"
#include "src/convert/convert.h"

struct permuter {
    struct plan *plan;
    const struct model_config *c;
    uint64_t seed;
    uint32_t *residual; /* [n_embd] */
};

/* A random order of 0..n-1, shuffled anew by stream. NULL: no memory. */
static uint32_t *shuffle(struct permuter *p, uint64_t stream, int64_t n)
{
    uint32_t *order = arena_array(&p->plan->memory, (size_t)n, sizeof *order);
    if (!order) return NULL;
    for (int64_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(rng_u64(p->seed, stream, (uint64_t)i) % (uint64_t)(i + 1));
        uint32_t t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    return order;
}

/* Values of n_heads heads; head h uses the order of kv head h / (n_heads / n_kv_heads). */
static uint32_t *value_order(struct permuter *p, int layer, int n_heads)
{
    int64_t dim = p->c->v_head_dim, n_kv = p->c->n_kv_heads;
    uint32_t *order = arena_array(&p->plan->memory, (size_t)(n_heads * dim), sizeof *order);
    if (!order) return NULL;
    for (int64_t h = 0; h < n_heads; h++) {
        int64_t kv = h / (n_heads / n_kv);
        const uint32_t *head = shuffle(p, 1000000 + (uint64_t)(layer * n_kv + kv), dim);
        if (!head) return NULL;
        for (int64_t i = 0; i < dim; i++) order[h * dim + i] = (uint32_t)(h * dim) + head[i];
    }
    return order;
}

static bool is(const char *name, const char *what)
{
    return strcmp(name, what) == 0;
}

/* Fills in how t moves. False: no memory. */
static bool move(struct permuter *p, struct plan_tensor *t)
{
    const struct model_config *c = p->c;
    int layer, at = 0;
    const char *name = t->name;
    if (is(name, "token_embd.weight") || is(name, "output.weight") || is(name, "output_norm.weight")) {
        t->col_order = p->residual;
        return true;
    }
    if (sscanf(name, "blk.%d.%n", &layer, &at) != 1 || !at) return true;
    name += at;
    bool is_v = is(name, "attn_v.weight"), is_o = is(name, "attn_output.weight");
    bool is_in = is(name, "ffn_gate.weight") || is(name, "ffn_up.weight");
    bool is_down = is(name, "ffn_down.weight");
    if (is(name, "attn_norm.weight") || is(name, "ffn_norm.weight") ||
        is(name, "post_attention_norm.weight") || is(name, "post_ffw_norm.weight") ||
        is(name, "attn_q.weight") || is(name, "attn_k.weight") || is(name, "attn_output.bias") ||
        is_v || is_in)
        t->col_order = p->residual;
    if (is_o || is_down) t->row_order = p->residual;
    if (is_v) t->row_order = value_order(p, layer, c->n_kv_heads);
    if (is(name, "attn_v.bias")) t->col_order = value_order(p, layer, c->n_kv_heads);
    if (is_o) t->col_order = value_order(p, layer, c->n_heads);
    if (is_in) t->row_order = shuffle(p, 1 + (uint64_t)layer, c->n_ff);
    if (is_down) t->col_order = shuffle(p, 1 + (uint64_t)layer, c->n_ff);
    bool moves_rows = is_o || is_down || is_v || is_in;
    return (t->row_order || !moves_rows) && (t->col_order || !(is_o || is_down || is_v || is_in));
}

enum fk_status plan_permute(struct plan *plan, const struct model_config *c, uint64_t seed,
                            struct fk_error *err)
{
    struct permuter p = {.plan = plan, .c = c, .seed = seed};
    if (c->n_experts || c->family == FAMILY_DEEPSEEK2)
        return fail(err, FK_EUNSUPPORTED, "permuting is for dense models; this one is %s with %d experts",
                    c->architecture, c->n_experts);
    p.residual = shuffle(&p, 0, c->n_embd);
    for (size_t i = 0; p.residual && i < plan->n; i++) {
        struct plan_tensor *t = &plan->tensors[i];
        if (!move(&p, t)) return fail_nomem(err, t->shape[0] * 4, "an order of columns");
        bool fits = (!t->col_order || t->op == PLAN_ROWS) && t->n_src == 1;
        if (!fits) return fail(err, FK_EFORMAT, "tensor '%s' cannot be permuted", t->name);
    }
    return p.residual ? FK_OK : fail_nomem(err, (uint64_t)c->n_embd * 4, "an order of columns");
}
