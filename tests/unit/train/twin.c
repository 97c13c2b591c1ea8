/* SPDX-License-Identifier: Apache-2.0
 * twin.c - trains a recipe's first stage and writes down what every step saw and did, so that another
 * program can take the same steps (tools/twin.py, in PyTorch).
 *
 *   twin RECIPE OUT_DIR
 *
 * OUT_DIR/fresh.gguf has the first weights, OUT_DIR/steps.bin for each step, little-endian:
 *   i32 n_tokens, n_docs, n_layers of experts, experts used
 *   i32 length[n_docs], token[n_tokens], is_target[n_tokens]
 *   i32 n_rows, expert[n_rows][used] for each layer of experts: the last one sees only the tokens from which
 *       a target is predicted
 *   f64 loss, norm of the gradient, learning rate */
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/tape/pass.h"
#include "src/tape/tape.h"
#include "src/train/fresh.h"
#include "src/train/learner.h"
#include "src/train/muon.h"
#include "src/train/optim.h"

struct choice {
    FILE *f; /* NULL: only count */
    int n_layers, n_used;
};

static void put_int(FILE *f, int64_t v)
{
    int32_t x = (int32_t)v;
    fwrite(&x, sizeof x, 1, f);
}

static void put_choice(void *arg, const struct tensor *ids, const struct tensor *bias, int64_t n_experts)
{
    struct choice *c = arg;
    (void)bias;
    (void)n_experts;
    c->n_layers++;
    c->n_used = (int)ids->n_cols;
    if (!c->f) return;
    put_int(c->f, ids->n_rows);
    for (int64_t t = 0; t < ids->n_rows; t++)
        fwrite(tensor_row_f32(ids, t), sizeof(int32_t), (size_t)ids->n_cols, c->f);
}

static void put_step(FILE *f, const struct pack *p, struct learner *l)
{
    struct choice count = {0}, write = {.f = f};
    tape_each_route(pass_tape(l->pass), put_choice, &count);
    put_int(f, p->n_tokens);
    put_int(f, p->n_docs);
    put_int(f, count.n_layers);
    put_int(f, count.n_used);
    for (int i = 0; i < p->n_docs; i++) put_int(f, p->docs[i].n);
    for (int i = 0; i < p->n_tokens; i++) put_int(f, p->tokens[i]);
    for (int i = 0; i < p->n_tokens; i++) put_int(f, p->is_target[i]);
    tape_each_route(pass_tape(l->pass), put_choice, &write);
}

static enum fk_status train(const struct recipe *r, struct learner *l, struct pack *p, struct muon *muon,
                            FILE *f, struct fk_error *err)
{
    const struct recipe_stage *s = &r->stages[0];
    const struct recipe_optim *o = &r->optim;
    uint64_t cursor = 0;
    for (int64_t step = 0; step < s->n_steps; step++) {
        struct learner_sums sums;
        TRY(pack_fill(p, &s->mix, &cursor, err));
        TRY(learner_gradient(l, p, o->balance, &sums, err));
        put_step(f, p, l);
        double norm = optim_grad_norm(&l->params), lr = recipe_lr(s, step);
        double done[3] = {sums.loss, norm, lr};
        fwrite(done, sizeof done, 1, f);
        optim_step(&l->params, o, muon, lr, norm > o->clip ? o->clip / norm : 1, step + 1);
        learner_balance(l, o->bias_rate);
    }
    return FK_OK;
}

int main(int n, char **args)
{
    struct fk_error err = {.message = ""};
    struct recipe r;
    struct learner l = {0};
    struct pack p = {0};
    struct muon *muon = NULL;
    char fresh[4096], steps[4096];
    FILE *f = NULL;
    enum fk_status st = FK_EINVAL;
    if (n != 3) return fputs("twin RECIPE OUT_DIR\n", stderr), 2;
    snprintf(fresh, sizeof fresh, "%s/fresh.gguf", args[2]);
    snprintf(steps, sizeof steps, "%s/steps.bin", args[2]);
    TRY_GOTO(recipe_read(&r, args[1], &err), done);
    TRY_GOTO(fresh_write(&r, NULL, fresh, &err), done);
    TRY_GOTO(learner_open(&l, fresh, 1, r.stages[0].batch_tokens, &err), done);
    if (r.optim.kind == OPTIM_MUON) TRY_GOTO(muon_create(&muon, &l.params, &err), done);
    TRY_GOTO(pack_init(&p, l.model->tokenizer, NULL, r.stages[0].batch_tokens, (int)r.model.n_ctx, &err), done);
    f = fopen(steps, "wb");
    if (!f) TRY_GOTO(fail(&err, FK_EIO, "cannot write '%s'", steps), done);
    p.loss_on_prompt = r.stages[0].loss_on_prompt;
    p.choose_thinking = r.stages[0].choose_thinking;
    st = train(&r, &l, &p, muon, f, &err);
    if (fclose(f) && !st) st = fail(&err, FK_EIO, "cannot write '%s'", steps);
done:
    if (st) fprintf(stderr, "%s\n", err.message);
    pack_fini(&p);
    muon_destroy(&muon);
    learner_close(&l);
    return st != FK_OK;
}
