/* SPDX-License-Identifier: Apache-2.0
 * lab.h - what the device tests share: reproducible tensors, weights of any type with their exact
 * values, batches over pages, and comparison with a bound. Memory comes from one arena that
 * lab_close() frees. */
#ifndef TEST_DEVICE_LAB_H
#define TEST_DEVICE_LAB_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "src/device/device.h"

struct lab {
    struct arena memory;
    struct device *device;
    struct ops ops;
    uint64_t counter; /* of the random numbers */
};

/* mask NULL: what the machine has. */
void lab_open(struct lab *l, int n_threads, const char *mask);
void lab_close(struct lab *l);

void *lab_alloc(struct lab *l, size_t bytes); /* zeroed */
float lab_random(struct lab *l);              /* in [-1, 1) */
struct tensor *lab_act(struct lab *l, int64_t n_rows, int64_t n_cols);
struct tensor *lab_vector(struct lab *l, int64_t n);
/* Random weights; n_cols must fit t's block. */
struct tensor *lab_weight(struct lab *l, enum dtype t, int64_t n_cols, int64_t n_rows,
                          int64_t n_mats);
/* The exact values of one row. */
void lab_weight_row(const struct tensor *w, int64_t mat, int64_t row, float *out);
/* How far activations of this weight type may be rounded, relative to the largest of the row. */
double lab_act_error(enum dtype t);

/* rows first .. first+n of x as a tensor of its own */
struct tensor lab_rows(const struct tensor *x, int64_t first, int64_t n);

/* A batch of one step over sequences with pages of their own, kept in the arena. */
struct lab_seq {
    int pos0, n_rows;
    void **pages;
};
struct batch *lab_batch(struct lab *l, const struct kv_layout *kv, const struct lab_seq *seqs,
                        int n_seqs);
void **lab_pages(struct lab *l, const struct kv_layout *kv, int n_tokens);
/* n rows at positions 0.. without a cache */
struct batch *lab_plain_batch(struct lab *l, int n_rows);

void lab_ok(const struct ops *o); /* fails the test with the sentence */
void lab_near(double got, double want, double bound, const char *what, int64_t row, int64_t col);
/* Same shape, same bits; rows [first, first+n) of a against b. */
void lab_same_bits(const struct tensor *a, int64_t first, const struct tensor *b);

/* A small transformer that touches most ops: grouped attention with rope and a window, a dense and
 * an expert layer. out: logits [n_rows, n_vocab]. */
struct lab_model;
struct lab_model *lab_model_new(struct lab *l, enum dtype t);
const struct kv_layout *lab_model_kv(const struct lab_model *m);
struct tensor *lab_model_forward(const struct lab_model *m, struct ops *o);

#endif
