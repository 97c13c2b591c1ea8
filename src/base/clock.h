/* SPDX-License-Identifier: Apache-2.0
 * clock.h - monotonic time, CPU time and resident memory of this process. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
#include <stdint.h>

double clock_seconds(void);      /* monotonic */
double clock_cpu_seconds(void);  /* user + system of all threads */
uint64_t clock_peak_rss_bytes(void);
uint64_t clock_rss_bytes(void);

#endif
