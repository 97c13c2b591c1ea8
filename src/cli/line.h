/* SPDX-License-Identifier: Apache-2.0
 * line.h - lines typed at a terminal: editing, history, pasted text of many lines. */
#ifndef CLI_LINE_H
#define CLI_LINE_H
#include "fikr/status.h"
#include "src/base/buf.h"

struct line;

enum line_result { LINE_OK, LINE_EOF, LINE_INTERRUPTED };

/* history_path may be NULL. complete(i) names the words that Tab completes at a line's start. */
enum fk_status line_create(struct line **out, const char *history_path,
                           const char *(*complete)(size_t i), struct fk_error *err);
void line_destroy(struct line **l); /* writes the history */
/* One line, without its newline, appended to out; the prompt gets a blank behind it. Text pasted at
 * once may hold newlines. An interrupt drops what was typed; *had_text tells whether there was
 * something. */
enum line_result line_read(struct line *l, const char *prompt, struct buf *out, bool *had_text);
void line_remember(struct line *l, const char *text);

#endif
