/* SPDX-License-Identifier: Apache-2.0
 * term.h - what reaches people: sentences on stderr, text made safe for terminals, colours where
 * they are wanted, progress bars, and JSON for scripts. */
#ifndef CLI_TERM_H
#define CLI_TERM_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "fikr/status.h"

bool term_is_tty(FILE *f);
/* Colours: on a terminal that can show them, unless NO_COLOR is set. */
bool term_has_color(FILE *f);

enum term_style { TERM_PLAIN, TERM_DIM, TERM_BOLD };
/* Switches the style of f; nothing where there are no colours. */
void term_style(FILE *f, enum term_style style);

/* Writes bytes of a model or a file: escaped for a terminal, as they are for a pipe. */
void term_text(FILE *f, const char *s, size_t n);
/* The same, escaped wherever it goes, newlines too. */
void term_escaped(FILE *f, const char *s, size_t n);

/* "fikr: sentence" on stderr; gives the exit code of the status. */
int term_complain(const struct fk_error *err);
/* Flushes stdout; a full disk or a closed pipe gives a sentence and exit code 1, else `code`. */
int term_finish(int code);
/* The same for a write that failed with errno `error` (0: unknown). */
int term_write_failed(int error, int code);

/* "98.4 MB", "253 kB" into a static ring of strings. */
const char *term_bytes(unsigned long long bytes);
const char *term_count(unsigned long long n); /* "134.5 M" */

/* A progress bar on stderr, only on a terminal and only for what takes longer than a second. Its
 * function fits fk_progress_fn and asks to cancel once the user interrupts. */
struct bar {
    double begun, shown;
    double left; /* seconds that the caller knows to be left; 0: from the share that is done */
    bool visible;
};
void bar_init(struct bar *b);
int bar_update(void *bar, const char *what, unsigned long long done, unsigned long long total);
void bar_fini(struct bar *b); /* wipes it */

/* JSON: strings from outside lose invalid UTF-8 to U+FFFD; numbers that are not finite are null. */
json_t *json_text(const char *s, size_t n);
json_t *json_cstr(const char *s); /* NULL gives null */
json_t *json_num(double v);
json_t *json_count(unsigned long long v);
/* Sets key, taking value; a NULL value (out of memory) is remembered by json_emit's caller. */
bool json_put(json_t *object, const char *key, json_t *value);
/* Prints doc in ASCII with a newline and frees it. doc NULL: out of memory. Gives the exit code. */
int json_emit(json_t *doc, int code);

#endif
