/* SPDX-License-Identifier: Apache-2.0
 * term.c - terminals: styles, safe text, sentences. */
#include "src/cli/term.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/fail.h"
#include "src/base/utf8.h"

bool term_is_tty(FILE *f)
{
    return isatty(fileno(f)) == 1;
}

bool term_has_color(FILE *f)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    if (no && *no) return false;
    if (!term || !strcmp(term, "dumb")) return false;
    return term_is_tty(f);
}

void term_style(FILE *f, enum term_style style)
{
    static const char *const codes[] = {"\033[0m", "\033[2m", "\033[1m"};
    if (term_has_color(f)) fputs(codes[style], f);
}

static void write_escaped(FILE *f, const char *s, size_t n, bool keep_newlines)
{
    struct buf b;
    buf_init(&b, 0, MEM_CLI);
    if (utf8_escape_terminal(&b, s, n, keep_newlines) && b.n) fwrite(b.data, 1, b.n, f);
    buf_fini(&b);
}

void term_text(FILE *f, const char *s, size_t n)
{
    if (term_is_tty(f))
        write_escaped(f, s, n, true);
    else
        fwrite(s, 1, n, f);
}

void term_escaped(FILE *f, const char *s, size_t n)
{
    write_escaped(f, s, n, false);
}

int term_complain(const struct fk_error *err)
{
    const char *text = err->message[0] ? err->message : fk_status_name(err->status);
    fflush(stdout);
    fputs("fikr: ", stderr);
    term_escaped(stderr, text, strlen(text));
    fputc('\n', stderr);
    return fk_exit_code(err->status);
}

int term_finish(int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    return term_write_failed(errno, code);
}

int term_write_failed(int error, int code)
{
    struct fk_error err = {0};
    fail(&err, FK_EIO, "writing to standard output failed: %s", strerror(error ? error : EIO));
    clearerr(stdout);
    term_complain(&err);
    return code ? code : 1;
}

static char *ring(void)
{
    static char slots[8][24];
    static int next;
    next = (next + 1) % 8;
    return slots[next];
}

static const char *scaled(unsigned long long n, const char *const units[5])
{
    char *s = ring();
    double v = (double)n;
    int u = 0;
    for (; v >= 999.5 && u < 4; u++) v /= 1000;
    snprintf(s, 24, u == 0 || v >= 99.95 ? "%.0f%s" : v >= 9.995 ? "%.1f%s" : "%.2f%s", v, units[u]);
    return s;
}

const char *term_bytes(unsigned long long bytes)
{
    static const char *const units[5] = {" B", " kB", " MB", " GB", " TB"};
    return scaled(bytes, units);
}

const char *term_count(unsigned long long n)
{
    static const char *const units[5] = {"", " k", " M", " B", " T"};
    return scaled(n, units);
}
