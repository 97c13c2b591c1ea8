/* SPDX-License-Identifier: Apache-2.0
 * tokenizer.h - text to token ids and back. A tokenizer belongs to its model. */
#ifndef FIKR_TOKENIZER_H
#define FIKR_TOKENIZER_H
#include <stddef.h>
#include <stdint.h>
#include "fikr/model.h"
#ifdef __cplusplus
extern "C" {
#endif

enum fk_tokenize_flags {
    FK_TOKENIZE_BOS = 1,     /* put BOS (EOS) where the model's file asks for it */
    FK_TOKENIZE_SPECIAL = 2  /* "<|im_end|>" in the text becomes the control token; for trusted text
                                only: text of users is never given this flag */
};

FK_API int32_t fk_n_vocab(const fk_model *m);
/* *ids is yours: free it with fk_free(). */
FK_API enum fk_status fk_tokenize(const fk_model *m, const char *text, size_t n_bytes,
                                  unsigned flags, int32_t **ids, size_t *n_ids,
                                  struct fk_error *err);
/* The bytes of all ids, control tokens left out unless `special`. *text is yours (fk_free), NUL
 * terminated, perhaps no valid UTF-8. */
FK_API enum fk_status fk_detokenize(const fk_model *m, const int32_t *ids, size_t n_ids, int special,
                                    char **text, size_t *n_bytes, struct fk_error *err);
/* Bytes of one token as it stands in the vocabulary's text; valid until the model is closed. */
FK_API enum fk_status fk_token_bytes(const fk_model *m, int32_t id, const char **bytes, size_t *n);
FK_API int fk_token_is_control(const fk_model *m, int32_t id);
FK_API int fk_token_is_end(const fk_model *m, int32_t id); /* one of the end-of-generation set */
FK_API int32_t fk_token_bos(const fk_model *m);            /* -1: none */
FK_API int32_t fk_token_eos(const fk_model *m);            /* -1: none */
FK_API int fk_adds_bos(const fk_model *m);

FK_API void fk_free(void *p);

#ifdef __cplusplus
}
#endif
#endif
