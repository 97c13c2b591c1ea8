/* SPDX-License-Identifier: Apache-2.0
 * chat.h - messages to tokens through the model's own chat template. */
#ifndef FIKR_CHAT_H
#define FIKR_CHAT_H
#include "fikr/tokenizer.h"
#ifdef __cplusplus
extern "C" {
#endif

struct fk_message {
    const char *role;            /* "system", "user", "assistant", "tool" */
    const char *content;         /* UTF-8; NULL like "" */
    const char *reasoning;       /* an assistant's thinking, or NULL */
    const char *tool_calls_json; /* JSON array as in the OpenAI API, or NULL */
    const char *tool_call_id, *name;
};

enum fk_thinking { FK_THINK_AUTO = 0, FK_THINK_ON, FK_THINK_OFF };

struct fk_chat_params {
    enum fk_thinking thinking;
    int no_generation_prompt;    /* default 0: the text ends where the assistant begins */
    const char *tools_json;      /* JSON array of tools, or NULL */
    const char *template_text;   /* NULL: the file's; "chatml" and other names: built in */
    int64_t now;                 /* Unix time for templates with strftime_now; 0: now */
    void *reserved[8];
};
FK_API void fk_chat_default_params(struct fk_chat_params *p);

/* Renders the conversation. Special tokens are recognised only in the template's own text, never in
 * the messages' text. *ids (fk_free) start with BOS once where the model wants it. *text (fk_free;
 * either may be NULL) is the rendered string for people to read. *opens_thinking is set when the
 * rendered prompt ends inside an open think tag. A template that runs too long, uses a name that
 * does not exist or refuses the messages gives FK_EFORMAT with its sentence. */
FK_API enum fk_status fk_chat_render(const fk_model *m, const struct fk_message *messages,
                                     size_t n_messages, const struct fk_chat_params *params,
                                     char **text, int32_t **ids, size_t *n_ids,
                                     int *opens_thinking, struct fk_error *err);

#ifdef __cplusplus
}
#endif
#endif
