/* SPDX-License-Identifier: Apache-2.0
 * chat_api.c - messages to tokens through a model's chat template.
 *
 * The template's own text is trusted and may name special tokens; the text of messages and tools is
 * not, and its trust marks travel with it into the tokenizer. */
#include <jansson.h>
#include <string.h>
#include <time.h>
#include "fikr/chat.h"
#include "src/api/handles.h"
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/text/template.h"

#define MAX_MESSAGES 100000
#define MAX_TEXT_BYTES ((size_t)64 << 20) /* of all messages together */

static const char chatml[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
static const char plain[] =
    "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}";

void fk_chat_default_params(struct fk_chat_params *p)
{
    if (p) *p = (struct fk_chat_params){0};
}

/* Sets obj[key] to text as valid UTF-8. False: out of memory. */
static bool set_text(json_t *obj, const char *key, const char *text)
{
    struct buf b;
    buf_init(&b, 0, MEM_TEXT);
    bool ok = utf8_sanitize(&b, text, strlen(text));
    ok = ok && json_object_set_new(obj, key, json_stringn(b.data ? b.data : "", b.n)) == 0;
    buf_fini(&b);
    return ok;
}

static enum fk_status set_json(json_t *obj, const char *key, const char *text, const char *what,
                               struct fk_error *err)
{
    json_error_t e;
    json_t *v = json_loads(text, JSON_REJECT_DUPLICATES, &e);
    if (!v) return fail(err, FK_EINVAL, "%s is no JSON: %s at byte %d", what, e.text, e.position);
    if (!json_is_array(v)) {
        json_decref(v);
        return fail(err, FK_EINVAL, "%s must be a JSON array", what);
    }
    return json_object_set_new(obj, key, v) == 0 ? FK_OK : fail_nomem(err, strlen(text), what);
}

static enum fk_status add_message(json_t *list, const struct fk_message *m, size_t i,
                                  struct fk_error *err)
{
    if (!m->role || !*m->role) return fail(err, FK_EINVAL, "message %zu has no role", i);
    json_t *o = json_object();
    if (!o || json_array_append_new(list, o) != 0) return fail_nomem(err, 64, "a message");
    bool ok = set_text(o, "role", m->role) && set_text(o, "content", m->content ? m->content : "");
    if (ok && m->reasoning) ok = set_text(o, "reasoning_content", m->reasoning);
    if (ok && m->name) ok = set_text(o, "name", m->name);
    if (ok && m->tool_call_id) ok = set_text(o, "tool_call_id", m->tool_call_id);
    if (!ok) return fail_nomem(err, 64, "a message");
    if (m->tool_calls_json)
        TRY(set_json(o, "tool_calls", m->tool_calls_json, "tool_calls_json", err));
    return FK_OK;
}

/* A special token's text under its name, where the vocabulary has it. */
static bool set_token(json_t *vars, const char *name, const struct tokenizer *t, int32_t id)
{
    const char *p;
    size_t n;
    if (id < 0 || !tokenizer_token_bytes(t, id, &p, &n)) return true;
    json_t *s = json_stringn(p, n); /* NULL where it is no UTF-8: the name stays undefined */
    return !s || json_object_set_new(vars, name, s) == 0;
}

static enum fk_status make_vars(const fk_model *m, const struct fk_message *messages, size_t n,
                                const struct fk_chat_params *p, json_t *vars, struct fk_error *err)
{
    json_t *list = json_array();
    if (!list || json_object_set_new(vars, "messages", list) != 0)
        return fail_nomem(err, 64, "the messages");
    for (size_t i = 0; i < n; i++) TRY(add_message(list, &messages[i], i, err));
    if (p->tools_json) TRY(set_json(vars, "tools", p->tools_json, "tools_json", err));
    bool ok = json_object_set_new(vars, "add_generation_prompt",
                                  json_boolean(!p->no_generation_prompt)) == 0;
    if (p->thinking != FK_THINK_AUTO)
        ok = ok && json_object_set_new(vars, "enable_thinking",
                                       json_boolean(p->thinking == FK_THINK_ON)) == 0;
    ok = ok && set_token(vars, "bos_token", m->tokenizer, tokenizer_bos(m->tokenizer)) &&
         set_token(vars, "eos_token", m->tokenizer, tokenizer_eos(m->tokenizer));
    return ok ? FK_OK : fail_nomem(err, 64, "the template's variables");
}

static const char *choose_template(const fk_model *m, const struct fk_chat_params *p)
{
    if (p->template_text && strcmp(p->template_text, "chatml") == 0) return chatml;
    if (p->template_text && strcmp(p->template_text, "plain") == 0) return plain;
    if (p->template_text) return p->template_text;
    if (m->template_text) return m->template_text;
    return tokenizer_find(m->tokenizer, "<|im_start|>") >= 0 ? chatml : plain;
}

static bool ends_with(const struct buf *text, const char *tail)
{
    size_t n = text->n, k = strlen(tail);
    while (n && (text->data[n - 1] == '\n' || text->data[n - 1] == ' ')) n--;
    return n >= k && memcmp(text->data + n - k, tail, k) == 0;
}

static bool append_trusted(struct buf *text, struct buf *trust, const char *s)
{
    bool ok = buf_puts(text, s);
    for (size_t i = 0; ok && s[i]; i++) ok = buf_putc(trust, 1);
    return ok;
}

/* The switch for templates that do not know enable_thinking: closes what the template opened, or
 * opens what it left to the model. */
static enum fk_status apply_thinking(const fk_model *m, const struct fk_chat_params *p,
                                     const char *template_text, struct buf *text,
                                     struct buf *trust, int *opens, struct fk_error *err)
{
    *opens = !p->no_generation_prompt && ends_with(text, "<think>");
    if (p->no_generation_prompt || !m->has_thinking) return FK_OK;
    bool ok = true;
    if (p->thinking == FK_THINK_OFF && *opens) {
        ok = append_trusted(text, trust, "\n</think>\n\n");
        *opens = 0;
    } else if (p->thinking == FK_THINK_ON && !*opens && !strstr(template_text, "enable_thinking")) {
        ok = append_trusted(text, trust, "<think>\n");
        *opens = 1;
    }
    return ok ? FK_OK : fail_nomem(err, text->n, "the prompt");
}

static enum fk_status encode(const fk_model *m, const struct buf *text, const struct buf *trust,
                             int32_t **ids, size_t *n_ids, struct fk_error *err)
{
    const struct tokenizer *t = m->tokenizer;
    struct token_vec v = {NULL, 0, 0};
    enum fk_status st = tokenizer_encode(t, text->data ? text->data : "", text->n,
                                         (const uint8_t *)trust->data, &v, err);
    int32_t bos = tokenizer_bos(t);
    bool has_bos = v.n && v.ids[0] == bos;
    if (st == FK_OK && bos >= 0 && tokenizer_adds_bos(t) && !has_bos) {
        if (token_vec_push(&v, 0)) {
            memmove(v.ids + 1, v.ids, (v.n - 1) * sizeof *v.ids);
            v.ids[0] = bos;
        } else {
            st = fail_nomem(err, v.n * sizeof *v.ids, "the token ids");
        }
    }
    if (st == FK_OK && !v.ids) v.ids = mem_zalloc(sizeof *v.ids, MEM_TEXT);
    if (st == FK_OK && !v.ids) st = fail_nomem(err, sizeof *v.ids, "the token ids");
    if (st != FK_OK) {
        mem_free(v.ids);
        return st;
    }
    *ids = v.ids;
    *n_ids = v.n;
    return FK_OK;
}

static enum fk_status check(const fk_model *m, const struct fk_message *messages, size_t n,
                            const int32_t *const *ids, const size_t *n_ids, struct fk_error *err)
{
    if (!m || !m->tokenizer) return fail(err, FK_EINVAL, "fk_chat_render: the model has no tokenizer");
    if (n && !messages) return fail(err, FK_EINVAL, "fk_chat_render: messages is NULL");
    if (ids && !n_ids) return fail(err, FK_EINVAL, "fk_chat_render: n_ids is NULL");
    if (n > MAX_MESSAGES)
        return fail(err, FK_ETOOBIG, "%zu messages, at most %d are taken", n, MAX_MESSAGES);
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        total += messages[i].content ? strlen(messages[i].content) : 0;
        total += messages[i].reasoning ? strlen(messages[i].reasoning) : 0;
    }
    if (total > MAX_TEXT_BYTES)
        return fail(err, FK_ETOOBIG, "the messages have %zu bytes, at most %zu are taken", total,
                    MAX_TEXT_BYTES);
    return FK_OK;
}

enum fk_status fk_chat_render(const fk_model *m, const struct fk_message *messages, size_t n_messages,
                              const struct fk_chat_params *params, char **text, int32_t **ids,
                              size_t *n_ids, int *opens_thinking, struct fk_error *err)
{
    static const char *const trusted[] = {"bos_token", "eos_token", NULL};
    struct fk_chat_params p;
    if (text) *text = NULL;
    if (ids) *ids = NULL;
    TRY(check(m, messages, n_messages, (const int32_t *const *)ids, n_ids, err));
    if (params)
        p = *params;
    else
        fk_chat_default_params(&p);
    const char *source = choose_template(m, &p);
    struct chat_template *t = NULL;
    struct buf out, trust;
    buf_init(&out, 0, MEM_TEXT);
    buf_init(&trust, 0, MEM_TEXT);
    json_t *vars = json_object();
    int opens = 0;
    enum fk_status st = vars ? FK_OK : fail_nomem(err, 64, "the template's variables");
    if (st == FK_OK) st = make_vars(m, messages, n_messages, &p, vars, err);
    if (st == FK_OK) st = template_parse(&t, source, strlen(source), err);
    if (st == FK_OK)
        st = template_render(t, vars, trusted, p.now ? p.now : (int64_t)time(NULL), NULL, &out, &trust,
                             err);
    if (st == FK_OK) st = apply_thinking(m, &p, source, &out, &trust, &opens, err);
    if (st == FK_OK && ids) st = encode(m, &out, &trust, ids, n_ids, err);
    if (st == FK_OK && text) {
        *text = buf_take(&out);
        if (!*text) st = fail_nomem(err, out.n, "the prompt");
    }
    if (st != FK_OK && ids) {
        mem_free(*ids);
        *ids = NULL;
    }
    if (opens_thinking) *opens_thinking = opens;
    json_decref(vars);
    template_destroy(&t);
    buf_fini(&out);
    buf_fini(&trust);
    return st;
}
