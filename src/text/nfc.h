/* SPDX-License-Identifier: Apache-2.0
 * nfc.h - Unicode normalisation form C in linear time. Internal to this room. */
#ifndef TEXT_NFC_H
#define TEXT_NFC_H
#include <stdint.h>
#include "src/base/buf.h"

struct nfc_scratch { int32_t *cps; uint32_t *sorted; size_t cap; }; /* zeroed is empty */

void nfc_scratch_fini(struct nfc_scratch *w);

/* Replaces out by the NFC of s[0..n), which is valid UTF-8. False: out of memory. */
bool nfc_normalize(struct nfc_scratch *w, const char *s, size_t n, struct buf *out);

#endif
