/* SPDX-License-Identifier: Apache-2.0
 * rope.c - tables of rotary angles (Su et al. 2021): pair i turns by position * inv_freq[i].
 *
 *   plain    inv_freq[i] = theta^(-2i / n_rot)
 *   linear   / factor
 *   llama3   / rope_freqs.weight[i], which the converter computed
 *   YaRN     (Peng et al. 2023, section 3.2) between the first and linear, by how often a pair turns
 *            within the original context */
#include <math.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/model/blocks.h"

/* The pair that turns `turns` times within n_ctx positions; fractional. */
static double pair_of_turns(double turns, int n_rot, double theta, int n_ctx)
{
    const double pi = 3.14159265358979323846;
    return n_rot * log(n_ctx / (turns * 2 * pi)) / (2 * log(theta));
}

static void apply_yarn(float *inv_freq, int n_rot, double theta, const struct rope_scaling *s)
{
    double low = floor(pair_of_turns(s->beta_fast, n_rot, theta, s->n_ctx_orig));
    double high = ceil(pair_of_turns(s->beta_slow, n_rot, theta, s->n_ctx_orig));
    if (!(low > 0)) low = 0;
    if (!(high < n_rot - 1)) high = n_rot - 1;
    if (low == high) high += 0.001;
    for (int i = 0; i < n_rot / 2; i++) {
        double ramp = (i - low) / (high - low);
        double keep = (1 - (ramp < 0 ? 0 : ramp > 1 ? 1 : ramp)) * s->ext_factor;
        inv_freq[i] = (float)((double)inv_freq[i] * (keep + (1 - keep) / s->factor));
    }
}

static enum fk_status fill(struct model *m, struct rope_params *p, double theta, bool scaled,
                           struct fk_error *err)
{
    const struct model_config *c = &m->config;
    const struct rope_scaling *s = &c->rope_scaling;
    int n = c->n_rot / 2;
    float *inv_freq = arena_array(&m->memory, (size_t)n, sizeof(float));
    if (!inv_freq) return fail_nomem(err, (size_t)n * sizeof(float), "rotary angles");
    for (int i = 0; i < n; i++) {
        inv_freq[i] = (float)pow(theta, -2.0 * i / c->n_rot);
        if (scaled && s->kind == ROPE_LINEAR) inv_freq[i] /= s->factor;
    }
    if (scaled && s->kind == ROPE_YARN) apply_yarn(inv_freq, c->n_rot, theta, s);
    *p = (struct rope_params){.style = c->rope_style, .n_rot = c->n_rot, .inv_freq = inv_freq,
                              .mscale = scaled ? s->mscale : 1};
    return FK_OK;
}

/* rope_freqs.weight [n_rot/2]: divides. */
static enum fk_status apply_factors(struct model *m, struct fk_error *err)
{
    const char *name = "rope_freqs.weight";
    const struct gguf_tensor *t = gguf_find_tensor(m->gguf, name);
    if (!t || m->config.family == FAMILY_GEMMA3) return FK_OK;
    int n = m->config.n_rot / 2;
    if (t->dtype != DT_F32 || t->shape[0] != (uint64_t)n || t->bytes != (uint64_t)n * 4)
        return fail(err, FK_EFORMAT, "tensor '%s' is %s with %llu numbers, not %d of F32", name,
                    dtype_name(t->dtype), (unsigned long long)t->shape[0], n);
    float *inv_freq = (float *)m->rope_global.inv_freq;
    for (int i = 0; i < n; i++) {
        float f;
        memcpy(&f, t->data + (size_t)i * 4, 4);
        if (!isfinite(f) || !(f > 0))
            return fail(err, FK_EFORMAT, "tensor '%s' has the factor %g at %d", name, (double)f, i);
        inv_freq[i] /= f;
    }
    return FK_OK;
}

enum fk_status model_rope_init(struct model *m, struct fk_error *err)
{
    const struct model_config *c = &m->config;
    TRY(fill(m, &m->rope_global, c->rope_theta, true, err));
    if (c->family == FAMILY_DEEPSEEK2) {
        m->rope_k = m->rope_global;
        m->rope_global.first = c->nope_dim;
    } else {
        TRY(apply_factors(m, err));
    }
    if (c->window) TRY(fill(m, &m->rope_local, c->rope_theta_local, false, err));
    for (int i = 0; i < c->n_layers; i++)
        m->layers[i].rope = m->layers[i].window ? &m->rope_local : &m->rope_global;
    return FK_OK;
}
