/* SPDX-License-Identifier: Apache-2.0
 * cmd_inspect.c - what is in a model file. Everything that comes from the file is escaped, also in
 * pipes: a name or key may hold anything. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fikr/quantize.h"
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/cli/models.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"

struct type_sum {
    char name[16];
    uint64_t n_tensors, bytes, n_elements;
};

enum { MAX_TYPES = 64, MAX_VALUE = 96 };

static uint64_t n_elements(const struct fk_tensor_info *t)
{
    uint64_t n = 1;
    for (int d = 0; d < t->n_dims && d < 4; d++) n *= t->shape[d];
    return n;
}

static size_t sum_types(const fk_model *m, struct type_sum sums[MAX_TYPES])
{
    size_t n = 0;
    for (size_t i = 0; i < fk_model_n_tensors(m); i++) {
        struct fk_tensor_info t;
        if (fk_model_get_tensor(m, i, &t)) continue;
        size_t k = 0;
        while (k < n && strncmp(sums[k].name, t.type, sizeof sums[k].name - 1) != 0) k++;
        if (k == n) {
            if (n == MAX_TYPES) continue;
            memset(&sums[n], 0, sizeof sums[n]);
            snprintf(sums[n].name, sizeof sums[n].name, "%s", t.type);
            n++;
        }
        sums[k].n_tensors++;
        sums[k].bytes += t.bytes;
        sums[k].n_elements += n_elements(&t);
    }
    return n;
}

static void field(const char *name, const char *value)
{
    printf("%-14s", name);
    term_escaped(stdout, value, strlen(value));
    putchar('\n');
}

static void print_summary(const char *path, const struct fk_model_info *f)
{
    field("file", path);
    field("architecture", f->architecture);
    if (f->name[0]) field("name", f->name);
    printf("%-14s%s (%" PRIu64 " bytes)\n", "size", term_bytes(f->file_bytes), f->file_bytes);
    field("type", f->file_type);
    if (f->n_params) {
        printf("%-14s%s", "parameters", term_count(f->n_params));
        if (f->n_active_params && f->n_active_params != f->n_params)
            printf(", %s active", term_count(f->n_active_params));
        printf(", %.2f bits each\n", 8.0 * (double)f->weight_bytes / (double)f->n_params);
    }
    if (f->n_layers) {
        printf("%-14s%d", "layers", f->n_layers);
        if (f->n_mtp_layers) printf(" + %d MTP", f->n_mtp_layers);
        printf(", embedding %d, feed-forward %d\n", f->n_embd, f->n_ff);
        printf("%-14s%d, %d for keys and values, %d wide\n", "heads", f->n_heads, f->n_kv_heads,
               f->head_dim);
    }
    if (f->n_experts) printf("%-14s%d, %d used a token\n", "experts", f->n_experts, f->n_experts_used);
    if (f->n_vocab) printf("%-14s%d\n", "vocabulary", f->n_vocab);
    if (f->n_ctx_train) printf("%-14s%d tokens\n", "context", f->n_ctx_train);
    if (f->kv_bytes_per_token_f16)
        printf("%-14s%s a token (f16)\n", "cache", term_bytes(f->kv_bytes_per_token_f16));
    printf("%-14s%s%s%s\n", "template",
           f->has_template ? f->template_sha256[0] ? "sha256 " : "yes" : "none",
           f->has_template ? f->template_sha256 : "", f->has_thinking ? ", knows thinking" : "");
}

static void print_meta(const fk_model *m)
{
    size_t n = fk_model_n_meta(m);
    printf("\nmetadata (%zu)\n", n);
    for (size_t i = 0; i < n; i++) {
        const char *key, *type, *value;
        if (fk_model_get_meta(m, i, &key, &type, &value)) continue;
        size_t len = strlen(value), shown = len < MAX_VALUE ? len : MAX_VALUE;
        /* No cut inside a character: it would show as an escape. */
        while (shown < len && shown && ((unsigned char)value[shown] & 0xC0) == 0x80) shown--;
        fputs("  ", stdout);
        term_escaped(stdout, key, strlen(key));
        printf(" %s = ", type);
        term_escaped(stdout, value, shown);
        if (shown < len) printf(" ... (%zu bytes)", len);
        putchar('\n');
    }
}

static void print_tensors(const fk_model *m, bool each)
{
    struct type_sum sums[MAX_TYPES];
    size_t n = sum_types(m, sums), n_tensors = fk_model_n_tensors(m);
    printf("\ntensors (%zu)\n", n_tensors);
    for (size_t k = 0; k < n; k++)
        printf("  %-8s %5" PRIu64 " tensors %10s\n", sums[k].name, sums[k].n_tensors,
               term_bytes(sums[k].bytes));
    for (size_t i = 0; each && i < n_tensors; i++) {
        struct fk_tensor_info t;
        if (fk_model_get_tensor(m, i, &t)) continue;
        printf("  %-8s [", t.type);
        for (int d = 0; d < t.n_dims && d < 4; d++) printf("%s%" PRIu64, d ? ", " : "", t.shape[d]);
        printf("] at %" PRIu64 " ", t.offset);
        term_escaped(stdout, t.name, strlen(t.name));
        putchar('\n');
    }
}

static json_t *summary_json(const char *path, const struct fk_model_info *f)
{
    json_t *o = json_object();
    bool ok = json_put(o, "file", json_cstr(path)) &&
              json_put(o, "architecture", json_cstr(f->architecture)) &&
              json_put(o, "name", json_cstr(f->name)) &&
              json_put(o, "file_type", json_cstr(f->file_type)) &&
              json_put(o, "file_bytes", json_count(f->file_bytes)) &&
              json_put(o, "weight_bytes", json_count(f->weight_bytes)) &&
              json_put(o, "active_bytes", json_count(f->active_bytes)) &&
              json_put(o, "n_params", json_count(f->n_params)) &&
              json_put(o, "n_active_params", json_count(f->n_active_params)) &&
              json_put(o, "n_layers", json_integer(f->n_layers)) &&
              json_put(o, "n_mtp_layers", json_integer(f->n_mtp_layers)) &&
              json_put(o, "n_embd", json_integer(f->n_embd)) &&
              json_put(o, "n_ff", json_integer(f->n_ff)) &&
              json_put(o, "n_vocab", json_integer(f->n_vocab)) &&
              json_put(o, "n_ctx_train", json_integer(f->n_ctx_train)) &&
              json_put(o, "n_heads", json_integer(f->n_heads)) &&
              json_put(o, "n_kv_heads", json_integer(f->n_kv_heads)) &&
              json_put(o, "head_dim", json_integer(f->head_dim)) &&
              json_put(o, "n_experts", json_integer(f->n_experts)) &&
              json_put(o, "n_experts_used", json_integer(f->n_experts_used)) &&
              json_put(o, "kv_bytes_per_token_f16", json_count(f->kv_bytes_per_token_f16)) &&
              json_put(o, "has_template", json_boolean(f->has_template)) &&
              json_put(o, "has_thinking", json_boolean(f->has_thinking)) &&
              json_put(o, "template_sha256", json_cstr(f->template_sha256));
    if (ok) return o;
    json_decref(o);
    return NULL;
}

static json_t *meta_json(const fk_model *m)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < fk_model_n_meta(m); i++) {
        const char *key, *type, *value;
        if (fk_model_get_meta(m, i, &key, &type, &value)) continue;
        json_t *o = json_object();
        if (!json_put(o, "key", json_cstr(key)) || !json_put(o, "type", json_cstr(type)) ||
            !json_put(o, "value", json_cstr(value)) || json_array_append(list, o)) {
            json_decref(o);
            json_decref(list);
            return NULL;
        }
        json_decref(o);
    }
    return list;
}

static json_t *tensor_json(const struct fk_tensor_info *t)
{
    json_t *o = json_object(), *shape = json_array();
    for (int d = 0; shape && d < t->n_dims && d < 4; d++)
        if (json_array_append_new(shape, json_count(t->shape[d]))) {
            json_decref(shape);
            shape = NULL;
        }
    if (json_put(o, "name", json_cstr(t->name)) && json_put(o, "type", json_cstr(t->type)) &&
        json_put(o, "shape", shape) && json_put(o, "offset", json_count(t->offset)) &&
        json_put(o, "bytes", json_count(t->bytes)) &&
        json_put(o, "i_file", json_integer(t->i_file)))
        return o;
    json_decref(o);
    return NULL;
}

static json_t *tensors_json(const fk_model *m)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < fk_model_n_tensors(m); i++) {
        struct fk_tensor_info t;
        if (fk_model_get_tensor(m, i, &t)) continue;
        if (json_array_append_new(list, tensor_json(&t))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *types_json(const fk_model *m)
{
    struct type_sum sums[MAX_TYPES];
    size_t n = sum_types(m, sums);
    json_t *list = json_array();
    for (size_t k = 0; list && k < n; k++) {
        json_t *o = json_object();
        if (!json_put(o, "type", json_cstr(sums[k].name)) ||
            !json_put(o, "n_tensors", json_count(sums[k].n_tensors)) ||
            !json_put(o, "bytes", json_count(sums[k].bytes)) || json_array_append(list, o)) {
            json_decref(o);
            json_decref(list);
            return NULL;
        }
        json_decref(o);
    }
    return list;
}

/* A file that is whole but no model for us is shown all the same; *why says what it lacks. */
static enum fk_status open_any(struct opened *o, const char *name, struct fk_error *why,
                               struct fk_error *err)
{
    enum fk_status st = opened_model(o, name, NULL, false, why);
    if (st == FK_OK) why->message[0] = 0;
    return st ? opened_model(o, name, NULL, true, err) : FK_OK;
}

static enum fk_status check(const char *path, struct fk_check_report *r, struct fk_error *err)
{
    struct bar bar;
    bar_init(&bar);
    enum fk_status st = fk_check_planes(path, bar_update, &bar, r, err);
    bar_fini(&bar);
    return st;
}

int cmd_inspect(const struct args *a)
{
    struct opened o;
    struct fk_error err = {0}, why = {0};
    struct fk_model_info info;
    struct fk_check_report checked = {0, 0};
    if (open_any(&o, a->n_operands ? a->operands[0] : a->model, &why, &err))
        return term_complain(&err);
    int code;
    if (fk_model_get_info(o.model, &info)) {
        fail(&err, FK_EFORMAT, "%s holds no model that could be described", o.path);
        code = term_complain(&err);
    } else if (a->check && check(o.path, &checked, &err)) {
        code = term_complain(&err);
    } else if (a->json) {
        json_t *doc = summary_json(o.path, &info);
        bool ok = json_put(doc, "runs", json_boolean(!why.message[0])) &&
                  json_put(doc, "why_not", why.message[0] ? json_cstr(why.message) : json_null()) &&
                  (!a->check || (json_put(doc, "checked_weights", json_count(checked.n_weights)) &&
                                 json_put(doc, "checked_bytes", json_count(checked.n_bytes)))) &&
                  json_put(doc, "metadata", meta_json(o.model)) &&
                  json_put(doc, "n_tensors", json_count(fk_model_n_tensors(o.model))) &&
                  json_put(doc, "tensor_types", types_json(o.model)) &&
                  (!a->tensors || json_put(doc, "tensors", tensors_json(o.model)));
        if (!ok) {
            json_decref(doc);
            doc = NULL;
        }
        code = json_emit(doc, 0);
    } else {
        print_summary(o.path, &info);
        if (why.message[0]) field("does not run", why.message);
        if (a->check)
            printf("%-14s%" PRIu64 " weights in planes, %s: all as they were written\n", "checksums",
                   checked.n_weights, term_bytes(checked.n_bytes));
        print_meta(o.model);
        print_tensors(o.model, a->tensors);
        code = term_finish(0);
    }
    opened_close(&o);
    return code;
}
