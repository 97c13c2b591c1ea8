/* SPDX-License-Identifier: Apache-2.0
 * convert.h - between a safetensors folder, as models are published, and one GGUF file. */
#ifndef FIKR_CONVERT_H
#define FIKR_CONVERT_H
#include "fikr/status.h"
#ifdef __cplusplus
extern "C" {
#endif

struct fk_convert_params {
    const char *type;          /* "f32", "f16", "bf16", "q8_0"; NULL: as published (F8 becomes BF16) */
    fk_progress_fn progress;
    void *progress_arg;
    int permutes;              /* a GGUF file to one with its dimensions in a random order: the same */
    unsigned long long permute_seed; /* function, off any grid its weights lie on; f16 without type */
    const char *lora;          /* an adapter's GGUF file that is added to the weights of a GGUF file, out
                                * being another: adapted weights of a type that cannot be written here
                                * become f16. NULL: none */
    void *reserved[5];
};
FK_API void fk_convert_default_params(struct fk_convert_params *p);

/* in: a folder with config.json and *.safetensors, or a GGUF file. out: a path ending in .gguf, or
 * a folder to create. Written beside the target, synced and renamed: a broken run leaves no target. */
FK_API enum fk_status fk_convert(const char *in, const char *out,
                                 const struct fk_convert_params *params, struct fk_error *err);

#ifdef __cplusplus
}
#endif
#endif
