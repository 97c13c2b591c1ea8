/* SPDX-License-Identifier: Apache-2.0
 * session.h - one conversation: a sequence, its settings, and the reply that is being made. */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H
#include <stdatomic.h>
#include "fikr/session.h"
#include "src/engine/engine.h"
#include "src/engine/loop_guard.h"
#include "src/text/stream.h"

#define SESSION_MAX_STOPS 16
#define SESSION_MAX_STOP_BYTES 1024

/* A caller's parameters with everything they point to copied. */
struct session_settings {
    struct fk_session_params p;
    struct fk_logit_bias *bias;
    char *stop[SESSION_MAX_STOPS];
};
/* out must be zeroed. params NULL: the defaults. */
enum fk_status settings_copy(struct session_settings *out, const struct fk_session_params *params,
                             int n_vocab, struct fk_error *err);
void settings_fini(struct session_settings *s);

/* Text on its way out. An event carries one part; what follows of the other part waits in `ahead`. */
struct reply {
    struct detokenizer detokenizer;
    struct stream *stream;     /* NULL: a model without vocabulary has no text */
    struct buf raw, text, ahead;
    enum fk_part text_part, ahead_part;
    bool has_ahead, is_ending;
};
enum fk_status reply_init(struct reply *r, struct fk_error *err);
void reply_fini(struct reply *r);
/* Begins a reply. False: out of memory. */
bool reply_begin(struct reply *r, const struct tokenizer *t, const struct session_settings *s,
                 bool in_thinking);
/* Begins an event: r->text is what waited in ahead, or nothing. */
void reply_next(struct reply *r);
/* The bytes of a token go in. False: out of memory. */
bool reply_push(struct reply *r, const struct think_tags *tags, int32_t id);
/* Adds all text that can be shown now to r->text, as far as it is of one part; with is_ending what
 * was held back too. False: out of memory. */
bool reply_gather(struct reply *r);
bool reply_in_thinking(const struct reply *r);
bool reply_stopped(const struct reply *r); /* a stop string was met */

/* What puts tokens into a reply that nobody sampled. */
struct think_control {
    const struct token_vec *forced; /* NULL: none */
    size_t i_forced;
    bool close_now;                 /* the loop guard asks for it */
};

enum session_state {
    SESSION_IDLE,    /* no prompt, or it failed */
    SESSION_RUNNING,
    SESSION_ENDING,  /* finished; text of another part is still to be told */
    SESSION_OVER
};

struct fk_session {
    fk_engine *engine;     /* borrowed */
    struct session_settings settings, next_settings;
    bool has_next_settings;
    struct sequence seq;
    float *logits;             /* [n_vocab] of the last prompt token */
    bool has_logits;
    struct ahead ahead;    /* exact mode */
    bool in_step;              /* part of the step that is being put together */
    enum session_state state;
    enum fk_finish finish;
    struct reply reply;
    struct think_control think;
    struct loop_guard guard;
    struct fk_session_stats stats;
    double begun;              /* of the prompt */
    uint64_t n_reply;
    atomic_int cancelled, answer_now;
};

enum fk_status session_create(fk_session **out, fk_engine *e,
                              const struct fk_session_params *params, struct fk_error *err);
void session_destroy(fk_session **s);
enum fk_status session_set_params(fk_session *s, const struct fk_session_params *params,
                                  struct fk_error *err);
enum fk_status session_prompt(fk_session *s, const int32_t *ids, size_t n_ids,
                              bool opens_thinking, struct fk_error *err);
enum fk_status session_eval(fk_session *s, const int32_t *ids, size_t n_ids, size_t first,
                            int chunk, float *logits, struct fk_error *err);

enum fk_status session_fill(fk_session *s, const int32_t *ids, size_t n_ids, size_t depth,
                            struct fk_error *err);

/* See fk_engine_next. */
enum fk_status engine_next(fk_engine *e, fk_session *const *sessions, size_t n,
                           struct fk_event *events, enum fk_status *statuses, struct fk_error *err);

void think_begin(fk_session *s, bool opens_thinking);
/* True if the next token is not to be sampled: it is *id. */
bool think_force(fk_session *s, int32_t *id);

#endif
