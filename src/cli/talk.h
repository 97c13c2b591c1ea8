/* SPDX-License-Identifier: Apache-2.0
 * talk.h - a conversation kept by the program: its messages, rendered anew for each reply. */
#ifndef CLI_TALK_H
#define CLI_TALK_H
#include <stdbool.h>
#include "fikr/chat.h"

struct talk {
    struct fk_message *messages; /* every string is the talk's own */
    size_t n, cap;
};

void talk_fini(struct talk *t);
/* reasoning may be NULL. Nothing is changed when memory runs out. */
enum fk_status talk_add(struct talk *t, const char *role, const char *content,
                        const char *reasoning, struct fk_error *err);
void talk_pop(struct talk *t);      /* drops the last message, if there is one */
bool talk_ends_with(const struct talk *t, const char *role);
/* Sets, replaces or (text NULL or "") removes the system message at the front. */
enum fk_status talk_set_system(struct talk *t, const char *text, struct fk_error *err);
const char *talk_system(const struct talk *t); /* NULL: none */
/* Drops everything but the system message. */
void talk_clear(struct talk *t);
/* What --template says: a name stays as it is, a path with a '/' or ending in .jinja is read. *text
 * is yours (mem_free); NULL when value is. */
enum fk_status talk_template(const char *value, char **text, struct fk_error *err);
/* Writes the conversation: JSON messages where path ends in .json, else text with headings. */
enum fk_status talk_save(const struct talk *t, const char *path, struct fk_error *err);

#endif
