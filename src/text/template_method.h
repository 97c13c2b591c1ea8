/* SPDX-License-Identifier: Apache-2.0
 * template_method.h - the methods a template may call, and their table's form. */
#ifndef TEXT_TEMPLATE_METHOD_H
#define TEXT_TEMPLATE_METHOD_H
#include "src/text/template_run.h"

enum { JMETHOD_MAX_ARGS = 4 };

struct jmethod_def {
    uint32_t kinds; /* bit k: values of enum jkind k have it */
    const char *name;
    bool (*call)(struct jrun *r, struct jvalue self, const struct jvalue *a, struct jvalue *out);
    const char *const *params; /* NULL: takes any, see `any` */
    size_t n_needed;
    bool (*any)(struct jrun *r, struct jvalue self, const struct jargs *args, struct jvalue *out);
};

bool jinja_call_method(struct jrun *r, const struct jmethod *m, const struct jargs *args,
                       struct jvalue *out);
/* str.format; template_format.c */
bool jinja_format(struct jrun *r, struct jvalue self, const struct jargs *args, struct jvalue *out);

#endif
