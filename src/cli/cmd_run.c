/* SPDX-License-Identifier: Apache-2.0
 * cmd_run.c - answers one prompt (pipe mode) or hands over to the chat (repl.c). */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "fikr/chat.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/cli/fileio.h"
#include "src/cli/models.h"
#include "src/cli/repl.h"
#include "src/cli/answer.h"
#include "src/cli/talk.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"

/* The prompt is -p as it stands, or standard input; there the newline that `echo` adds is no part
 * of a chat message. */
static enum fk_status read_prompt(const struct args *a, struct buf *prompt, struct fk_error *err)
{
    const char *what = a->prompt ? "the prompt" : "standard input";
    if (a->prompt) {
        if (!buf_puts(prompt, a->prompt)) return fail_nomem(err, strlen(a->prompt), what);
    } else {
        TRY(fileio_read_stdin(prompt, err));
        if (!a->raw && prompt->n && prompt->data[prompt->n - 1] == '\n')
            prompt->data[--prompt->n] = 0;
    }
    TRY(fileio_check_text(what, prompt->data, prompt->n, err));
    if (a->system) TRY(fileio_check_text("--system", a->system, strlen(a->system), err));
    if (!prompt->n && !a->raw) return fail(err, FK_EINVAL, "%s is empty", what);
    if (a->special && !a->raw) return fail(err, FK_EINVAL, "--special goes with --raw");
    return FK_OK;
}

static enum fk_status make_ids(const struct args *a, const fk_model *m, const struct buf *prompt,
                               int32_t **ids, size_t *n_ids, int *opens_thinking,
                               struct fk_error *err)
{
    struct fk_chat_params p;
    struct fk_message messages[2];
    size_t n = 0;
    *opens_thinking = 0;
    if (a->raw) {
        unsigned flags = FK_TOKENIZE_BOS | (a->special ? FK_TOKENIZE_SPECIAL : 0);
        return fk_tokenize(m, prompt->data, prompt->n, flags, ids, n_ids, err);
    }
    fk_chat_default_params(&p);
    p.thinking = a->think;
    memset(messages, 0, sizeof messages);
    if (a->system) {
        messages[n].role = "system";
        messages[n++].content = a->system;
    }
    messages[n].role = "user";
    messages[n++].content = prompt->data;
    char *template_text = NULL;
    TRY(talk_template(a->chat_template, &template_text, err));
    p.template_text = template_text;
    enum fk_status st = fk_chat_render(m, messages, n, &p, NULL, ids, n_ids, opens_thinking, err);
    mem_free(template_text);
    return st;
}

/* The tokens of the reply, of a session whose prompt had n_prompt. */
static json_t *reply_ids(const fk_session *s, size_t n_prompt)
{
    size_t n = 0;
    const int32_t *ids = fk_session_tokens(s, &n);
    json_t *list = json_array();
    for (size_t i = n_prompt; list && i < n; i++)
        if (json_array_append_new(list, json_integer(ids[i]))) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

static json_t *answer_json(const struct answer *r, uint64_t seed, json_t *ids)
{
    const struct fk_session_stats *s = &r->stats;
    json_t *o = json_object();
    bool has_ids = json_put(o, "ids", ids);
    json_t *usage = json_object(), *timings = json_object();
    bool ok = json_put(usage, "prompt_tokens", json_count(s->n_prompt)) &&
              json_put(usage, "cached_tokens", json_count(s->n_cached)) &&
              json_put(usage, "thinking_tokens", json_count(s->n_thinking)) &&
              json_put(usage, "answer_tokens", json_count(s->n_answer)) &&
              json_put(usage, "drafted_tokens", json_count(s->n_drafted)) &&
              json_put(usage, "accepted_tokens", json_count(s->n_accepted)) &&
              json_put(timings, "prefill_s", json_num(s->prefill_s)) &&
              json_put(timings, "decode_s", json_num(s->decode_s)) &&
              json_put(timings, "first_token_s", json_num(s->first_token_s)) &&
              json_put(timings, "cpu_s", json_num(s->cpu_s));
    if (!ok) {
        json_decref(usage);
        usage = NULL;
    }
    ok = has_ids && json_put(o, "text", json_text(r->content.n ? r->content.data : "", r->content.n)) &&
         json_put(o, "reasoning", json_text(r->reasoning.n ? r->reasoning.data : "",
                                            r->reasoning.n)) &&
         json_put(o, "finish", json_cstr(answer_finish_name(r->finish))) &&
         json_put(o, "usage", usage) && json_put(o, "timings", timings) &&
         json_put(o, "seed", json_count(seed));
    if (ok) return o;
    json_decref(o);
    return NULL;
}

static int finish(const struct args *a, const struct answer *r, const fk_session *s, size_t n_prompt,
                  struct fk_error *err)
{
    if (r->finish == FK_FINISH_CANCELLED) {
        fail(err, FK_ECANCELLED, "interrupted");
        return term_complain(err);
    }
    if (a->json) return json_emit(answer_json(r, a->seed, reply_ids(s, n_prompt)), 0);
    bool ends_line = r->content.n && r->content.data[r->content.n - 1] == '\n';
    if (term_is_tty(stdout) && !ends_line) putchar('\n');
    int code = term_finish(0);
    if (r->finish == FK_FINISH_CONTEXT)
        fputs("fikr: the reply was cut because the context is full; --ctx makes it larger\n", stderr);
    if (r->finish == FK_FINISH_LOOP)
        fputs("fikr: the reply was ended because it repeated itself\n", stderr);
    return code;
}

static int run_once(const struct args *a)
{
    struct opened o = {0};
    struct fk_error err = {0};
    struct fk_engine_params ep;
    struct fk_session_params sp;
    struct buf prompt;
    struct answer r;
    fk_session *s = NULL;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    int opens_thinking = 0;
    struct bar bar;
    enum fk_status st;
    buf_init(&prompt, 0, MEM_CLI);
    answer_init(&r, a->json ? NULL : stdout, true);
    bar_init(&bar);
    if (!buf_reserve(&prompt, 16)) {
        st = fail_nomem(&err, 16, "the prompt");
        goto done;
    }
    TRY_GOTO(read_prompt(a, &prompt, &err), done);
    TRY_GOTO(opened_model(&o, a->model, a->lora, false, &err), done);
    TRY_GOTO(make_ids(a, o.model, &prompt, &ids, &n_ids, &opens_thinking, &err), done);
    opened_params(a, &ep);
    TRY_GOTO(opened_engine(&o, &ep, &err), done);
    answer_params(a, o.model, &sp);
    TRY_GOTO(fk_session_create(&s, o.engine, &sp, &err), done);
    st = answer_run(&r, s, ids, n_ids, opens_thinking, &err);
done:;
    int code = st ? term_complain(&err) : finish(a, &r, s, n_ids, &err);
    fk_session_destroy(&s);
    fk_free(ids);
    answer_fini(&r);
    buf_fini(&prompt);
    opened_close(&o);
    return code;
}

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = (uint64_t)(clock_seconds() * 1e9);
    return seed >> 16; /* 48 bits: every reader of JSON keeps them whole */
}

int cmd_run(const struct args *a)
{
    struct args own = *a; /* its lists stay the caller's */
    if (!own.seed_given) own.seed = random_seed();
    bool chat = !a->prompt && !a->json && term_is_tty(stdin) && term_is_tty(stdout);
    if (!chat) return run_once(&own);
    if (a->raw) {
        struct fk_error err = {0};
        fail(&err, FK_EINVAL, "--raw needs -p or a prompt on standard input");
        return term_complain(&err);
    }
    return repl_run(&own);
}
