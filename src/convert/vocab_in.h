/* SPDX-License-Identifier: Apache-2.0
 * vocab_in.h - the vocabulary of a published folder (tokenizer.json or tokenizer.model, with
 * tokenizer_config.json and generation_config.json) as GGUF keeps it. */
#ifndef CONVERT_VOCAB_IN_H
#define CONVERT_VOCAB_IN_H
#include <jansson.h>
#include "src/base/arena.h"
#include "src/base/map.h"
#include "src/file/gguf_write.h"
#include "src/file/name_table.h"

enum token_type { TOKEN_NORMAL = 1, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_USER_DEFINED, TOKEN_UNUSED,
                  TOKEN_BYTE };
enum special_token { SPECIAL_BOS, SPECIAL_EOS, SPECIAL_UNK, SPECIAL_SEP, SPECIAL_PAD, SPECIAL_CLS,
                     SPECIAL_MASK, SPECIAL_EOT, SPECIAL_N };

#define MAX_END_TOKENS 64
#define NO_SCORE (-1e6f)

struct vocab_in {
    const char *folder;
    struct arena memory;
    struct file_map map;     /* of tokenizer.json or tokenizer.model; tokens point into it */
    const char *path;        /* its name, for sentences */
    const char *model, *pre; /* "gpt2" and "llama-bpe"; "llama" and "default"; model NULL: no vocabulary */
    size_t n;                /* tokens: as many as the embedding has rows */
    struct gguf_str *tokens; /* p NULL: no such token */
    float *scores;
    int32_t *types;
    struct name_table table; /* over tokens, once all are known */
    struct gguf_str *merges;
    size_t n_merges;
    bool has_scores;
    int special[SPECIAL_N];  /* -1: none */
    int add_bos, add_eos, add_space_prefix, remove_spaces; /* -1: not said */
    struct gguf_str charsmap;
    int32_t ends[MAX_END_TOKENS]; /* of generation_config.json */
    int n_ends;
    json_t *config;          /* tokenizer_config.json; NULL: none */
    char *template_file;     /* chat_template.jinja */
    size_t template_bytes;
};

/* A folder without a vocabulary is accepted: v->model stays NULL. n_vocab: rows of the embedding. */
enum fk_status vocab_in_read(struct vocab_in *v, const char *folder, size_t n_vocab,
                             struct fk_error *err);
void vocab_in_fini(struct vocab_in *v);
void vocab_in_put(const struct vocab_in *v, struct gguf_writer *w);

/* vocab_json.c, vocab_model.c: the two kinds of files. */
enum fk_status vocab_read_json(struct vocab_in *v, struct fk_error *err);
enum fk_status vocab_read_model(struct vocab_in *v, struct fk_error *err);
/* True if v->map, a tokenizer.json, is a byte-level BPE. */
bool vocab_json_is_byte_level(const struct vocab_in *v);
/* vocab_extras.c: names to ids, flags, templates, ends. */
enum fk_status vocab_read_special(struct vocab_in *v, struct fk_error *err);

/* Token `id`, refused where it does not fit. text is kept, not copied. */
enum fk_status vocab_set(struct vocab_in *v, uint64_t id, struct gguf_str text, float score, int type,
                         struct fk_error *err);
/* An added token: replaces what stands at its id. */
enum fk_status vocab_add(struct vocab_in *v, const json_t *token, uint64_t id, struct fk_error *err);
int vocab_in_find(const struct vocab_in *v, const char *text, size_t n); /* -1: none */
enum fk_status vocab_build_table(struct vocab_in *v, struct fk_error *err);
/* A small JSON file of the folder: *out NULL where there is none. */
enum fk_status vocab_load_json(const char *folder, const char *name, json_t **out,
                               struct fk_error *err);

/* pre_names.c. The name of the pre-tokenizer that tokenizer.json describes, and back: NULL if it is
 * none of the published ones. */
const char *pre_name_of(const json_t *pre_tokenizer, const json_t *normalizer, bool ignore_merges);
/* tokenizer.json's pre_tokenizer for a name (new reference); NULL: unknown. *nfc: the normalizer is NFC,
 * *ignore_merges: whole tokens are taken before merging. */
json_t *pre_of_name(struct gguf_str name, bool *nfc, bool *ignore_merges);

#endif
