/* SPDX-License-Identifier: Apache-2.0
 * cmd_convert.c - the library's converter with a progress bar; checkpoints of training too. */
#include <stdio.h>

#include "fikr/convert.h"
#include "src/base/fail.h"
#include "src/cli/term.h"
#include "src/cli/train_link.h"
#include "src/cli/verbs.h"

int cmd_convert(const struct args *a)
{
    struct fk_convert_params p;
    struct fk_error err = {0};
    struct bar bar;
    fk_convert_default_params(&p);
    bar_init(&bar);
    p.type = a->type;
    p.permutes = a->permute_given;
    p.permute_seed = a->permute;
    p.lora = a->lora;
    p.progress = bar_update;
    p.progress_arg = &bar;
    enum fk_status st;
    const struct train_link *link;
    bool is_checkpoint = train_is_checkpoint(a->operands[0]);
    if (is_checkpoint && a->lora)
        st = fail(&err, FK_EINVAL, "a checkpoint of adapters becomes a file of its own first, which --lora "
                  "then names");
    else if (!is_checkpoint)
        st = fk_convert(a->operands[0], a->operands[1], &p, &err);
    else if (!(st = train_link_open(&link, &err)))
        st = link->export_f16(a->operands[0], a->operands[1], &err);
    bar_fini(&bar);
    if (st) return term_complain(&err);
    if (!a->json) return 0;
    json_t *doc = json_object();
    if (!json_put(doc, "in", json_cstr(a->operands[0])) ||
        !json_put(doc, "out", json_cstr(a->operands[1]))) {
        json_decref(doc);
        doc = NULL;
    }
    return json_emit(doc, 0);
}
