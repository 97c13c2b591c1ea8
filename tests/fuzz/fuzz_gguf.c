/* SPDX-License-Identifier: Apache-2.0
 * fuzz_gguf.c - any bytes as a GGUF file: refused with a sentence, or every key and every tensor that
 * is handed out can be read. */
#include <string.h>
#include "src/base/alloc.h"
#include "src/file/gguf.h"
#include "tests/fuzz/fuzz.h"

static volatile uint64_t sink;

static void touch(const void *p, size_t n)
{
    const uint8_t *b = p;
    if (n) sink += b[0] + (uint64_t)b[n - 1];
}

static void read_keys(const struct gguf *g)
{
    for (size_t i = 0; i < gguf_n_kv(g); i++) {
        const struct gguf_kv *kv = gguf_kv_at(g, i);
        char key[256];
        size_t n = kv->key.n < sizeof key - 1 ? kv->key.n : sizeof key - 1;
        memcpy(key, kv->key.p, n);
        key[n] = 0;
        const struct gguf_kv *found = gguf_find(g, key);
        MUST(n < kv->key.n || strlen(key) < n || found == kv);
        int64_t v = 0;
        double f = 0;
        bool b = false;
        struct gguf_str s = {NULL, 0};
        struct fk_error err;
        gguf_get_int(g, key, true, -1, 1 << 20, &v, &err);
        gguf_get_f64(g, key, true, -1, 1e9, &f, &err);
        gguf_get_bool(g, key, false, &b, &err);
        if (gguf_get_str(g, key, false, &s, &err) == FK_OK && s.p) touch(s.p, s.n);
        touch(kv->data, (size_t)kv->data_bytes);
        if (kv->item_type == GGUF_STRING)
            for (uint64_t k = 0; k < kv->n_items; k++) {
                MUST(gguf_item_str(g, kv, k, &s));
                touch(s.p, s.n);
            }
        mem_free(gguf_value_text(g, kv));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct gguf *g = NULL;
    struct fk_error err = {.message = ""};
    enum fk_status st = gguf_parse(&g, data, n, "input", &err);
    if (st != FK_OK) {
        MUST(!g && err.message[0] && err.status == st);
        return 0;
    }
    read_keys(g);
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        MUST(t->data >= data && t->data + t->bytes <= data + n);
        touch(t->data, (size_t)t->bytes);
    }
    gguf_close(&g);
    return 0;
}
