/* SPDX-License-Identifier: Apache-2.0
 * args.h - the command line of every verb, read by one table (args_table.c) and refused with one
 * sentence. Numbers are read strictly: the whole word, inside its range. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fikr/engine.h"
#include "fikr/session.h"

/* One bit a verb: an option says with them where it is allowed. */
enum verb_bit {
    VERB_RUN = 1 << 0,
    VERB_INSPECT = 1 << 1,
    VERB_FIT = 1 << 2,
    VERB_TOKENIZE = 1 << 3,
    VERB_LOGITS = 1 << 4,
    VERB_PERPLEXITY = 1 << 5,
    VERB_BENCH = 1 << 6,
    VERB_CONVERT = 1 << 7,
    VERB_PULL = 1 << 8,
    VERB_EVAL = 1 << 9,
    VERB_PUZZLES = 1 << 10,
    VERB_TRAIN = 1 << 11,
    VERB_QUANTIZE = 1 << 12,
    VERB_ALL = (1 << 13) - 1
};

#define ARGS_MAX_LIST 65536
#define ARGS_MAX_OPERANDS 2

struct int_list {
    int32_t *values; /* mem_free, by args_fini */
    size_t n;
};

/* What was typed. Fields keep their defaults (args_init) where nothing was. */
struct args {
    const char *operands[ARGS_MAX_OPERANDS];
    int n_operands;
    bool help, json;

    const char *model, *lora;
    int threads, ctx;
    const char *cpu;
    enum fk_kv_type kv;
    bool kv_given;
    enum fk_mla mla;

    uint64_t seed;
    bool seed_given;
    int n_tokens;
    const char *prompt, *system, *chat_template;
    bool raw;
    enum fk_thinking think;
    int think_budget;
    struct fk_sampling sampling;
    bool temp_given, top_k_given, top_p_given, min_p_given, penalty_given; /* else: the model's */

    bool tensors, check;
    bool decode, no_special, special;
    struct int_list ids, batch, depths;
    int chunk;
    const char *file, *out, *save_logits, *kl_base;
    int windows;
    int pp, tg, reps;
    bool ops;
    const char *family, *data; /* puzzles; folder of texts */
    int level, lang, split;    /* 0, -1, -1: not typed; enum fk_lang, fk_split */
    int count, samples, at_once;
    bool count_given, plain, grade;
    int style;                 /* -1: not typed; enum fk_style */
    const char *type, *calibrate, *plan, *size, *imatrix, *strip;
    float bpw, max_kl, distill;
    int head; /* the index of a word: plan whole 2 3 4 6 */
    int bits; /* the index of a word: auto 2 3 4 6 8 exact */
    int max_tokens;
    uint64_t permute;
    bool permute_given;
    const char *sha256, *base_url;
    const char *init;
    bool resume;
    int max_steps;
    bool watch;
    float watts, price;
    bool watts_given, price_given;
};

enum arg_kind {
    ARG_FLAG,     /* bool */
    ARG_STRING,   /* const char * */
    ARG_INT,      /* int in [min, max] */
    ARG_FLOAT,    /* float in [min, max] */
    ARG_U64,      /* uint64_t */
    ARG_CHOICE,   /* int or enum: the index of the word in `choices` */
    ARG_INT_LIST, /* struct int_list, comma separated, each in [min, max] */
    ARG_THINK     /* on, off, auto or a budget in tokens */
};

struct arg_spec {
    const char *name;  /* "--ctx" */
    const char *alias; /* "-n", or NULL */
    enum arg_kind kind;
    size_t offset;     /* in struct args */
    size_t given_offset; /* of a bool that is set when the option was typed; 0: none */
    double min, max;
    const char *choices; /* "f16|f32|i8" */
    const char *value; /* how help calls the value */
    const char *help;
    unsigned verbs;
};

extern const struct arg_spec arg_specs[];
extern const size_t n_arg_specs;

/* What main.c knows of a verb. */
struct verb {
    const char *name;
    enum verb_bit bit;
    const char *operands;  /* "MODEL", "IN OUT" or "" */
    int min_operands, max_operands;
    const char *summary;   /* one line */
    const char *detail;    /* a paragraph for --help */
    int (*run)(const struct args *a); /* gives the exit code */
};

void args_init(struct args *a);
void args_fini(struct args *a);
enum fk_status args_parse(struct args *a, const struct verb *verb, int argc, char **argv,
                          struct fk_error *err);
/* "--think" of a session: also what /think in the chat takes. */
enum fk_status args_parse_think(const char *text, enum fk_thinking *think, int *budget,
                                struct fk_error *err);
/* A whole number in [min, max], nothing before or after it. */
enum fk_status args_parse_int(const char *what, const char *text, long long min, long long max,
                              long long *out, struct fk_error *err);
/* The word of `words[n]` that is nearest to `typed`, or NULL when none is near. */
const char *args_nearest(const char *typed, const char *const *words, size_t n);

#endif
