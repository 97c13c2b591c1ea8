/* SPDX-License-Identifier: Apache-2.0
 * repl.c - the loop of the chat: read a message, answer it, say how fast. The commands that begin
 * with a slash are in repl_commands.c. */
#include "src/cli/repl.h"

#include <stdlib.h>
#include <string.h>

#include "fikr/grade.h"
#include "src/base/fail.h"
#include "src/cli/fileio.h"
#include "src/cli/line.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"

/* What a token read, of a file that can be read at several widths. */
static void print_width(const struct repl *r, uint64_t n)
{
    struct fk_engine_info e;
    struct fk_model_info m;
    if (n < 2 || fk_engine_get_info(r->opened.engine, &e) || !e.bits_max) return;
    if (fk_model_get_info(r->opened.model, &m) || !m.n_active_params) return;
    double bytes = (double)r->last.stats.weight_bytes / (double)(n - 1); /* the last is not computed */
    double part = bytes / (2 * (double)m.n_active_params);
    fputs("; weights at ", stdout);
    if (e.draft_bits)
        printf("%d bits, %d drafted %.0f %% right", e.bits, e.draft_bits,
               r->last.stats.n_drafted ? 100 * (double)r->last.stats.n_accepted /
                                             (double)r->last.stats.n_drafted : 0);
    else if (e.bits) printf("%d bits", e.bits);
    else printf("planned bits, %.1f on average", 16 * part);
    printf(", %s a token, %.0f %% less than at 16", term_bytes((unsigned long long)bytes),
           100 * (1 - part));
}

static void print_speed(const struct repl *repl)
{
    const struct answer *r = &repl->last;
    const struct fk_session_stats *s = &r->stats;
    uint64_t n = s->n_thinking + s->n_answer;
    static const char *const why[] = {
        "", "", "; cut: the limit of -n", "; cut: the context is full (/ctx N)",
        "; ended: it repeated itself", "; stopped"};
    term_style(stdout, TERM_DIM);
    printf("[%llu tokens", (unsigned long long)n);
    if (s->n_thinking) printf(", %llu of thinking", (unsigned long long)s->n_thinking);
    if (s->decode_s > 0 && n > 1) printf(", %.1f tok/s", (double)n / s->decode_s);
    printf("; prompt %llu, %llu cached, prefill %.2f s", (unsigned long long)s->n_prompt,
           (unsigned long long)s->n_cached, s->prefill_s);
    if (s->n_prompt > s->n_cached && s->prefill_s > 0)
        printf(" (%.0f tok/s)", (double)(s->n_prompt - s->n_cached) / s->prefill_s);
    print_width(repl, n);
    printf("%s]", (unsigned)r->finish < 6 ? why[r->finish] : "");
    term_style(stdout, TERM_PLAIN);
    fputs("\n\n", stdout);
}

enum fk_status repl_open_session(struct repl *r, struct fk_error *err)
{
    fk_engine *engine = NULL;
    fk_session *session = NULL;
    TRY(fk_engine_create(&engine, r->opened.model, &r->engine_params, err));
    enum fk_status st = fk_session_create(&session, engine, &r->params, err);
    if (st) {
        fk_engine_destroy(&engine);
        return st;
    }
    fk_session_destroy(&r->session);
    fk_engine_destroy(&r->opened.engine);
    r->session = session;
    r->opened.engine = engine;
    return FK_OK;
}

/* Where the question is a puzzle that can be checked, says outside of the model's text whether the
 * reply is right. */
static void print_check(const struct repl *r)
{
    static const char *const labels[FK_N_LANGS][3] = {
        {"[checker: right]\n", "[checker: wrong; right is ", "]\n"},
        {"[المدقق: صحيح]\n", "[المدقق: خطأ؛ والصحيح ", "]\n"}};
    const struct fk_message *asked = &r->talk.messages[r->talk.n - 2];
    struct fk_check check;
    memset(&check, 0, sizeof check);
    fk_check_reply(asked->content, strlen(asked->content), r->last.content.data, r->last.content.n,
                   &check);
    if (check.verdict == FK_VERDICT_NONE || (unsigned)check.lang >= FK_N_LANGS) return;
    const char *const *label = labels[check.lang];
    term_style(stdout, TERM_DIM);
    if (check.verdict == FK_VERDICT_RIGHT) {
        fputs(label[0], stdout);
    } else {
        fputs(label[1], stdout);
        term_text(stdout, check.right, strlen(check.right));
        fputs(label[2], stdout);
    }
    term_style(stdout, TERM_PLAIN);
}

static enum fk_status generate(struct repl *r, struct fk_error *err)
{
    struct fk_chat_params cp;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    int opens_thinking = 0;
    fk_chat_default_params(&cp);
    cp.thinking = r->params.thinking;
    cp.template_text = r->template_text;
    TRY(fk_chat_render(r->opened.model, r->talk.messages, r->talk.n, &cp, NULL, &ids, &n_ids,
                       &opens_thinking, err));
    r->params.sampling.seed = r->args->seed + (uint64_t)r->n_regens;
    enum fk_status st = fk_session_set_params(r->session, &r->params, err);
    if (!st) st = answer_run(&r->last, r->session, ids, n_ids, opens_thinking, err);
    fk_free(ids);
    return st;
}

void repl_answer(struct repl *r)
{
    struct fk_error err = {0};
    answer_fini(&r->last);
    answer_init(&r->last, stdout, false);
    enum fk_status st = generate(r, &err);
    struct buf *content = &r->last.content, *reasoning = &r->last.reasoning;
    bool spoke = content->n || reasoning->n;
    if (content->n && content->data[content->n - 1] != '\n') putchar('\n');
    signals_clear();
    if (!st && spoke)
        st = talk_add(&r->talk, "assistant", content->n ? content->data : "",
                      reasoning->n ? reasoning->data : NULL, &err);
    if (st) {
        term_complain(&err);
        talk_pop(&r->talk);
        fputs("Your message was taken back.\n\n", stdout);
        if (fk_model_failed(r->opened.model)) r->over = true;
        return;
    }
    if (!spoke && r->last.finish == FK_FINISH_CANCELLED) talk_pop(&r->talk);
    if (content->n && r->last.finish != FK_FINISH_CANCELLED) print_check(r);
    r->n_replies++;
    r->total_tokens += r->last.stats.n_thinking + r->last.stats.n_answer;
    r->total_s += r->last.stats.decode_s;
    print_speed(r);
}

/* Reads on while a line ends in a backslash, or until the closing quotes after """. */
static enum line_result read_message(struct line *l, struct buf *out, bool *had_text)
{
    enum line_result res = line_read(l, ">", out, had_text);
    bool quoted = res == LINE_OK && out->n >= 3 && !memcmp(out->data, "\"\"\"", 3);
    if (quoted) {
        memmove(out->data, out->data + 3, out->n - 2);
        out->n -= 3;
    }
    while (res == LINE_OK) {
        bool closed = quoted && out->n >= 3 && !memcmp(out->data + out->n - 3, "\"\"\"", 3);
        bool goes_on = !quoted && out->n && out->data[out->n - 1] == '\\';
        if (closed) out->data[out->n -= 3] = 0;
        if (closed || (!quoted && !goes_on)) break;
        if (goes_on) out->n--;
        buf_putc(out, '\n');
        res = line_read(l, ".", out, had_text);
        if (res == LINE_INTERRUPTED) *had_text = true;
    }
    return res;
}

static bool is_command(const char *s)
{
    return s[0] == '/' && s[1] && !memchr(s + 1, '/', strcspn(s + 1, " "));
}

static void send_message(struct repl *r, const struct buf *line)
{
    struct fk_error err = {0};
    struct buf text;
    buf_init(&text, 0, MEM_CLI);
    if (r->attached.n) buf_printf(&text, "%s\n\n", r->attached.data);
    buf_append(&text, line->data, line->n);
    enum fk_status st = text.failed ? fail_nomem(&err, text.n, "the message")
                                    : fileio_check_text("the message", text.data, text.n, &err);
    if (!st) st = talk_add(&r->talk, "user", text.data, NULL, &err);
    buf_fini(&text);
    if (st) {
        term_complain(&err);
        return;
    }
    buf_clear(&r->attached);
    r->n_regens = 0;
    repl_answer(r);
}

static void loop(struct repl *r, struct line *l)
{
    struct buf line;
    buf_init(&line, (size_t)16 << 20, MEM_CLI);
    while (!r->over && !signals_terminated()) {
        bool had_text = false;
        buf_clear(&line);
        enum line_result res = read_message(l, &line, &had_text);
        if (res == LINE_EOF) {
            putchar('\n');
            break;
        }
        if (res == LINE_INTERRUPTED) {
            if (!had_text) fputs("/exit or Ctrl-D ends the chat.\n", stdout);
            continue;
        }
        if (line.failed) {
            fputs("That was too long to read.\n", stdout);
            continue;
        }
        if (!line.n || !line.data[strspn(line.data, " \t\n")]) continue;
        line_remember(l, line.data);
        if (is_command(line.data))
            repl_command(r, line.data);
        else
            send_message(r, &line);
    }
    buf_fini(&line);
}

/* What to type at the model that ships, in the language of the locale. */
static void print_examples(void)
{
    const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    const char *lang = NULL;
    for (size_t i = 0; i < 3 && !(lang && *lang); i++) lang = getenv(names[i]);
    if (lang && !strncmp(lang, "ar", 2))
        fputs("جرّب: 48213 + 9977   أو: استخدم 3 و 7 و 20 لتصل إلى 41   أو: رتّب 5 3 9\n"
              "يرى هذا النموذج رسالتك الأخيرة فقط، ويحلّ الألغاز لا غير؛ ولغيرها: /model smollm2\n",
              stdout);
    else
        fputs("Try: 48213 + 9977   or: Use 3, 7, 20 to make 41   or: sort 5 3 9\n"
              "This model sees your last message only and solves puzzles; for talk: /model smollm2\n",
              stdout);
}

void repl_greet(const struct repl *r)
{
    struct fk_model_info m;
    struct fk_engine_info e;
    const char *shown = r->opened.path;
    if (fk_model_get_info(r->opened.model, &m) || fk_engine_get_info(r->opened.engine, &e)) return;
    if (m.name[0]) shown = m.name;
    term_style(stdout, TERM_BOLD);
    term_escaped(stdout, shown, strlen(shown));
    term_style(stdout, TERM_PLAIN);
    term_style(stdout, TERM_DIM);
    fputs("  ", stdout);
    term_escaped(stdout, m.file_type, strlen(m.file_type));
    printf(", %s, context %d, %d thread%s, %s\n", term_bytes(m.file_bytes), e.n_ctx, e.n_threads,
           e.n_threads == 1 ? "" : "s", e.isa ? e.isa : "");
    if (!m.has_template && !r->template_text)
        fputs("The file has no chat template; one that fits its vocabulary is used (--template).\n",
              stdout);
    if (!strncmp(m.name, SHIPPED_NAME, strlen(SHIPPED_NAME))) print_examples();
    fputs("/help lists the commands, Ctrl-C stops a reply, /exit ends.\n\n", stdout);
    term_style(stdout, TERM_PLAIN);
}

/* ${XDG_STATE_HOME:-~/.local/state}/fikr/history; yours, NULL where there is no such place. */
static char *history_path(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct buf path;
    bool ok = false;
    buf_init(&path, 4096, MEM_CLI);
    if (state && state[0] == '/')
        ok = buf_printf(&path, "%s/fikr/history", state);
    else if (home && *home)
        ok = buf_printf(&path, "%s/.local/state/fikr/history", home);
    if (ok) return buf_take(&path);
    buf_fini(&path);
    return NULL;
}

static enum fk_status begin(struct repl *r, struct fk_error *err)
{
    const struct args *a = r->args;
    if (a->system) TRY(fileio_check_text("--system", a->system, strlen(a->system), err));
    TRY(talk_template(a->chat_template, &r->template_text, err));
    TRY(opened_model(&r->opened, a->model, a->lora, false, err));
    opened_params(a, &r->engine_params);
    answer_params(a, r->opened.model, &r->params);
    TRY(repl_open_session(r, err));
    TRY(talk_set_system(&r->talk, a->system, err));
    char *path = history_path();
    enum fk_status st = line_create(&r->line, path, repl_command_name, err);
    mem_free(path);
    return st;
}

int repl_run(const struct args *a)
{
    struct repl r = {.args = a};
    struct fk_error err = {0};
    int code = 0;
    buf_init(&r.attached, 0, MEM_CLI);
    answer_init(&r.last, NULL, false);
    if (begin(&r, &err)) {
        code = term_complain(&err);
    } else {
        repl_greet(&r);
        loop(&r, r.line);
        if (fk_model_failed(r.opened.model)) code = fk_exit_code(FK_EGONE);
        if (signals_terminated()) code = fk_exit_code(FK_ECANCELLED);
    }
    line_destroy(&r.line);
    fk_session_destroy(&r.session);
    opened_close(&r.opened);
    talk_fini(&r.talk);
    buf_fini(&r.attached);
    answer_fini(&r.last);
    mem_free(r.saved_path);
    mem_free(r.template_text);
    return code;
}
