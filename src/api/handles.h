/* SPDX-License-Identifier: Apache-2.0
 * handles.h - what stands behind fk_model. Only this room includes it. fk_engine and fk_session are
 * defined by the engine room (engine/engine.h, engine/session.h). */
#ifndef API_HANDLES_H
#define API_HANDLES_H
#include "fikr/model.h"
#include "src/file/gguf.h"
#include "src/model/model.h"

/* The text of one metadata value, made at open so that a getter cannot fail for memory. */
struct meta_text {
    char *key, *value;
};

struct fk_model {
    struct model *model;               /* NULL when only the container was opened */
    struct gguf *gguf;                 /* model->gguf, or owned when model is NULL */
    const struct tokenizer *tokenizer; /* model->tokenizer; NULL when only the container was opened */
    struct meta_text *meta;            /* [gguf_n_kv] */
    char **tensor_names;               /* [gguf_n_tensors] NUL-terminated */
    char *template_text;               /* tokenizer.chat_template, or NULL; NUL-terminated */
    size_t template_bytes;
    char template_sha256[65];          /* "" without a template */
    bool has_thinking;
};

#endif
