/* SPDX-License-Identifier: Apache-2.0
 * template_filter.h - the form of the filters' tables. */
#ifndef TEXT_TEMPLATE_FILTER_H
#define TEXT_TEMPLATE_FILTER_H
#include "src/text/template_run.h"

enum { JFILTER_MAX_ARGS = 4 };

struct jfilter_def {
    const char *name;
    bool (*call)(struct jrun *r, struct jvalue v, const struct jvalue *a, struct jvalue *out);
    const char *const *params;
    size_t n_needed;
};
const struct jfilter_def *jinja_pick_filter(const struct jfilter_def *table, size_t n_table,
                                            const char *s, size_t n);

/* template_filter_seq.c. *known is cleared when there is no filter of that name. */
bool jinja_filter_seq(struct jrun *r, const char *s, size_t n, struct jvalue v,
                      const struct jargs *args, bool *known, struct jvalue *out);

#endif
