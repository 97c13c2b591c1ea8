/* SPDX-License-Identifier: Apache-2.0
 * ppl.h - the sums of `fikr perplexity`, and the file of distributions that one run saves for
 * another to compare with. */
#ifndef CLI_PPL_H
#define CLI_PPL_H
#include <stddef.h>
#include <stdint.h>
#include "src/cli/fileio.h"

/* log p of every token of a row: out[n_vocab] = logits - log sum exp(logits). Gives the argmax
 * (lowest id of a tie), or -1 if a logit is not finite. */
int32_t ppl_log_softmax(const float *logits, size_t n_vocab, float *out);

/* A base file, all numbers little-endian:
 *    0  8 bytes   "fikrbase"
 *    8  uint32    version, 1
 *   12  uint32    n_vocab
 *   16  uint32    n_ctx
 *   20  uint32    n_windows
 *   24  uint64    FNV-1a of the ids of all windows: both runs judge the same tokens
 *   32  records, one a predicted position: uint32 argmax, float32 top (its log p), then
 *       uint16 code[n_vocab]: log p = top - code * 24 / 65535, so what lies 24 nats below the best
 *       token is cut there (e^-24 is 4e-11).
 * A file is whole when its size is 32 + n_windows * (n_ctx - n_ctx/2 - 1) * (8 + 2 n_vocab). */
struct base_header {
    uint32_t n_vocab, n_ctx, n_windows;
    uint64_t ids_hash;
};
uint64_t base_record_bytes(const struct base_header *h);
uint64_t base_file_bytes(const struct base_header *h);
uint64_t base_hash(const int32_t *ids, size_t n);

enum fk_status base_write_header(struct output *o, const struct base_header *h,
                                 struct fk_error *err);
/* record: base_record_bytes(h) of scratch. */
enum fk_status base_write(struct output *o, const struct base_header *h, const float *log_p,
                          int32_t argmax, unsigned char *record, struct fk_error *err);

struct base_reader {
    const char *path;
    int fd;
    struct base_header header;
    unsigned char *record;
    float *log_p; /* [n_vocab] of the record that was read last, normalised */
    int32_t argmax;
};
/* Opens and refuses a file that does not fit `want`. */
enum fk_status base_open(struct base_reader *r, const char *path, const struct base_header *want,
                         struct fk_error *err);
enum fk_status base_next(struct base_reader *r, struct fk_error *err);
void base_close(struct base_reader *r);

/* KL(p || q) in nats over rows of log probabilities, at least 0. */
double ppl_kl(const float *log_p, const float *log_q, size_t n_vocab);

#endif
