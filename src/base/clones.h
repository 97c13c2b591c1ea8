/* SPDX-License-Identifier: Apache-2.0
 * clones.h - plain loops compiled for wider vectors too; the loader picks what the CPU has. For loops
 * whose order of adding is written out, so that all clones round alike. Not for the forward pass,
 * whose kernels are chosen by kernels_select. */
#ifndef BASE_CLONES_H
#define BASE_CLONES_H
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif
#endif
