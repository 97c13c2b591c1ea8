/* SPDX-License-Identifier: Apache-2.0
 * draft.h - exact mode: the low planes of the file draft some tokens, the widest read computes them all in
 * one step, and what it would not have said itself is thrown away.
 *
 * A token of the reply is always picked from logits of the widest read, with the random number of its
 * position, and the verifying step writes every key and value that drafts left. Sums are fixed
 * (device/ops.h), so reply and cache are those of plain decoding at that width, bit for bit; how many
 * tokens are drafted changes the time alone, and may follow the clock. */
#ifndef ENGINE_DRAFT_H
#define ENGINE_DRAFT_H
#include <stdbool.h>
#include <stdint.h>

#define DRAFT_MAX 8 /* tokens of a draft */

/* What steps have taken of late. */
struct pace {
    int n_fixed;                     /* drafts have so many tokens, whatever is measured; 0: they adapt */
    double draft_s;                  /* a drafting step; 0: never measured */
    double verify_s[DRAFT_MAX + 1];  /* [k]: one that computes k drafted tokens and the one before them */
};

/* How many tokens to draft, of which each is right with probability `accept` if those before are. */
int pace_choose(const struct pace *p, double accept);
/* A step verified n tokens, drafted in n drafting steps of draft_s each. */
void pace_learn(struct pace *p, int n, double draft_s, double verify_s);

/* A session's logits beyond those of its last token: row i holds if the token before it becomes
 * tokens[i]. */
struct ahead {
    float *logits;               /* [DRAFT_MAX][n_vocab], once there was a draft */
    int32_t tokens[DRAFT_MAX];
    int n, i;                    /* rows; the next one */
    int n_wanted;                /* while drafting */
    double accept;               /* of late, for pace_choose; 0: nothing is known */
};

struct fk_engine;
struct fk_session;

/* Drafts for the sessions of n parts (members[k]: which session part k is). A part gets a row, whose logits
 * are wanted, for every drafted token. What cannot be drafted is left out. */
void draft_ahead(struct fk_engine *e, struct fk_session *const *sessions, int first, int n);
/* Keeps the rows of a verified part that come after the first. */
void ahead_keep(struct fk_session *s, const float *logits, int n);
/* The logits that follow the last token if they are there, with which its position counts as computed;
 * else NULL, and what was kept is dropped. */
const float *ahead_next(struct fk_session *s);

#endif
