/* SPDX-License-Identifier: Apache-2.0
 * cmd_fit.c - whether a model fits this machine, before anything is computed. */
#include <stdio.h>

#include "src/cli/models.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"

static json_t *fit_json(const char *path, const struct fk_fit *f)
{
    json_t *o = json_object();
    if (json_put(o, "file", json_cstr(path)) && json_put(o, "fits", json_boolean(f->fits)) &&
        json_put(o, "weight_bytes", json_count(f->weight_bytes)) &&
        json_put(o, "kv_bytes", json_count(f->kv_bytes)) &&
        json_put(o, "scratch_bytes", json_count(f->scratch_bytes)) &&
        json_put(o, "other_bytes", json_count(f->other_bytes)) &&
        json_put(o, "total_bytes", json_count(f->total_bytes)) &&
        json_put(o, "available_bytes", json_count(f->available_bytes)) &&
        json_put(o, "n_ctx_max", json_integer(f->n_ctx_max)) &&
        json_put(o, "bandwidth_gb_per_s", json_num(f->bandwidth_gb_per_s)) &&
        json_put(o, "tokens_per_s", json_num(f->tokens_per_s)))
        return o;
    json_decref(o);
    return NULL;
}

int cmd_fit(const struct args *a)
{
    struct opened o;
    struct fk_error err = {0};
    struct fk_engine_params p;
    struct fk_fit f;
    if (opened_model(&o, a->n_operands ? a->operands[0] : a->model, a->lora, false, &err))
        return term_complain(&err);
    opened_params(a, &p);
    int code;
    if (fk_fit(o.model, &p, &f, &err)) {
        code = term_complain(&err);
    } else if (a->json) {
        code = json_emit(fit_json(o.path, &f), f.fits ? 0 : 3);
    } else {
        printf("%-12s%10s\n%-12s%10s\n%-12s%10s\n%-12s%10s\n%-12s%10s of %s free here\n",
               "weights", term_bytes(f.weight_bytes), "cache", term_bytes(f.kv_bytes), "scratch",
               term_bytes(f.scratch_bytes), "other", term_bytes(f.other_bytes), "together",
               term_bytes(f.total_bytes), term_bytes(f.available_bytes));
        if (f.fits)
            printf("It fits, with a context of up to %d tokens; about %.1f tokens/s at %.1f GB/s.\n",
                   f.n_ctx_max, f.tokens_per_s, f.bandwidth_gb_per_s);
        else if (f.n_ctx_max > 0)
            printf("It does not fit; --ctx %d would.\n", f.n_ctx_max);
        else
            printf("It does not fit, whatever the context.\n");
        code = term_finish(f.fits ? 0 : 3);
    }
    opened_close(&o);
    return code;
}
