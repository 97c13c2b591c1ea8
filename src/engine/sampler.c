/* SPDX-License-Identifier: Apache-2.0
 * sampler.c - bias, penalties, temperature, top-k, top-p, min-p, and the draw. Allocates nothing.
 *
 * No sorting. A vocabulary has 150,000 tokens of which some dozens matter, so a threshold that no
 * wanted token lies below is found first, from the maxima of blocks and from bounds, and only what
 * reaches it becomes a candidate. Then top-k and top-p each need one cut in the order of (logit down,
 * id up), which radix selection over the bits of the logit finds in three passes. The draw walks ids
 * in ascending order, so it is the same however the cut was found. */
#include "src/engine/sampler.h"
#include <math.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/rng.h"
#include "src/base/select.h"
#include "src/engine/logits.h"

#define STREAM_SAMPLE 1
#define BLOCK LOGITS_BLOCK

enum fk_status sampler_init(struct sampler *s, int n_vocab, struct fk_error *err)
{
    size_t n = (size_t)n_vocab;
    *s = (struct sampler){.n_vocab = n_vocab};
    s->x = mem_array(n, sizeof *s->x, MEM_ENGINE);
    s->p = mem_array(n, sizeof *s->p, MEM_ENGINE);
    s->ids = mem_array(n, sizeof *s->ids, MEM_ENGINE);
    s->counts = mem_calloc(n, sizeof *s->counts, MEM_ENGINE);
    s->block_max = mem_array(2 * (n / BLOCK + 1), sizeof *s->block_max, MEM_ENGINE);
    if (s->x && s->p && s->ids && s->counts && s->block_max) return FK_OK;
    sampler_fini(s);
    return fail_nomem(err, 4 * n * sizeof(float), "the sampler");
}

void sampler_fini(struct sampler *s)
{
    mem_free(s->x);
    mem_free(s->p);
    mem_free(s->ids);
    mem_free(s->counts);
    mem_free(s->block_max);
    *s = (struct sampler){0};
}

static enum fk_status in_range(const char *name, float v, float min, float max,
                               struct fk_error *err)
{
    if (v >= min && v <= max) return FK_OK; /* false for NaN */
    return fail(err, FK_EINVAL, "%s is %g; it must be from %g to %g", name, (double)v, (double)min,
                (double)max);
}

enum fk_status sampling_check(const struct fk_sampling *p, int n_vocab, struct fk_error *err)
{
    TRY(in_range("temperature", p->temperature, 0, 100, err));
    TRY(in_range("top_p", p->top_p, 0, 1, err));
    TRY(in_range("min_p", p->min_p, 0, 1, err));
    TRY(in_range("repeat_penalty", p->repeat_penalty, 0.01f, 100, err));
    TRY(in_range("frequency_penalty", p->frequency_penalty, -100, 100, err));
    TRY(in_range("presence_penalty", p->presence_penalty, -100, 100, err));
    if (p->top_k < 0) return fail(err, FK_EINVAL, "top_k is %d; 0 is off", p->top_k);
    if (p->penalty_last_n < 0)
        return fail(err, FK_EINVAL, "penalty_last_n is %d; 0 is off", p->penalty_last_n);
    if (p->n_bias > SAMPLER_MAX_BIAS || (p->n_bias && !p->bias))
        return fail(err, FK_EINVAL, "n_bias is %zu%s; at most %d biases are taken", p->n_bias,
                    p->bias ? "" : " and bias is NULL", SAMPLER_MAX_BIAS);
    for (size_t i = 0; i < p->n_bias; i++) {
        if (p->bias[i].id < 0 || p->bias[i].id >= n_vocab)
            return fail(err, FK_EINVAL, "bias %zu is for token %d; the vocabulary has %d", i,
                        (int)p->bias[i].id, n_vocab);
        TRY(in_range("a logit bias", p->bias[i].bias, -1e9f, 1e9f, err));
    }
    return FK_OK;
}

static void penalize(struct sampler *s, const struct fk_sampling *p, const int32_t *tokens, int n)
{
    int first = n > p->penalty_last_n ? n - p->penalty_last_n : 0;
    for (int i = first; i < n; i++) s->counts[tokens[i]]++;
    for (int i = first; i < n; i++) {
        int32_t id = tokens[i], count = s->counts[id];
        if (!count) continue; /* done at its first place */
        float x = s->x[id];
        x = x > 0 ? x / p->repeat_penalty : x * p->repeat_penalty;
        s->x[id] = x - p->frequency_penalty * (float)count - p->presence_penalty;
        s->counts[id] = 0;
    }
}

static bool has_penalty(const struct fk_sampling *p)
{
    return p->penalty_last_n > 0 && (p->repeat_penalty != 1 || p->frequency_penalty != 0 ||
                                     p->presence_penalty != 0);
}

/* Orders like the float, as an unsigned number. */
static inline uint32_t order_of(float x)
{
    union { float f; uint32_t u; } v = {x + 0.0f}; /* -0 becomes 0 */
    return v.u & 0x80000000u ? ~v.u : v.u | 0x80000000u;
}

/* Keeps the best of the n candidates, in the order (x down, id up), until their weight reaches
 * `target`: by count, or by p if by_mass. Returns how many stay; they stay in ascending id order. */
static int keep_best(const struct sampler *s, int n, double target, bool by_mass)
{
    static const int shifts[] = {21, 10, 0}, bits[] = {11, 11, 10};
    if (!(target > 0)) target = 1e-300; /* the best one always stays */
    double above = 0; /* weight of what is certainly better than the cut */
    uint32_t cut = 0; /* its leading bits */
    for (int pass = 0; pass < 3; pass++) {
        double hist[2048] = {0};
        uint32_t n_digits = 1u << bits[pass], known = pass ? ~0u << shifts[pass - 1] : 0;
        for (int j = 0; j < n; j++) {
            uint32_t o = order_of(s->x[s->ids[j]]);
            if ((o & known) != cut) continue;
            hist[o >> shifts[pass] & (n_digits - 1)] += by_mass ? (double)s->p[j] : 1;
        }
        uint32_t digit = n_digits - 1, lowest = digit;
        for (double next = above;; digit--) { /* the last digit that has something, at the latest */
            if (hist[digit] > 0) lowest = digit;
            next += hist[digit];
            if ((hist[digit] > 0 && next >= target) || digit == 0) break;
        }
        if (hist[digit] == 0) digit = lowest;
        for (uint32_t d = n_digits - 1; d > digit; d--) above += hist[d];
        cut |= digit << shifts[pass];
    }
    int kept = 0;
    for (int j = 0; j < n; j++) {
        uint32_t o = order_of(s->x[s->ids[j]]);
        if (o < cut) continue;
        if (o == cut) {
            if (above >= target) continue;
            above += by_mass ? (double)s->p[j] : 1;
        }
        s->ids[kept] = s->ids[j];
        s->p[kept++] = s->p[j];
    }
    return kept;
}

static double mass_of(const struct sampler *s, int n)
{
    double sum = 0;
    for (int j = 0; j < n; j++) sum += (double)s->p[j];
    return sum;
}

/* Candidates are the ids whose x reaches `least`; p = exp((x - max) * scale). */
static int gather(struct sampler *s, float least, float max, float scale)
{
    int n = 0;
    for (int first = 0, b = 0; first < s->n_vocab; first += BLOCK, b++) {
        if (s->block_max[b] < least) continue;
        int end = s->n_vocab - first < BLOCK ? s->n_vocab : first + BLOCK;
        for (int i = first; i < end; i++) {
            s->ids[n] = i;
            n += s->x[i] >= least;
        }
    }
    logits_exp_of(s->x, s->ids, n, max, scale, s->p);
    return n;
}

static int32_t draw(const struct sampler *s, int n, double u)
{
    double left = u * mass_of(s, n);
    for (int j = 0; j < n; j++) {
        left -= (double)s->p[j];
        if (left < 0) return s->ids[j];
    }
    return s->ids[n - 1];
}

/* Filters s->x and draws. */
static int32_t filter_and_draw(struct sampler *s, const struct fk_sampling *p, double u)
{
    float max = logits_block_max(s->x, s->n_vocab, s->block_max);
    float scale = 1 / p->temperature, least = -INFINITY;
    bool has_k = p->top_k > 0 && p->top_k < s->n_vocab, has_p = p->top_p < 1;
    double all = 0;
    int n_blocks = (s->n_vocab + BLOCK - 1) / BLOCK;
    if (has_k && p->top_k <= n_blocks) {
        /* At least top_k logits reach the top_k-th largest maximum of a block. */
        float *order = s->block_max + n_blocks;
        memcpy(order, s->block_max, (size_t)n_blocks * sizeof *order);
        least = kth_largest(order, n_blocks, p->top_k);
    } else if (has_p && !has_k) {
        /* What has less than the n-th part of 1 - top_p can be in no top-p set: all of it together
         * is less than 1 - top_p. */
        all = logits_sum_exp(s->x, s->n_vocab, max, scale);
        double share = (1 - (double)p->top_p) * all / s->n_vocab;
        least = (float)((double)max + (double)p->temperature * (log(share) - 1e-3));
    }
    if (p->min_p > 0 && !(has_k && has_p)) {
        float reach = max + p->temperature * (logf(p->min_p) - 1e-3f);
        least = reach > least ? reach : least;
    }
    int n = gather(s, least, max, scale);
    if (has_k) n = keep_best(s, n, p->top_k, false);
    if (has_p) n = keep_best(s, n, (double)p->top_p * (has_k ? mass_of(s, n) : all), true);
    if (p->min_p > 0) {
        int kept = 0;
        for (int j = 0; j < n; j++) {
            if (s->p[j] < p->min_p) continue;
            s->ids[kept] = s->ids[j];
            s->p[kept++] = s->p[j];
        }
        n = kept;
    }
    return draw(s, n, u);
}

int32_t sampler_pick(struct sampler *s, const struct fk_sampling *p, const float *logits,
                     const int32_t *tokens, int n_tokens, int position)
{
    const float *x = logits;
    bool greedy = p->temperature <= 0 || p->top_k == 1;
    if (!greedy || p->n_bias || has_penalty(p)) {
        memcpy(s->x, logits, (size_t)s->n_vocab * sizeof *s->x);
        for (size_t i = 0; i < p->n_bias; i++) s->x[p->bias[i].id] += p->bias[i].bias;
        if (has_penalty(p)) penalize(s, p, tokens, n_tokens);
        x = s->x;
    }
    if (greedy) return logits_first_of(x, s->n_vocab, logits_max(x, s->n_vocab));
    return filter_and_draw(s, p, rng_uniform(p->seed, STREAM_SAMPLE, (uint64_t)position));
}
