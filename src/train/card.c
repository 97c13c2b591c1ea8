/* SPDX-License-Identifier: Apache-2.0
 * card.c - everything on the card comes from the run itself; what is assumed or estimated says so. */
#include "src/train/card.h"
#include <inttypes.h>
#include <string.h>
#include "src/base/interval.h"
#include "src/base/utf8.h"

/* As a code span; a name may hold anything. */
static void put_name(const char *s, struct buf *out)
{
    buf_putc(out, '`');
    for (size_t at = 0, n = strlen(s), len; at < n; at += len) {
        uint32_t cp = utf8_decode(s + at, n - at, &len);
        if (cp == UTF8_BAD || cp == '`' || !utf8_is_printable(cp)) buf_putc(out, '?');
        else buf_append(out, s + at, len);
    }
    buf_putc(out, '`');
}

/* Of a path: where it lay on this machine is nobody's business. */
static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void put_adapter(const struct run_facts *f, struct buf *out)
{
    const struct recipe *r = f->recipe;
    buf_printf(out, "Low-rank adapters of %.2f million weights over ", (double)f->n_weights / 1e6);
    put_name(last_part(f->base), out);
    buf_printf(out, ", which stays as it is: rank %" PRId64 ", alpha %.4g. Seed %" PRId64 ". %" PRId64
               " steps, %.3f million tokens, of which %.3f million were targets. Word problems come from ",
               r->lora.rank, r->lora.alpha, r->seed, f->step, (double)f->n_tokens / 1e6,
               (double)f->n_targets / 1e6);
    put_name(last_part(f->data_dir), out);
    buf_puts(out, ".\n\n");
}

static void put_made_of(const struct run_facts *f, struct buf *out)
{
    const struct recipe *r = f->recipe;
    const struct recipe_model *m = &r->model;
    buf_printf(out, "%.2f million weights, %.2f million active a token, in the shape of DeepSeek-V3: %" PRId64
               " layers (%" PRId64 " dense), latent attention with %" PRId64 " heads, %" PRId64
               " experts of which %" PRId64 " are used and %" PRId64 " shared; vocabulary at most %" PRId64
               ", context %" PRId64 ".\n\n", (double)f->n_weights / 1e6, (double)f->n_active / 1e6,
               m->n_layers, m->n_dense_layers, m->n_heads, m->n_experts, m->n_experts_used,
               m->n_shared_experts, m->n_vocab, m->n_ctx);
    buf_puts(out, f->init ? "Began with the weights of " : "Began with random numbers");
    if (f->init) put_name(last_part(f->init), out);
    buf_printf(out, ", seed %" PRId64 ". %" PRId64 " steps, %.2f million tokens, of which %.2f million were "
               "targets. Puzzles and their thinking are made by the program; texts outside of them come from ",
               r->seed, f->step, (double)f->n_tokens / 1e6, (double)f->n_targets / 1e6);
    if (f->data_dir) put_name(last_part(f->data_dir), out);
    else buf_puts(out, "the short lists built in");
    buf_puts(out, ".\n\n");
}

static void put_families(const struct fk_mix *mix, struct buf *out)
{
    const char *comma = "";
    for (int i = 0; i < fk_n_families(); i++) {
        if (!mix->family[i]) continue;
        buf_printf(out, "%s%s %u", comma, fk_family_name(i), mix->family[i]);
        comma = ", ";
    }
}

static void put_sets(const uint32_t sets[N_SETS], struct buf *out)
{
    const char *comma = "";
    for (int i = 0; i < N_SETS; i++) {
        if (!sets[i]) continue;
        buf_printf(out, "%s%s %u", comma, set_names[i], sets[i]);
        comma = ", ";
    }
}

static const char *kind_of(const struct recipe_stage *s)
{
    if (s->is_grpo) return s->grpo.kind == GRPO_REJECTION ? "rejection sampling" : "GRPO";
    return s->loss_on_prompt ? "next token, prompts too" : "next token";
}

static void put_stages(const struct run_facts *f, struct buf *out)
{
    buf_puts(out, "| stage | kind | steps | tokens a step | learning rate | what it learns from, and weights |\n"
             "| --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < f->recipe->n_stages; i++) {
        const struct recipe_stage *s = &f->recipe->stages[i];
        buf_puts(out, "| ");
        put_name(s->name, out);
        buf_printf(out, " | %s | %" PRId64 " | at most %" PRId64 " | %.4g | ", kind_of(s), s->n_steps,
                   s->batch_tokens, s->lr);
        put_families(&s->mix, out);
        put_sets(s->sets, out);
        buf_puts(out, " |\n");
    }
}

static void put_row(const char *name, const struct dev_family *d, struct buf *out)
{
    struct interval w = interval_wilson((uint64_t)d->n_right, (uint64_t)d->n);
    buf_printf(out, "| %s | %d of %d | %.1f %% | %.1f to %.1f | %.1f %% | %.0f | %.0f |\n", name, d->n_right,
               d->n, 100.0 * d->n_right / d->n, 100 * w.low, 100 * w.high, 100.0 * d->n_ended / d->n,
               d->n_thinking / d->n, d->n_reply / d->n);
}

static void put_accuracy(const struct run_facts *f, struct buf *out)
{
    const struct journal_eval *e = journal_last_eval(f->journal);
    buf_puts(out, "\n## How good\n\n");
    if (!e) {
        buf_puts(out, "Nothing was evaluated.\n");
        return;
    }
    buf_printf(out, "Greedy, thinking on, at most %" PRId64 " tokens, after step %" PRId64 "; puzzles of the "
               "dev split, which training never sees, all levels alike. One run, one seed. Intervals are "
               "Wilson's at 95 %%, for the puzzles, not for other seeds.\n\n"
               "| family | right | share | interval | ended | thinking, tokens | reply, tokens |\n"
               "| --- | --- | --- | --- | --- | --- | --- |\n", f->recipe->eval_max_new, e->step);
    for (int i = 0; i < fk_n_families(); i++)
        if (e->result.family[i].n) put_row(fk_family_name(i), &e->result.family[i], out);
    buf_printf(out, "\nMean over families %.1f %%; mean thinking %.0f tokens.\n", 100 * e->result.accuracy,
               e->result.n_thinking);
}

static void put_cost(const struct run_facts *f, struct buf *out)
{
    const struct run_cost *c = &f->cost;
    buf_printf(out, "\n## What it cost\n\n%.4g CPU-hours of all threads and starts, evaluations and work lost to "
               "interruptions included%s; %.4g hours by the clock.\n\nEstimates, not measured: %.4g kWh at "
               "%.4g W a busy core; %.4g ", run_cost_hours(c), c->is_partly_wall ? " (an earlier start noted "
               "no CPU time: its time by the clock is counted)" : "", f->seconds / 3600, run_cost_kwh(c),
               c->watts, run_cost_money(c));
    put_name(c->currency, out);
    buf_printf(out, " at %.4g a CPU-hour.\n", c->price);
}

bool card_write(const struct run_facts *f, struct buf *out)
{
    buf_puts(out, "# ");
    put_name(f->recipe->name, out);
    buf_puts(out, "\n\n");
    if (f->recipe->lora.is_on) put_adapter(f, out);
    else put_made_of(f, out);
    put_stages(f, out);
    put_accuracy(f, out);
    put_cost(f, out);
    buf_printf(out, "\n## Recipe\n\nSHA-256 of the recipe's file: %s. Computed by ", f->recipe->sha256);
    put_name(f->machine, out);
    buf_puts(out, ". Curves and samples are in run.html, all numbers in run.jsonl. Every value in use:\n\n");
    for (const char *s = f->settings; s && *s;) { /* an indented block needs no fence */
        size_t n = strcspn(s, "\n");
        buf_puts(out, "    ");
        buf_append(out, s, n);
        buf_putc(out, '\n');
        s += n + (s[n] == '\n');
    }
    return !out->failed;
}
