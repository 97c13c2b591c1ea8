/* SPDX-License-Identifier: Apache-2.0
 * session.h - one conversation: a token sequence, its cache, its sampler.
 *
 *   fk_session_create(&s, engine, NULL, &err);
 *   fk_session_prompt(s, ids, n_ids, 0, &err);             the whole sequence; what is cached is reused
 *   while (!fk_session_next(s, &ev, &err) && !ev.finish) fwrite(ev.text, 1, ev.n_bytes, stdout);
 *   fk_session_destroy(&s);
 */
#ifndef FIKR_SESSION_H
#define FIKR_SESSION_H
#include "fikr/chat.h"
#include "fikr/engine.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct fk_session fk_session;

struct fk_logit_bias { int32_t id; float bias; };

struct fk_sampling {
    /* Applied in this order: bias, penalties, temperature, top_k, top_p, min_p. */
    float temperature;       /* 0: greedy (ties go to the lowest id) */
    int top_k;               /* 0: off */
    float top_p;             /* 1: off */
    float min_p;             /* 0: off */
    float repeat_penalty;    /* 1: off */
    float frequency_penalty, presence_penalty;
    int penalty_last_n;      /* window of the penalties, prompt included; 64 */
    uint64_t seed;           /* same seed, same text, whatever else runs */
    const struct fk_logit_bias *bias;
    size_t n_bias;           /* at most 1024 */
};

struct fk_session_params {
    struct fk_sampling sampling;
    int max_tokens;               /* of a reply, thinking included; 0: until the context is full */
    enum fk_thinking thinking;    /* on: the reply begins with the think tag if the vocabulary has it
                                     and the prompt does not open it; off: thinking is closed at once */
    int think_budget;             /* tokens of thinking before it is closed; 0: no limit */
    int no_loop_guard;
    const char *const *stop;      /* strings that end the reply (not included in it) */
    size_t n_stop;                /* at most 16 */
    int raw;                      /* no think-tag splitting: all text is content */
    /* Called between prefill chunks; nonzero cancels (FK_ECANCELLED, the session stays usable). */
    fk_progress_fn progress;
    void *progress_arg;
    void *reserved[8];
};
FK_API void fk_session_default_params(struct fk_session_params *p);
/* The defaults with the sampling that the file recommends (its keys general.sampling.temp, top_k, top_p,
 * min_p, penalty_repeat, penalty_last_n; a value out of bounds is passed over). m may be NULL. */
FK_API void fk_session_model_params(const fk_model *m, struct fk_session_params *p);

/* Copies what params points to. params may be NULL. */
FK_API enum fk_status fk_session_create(fk_session **out, fk_engine *e,
                                        const struct fk_session_params *params,
                                        struct fk_error *err);
FK_API void fk_session_destroy(fk_session **s);
/* New sampling and limits from the next reply on. */
FK_API enum fk_status fk_session_set_params(fk_session *s, const struct fk_session_params *params,
                                            struct fk_error *err);

/* Makes ids the session's whole sequence and prefills what no cache holds. n_ids + 1 > n_ctx is
 * refused with FK_ETOOBIG and both counts, and the session is as before. opens_thinking: the prompt
 * ends inside a think tag (fk_chat_render says so). */
FK_API enum fk_status fk_session_prompt(fk_session *s, const int32_t *ids, size_t n_ids,
                                        int opens_thinking, struct fk_error *err);

enum fk_finish {
    FK_RUNNING = 0,
    FK_FINISH_STOP,     /* an end token or a stop string */
    FK_FINISH_LENGTH,   /* max_tokens */
    FK_FINISH_CONTEXT,  /* the context is full */
    FK_FINISH_LOOP,     /* the loop guard, outside of thinking */
    FK_FINISH_CANCELLED
};
enum fk_part { FK_PART_CONTENT = 0, FK_PART_REASONING };

struct fk_event {
    int32_t token;           /* -1: no new token (text that had been held back) */
    enum fk_part part;
    const char *text;        /* whole UTF-8 characters; valid until the next call */
    size_t n_bytes;          /* may be 0: a character or tag is not complete yet */
    enum fk_finish finish;
    int forced;              /* the token was put there: think budget, answer now, loop guard */
    float logprob;           /* of token under the unmodified distribution */
};
/* Samples and computes one token. After finish != FK_RUNNING call prompt again (what was generated
 * is in the cache). */
FK_API enum fk_status fk_session_next(fk_session *s, struct fk_event *ev, struct fk_error *err);

/* The same for n sessions of one engine in one step: weights are read once. events[i] and
 * statuses[i] belong to sessions[i]; finished sessions are skipped with FK_ESTATE. Returns the first
 * failure that is not such a skip, and err is about the last one; one session's failure costs the
 * others nothing. */
FK_API enum fk_status fk_engine_next(fk_engine *e, fk_session *const *sessions, size_t n,
                                     struct fk_event *events, enum fk_status *statuses,
                                     struct fk_error *err);

/* Closes the thinking at the next token. */
FK_API void fk_session_answer_now(fk_session *s);
/* Safe from another thread and from a signal handler: the current call ends with FK_ECANCELLED or
 * the next event with FK_FINISH_CANCELLED. */
FK_API void fk_session_cancel(fk_session *s);

/* The sequence so far (prompt and reply); valid until the next call. */
FK_API const int32_t *fk_session_tokens(const fk_session *s, size_t *n);

struct fk_session_stats {
    uint64_t n_prompt, n_cached, n_thinking, n_answer; /* tokens of the last prompt and reply */
    double prefill_s, decode_s, first_token_s, cpu_s;
    uint64_t weight_bytes, kv_bytes;                   /* read during decode, by drafts too; a batch's are shared */
    uint64_t n_loops_broken;
    uint64_t n_drafted, n_accepted;                    /* exact mode: tokens */
};
FK_API enum fk_status fk_session_get_stats(const fk_session *s, struct fk_session_stats *out);

/* Plain evaluation, without sampling: logits [n_ids, n_vocab] (caller's memory) for the positions
 * of ids appended to an empty sequence, in chunks of `chunk` rows (0: n_batch). first: logits are
 * written from this position on. The session's sequence is replaced by ids. */
FK_API enum fk_status fk_session_eval(fk_session *s, const int32_t *ids, size_t n_ids, size_t first,
                                      int chunk, float *logits, struct fk_error *err);

/* For measuring at a depth that would take minutes to compute: evaluates ids (at least a page of
 * them, see page_tokens), then fills the cache up to `depth` tokens with copies of their pages. The
 * tokens that fk_session_next makes then read as much memory, in as many places, as after a prompt
 * of that length; what they say means nothing. Nothing of it is shared with other sessions or found
 * by a later prompt. */
FK_API enum fk_status fk_session_fill(fk_session *s, const int32_t *ids, size_t n_ids, size_t depth,
                                      struct fk_error *err);

#ifdef __cplusplus
}
#endif
#endif
