/* SPDX-License-Identifier: Apache-2.0
 * chat_api.c - messages to tokens: builds the template's variables, renders, encodes with trust
 * marks. Special tokens come from the template's own text, from BOS and EOS, and nowhere else. */
#include "fikr/chat.h"
#include <string.h>
#include <jansson.h>
#include "src/api/handles.h"
#include "src/base/alloc.h"
#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/text/template.h"
#include "src/text/tokenizer.h"

#define MAX_MESSAGES 100000
#define MAX_TEXT_BYTES ((size_t)64 << 20) /* of all messages together */

static const char *const trusted_vars[] = {"bos_token", "eos_token", NULL};

void fk_chat_default_params(struct fk_chat_params *p)
{
    if (p) *p = (struct fk_chat_params){.thinking = FK_THINK_AUTO};
}

static enum fk_status nomem(struct fk_error *err)
{
    return fail(err, FK_ENOMEM, "out of memory for the conversation");
}

/* A JSON string; what is not UTF-8 in it becomes U+FFFD. NULL: out of memory. */
static json_t *text_value(const char *s, size_t n)
{
    if (utf8_is_valid(s, n)) return json_stringn(s, n);
    struct buf b;
    buf_init(&b, 0, MEM_TEXT);
    json_t *j = utf8_sanitize(&b, s, n) ? json_stringn(b.data ? b.data : "", b.n) : NULL;
    buf_fini(&b);
    return j;
}

/* Sets key in o to v, which it takes. */
static bool put(json_t *o, const char *key, json_t *v)
{
    return v && json_object_set_new(o, key, v) == 0;
}

static bool put_text(json_t *o, const char *key, const char *s)
{
    return !s || put(o, key, text_value(s, strlen(s)));
}

static json_t *parse(const char *text, const char *what, struct fk_error *err)
{
    json_error_t why;
    json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (j && json_is_array(j)) return j;
    if (j) fail(err, FK_EINVAL, "%s must be a JSON array", what);
    else fail(err, FK_EINVAL, "%s is no JSON: %s at byte %d", what, why.text, why.position);
    json_decref(j);
    return NULL;
}

/* The OpenAI API has a call's arguments as a string of JSON; most templates want the mapping in it.
 * Returns how many were turned. */
static size_t open_arguments(json_t *calls)
{
    size_t i, n = 0;
    json_t *item;
    json_array_foreach(calls, i, item) {
        json_t *f = json_object_get(item, "function"), *owner = f ? f : item;
        json_t *text = json_object_get(owner, "arguments");
        if (!json_is_string(text)) continue;
        json_t *map = json_loadb(json_string_value(text), json_string_length(text), 0, NULL);
        if (json_is_object(map)) n += json_object_set(owner, "arguments", map) == 0;
        json_decref(map);
    }
    return n;
}

static enum fk_status make_message(const struct fk_message *m, size_t i, bool open,
                                   size_t *n_opened, json_t **out, struct fk_error *err)
{
    json_t *o = json_object();
    *out = o;
    if (!m->role || !*m->role) return fail(err, FK_EINVAL, "message %zu has no role", i);
    bool ok =
        o && put_text(o, "role", m->role) && put_text(o, "content", m->content ? m->content : "");
    if (m->reasoning && *m->reasoning) /* the two names that published templates read */
        ok = ok && put_text(o, "reasoning_content", m->reasoning) &&
             put_text(o, "thinking", m->reasoning);
    ok = ok && put_text(o, "tool_call_id", m->tool_call_id) && put_text(o, "name", m->name);
    if (!ok) return nomem(err);
    if (!m->tool_calls_json) return FK_OK;
    json_t *calls = parse(m->tool_calls_json, "tool_calls_json", err);
    if (!calls) return FK_EINVAL;
    if (open) *n_opened += open_arguments(calls);
    return put(o, "tool_calls", calls) ? FK_OK : nomem(err);
}

static bool put_token(json_t *vars, const char *key, const struct tokenizer *t, int32_t id)
{
    const char *bytes;
    size_t n;
    if (id < 0 || !tokenizer_token_bytes(t, id, &bytes, &n)) return true;
    return put(vars, key, text_value(bytes, n));
}

/* open: arguments of tool calls as mappings. */
static enum fk_status make_vars(const struct tokenizer *t, const struct fk_message *messages,
                                size_t n_messages, const struct fk_chat_params *p, bool open,
                                size_t *n_opened, json_t **out, struct fk_error *err)
{
    json_t *vars = *out = json_object(), *list = json_array(), *tools = NULL;
    if (!put(vars, "messages", list)) return nomem(err);
    for (size_t i = 0; i < n_messages; i++) {
        json_t *o;
        enum fk_status st = make_message(&messages[i], i, open, n_opened, &o, err);
        if (st) json_decref(o);
        if (st) return st;
        if (json_array_append_new(list, o)) return nomem(err);
    }
    if (p->tools_json && !(tools = parse(p->tools_json, "tools_json", err))) return FK_EINVAL;
    if (tools && !json_array_size(tools)) {
        json_decref(tools);
        tools = NULL;
    }
    bool ok = put(vars, "tools", tools ? tools : json_null()) &&
              put(vars, "documents", json_null()) &&
              put(vars, "add_generation_prompt", json_boolean(!p->no_generation_prompt)) &&
              put_token(vars, "bos_token", t, tokenizer_bos(t)) &&
              put_token(vars, "eos_token", t, tokenizer_eos(t));
    if (p->thinking != FK_THINK_AUTO) {
        bool on = p->thinking == FK_THINK_ON;
        ok = ok && put(vars, "enable_thinking", json_boolean(on)) &&
             put(vars, "thinking", json_boolean(on));
    }
    return ok ? FK_OK : nomem(err);
}

struct rendering { struct buf text, trust; };

static enum fk_status render(const fk_model *m, const struct chat_template *t,
                             const struct fk_message *messages, size_t n_messages,
                             const struct fk_chat_params *p, struct rendering *out,
                             struct fk_error *err)
{
    enum fk_status st = FK_OK;
    for (int open = 1; open >= 0; open--) { /* some templates want arguments as strings */
        size_t n_opened = 0;
        json_t *vars;
        st = make_vars(m->tokenizer, messages, n_messages, p, open, &n_opened, &vars, err);
        if (!st)
            st = template_render(t, vars, trusted_vars, p->now, NULL, &out->text, &out->trust, err);
        json_decref(vars);
        if (st != FK_EFORMAT || !n_opened) break;
    }
    return st;
}

/* True when the prompt ends behind a think tag of the template and nothing but white space. */
static bool opens_think(const struct rendering *r)
{
    static const char tag[] = "<think>";
    size_t n = r->text.n, n_tag = sizeof tag - 1;
    while (n && (r->text.data[n - 1] == '\n' || r->text.data[n - 1] == ' ')) n--;
    return n >= n_tag && !memcmp(r->text.data + n - n_tag, tag, n_tag) &&
           memchr(r->trust.data + n - n_tag, 0, n_tag) == NULL;
}

static bool append_trusted(struct rendering *r, const char *s)
{
    bool ok = buf_puts(&r->text, s);
    for (size_t i = 0; ok && s[i]; i++) ok = buf_putc(&r->trust, 1);
    return ok;
}

/* The switch for templates that do not know one: closes what the template opened, or opens what it
 * left to the model. */
static enum fk_status apply_thinking(const fk_model *m, const struct fk_chat_params *p,
                                     const char *source, struct rendering *r, int *opens,
                                     struct fk_error *err)
{
    bool ok = true, open = !p->no_generation_prompt && opens_think(r);
    if (!p->no_generation_prompt && m->has_thinking) {
        if (p->thinking == FK_THINK_OFF && open) {
            /* Behind a bare tag as src/engine/engine.c has it: no line ends that were never trained. */
            bool bare = r->text.data[r->text.n - 1] == '>';
            ok = append_trusted(r, bare ? "</think>" : "\n</think>\n\n");
            open = false;
        } else if (p->thinking == FK_THINK_ON && !open && !strstr(source, "enable_thinking")) {
            ok = append_trusted(r, "<think>\n");
            open = true;
        }
    }
    if (opens) *opens = open;
    return ok ? FK_OK : nomem(err);
}

static enum fk_status encode(const struct tokenizer *t, const struct rendering *r,
                             struct token_vec *v, struct fk_error *err)
{
    TRY(tokenizer_encode(t, r->text.data ? r->text.data : "", r->text.n,
                         (const uint8_t *)r->trust.data, v, err));
    int32_t bos = tokenizer_bos(t);
    if (bos < 0 || !tokenizer_adds_bos(t) || (v->n && v->ids[0] == bos)) return FK_OK;
    if (!token_vec_push(v, bos)) return nomem(err);
    memmove(v->ids + 1, v->ids, (v->n - 1) * sizeof *v->ids);
    v->ids[0] = bos;
    return FK_OK;
}

/* NUL-terminated. A file without a template gets the form that its vocabulary suggests. */
static enum fk_status pick_template(const fk_model *m, const struct fk_chat_params *p,
                                    const char **text, char **copy, struct fk_error *err)
{
    *text = m->template_text;
    if (p->template_text) {
        const char *named = template_builtin(p->template_text);
        *text = named ? named : p->template_text;
        if (!named && !strchr(*text, '{'))
            return fail(err, FK_EINVAL, "there is no chat template named '%s'", *text);
        return FK_OK;
    }
    struct gguf_str s = {NULL, 0};
    if (m->gguf && p->tools_json && *p->tools_json)
        TRY(gguf_get_str(m->gguf, "tokenizer.chat_template.tool_use", false, &s, err));
    if (s.n) {
        *text = *copy = mem_strndup(s.p, s.n, MEM_TEXT);
        if (!*copy) return nomem(err);
    }
    if (!*text)
        *text = template_builtin(tokenizer_find(m->tokenizer, "<|im_start|>") >= 0 ? "chatml"
                                                                                  : "plain");
    return FK_OK;
}

static enum fk_status check(const fk_model *m, const struct fk_message *messages, size_t n,
                            const struct fk_chat_params *p, struct fk_error *err)
{
    if (!m || !m->tokenizer)
        return fail(err, FK_EINVAL, "fk_chat_render: the model has no tokenizer");
    if (n && !messages) return fail(err, FK_EINVAL, "fk_chat_render: messages is NULL");
    if ((unsigned)p->thinking > FK_THINK_OFF)
        return fail(err, FK_EINVAL, "thinking is %d; there are auto, on and off", (int)p->thinking);
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

enum fk_status fk_chat_render(const fk_model *m, const struct fk_message *messages,
                              size_t n_messages, const struct fk_chat_params *params, char **text,
                              int32_t **ids, size_t *n_ids, int *opens_thinking,
                              struct fk_error *err)
{
    struct fk_chat_params p;
    fk_chat_default_params(&p);
    if (params) p = *params;
    if (text) *text = NULL;
    if (ids) *ids = NULL;
    if (n_ids) *n_ids = 0;
    if (opens_thinking) *opens_thinking = 0;
    if (ids && !n_ids) return fail(err, FK_EINVAL, "fk_chat_render: n_ids is NULL");
    TRY(check(m, messages, n_messages, &p, err));
    const char *source = NULL;
    char *copy = NULL;
    struct chat_template *t = NULL;
    struct rendering r;
    struct token_vec v = {NULL, 0, 0};
    buf_init(&r.text, 0, MEM_TEXT);
    buf_init(&r.trust, 0, MEM_TEXT);
    enum fk_status st = pick_template(m, &p, &source, &copy, err);
    if (!st) st = template_parse(&t, source, strlen(source), err);
    if (!st) st = render(m, t, messages, n_messages, &p, &r, err);
    if (!st) st = apply_thinking(m, &p, source, &r, opens_thinking, err);
    if (!st && ids) st = encode(m->tokenizer, &r, &v, err);
    if (!st && ids && !v.ids && !(v.ids = mem_zalloc(sizeof *v.ids, MEM_TEXT))) st = nomem(err);
    if (!st && text && !(*text = buf_take(&r.text))) st = nomem(err);
    if (!st && ids) {
        *ids = v.ids;
        *n_ids = v.n;
        v.ids = NULL;
    }
    mem_free(v.ids);
    mem_free(copy);
    buf_fini(&r.text);
    buf_fini(&r.trust);
    template_destroy(&t);
    return st;
}
