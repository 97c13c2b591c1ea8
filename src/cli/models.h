/* SPDX-License-Identifier: Apache-2.0
 * models.h - from what -m says to an open model and an engine on it. */
#ifndef CLI_MODELS_H
#define CLI_MODELS_H
#include "fikr/engine.h"
#include "src/cli/args.h"

#define SHIPPED_MODEL "thinker"
#define SHIPPED_NAME "fikr thinker" /* general.name of that file */
#define DEFAULT_MODEL "smollm2"

/* A path is taken as it is; a name is looked up as NAME.gguf in the folders of models_dir(0), ...
 * *path is yours (mem_free). name NULL: SHIPPED_MODEL where it lies beside the program or in its
 * data, else DEFAULT_MODEL. */
enum fk_status models_find(const char *name, char **path, struct fk_error *err);

/* The same for what adapters are trained over, which may be a folder of safetensors too. */
enum fk_status models_base(const char *name, char **path, struct fk_error *err);

/* The i-th folder of models, NULL after the last: $FIKR_MODELS, the user's data folder, then
 * ../.cache/models beside the program (where `make chat` puts its model). pull writes into the
 * first. Yours (mem_free). */
char *models_dir(int i);

/* A model (lora: NULL, or the file of an adapter to it) and an engine on it, as the options of the verb ask. */
struct opened {
    char *path;
    fk_model *model;
    fk_engine *engine;
};
enum fk_status opened_model(struct opened *o, const char *name, const char *lora, bool container_only,
                            struct fk_error *err);
void opened_params(const struct args *a, struct fk_engine_params *p);
int opened_head(const struct args *a); /* --head as head_bits */
enum fk_status opened_engine(struct opened *o, const struct fk_engine_params *p,
                             struct fk_error *err);
void opened_close(struct opened *o);

#endif
