/* SPDX-License-Identifier: Apache-2.0
 * engine.h - a model made ready to compute: threads, cache memory, sessions that share both.
 *
 * One thread uses an engine and its sessions at a time. */
#ifndef FIKR_ENGINE_H
#define FIKR_ENGINE_H
#include "fikr/model.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct fk_engine fk_engine;

enum fk_kv_type { FK_KV_F16 = 0, FK_KV_F32, FK_KV_I8, FK_KV_I4 };
#define FK_BITS_EXACT (-1)
#define FK_HEAD_WHOLE (-1)
enum fk_mla { FK_MLA_AUTO = 0, FK_MLA_ABSORBED, FK_MLA_EXPANDED };

struct fk_engine_params {
    int n_threads;          /* 0: all usable cores */
    const char *cpu_mask;   /* "avx2", "ref", ...: masks downwards; NULL: the environment's FIKR_CPU */
    int n_ctx;              /* tokens a session may hold; 0: min(the model's, 4096) */
    enum fk_kv_type kv_type;
    enum fk_mla mla;
    int n_batch;            /* rows of a prefill chunk; 0: 512 */
    int page_tokens;        /* 0: 64; a power of two from 16 to 256 */
    /* Cache of all sessions together, prefixes of earlier ones included. 0: twice what n_ctx needs, at
     * least 64 MiB, and old prefixes give way once n_ctx's worth is in use. */
    uint64_t kv_bytes_max;
    /* What weights in planes are read at: 2, 3, 4, 5, 6 or 8; 0: as the file plans; FK_BITS_EXACT: the text of the
     * widest read, where low planes draft tokens and it checks several at once. */
    int bits;
    /* Two-stage output head of a file in planes: all tokens at so many bits (2, 3, 4, 5 or 6), then the 128
     * likeliest and their neighbours at all that the file has; FK_HEAD_WHOLE: one stage, at `bits`; 0: as the
     * file plans where `bits` is 0, else one stage. */
    int head_bits;
    void *reserved[7];
};
FK_API void fk_engine_default_params(struct fk_engine_params *p);

/* Keeps the model (which must outlive it). */
FK_API enum fk_status fk_engine_create(fk_engine **out, const fk_model *m,
                                       const struct fk_engine_params *params, struct fk_error *err);
FK_API void fk_engine_destroy(fk_engine **e); /* its sessions must be gone */

/* From the next step on; what is cached stays as it was computed. 0: as the file plans, or all that it has. FK_EINVAL
 * if the model has no planes, or not that many (exact: two). */
FK_API enum fk_status fk_engine_set_bits(fk_engine *e, int bits, struct fk_error *err);

/* From the next step on, as head_bits of fk_engine_params; what was set before stays where it is refused. */
FK_API enum fk_status fk_engine_set_head(fk_engine *e, int bits, struct fk_error *err);

struct fk_engine_info {
    int n_threads, n_ctx, n_batch, page_tokens;
    const char *isa;                    /* "avx512vnni" */
    uint64_t kv_bytes_per_token;
    uint64_t kv_bytes_used, kv_bytes_max;
    int bits, bits_max;                 /* in use (0: as the file plans) and in the file (0: no planes) */
    int draft_bits;                     /* exact mode: what drafts are read at; else 0 */
    int head_bits;                      /* as asked for: see fk_engine_params */
};
FK_API enum fk_status fk_engine_get_info(const fk_engine *e, struct fk_engine_info *out);

/* What a model will need here, before anything is computed. */
struct fk_fit {
    uint64_t weight_bytes, kv_bytes, scratch_bytes, other_bytes, total_bytes; /* peak resident */
    uint64_t available_bytes;           /* of this machine now */
    int fits;
    int n_ctx_max;                      /* the longest context that would fit */
    double bandwidth_gb_per_s;          /* measured in about 0.2 s over the file's pages or memory */
    double tokens_per_s;                /* of decoding at empty context: a trial of about 0.3 s */
};
FK_API enum fk_status fk_fit(const fk_model *m, const struct fk_engine_params *params,
                             struct fk_fit *out, struct fk_error *err);

/* The plain read bandwidth of the weights as they are mapped, with the engine's threads. */
FK_API enum fk_status fk_engine_measure_bandwidth(fk_engine *e, double seconds, double *gb_per_s,
                                                  struct fk_error *err);

/* The most multiply-adds of bytes that the engine's threads do in a second when they do nothing else:
 * the instructions of its kernels in a loop on registers. Quantized weights meet activations as
 * bytes, so this is the limit of a prefill. */
FK_API enum fk_status fk_engine_measure_int8(fk_engine *e, double seconds, double *products_per_s,
                                             struct fk_error *err);
/* Those that all steps so far were made of: of experts the chosen ones only, of the logits the rows
 * that were asked for. 0 for NULL, and for weights that are floats. */
FK_API uint64_t fk_engine_int8_products(const fk_engine *e);

/* Where steps spend their time. From the first call on, steps are timed op by op (about 0.1
 * microseconds each); a call gives the sums since the last one, the line with the most seconds
 * first, in out[0 .. min(n, cap)), and starts anew. Returns n. */
struct fk_op_time {
    char name[64]; /* op, type and shape of its weights: "matmul q4_k 8960+8960 x 1536" */
    uint64_t n_calls, bytes; /* of weights and cache read */
    double seconds;
};
FK_API size_t fk_engine_op_times(fk_engine *e, struct fk_op_time *out, size_t cap);

/* Process-wide memory counters: live and peak heap, and how many allocations were ever made. */
struct fk_memory { uint64_t live_bytes, peak_bytes, n_allocations, peak_rss_bytes; };
FK_API void fk_get_memory(struct fk_memory *out);

#ifdef __cplusplus
}
#endif
#endif
