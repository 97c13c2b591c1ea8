/* SPDX-License-Identifier: Apache-2.0
 * page.c - the document around the curves: what stands at its head, the samples, the settings. */
#include "src/train/page.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "src/base/sha256.h"
#include "src/base/utf8.h"
#include "src/train/page_impl.h"

bool page_text(const char *s, size_t n, struct buf *out)
{
    for (size_t at = 0, len; at < n; at += len) {
        uint32_t cp = utf8_decode(s + at, n - at, &len);
        if (cp == '&') buf_puts(out, "&amp;");
        else if (cp == '<') buf_puts(out, "&lt;");
        else if (cp == '>') buf_puts(out, "&gt;");
        else if (cp == '"') buf_puts(out, "&quot;");
        else if (cp == '\'') buf_puts(out, "&#39;");
        else if (cp == '\n' || cp == '\t') buf_putc(out, (char)cp);
        else if (cp == UTF8_BAD || !utf8_is_printable(cp)) buf_puts(out, "&#xFFFD;");
        else buf_append(out, s + at, len);
    }
    return !out->failed;
}

static void put_text(const char *s, struct buf *out)
{
    page_text(s, strlen(s), out);
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* 'sha256-BASE64' of the script, for the policy. */
static void put_script_hash(struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct sha256 h;
    char hex[65];
    uint8_t b[33] = {0};
    sha256_init(&h);
    sha256_update(&h, page_js, page_js_bytes);
    sha256_hex(&h, hex);
    for (int i = 0; i < 32; i++) b[i] = (uint8_t)(16 * hex_digit(hex[2 * i]) + hex_digit(hex[2 * i + 1]));
    buf_puts(out, "'sha256-");
    for (int i = 0; i < 33; i += 3) {
        uint32_t v = (uint32_t)b[i] << 16 | (uint32_t)b[i + 1] << 8 | b[i + 2];
        for (int k = 0; k < 4; k++)
            buf_putc(out, i == 30 && k == 3 ? '=' : digits[v >> (18 - 6 * k) & 63]);
    }
    buf_putc(out, '\'');
}

static void put_head(const struct run_facts *f, struct buf *out)
{
    buf_puts(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; "
             "form-action 'none'; style-src 'unsafe-inline'; script-src ");
    put_script_hash(out);
    buf_puts(out, "\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    if (!f->is_over)
        buf_puts(out, "<noscript><meta http-equiv=\"refresh\" content=\"20\"></noscript>\n");
    buf_puts(out, "<title>");
    put_text(f->recipe->name, out);
    buf_printf(out, ", step %" PRId64 "</title>\n<style>\n", f->step);
    buf_append(out, page_css, page_css_bytes);
    buf_printf(out, "</style></head>\n<body data-live=\"%d\">\n", !f->is_over);
}

__attribute__((format(printf, 3, 4))) static void put_fact(struct buf *out, const char *name,
                                                           const char *fmt, ...)
{
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_printf(out, "<div><dt>%s</dt><dd>", name);
    put_text(text, out);
    buf_puts(out, "</dd></div>\n");
}

static void put_time(struct buf *out, const char *name, double seconds)
{
    if (seconds < 120) put_fact(out, name, "%.0f s", seconds);
    else if (seconds < 7200) put_fact(out, name, "%.0f min", seconds / 60);
    else put_fact(out, name, "%.1f h", seconds / 3600);
}

static void put_state(const struct run_facts *f, struct buf *out)
{
    double share = f->n_steps > 0 ? (double)f->step / (double)f->n_steps : 0;
    buf_puts(out, "<h1>");
    put_text(f->recipe->name, out);
    buf_printf(out, "</h1>\n<p>%s step %" PRId64 " of %" PRId64, f->is_over ? "Ended at" : "Training,",
               f->step, f->n_steps);
    if (f->stage < f->recipe->n_stages && !f->is_over) {
        buf_printf(out, ", stage %zu of %zu: ", f->stage + 1, f->recipe->n_stages);
        put_text(f->recipe->stages[f->stage].name, out);
    }
    buf_printf(out, "</p>\n<div class=\"bar\"><svg viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\">"
               "<rect width=\"%.2f\" height=\"1\"/></svg></div>\n", 100 * fmin(1, share));
}

static void put_facts(const struct run_facts *f, struct buf *out)
{
    const struct journal_eval *last = journal_last_eval(f->journal);
    const struct journal *j = f->journal;
    const struct journal_point *p = j->n_points ? &j->points[j->n_points - 1] : NULL;
    buf_puts(out, "<dl>\n");
    if (last) {
        put_fact(out, "Right (dev set)", "%.1f%%", 100 * last->result.accuracy);
        put_fact(out, "Thinking", "%.0f tokens", last->result.n_thinking);
    }
    if (f->loss > 0) put_fact(out, "Loss", "%.4f", f->loss);
    if (p && p->is_grpo) put_fact(out, "Reward", "%.3f", p->reward);
    put_fact(out, "Tokens", "%.2f M", (double)f->n_tokens / 1e6);
    if (f->tokens_per_second > 0) put_fact(out, "Tokens per second", "%.0f", f->tokens_per_second);
    put_fact(out, "Weights (active)", "%.2f M (%.2f)", (double)f->n_weights / 1e6, (double)f->n_active / 1e6);
    if (!f->is_over && f->seconds_left > 0) put_time(out, "Time left, about", f->seconds_left);
    put_time(out, "Time so far", f->seconds);
    put_fact(out, "CPU-hours", "%.3g", run_cost_hours(&f->cost));
    put_fact(out, "Energy, estimate", "%.3g Wh", 1000 * run_cost_kwh(&f->cost));
    put_fact(out, "Cost, estimate", "%.2g %s", run_cost_money(&f->cost), f->cost.currency);
    buf_puts(out, "</dl>\n");
    buf_printf(out, "<p class=\"note\">Estimates: %.4g W a busy core, %.4g ", f->cost.watts, f->cost.price);
    put_text(f->cost.currency, out);
    buf_printf(out, " a CPU-hour%s.</p>\n", f->cost.is_partly_wall
               ? "; an earlier start noted no CPU time, so its wall time is counted" : "");
}

static void put_reply(const struct journal_reply *r, struct buf *out)
{
    if (*r->thinking) {
        buf_puts(out, "<pre class=\"think\" dir=\"auto\">");
        put_text(r->thinking, out);
        buf_puts(out, "</pre>");
    }
    buf_puts(out, "<pre dir=\"auto\">");
    put_text(*r->answer ? r->answer : "(no answer)", out);
    buf_printf(out, "</pre><span class=\"%s</span>", r->is_right ? "right\">right" : "wrong\">wrong");
}

static const struct journal_reply *find_reply(const struct journal_eval *e, const char *prompt)
{
    for (int i = 0; i < e->n_replies; i++)
        if (!strcmp(e->replies[i].prompt, prompt)) return &e->replies[i];
    return NULL;
}

#define MAX_EARLIER 40 /* of a prompt's replies, evenly chosen */

static void put_earlier(const struct journal *j, const char *prompt, int id, struct buf *out)
{
    size_t n = j->n_evals - 1, every = n / MAX_EARLIER + 1;
    if (!n) return;
    buf_printf(out, "<details id=\"d%d\"><summary>Earlier replies</summary><ol>\n", id);
    for (size_t i = n; i-- > 0;) {
        const struct journal_reply *r = find_reply(&j->evals[i], prompt);
        if (!r || (n - 1 - i) % every) continue;
        buf_printf(out, "<li><small>step %" PRId64 "</small>", j->evals[i].step);
        put_reply(r, out);
        buf_puts(out, "</li>\n");
    }
    buf_puts(out, "</ol></details>");
}

static void put_samples(const struct journal *j, struct buf *out)
{
    const struct journal_eval *last = journal_last_eval(j);
    if (!last || !last->n_replies) return;
    buf_printf(out, "<h2>The same questions each time</h2><p>Replies at step %" PRId64 "; what is set "
               "off is the model's thinking.</p><div class=\"samples\">\n", last->step);
    for (int i = 0; i < last->n_replies; i++) {
        const struct journal_reply *r = &last->replies[i];
        buf_puts(out, "<div class=\"sample\"><p class=\"ask\" dir=\"auto\">");
        put_text(r->prompt, out);
        buf_puts(out, "</p>");
        put_reply(r, out);
        if (!r->is_right) {
            buf_puts(out, " <small>the answer is <bdi>");
            put_text(r->right, out);
            buf_puts(out, "</bdi></small>");
        }
        put_earlier(j, r->prompt, i, out);
        buf_puts(out, "</div>\n");
    }
    buf_puts(out, "</div>\n");
}

static void put_foot(const struct run_facts *f, struct buf *out)
{
    buf_puts(out, "<h2>Recipe</h2><details id=\"recipe\"><summary>Every value in use</summary><pre>");
    put_text(f->settings, out);
    buf_puts(out, "</pre></details>\n<footer>Recipe SHA-256 ");
    put_text(f->recipe->sha256, out);
    buf_puts(out, "<br>Computed by ");
    put_text(f->machine, out);
    buf_puts(out, "<br>The numbers are in run.jsonl beside this page.</footer>\n<script>");
    buf_append(out, page_js, page_js_bytes);
    buf_puts(out, "</script>\n</body></html>\n");
}

bool page_write(const struct run_facts *f, struct buf *out)
{
    put_head(f, out);
    put_state(f, out);
    put_facts(f, out);
    if (!page_curves(f, out)) return false;
    put_samples(f->journal, out);
    put_foot(f, out);
    return !out->failed;
}
