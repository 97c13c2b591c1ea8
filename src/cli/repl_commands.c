/* SPDX-License-Identifier: Apache-2.0
 * repl_commands.c - what /words do in the chat. One function each, one line each in the table. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/map.h"
#include "src/cli/fileio.h"
#include "src/cli/repl.h"
#include "src/cli/term.h"

struct command {
    const char *name, *rest, *help;
    void (*run)(struct repl *r, const char *rest); /* rest: "" or what follows, without blanks */
};

enum { N_COMMANDS = 15 };
static const struct command commands[N_COMMANDS];

static void do_help(struct repl *r, const char *rest)
{
    (void)r;
    (void)rest;
    for (const struct command *c = commands; c < commands + N_COMMANDS; c++) {
        if (!c->help) continue;
        int n = printf("  %s %s", c->name, c->rest);
        printf("%*s%s\n", n < 24 ? 24 - n : 1, "", c->help);
    }
    fputs("\nA line that ends in \\ goes on; \"\"\" begins and ends a message of many lines.\n"
          "Ctrl-C stops a reply, Ctrl-R searches the history, Tab completes a command.\n\n", stdout);
}

static void do_clear(struct repl *r, const char *rest)
{
    (void)rest;
    talk_clear(&r->talk);
    buf_clear(&r->attached);
    fputs("A new conversation.\n\n", stdout);
}

static void do_regen(struct repl *r, const char *rest)
{
    (void)rest;
    if (talk_ends_with(&r->talk, "assistant")) talk_pop(&r->talk);
    if (!talk_ends_with(&r->talk, "user")) {
        fputs("There is no reply to make again.\n\n", stdout);
        return;
    }
    r->n_regens++;
    if (r->params.sampling.temperature <= 0)
        fputs("(at temperature 0 the reply is always the same; --temp changes that)\n", stdout);
    repl_answer(r);
}

/* A path as typed, "~/" meaning the home folder; yours, NULL when memory runs out. */
static char *expand(const char *path)
{
    const char *home = getenv("HOME");
    struct buf b;
    buf_init(&b, 8192, MEM_CLI);
    bool ok = path[0] == '~' && path[1] == '/' && home ? buf_printf(&b, "%s%s", home, path + 1)
                                                       : buf_puts(&b, path);
    if (ok) return buf_take(&b);
    buf_fini(&b);
    return NULL;
}

static void do_read(struct repl *r, const char *rest)
{
    struct fk_error err = {0};
    char *path = expand(rest), *text = NULL;
    size_t n = 0;
    enum fk_status st;
    if (!*rest) {
        fputs("/read FILE puts the file before your next message.\n\n", stdout);
    } else {
        st = path ? file_read(path, (size_t)16 << 20, &text, &n, &err)
                  : fail_nomem(&err, 0, "a path");
        if (!st) st = fileio_check_text(path, text, n, &err);
        if (!st && (!buf_append(&r->attached, text, n) || !buf_putc(&r->attached, '\n')))
            st = fail_nomem(&err, n, "the file");
        if (st)
            term_complain(&err);
        else
            printf("%s of text go before your next message.\n\n", term_bytes(n));
    }
    mem_free(text);
    mem_free(path);
}

static void do_save(struct repl *r, const char *rest)
{
    struct fk_error err = {0};
    struct stat there;
    char *path = expand(rest);
    if (!*rest) {
        fputs("/save FILE writes the conversation; as JSON where FILE ends in .json.\n\n", stdout);
    } else if (!path) {
        fail_nomem(&err, 0, "a path");
        term_complain(&err);
    } else if (stat(path, &there) == 0 && !(r->saved_path && !strcmp(r->saved_path, path))) {
        fail(&err, FK_EINVAL, "%s is there already and was not written by this chat", path);
        term_complain(&err);
    } else if (talk_save(&r->talk, path, &err)) {
        term_complain(&err);
    } else {
        printf("%zu messages saved.\n\n", r->talk.n);
        mem_free(r->saved_path);
        r->saved_path = path;
        path = NULL;
    }
    mem_free(path);
}

static void do_think(struct repl *r, const char *rest)
{
    static const char *const names[] = {"auto", "on", "off"};
    struct fk_error err = {0};
    if (*rest && args_parse_think(rest, &r->params.thinking, &r->params.think_budget, &err)) {
        term_complain(&err);
        return;
    }
    printf("Thinking is %s", names[r->params.thinking]);
    if (r->params.think_budget) printf(", at most %d tokens", r->params.think_budget);
    fputs(".\n\n", stdout);
}

static void do_ctx(struct repl *r, const char *rest)
{
    struct fk_error err = {0};
    struct fk_engine_info e;
    long long n_ctx = 0;
    size_t n = 0;
    if (*rest) {
        int before = r->engine_params.n_ctx;
        bool had = fk_engine_get_info(r->opened.engine, &e) == FK_OK;
        if (args_parse_int("/ctx", rest, 1, 1 << 24, &n_ctx, &err)) {
            term_complain(&err);
            return;
        }
        r->engine_params.n_ctx = (int)n_ctx;
        if (repl_open_session(r, &err)) {
            r->engine_params.n_ctx = before;
            term_complain(&err);
            return;
        }
        if (had) { /* what /bits and /head set; it was fine before */
            fk_engine_set_bits(r->opened.engine, e.draft_bits ? FK_BITS_EXACT : e.bits, NULL);
            fk_engine_set_head(r->opened.engine, e.head_bits, NULL);
        }
    }
    fk_session_tokens(r->session, &n);
    if (fk_engine_get_info(r->opened.engine, &e)) return;
    printf("%zu of %d tokens are in use; a token takes %s of cache, %s of %s are filled.\n\n", n,
           e.n_ctx, term_bytes(e.kv_bytes_per_token), term_bytes(e.kv_bytes_used),
           term_bytes(e.kv_bytes_max));
}

static void print_bits(const struct repl *r)
{
    struct fk_engine_info e;
    if (fk_engine_get_info(r->opened.engine, &e) || !e.bits_max) return;
    if (!e.bits) {
        printf("Weights are read at the bits that the file plans, %d at most.\n", e.bits_max);
        return;
    }
    if (e.draft_bits) {
        printf("Exact mode: %d bits draft, %d bits check what is said.\n", e.draft_bits, e.bits);
        return;
    }
    printf("Weights are read at %d bits of the %d that the file has.\n", e.bits, e.bits_max);
}

static void set_bits(struct repl *r, const char *rest)
{
    struct fk_error err = {0};
    long long bits = 0;
    struct fk_engine_info e;
    if (strcmp(rest, "max") == 0 && fk_engine_get_info(r->opened.engine, &e) == FK_OK)
        bits = e.bits_max;
    else if (strcmp(rest, "exact") == 0)
        bits = FK_BITS_EXACT;
    else if (strcmp(rest, "auto") != 0 && args_parse_int("/bits", rest, 2, 8, &bits, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return;
    }
    if (fk_engine_set_bits(r->opened.engine, (int)bits, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return;
    }
    print_bits(r);
    putchar('\n');
}

static void do_head(struct repl *r, const char *rest)
{
    struct fk_error err = {0};
    struct fk_engine_info e;
    long long bits = 0;
    if (strcmp(rest, "whole") == 0) bits = FK_HEAD_WHOLE;
    else if (*rest && strcmp(rest, "plan") != 0 && args_parse_int("/head", rest, 2, 6, &bits, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return;
    }
    if (*rest && fk_engine_set_head(r->opened.engine, (int)bits, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return;
    }
    if (fk_engine_get_info(r->opened.engine, &e)) return;
    if (e.head_bits == FK_HEAD_WHOLE) printf("The output head is read in one stage.\n\n");
    else if (e.head_bits)
        printf("The output head is read at %d bits, the likeliest tokens again at all there are.\n\n", e.head_bits);
    else printf("The output head is read as the file plans.\n\n");
}

/* The types that the file's tensors have: how many bits are read for a weight. */
static void do_bits(struct repl *r, const char *rest)
{
    enum { MAX = 32 };
    struct { const char *type; uint64_t bytes; } sums[MAX];
    size_t n = 0;
    struct fk_model_info m;
    if (*rest) {
        set_bits(r, rest);
        return;
    }
    print_bits(r);
    for (size_t i = 0; i < fk_model_n_tensors(r->opened.model); i++) {
        struct fk_tensor_info t;
        if (fk_model_get_tensor(r->opened.model, i, &t)) continue;
        size_t k = 0;
        while (k < n && strcmp(sums[k].type, t.type) != 0) k++;
        if (k == MAX) continue;
        if (k == n) {
            sums[n].type = t.type;
            sums[n++].bytes = 0;
        }
        sums[k].bytes += t.bytes;
    }
    if (fk_model_get_info(r->opened.model, &m) == FK_OK && m.n_params)
        printf("%.2f bits a weight, as the file has them:", 8.0 * (double)m.weight_bytes /
                                                                (double)m.n_params);
    for (size_t k = 0; k < n; k++)
        printf("%s %s %s", k ? "," : "", sums[k].type, term_bytes(sums[k].bytes));
    fputs(".\n\n", stdout);
}

static void do_stats(struct repl *r, const char *rest)
{
    const struct fk_session_stats *s = &r->last.stats;
    struct fk_engine_info e;
    struct fk_memory m;
    (void)rest;
    fk_get_memory(&m);
    if (fk_engine_get_info(r->opened.engine, &e)) return;
    uint64_t n = s->n_thinking + s->n_answer;
    if (r->n_replies) {
        printf("last reply   %" PRIu64 " tokens (%" PRIu64 " thinking, %" PRIu64 " answer), ended by "
               "%s\n", n, s->n_thinking, s->n_answer, answer_finish_name(r->last.finish));
        printf("prompt       %" PRIu64 " tokens, %" PRIu64 " cached, %.2f s; first token after %.2f s"
               "\n", s->n_prompt, s->n_cached, s->prefill_s, s->first_token_s);
        uint64_t n_steps = n > 1 ? n - 1 : 1; /* the last token is not computed */
        if (n && s->decode_s > 0)
            printf("decode       %.1f tok/s, %s a token, %.2f GB/s; %.2f cpu-s\n",
                   (double)n / s->decode_s, term_bytes((s->weight_bytes + s->kv_bytes) / n_steps),
                   (double)(s->weight_bytes + s->kv_bytes) / s->decode_s / 1e9, s->cpu_s);
        printf("all replies  %d, %" PRIu64 " tokens", r->n_replies, r->total_tokens);
        if (r->total_s > 0) printf(", %.1f tok/s", (double)r->total_tokens / r->total_s);
        putchar('\n');
        if (s->n_loops_broken) printf("loops        %" PRIu64 " broken\n", s->n_loops_broken);
    }
    printf("engine       %s, %d threads, context %d, pages of %d tokens\n", e.isa ? e.isa : "?",
           e.n_threads, e.n_ctx, e.page_tokens);
    printf("memory       %s resident at most, %s of heap, %s of cache\n",
           term_bytes(m.peak_rss_bytes), term_bytes(m.live_bytes), term_bytes(e.kv_bytes_used));
    printf("seed         %" PRIu64 "\n\n", r->args->seed + (uint64_t)r->n_regens);
}

static void do_system(struct repl *r, const char *rest)
{
    struct fk_error err = {0};
    if (*rest && talk_set_system(&r->talk, strcmp(rest, "-") ? rest : "", &err)) {
        term_complain(&err);
        return;
    }
    const char *now = talk_system(&r->talk);
    if (now) {
        fputs("System message: ", stdout);
        term_text(stdout, now, strlen(now));
        fputs("\n\n", stdout);
    } else {
        fputs("There is no system message of yours.\n\n", stdout);
    }
}

static void do_exit(struct repl *r, const char *rest)
{
    (void)rest;
    r->over = true;
}

static const struct command commands[N_COMMANDS] = {
    {"/help", "", "this list", do_help},
    {"/clear", "", "begin a new conversation", do_clear},
    {"/regen", "", "make the last reply again", do_regen},
    {"/read", "FILE", "put a file before your next message", do_read},
    {"/save", "FILE", "write the conversation (.json: as JSON)", do_save},
    {"/think", "on|off|auto|N", "thinking, or its budget in tokens", do_think},
    {"/ctx", "[N]", "show the context in use, or change its size", do_ctx},
    {"/model", "[NAME|FILE]", "list the models, or go over to another", repl_model},
    {"/bits", "[auto|2|3|4|5|6|8|max|exact]", "the bits of the weights in use", do_bits},
    {"/head", "[plan|whole|2|3|4|5|6]", "how the output head of a file in planes is read", do_head},
    {"/stats", "", "tokens, times and memory", do_stats},
    {"/system", "[TEXT|-]", "show, set or remove the system message", do_system},
    {"/exit", "", "end (also /quit, /bye, Ctrl-D)", do_exit},
    {"/quit", "", NULL, do_exit},
    {"/bye", "", NULL, do_exit},
};

const char *repl_command_name(size_t i)
{
    return i < N_COMMANDS ? commands[i].name : NULL;
}

void repl_command(struct repl *r, const char *line)
{
    const char *names[32];
    char word[32];
    size_t n = 0, len = strcspn(line, " \t\n");
    const char *rest = line + len + strspn(line + len, " \t\n");
    snprintf(word, sizeof word, "%.*s", (int)(len < 31 ? len : 31), line);
    for (const struct command *c = commands; c < commands + N_COMMANDS; c++) {
        names[n++] = c->name;
        if (strcmp(c->name, word) != 0) continue;
        struct buf tail;
        buf_init(&tail, 0, MEM_CLI);
        buf_puts(&tail, rest);
        while (tail.n && strchr(" \t\n", tail.data[tail.n - 1])) tail.data[--tail.n] = 0;
        if (!tail.failed) c->run(r, tail.data);
        buf_fini(&tail);
        return;
    }
    const char *near = args_nearest(word, names, n);
    fputs("There is no command ", stdout);
    term_escaped(stdout, word, strlen(word));
    if (near)
        printf("; did you mean %s?\n\n", near);
    else
        fputs("; /help lists them.\n\n", stdout);
}
