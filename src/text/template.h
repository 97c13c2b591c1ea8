/* SPDX-License-Identifier: Apache-2.0
 * template.h - chat templates: an interpreter for the subset of Jinja that published templates use,
 * with fuel, a memory cap, and trust marks that follow every byte of a message through it. */
#ifndef TEXT_TEMPLATE_H
#define TEXT_TEMPLATE_H
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "fikr/status.h"
#include "src/base/buf.h"

struct chat_template;

/* Parses; fails on syntax outside the subset with line and construct. Nested at most 64 deep. */
enum fk_status template_parse(struct chat_template **out, const char *text, size_t n,
                              struct fk_error *err);
void template_destroy(struct chat_template **t);

struct template_limits {
    uint64_t max_steps;      /* 0: 1,000,000 and one for every 2 bytes of input */
    uint64_t max_bytes;      /* all memory the render takes; 0: 32 MiB + 16 x input */
};

/* vars: a JSON object: messages, tools, bos_token, eos_token, add_generation_prompt,
 * enable_thinking, ... Strings in it are untrusted unless their top-level name is in trusted_vars
 * (NULL-terminated, e.g. bos_token). now: Unix time for strftime_now.
 * out gets the text, trust one byte (0/1) per byte of it. */
enum fk_status template_render(const struct chat_template *t, const json_t *vars,
                               const char *const *trusted_vars, int64_t now,
                               const struct template_limits *limits, struct buf *out,
                               struct buf *trust, struct fk_error *err);

/* "chatml", "llama2", "llama3", "gemma", "deepseek", "plain": for files without a template. NULL:
 * no such name. */
const char *template_builtin(const char *name);

#endif
