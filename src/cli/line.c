/* SPDX-License-Identifier: Apache-2.0
 * line.c - libedit, with a reader of our own: Ctrl-C ends the line instead of the program, a changed
 * window is drawn anew, and bytes that are no UTF-8 become U+FFFD instead of ending the input. */
#include "src/cli/line.h"

#include <errno.h>
#include <histedit.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/cli/fileio.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"

enum { HISTORY_LINES = 1000, MAX_PASTE = 1 << 20 };

struct line {
    EditLine *el;
    History *history;
    char *history_path;
    char prompt[32];
    const char *(*complete)(size_t i);
    char pending[4]; /* bytes of a character that is not complete yet */
    size_t n_pending;
    bool had_text;
};

static volatile sig_atomic_t resized, continued;

static void on_resize(int sig)
{
    if (sig == SIGWINCH)
        resized = 1;
    else
        continued = 1;
}

static struct line *owner(EditLine *el)
{
    void *data = NULL;
    el_get(el, EL_CLIENTDATA, &data);
    return data;
}

static char *prompt_text(EditLine *el)
{
    return owner(el)->prompt;
}

/* -1 with errno, 0 at the end, 1 for a byte. */
static int read_byte(EditLine *el, char *byte)
{
    for (;;) {
        if (signals_interrupted()) return -1;
        ssize_t n = read(STDIN_FILENO, byte, 1);
        if (n >= 0) return (int)n;
        if (errno != EINTR) return -1;
        if (resized) {
            resized = 0;
            el_resize(el);
        }
        if (continued) {
            continued = 0;
            el_set(el, EL_PREP_TERM, 1);
            el_set(el, EL_REFRESH);
        }
    }
}

static int read_char(EditLine *el, wchar_t *out)
{
    struct line *l = owner(el);
    for (;;) {
        char byte;
        if (l->n_pending == 0 || utf8_cut_tail(l->pending, l->n_pending) == l->n_pending) {
            int n = read_byte(el, &byte);
            if (n <= 0) {
                l->had_text = el_line(el)->lastchar > el_line(el)->buffer;
                return n;
            }
            if (l->n_pending < sizeof l->pending) l->pending[l->n_pending++] = byte;
            if (utf8_cut_tail(l->pending, l->n_pending) == l->n_pending) continue;
        }
        size_t len = 1;
        uint32_t cp = utf8_decode(l->pending, l->n_pending, &len);
        l->n_pending -= len;
        memmove(l->pending, l->pending + len, l->n_pending);
        *out = cp == UTF8_BAD ? 0xFFFD : (wchar_t)cp;
        return 1;
    }
}

/* Bound to ESC [ 200 ~: everything up to ESC [ 201 ~ is text, newlines included. */
static unsigned char paste(EditLine *el, int ch)
{
    static const char end[] = "\033[201~";
    struct buf text;
    wchar_t c;
    (void)ch;
    buf_init(&text, MAX_PASTE, MEM_CLI);
    while (el_wgetc(el, &c) == 1) {
        char bytes[4];
        buf_append(&text, bytes, utf8_encode(c == '\r' ? '\n' : (uint32_t)c, bytes));
        if (text.n >= 6 && !memcmp(text.data + text.n - 6, end, 6)) {
            text.data[text.n -= 6] = 0;
            break;
        }
    }
    /* Other controls would only garble the line; a tab would look like a completion. */
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char b = (unsigned char)text.data[i];
        if (b == '\t') text.data[n++] = ' ';
        else if (b >= 32 || b == '\n') text.data[n++] = (char)b;
    }
    if (n && text.data[n - 1] == '\n') n--;
    bool failed = text.failed;
    if (n) {
        text.data[n] = 0;
        failed |= el_insertstr(el, text.data) != 0;
    }
    buf_fini(&text);
    return failed ? CC_REFRESH_BEEP : CC_REFRESH;
}

/* Tab: completes the command at the line's beginning as far as it is sure. */
static unsigned char complete(EditLine *el, int ch)
{
    struct line *l = owner(el);
    const LineInfo *info = el_line(el);
    size_t n = (size_t)(info->cursor - info->buffer), common = 0, n_found = 0;
    const char *first = NULL;
    (void)ch;
    if (n == 0 || info->buffer[0] != '/' || memchr(info->buffer, ' ', n)) return CC_ERROR;
    for (size_t i = 0; l->complete(i); i++) {
        const char *name = l->complete(i);
        if (strncmp(name, info->buffer, n) != 0) continue;
        if (n_found++ == 0) {
            first = name;
            common = strlen(name);
        }
        size_t k = n;
        while (k < common && name[k] == first[k]) k++;
        common = k;
    }
    char rest[32];
    if (!n_found || common - n > sizeof rest - 2) return CC_ERROR;
    snprintf(rest, sizeof rest, "%.*s%s", (int)(common - n), first + n, n_found == 1 ? " " : "");
    if (!rest[0] || el_insertstr(el, rest)) return CC_ERROR;
    return CC_REFRESH;
}

static void bind_keys(EditLine *el)
{
    el_wset(el, EL_ADDFN, L"fikr-paste", L"insert pasted text", paste);
    el_wset(el, EL_ADDFN, L"fikr-complete", L"complete a command", complete);
    el_set(el, EL_BIND, "\\e[200~", "fikr-paste", NULL);
    el_set(el, EL_BIND, "\t", "fikr-complete", NULL);
    el_set(el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(el, EL_BIND, "\\e[3~", "ed-delete-next-char", NULL);
    el_set(el, EL_BIND, "\\e[H", "ed-move-to-beg", NULL);
    el_set(el, EL_BIND, "\\e[F", "ed-move-to-end", NULL);
    el_set(el, EL_BIND, "\\e[1~", "ed-move-to-beg", NULL);
    el_set(el, EL_BIND, "\\e[4~", "ed-move-to-end", NULL);
    el_set(el, EL_BIND, "\\e[1;5D", "ed-prev-word", NULL);
    el_set(el, EL_BIND, "\\e[1;5C", "em-next-word", NULL);
}

enum fk_status line_create(struct line **out, const char *history_path,
                           const char *(*complete_word)(size_t i), struct fk_error *err)
{
    struct line *l = mem_zalloc(sizeof *l, MEM_CLI);
    struct sigaction sa;
    HistEvent ev;
    *out = NULL;
    if (!l) return fail_nomem(err, sizeof *l, "line editing");
    l->complete = complete_word;
    l->el = el_init("fikr", stdin, stdout, stderr);
    l->history = history_init();
    l->history_path = history_path ? mem_strdup(history_path, MEM_CLI) : NULL;
    if (!l->el || !l->history || (history_path && !l->history_path)) {
        line_destroy(&l);
        return fail_nomem(err, 0, "line editing");
    }
    history(l->history, &ev, H_SETSIZE, HISTORY_LINES);
    history(l->history, &ev, H_SETUNIQUE, 1);
    if (history_path) history(l->history, &ev, H_LOAD, history_path);
    el_set(l->el, EL_CLIENTDATA, l);
    el_set(l->el, EL_PROMPT_ESC, prompt_text, '\1');
    el_set(l->el, EL_EDITOR, "emacs");
    el_set(l->el, EL_HIST, history, l->history);
    el_set(l->el, EL_GETCFN, read_char);
    el_set(l->el, EL_SIGNAL, 0);
    el_source(l->el, NULL);
    bind_keys(l->el);
    memset(&sa, 0, sizeof sa);
    sigemptyset(&sa.sa_mask);
    sa.sa_handler = on_resize;
    sigaction(SIGWINCH, &sa, NULL);
    sigaction(SIGCONT, &sa, NULL);
    *out = l;
    return FK_OK;
}

/* Written beside the old one and renamed, readable by the user only: it holds what was asked. */
static void save_history(struct line *l)
{
    struct buf temp;
    HistEvent ev;
    buf_init(&temp, 8192, MEM_CLI);
    mode_t mask = umask(077);
    if (fileio_make_parents(l->history_path, NULL) == FK_OK &&
        buf_printf(&temp, "%s.%ld", l->history_path, (long)getpid())) {
        if (history(l->history, &ev, H_SAVE, temp.data) < 0 || rename(temp.data, l->history_path))
            unlink(temp.data);
    }
    umask(mask);
    buf_fini(&temp);
}

void line_destroy(struct line **line)
{
    struct line *l = *line;
    *line = NULL;
    if (!l) return;
    if (l->history && l->history_path) save_history(l);
    if (l->el) el_end(l->el);
    if (l->history) history_end(l->history);
    mem_free(l->history_path);
    mem_free(l);
}

enum line_result line_read(struct line *l, const char *prompt, struct buf *out, bool *had_text)
{
    int n = 0;
    bool color = term_has_color(stdout);
    /* libedit drops an escape that ends the prompt, so the blank comes last. */
    snprintf(l->prompt, sizeof l->prompt, color ? "\1\033[1m\1%s\1\033[0m\1 " : "%s ", prompt);
    l->had_text = false;
    l->n_pending = 0;
    if (color) fputs("\033[?2004h", stdout);
    fflush(stdout);
    const char *s = el_gets(l->el, &n);
    if (color) fputs("\033[?2004l", stdout);
    fflush(stdout);
    *had_text = l->had_text;
    if (signals_interrupted()) {
        signals_clear();
        el_reset(l->el);
        putchar('\n');
        return LINE_INTERRUPTED;
    }
    if (!s || n <= 0) return LINE_EOF;
    if (s[n - 1] == '\n') n--;
    buf_append(out, s, (size_t)n);
    return LINE_OK;
}

void line_remember(struct line *l, const char *text)
{
    HistEvent ev;
    if (*text) history(l->history, &ev, H_ENTER, text);
}
