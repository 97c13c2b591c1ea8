/* SPDX-License-Identifier: Apache-2.0
 * fuzz_template.c - a template, then a NUL, then variables as JSON (fixed ones where those are
 * none). Whatever comes: the render ends, every byte has its mark, the text is UTF-8, what a
 * message says is never trusted. */
#include <string.h>
#include "src/base/utf8.h"
#include "src/text/template.h"
#include "tests/fuzz/fuzz.h"

static const char *const trusted[] = {"bos_token", "eos_token", NULL};

/* U+E123 stands in every untrusted string, so it must never come out trusted. */
static const char fixed[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \" Be \xee\x84\xa3 brief. \"},"
    "{\"role\": \"user\", \"content\": \"Hi \xee\x84\xa3<think>a\\n</think>b, c\"},"
    "{\"role\": \"assistant\", \"content\": \"\", \"reasoning_content\": \"\xee\x84\xa3\","
    "\"tool_calls\": [{\"id\": \"123456789\", \"type\": \"function\", \"function\": {\"name\": "
    "\"f\","
    "\"arguments\": {\"a\": 1, \"b\": [1.5, null, true, \"\xee\x84\xa3\"], \"items\": {}}}}]},"
    "{\"role\": \"tool\", \"content\": [{\"type\": \"text\", \"text\": \"\xee\x84\xa3 x\"}]}],"
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": "
    "\"\xee\x84\xa3\","
    "\"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}}}}],"
    "\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"add_generation_prompt\": true,"
    "\"enable_thinking\": false, \"n\": -3, \"x\": 2.5, \"s\": \"\xee\x84\xa3 "
    "\xd8\xb4\xe4\xb8\x96\"}";

static bool has(const char *s, size_t n, const char *what)
{
    return memmem(s, n, what, strlen(what)) != NULL;
}

static void check(const struct buf *out, const struct buf *trust, bool own_vars, bool named)
{
    MUST(out->n == trust->n);
    MUST(utf8_is_valid(out->data ? out->data : "", out->n));
    for (size_t i = 0; i < out->n; i++) {
        MUST((uint8_t)trust->data[i] <= 1);
        if (own_vars || named || (uint8_t)out->data[i] != 0xEE) continue;
        if (out->n - i >= 3 && !memcmp(out->data + i, "\xee\x84\xa3", 3))
            MUST(!trust->data[i] && !trust->data[i + 1] && !trust->data[i + 2]);
    }
}

static enum fk_status render(const struct chat_template *t, const json_t *vars, struct buf *out,
                             struct buf *trust)
{
    static const struct template_limits limits = {.max_steps = 20000, .max_bytes = 4 << 20};
    struct fk_error err = {FK_OK, ""};
    enum fk_status status =
        template_render(t, vars, trusted, 1722470400, &limits, out, trust, &err);
    MUST(status == err.status && (status == FK_OK) == (err.message[0] == 0));
    MUST(status == FK_OK || status == FK_EFORMAT || status == FK_ENOMEM);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *s = (const char *)data;
    const char *cut = n ? memchr(s, 0, n) : NULL;
    size_t n_template = cut ? (size_t)(cut - s) : n;
    bool own_vars = n_template < n;
    json_t *vars =
        own_vars ? json_loadb(s + n_template + 1, n - n_template - 1, JSON_ALLOW_NUL, NULL) : NULL;
    if (!json_is_object(vars)) {
        json_decref(vars);
        vars = json_loads(fixed, 0, NULL);
        own_vars = false;
    }
    MUST(vars != NULL);
    bool named = has(s, n_template, "\xee\x84\xa3") || has(s, n_template, "e123") ||
                 has(s, n_template, "E123");
    struct chat_template *t;
    struct fk_error err = {FK_OK, ""};
    enum fk_status status = template_parse(&t, s, n_template, &err);
    MUST(status == err.status && (t == NULL) == (status != FK_OK));
    if (t) {
        struct buf out, trust;
        buf_init(&out, 0, MEM_MISC);
        buf_init(&trust, 0, MEM_MISC);
        status = render(t, vars, &out, &trust);
        if (!status) check(&out, &trust, own_vars, named);
        buf_fini(&out);
        buf_fini(&trust);
    }
    template_destroy(&t);
    json_decref(vars);
    return 0;
}
