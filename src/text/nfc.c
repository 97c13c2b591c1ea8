/* SPDX-License-Identifier: Apache-2.0
 * nfc.c - decomposition and composition are utf8proc's; the canonical ordering between them is done
 * here, because utf8proc's own takes quadratic time on a long run of combining marks. */
#include "src/text/nfc.h"
#include <string.h>
#include <utf8proc.h>
#include "src/base/alloc.h"
#include "src/base/utf8.h"

#define MAX_PER_CHAR 4 /* no character decomposes canonically into more */

void nfc_scratch_fini(struct nfc_scratch *w)
{
    mem_free(w->cps);
    mem_free(w->sorted);
    *w = (struct nfc_scratch){0};
}

static bool reserve(struct nfc_scratch *w, size_t n)
{
    if (n <= w->cap) return true;
    nfc_scratch_fini(w);
    w->cps = mem_array(n, sizeof *w->cps, MEM_TEXT);
    w->sorted = mem_array(n, sizeof *w->sorted, MEM_TEXT);
    if (!w->cps || !w->sorted) {
        nfc_scratch_fini(w);
        return false;
    }
    w->cap = n;
    return true;
}

static unsigned class_of(int32_t cp)
{
    return (unsigned)utf8proc_get_property(cp)->combining_class & 255;
}

/* Sorts a run of marks by combining class, equal ones in their order: by counting. */
static void sort_marks(int32_t *cps, size_t n, uint32_t *sorted)
{
    size_t count[257] = {0};
    bool ordered = true;
    for (size_t i = 0; i < n; i++) {
        count[class_of(cps[i]) + 1]++;
        if (i && class_of(cps[i]) < class_of(cps[i - 1])) ordered = false;
    }
    if (ordered) return;
    for (int c = 1; c < 257; c++) count[c] += count[c - 1];
    for (size_t i = 0; i < n; i++) sorted[count[class_of(cps[i])]++] = (uint32_t)cps[i];
    memcpy(cps, sorted, n * sizeof *cps);
}

bool nfc_normalize(struct nfc_scratch *w, const char *s, size_t n, struct buf *out)
{
    size_t n_chars = 0, k = 0;
    for (size_t i = 0; i < n; i++) n_chars += ((uint8_t)s[i] & 0xc0) != 0x80;
    if (!reserve(w, n_chars * MAX_PER_CHAR + 1)) return false;
    for (size_t i = 0, len; i < n; i += len) {
        int last_class = 0;
        uint32_t cp = utf8_decode(s + i, n - i, &len);
        utf8proc_ssize_t got = utf8proc_decompose_char((int32_t)cp, w->cps + k,
            (utf8proc_ssize_t)(w->cap - k), UTF8PROC_COMPOSE | UTF8PROC_STABLE, &last_class);
        if (got < 0 || (size_t)got > w->cap - k) return false;
        k += (size_t)got;
    }
    for (size_t i = 0; i < k;) {
        size_t end = i;
        while (end < k && class_of(w->cps[end])) end++;
        if (end > i + 1) sort_marks(w->cps + i, end - i, w->sorted);
        i = end + 1;
    }
    utf8proc_ssize_t m = utf8proc_normalize_utf32(w->cps, (utf8proc_ssize_t)k,
                                                  UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    buf_clear(out);
    for (utf8proc_ssize_t i = 0; i < m; i++) {
        char bytes[4];
        buf_append(out, bytes, utf8_encode((uint32_t)w->cps[i], bytes));
    }
    return m >= 0 && !out->failed;
}
