/* SPDX-License-Identifier: Apache-2.0
 * charsmap.c - reads and walks SentencePiece's compiled normalisation table.
 *
 *   u32 bytes of the trie | trie: u32 units | texts, each ended by NUL        (all little-endian)
 *
 * A unit holds: label in bits 0-7 (bit 31 set in a value unit, so it is no label), bit 8 whether a
 * value hangs below, and the offset to the children in bits 10-30, times 256 if bit 9 is set. The
 * step from node i by byte c leads to i ^ offset(i) ^ c, if the label there is c; the value of i is
 * the unit at i ^ offset(i). (Yata, Darts-clone.)
 *
 * Conditions: (1) the trie's length is a positive multiple of 4 inside the array; (2) the texts end
 * with NUL. Node numbers are checked at each step, and value offsets against the texts. */
#include "src/text/charsmap.h"
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"

#define MAX_BYTES ((uint64_t)64 << 20)
#define MAX_REPLACEMENT 256 /* the published tables need 33 */

static uint32_t load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

enum fk_status charsmap_read(struct charsmap *m, const struct gguf *g, struct fk_error *err)
{
    static const char key[] = "tokenizer.ggml.precompiled_charsmap";
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return FK_OK;
    if (kv->type != GGUF_ARRAY || (kv->item_type != GGUF_U8 && kv->item_type != GGUF_I8))
        return fail(err, FK_EFORMAT, "%s is no array of bytes", key);
    if (!kv->n_items) return FK_OK;
    if (kv->n_items > MAX_BYTES || kv->n_items < 4 || kv->data_bytes < kv->n_items)
        return fail(err, FK_EFORMAT, "%s has %llu bytes, not 4 to %llu", key,
                    (unsigned long long)kv->n_items, (unsigned long long)MAX_BYTES);
    size_t total = (size_t)kv->n_items - 4, trie = load_u32(kv->data);
    if (!trie || trie % 4 || trie > total) /* (1) */
        return fail(err, FK_EFORMAT, "%s: a trie of %zu bytes in %zu bytes", key, trie, total);
    m->n_units = trie / 4;
    m->n_texts = total - trie;
    m->units = mem_array(m->n_units, sizeof *m->units, MEM_TEXT);
    m->texts = mem_alloc(m->n_texts + 1, MEM_TEXT);
    if (!m->units || !m->texts) return fail_nomem(err, total, "the normalisation table");
    for (size_t i = 0; i < m->n_units; i++) m->units[i] = load_u32(kv->data + 4 + 4 * i);
    memcpy(m->texts, kv->data + 4 + trie, m->n_texts);
    if (m->n_texts && m->texts[m->n_texts - 1]) /* (2) */
        return fail(err, FK_EFORMAT, "%s does not end with a NUL", key);
    return FK_OK;
}

void charsmap_fini(struct charsmap *m)
{
    mem_free(m->units);
    mem_free(m->texts);
    *m = (struct charsmap){0};
}

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

size_t charsmap_match(const struct charsmap *m, const char *s, size_t n, const char **text,
                      size_t *n_text)
{
    size_t best = 0;
    if (!m->n_units) return 0;
    uint32_t node = offset_of(m->units[0]);
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)s[i];
        node ^= c;
        if (!c || node >= m->n_units || (m->units[node] & 0x800000ffu) != c) break;
        bool has_value = m->units[node] >> 8 & 1;
        node ^= offset_of(m->units[node]);
        if (node >= m->n_units) break;
        if (!has_value) continue;
        uint32_t at = m->units[node] & 0x7fffffffu;
        if (at >= m->n_texts) continue;
        size_t len = strnlen(m->texts + at, MAX_REPLACEMENT + 1);
        if (len > MAX_REPLACEMENT) continue;
        best = i + 1;
        *text = m->texts + at;
        *n_text = len;
    }
    return best;
}
