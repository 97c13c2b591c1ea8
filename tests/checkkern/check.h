/* SPDX-License-Identifier: Apache-2.0
 * check.h - what the parts of checkkern share: variants, memory with guards, fills, verdicts. */
#ifndef CHECKKERN_CHECK_H
#define CHECKKERN_CHECK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "src/kernels/kernels.h"

/* One line of kernels.def. */
struct variant {
    const char *slot, *name;
    uint32_t needs;
    double bound; /* in units of 2^-24 * sum of |terms|; 0: the same bits */
    bool unproven;
    void (*fn)(void);
    void (*ref)(void); /* the slot's reference */
};

/* Checks one variant against its reference; false if the slot is of another family. */
bool check_mul(const struct variant *v);
bool check_planes(const struct variant *v);
bool check_rows(const struct variant *v);
bool check_attend(const struct variant *v);
bool bench_mul(const struct variant *v);
bool bench_planes(const struct variant *v);
bool bench_rows(const struct variant *v);
bool bench_attend(const struct variant *v);

/* Inputs end flush at a page that may not be touched; outputs have guard bytes on both sides. */
struct input {
    uint8_t *data, *map;
    size_t bytes, map_bytes;
};
struct input input_new(size_t bytes);
void input_free(struct input *in);

struct output {
    uint8_t *data;
    size_t bytes;
    uint8_t *block;
};
struct output output_new(size_t bytes);
bool output_intact(const struct output *out); /* guards, not the contents */
void output_free(struct output *out);
enum { OUTPUT_FILL = 0xa5 };

void *xalloc(size_t bytes); /* ends the program when there is no memory */
void xfree(void *p);

/* A fixed sequence: the same numbers on every machine. */
uint64_t random_u64(void);
float random_unit(void); /* [-1, 1) */
void random_seed(uint64_t seed);

enum fill { FILL_RANDOM, FILL_ZERO, FILL_MAX, FILL_DENORMAL, FILL_N };
const char *fill_name(enum fill f);
void fill_floats(float *x, int64_t n, enum fill f);

/* Prints one line and counts. */
void fail_check(const struct variant *v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void count_check(void);
/* |got - want| <= bound * 2^-24 * sum, or the same NaN-ness. */
bool close_enough(double bound, float got, float want, double sum);
bool same_bits(const void *a, const void *b, size_t bytes);

/* Bench: calls until a fifth of a second has passed, five times; seconds of the fastest call. */
double time_call(void (*call)(void *arg), void *arg);
void print_bench(const struct variant *v, const char *what, double ns, const char *unit,
                 double gb_per_s);
#endif
