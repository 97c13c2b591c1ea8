/* SPDX-License-Identifier: Apache-2.0
 * page_impl.h - what the page*.c files share. */
#ifndef TRAIN_PAGE_IMPL_H
#define TRAIN_PAGE_IMPL_H
#include "src/train/page.h"

bool page_curves(const struct run_facts *f, struct buf *out);

/* page.css and page.js, embedded by the build. */
extern const char page_css[], page_js[];
extern const size_t page_css_bytes, page_js_bytes;

#endif
