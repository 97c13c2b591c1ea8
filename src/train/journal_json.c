/* SPDX-License-Identifier: Apache-2.0
 * journal_json.c - a journal's lines from and to JSON. Numbers that are missing read as 0. */
#include <jansson.h>
#include <math.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/train/journal_impl.h"

static bool set(json_t *o, const char *key, json_t *v)
{
    return v && json_object_set_new(o, key, v) == 0;
}

static json_t *families_json(const struct dev_result *r)
{
    json_t *o = json_object();
    bool ok = o != NULL;
    for (int i = 0; ok && i < fk_n_families(); i++) {
        const struct dev_family *f = &r->family[i];
        if (!f->n) continue;
        json_t *x = json_object();
        ok = x && set(x, "n", json_integer(f->n)) && set(x, "right", json_integer(f->n_right)) &&
             set(x, "ended", json_integer(f->n_ended)) &&
             set(x, "thinking", json_real(f->n_thinking / f->n)) &&
             set(x, "reply", json_real(f->n_reply / f->n));
        if (ok) ok = set(o, fk_family_name(i), x);
        else json_decref(x);
    }
    if (ok) return o;
    json_decref(o);
    return NULL;
}

static json_t *replies_json(const struct journal_eval *e)
{
    json_t *list = json_array();
    bool ok = list != NULL;
    for (int i = 0; ok && i < e->n_replies; i++) {
        const struct journal_reply *r = &e->replies[i];
        json_t *x = json_object();
        ok = x && set(x, "prompt", json_string(r->prompt)) &&
             set(x, "right_answer", json_string(r->right)) &&
             set(x, "thinking", json_string(r->thinking)) &&
             set(x, "answer", json_string(r->answer)) && set(x, "right", json_boolean(r->is_right));
        if (ok) ok = json_array_append_new(list, x) == 0;
        else json_decref(x);
    }
    if (ok) return list;
    json_decref(list);
    return NULL;
}

char *journal_eval_line(const struct journal_eval *e, double cpu_seconds)
{
    json_t *o = json_object(), *v = json_object();
    bool has_eval = v && set(v, "accuracy", json_real(e->result.accuracy)) &&
                    set(v, "thinking", json_real(e->result.n_thinking)) &&
                    set(v, "seconds", json_real(e->result.seconds)) &&
                    set(v, "families", families_json(&e->result)) &&
                    set(v, "samples", replies_json(e));
    bool ok = o && set(o, "step", json_integer(e->step)) && set(o, "stage", json_integer(e->stage)) &&
              set(o, "tokens", json_integer((json_int_t)e->tokens)) &&
              set(o, "cpu_seconds", json_real(round(cpu_seconds * 1000) / 1000));
    if (!ok || !has_eval) json_decref(v);
    else ok = set(o, "eval", v);
    char *text = ok && has_eval ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    char *line = text ? mem_strdup(text, MEM_TRAIN) : NULL;
    if (text) {
        json_free_t give_back;
        json_get_alloc_funcs(NULL, &give_back);
        give_back(text);
    }
    json_decref(o);
    return line;
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static int small_count(const json_t *o, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(o, key));
    return v > 0 && v < 1 << 30 ? (int)v : 0;
}

static char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return mem_strdup(s ? s : "", MEM_TRAIN);
}

static bool read_replies(const json_t *list, struct journal_eval *e)
{
    size_t n = json_array_size(list);
    if (n > 1024) n = 1024;
    e->replies = mem_calloc(n + 1, sizeof *e->replies, MEM_TRAIN);
    if (!e->replies) return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(list, i);
        struct journal_reply *r = &e->replies[e->n_replies++];
        *r = (struct journal_reply){text_of(x, "prompt"), text_of(x, "right_answer"),
                                    text_of(x, "thinking"), text_of(x, "answer"),
                                    json_is_true(json_object_get(x, "right"))};
        if (!r->prompt || !r->right || !r->thinking || !r->answer) return false;
    }
    return true;
}

static void read_families(const json_t *o, struct dev_result *r)
{
    for (int i = 0; i < fk_n_families(); i++) {
        const json_t *x = json_object_get(o, fk_family_name(i));
        struct dev_family *f = &r->family[i];
        f->n = small_count(x, "n");
        f->n_right = small_count(x, "right");
        f->n_ended = small_count(x, "ended");
        if (f->n_right > f->n) f->n_right = f->n;
        f->n_thinking = number(x, "thinking") * f->n;
        f->n_reply = number(x, "reply") * f->n;
    }
}

static bool read_eval(struct journal *j, const json_t *o, const json_t *v)
{
    struct journal_eval e = {.step = json_integer_value(json_object_get(o, "step")),
                             .stage = small_count(o, "stage"), .tokens = number(o, "tokens")};
    e.result.accuracy = number(v, "accuracy");
    e.result.n_thinking = number(v, "thinking");
    e.result.seconds = number(v, "seconds");
    read_families(json_object_get(v, "families"), &e.result);
    if (read_replies(json_object_get(v, "samples"), &e)) return journal_keep_eval(j, &e);
    journal_free_eval(&e);
    return false;
}

static bool read_point(struct journal *j, const json_t *o)
{
    struct journal_point p = {
        .step = json_integer_value(json_object_get(o, "step")), .stage = small_count(o, "stage"),
        .is_grpo = json_object_get(o, "reward") != NULL, .tokens = number(o, "tokens"),
        .seconds = number(o, "seconds"), .lr = number(o, "lr"), .grad_norm = number(o, "grad_norm"),
        .loss = number(o, "loss"), .mean_loss = number(o, "mean_loss"),
        .accuracy = number(o, "accuracy"), .tokens_per_second = number(o, "tokens_per_second"),
        .reward = number(o, "reward"), .right = number(o, "right"), .n_thinking = number(o, "thinking"),
        .n_reply = number(o, "reply"), .entropy = number(o, "entropy")};
    return journal_keep_point(j, &p);
}

/* Starts that noted no CPU time count with their wall time, and has_cpu says so. */
static void read_cost(struct journal *j, const json_t *o)
{
    const json_t *cpu = json_object_get(o, "cpu_seconds");
    double v = json_number_value(cpu ? cpu : json_object_get(o, "seconds"));
    if (!cpu) j->has_cpu = false;
    if (v > j->cpu_before) j->cpu_before = v;
}

enum fk_status journal_parse(struct journal *j, const char *text, size_t n, struct fk_error *err)
{
    bool ok = true;
    for (size_t at = 0; at < n && ok;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - text) - at : n - at;
        json_t *o = json_loadb(text + at, len, 0, NULL);
        const json_t *eval = json_object_get(o, "eval");
        if (json_is_integer(json_object_get(o, "step"))) {
            ok = eval ? read_eval(j, o, eval) : read_point(j, o);
            read_cost(j, o);
        }
        json_decref(o);
        at += len + 1;
    }
    return ok ? FK_OK : fail_nomem(err, n, "a run's log");
}
