/* SPDX-License-Identifier: Apache-2.0
 * fuzz_safetensors.c - any bytes as a safetensors file, and as a JSON value: refused with a sentence,
 * or every tensor that is handed out can be read. */
#include <string.h>
#include "src/base/alloc.h"
#include "src/file/json_scan.h"
#include "src/file/safetensors.h"
#include "tests/fuzz/fuzz.h"

static volatile uint64_t sink;

static void walk_json(const char *text, size_t n)
{
    struct json_scan s = {text, n, 0};
    struct gguf_str value, raw;
    bool escapes;
    struct buf b;
    if (json_scan_value(&s, &value)) MUST(value.p >= text && value.p + value.n <= text + n);
    s.at = 0;
    buf_init(&b, 0, MEM_FILE);
    if (json_scan_string(&s, &raw, &escapes) && json_scan_unescape(&b, raw)) MUST(b.n <= raw.n);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct safetensors *st = NULL;
    struct fk_error err = {.message = ""};
    enum fk_status status = safetensors_parse(&st, data, n, "input", &err);
    if (n > 8) walk_json((const char *)data + 8, n - 8);
    if (status != FK_OK) {
        MUST(!st && err.message[0] && err.status == status);
        return 0;
    }
    for (size_t i = 0; i < safetensors_n(st); i++) {
        const struct st_tensor *t = safetensors_at(st, i);
        MUST(t->data >= data && t->data + t->bytes <= data + n);
        if (t->bytes) sink += t->data[0] + (uint64_t)t->data[t->bytes - 1];
        char name[1100];
        memcpy(name, t->name.p, t->name.n);
        name[t->name.n] = 0;
        MUST(safetensors_find(st, name) == t);
    }
    safetensors_close(&st);
    return 0;
}
