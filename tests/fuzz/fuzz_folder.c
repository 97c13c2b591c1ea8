/* SPDX-License-Identifier: Apache-2.0
 * fuzz_folder.c - the small files of a published folder: the first byte says which one, the rest is its
 * content. Refused with a sentence, or its keys can be written. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/base/alloc.h"
#include "src/convert/hf_config.h"
#include "src/convert/vocab_in.h"
#include "tests/fuzz/fuzz.h"

#define N_VOCAB 64

static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer.model",
                                    "tokenizer_config.json", "generation_config.json"};
static char folder[64];

static void put(const char *name, const void *p, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    MUST(f && fwrite(p, 1, n, f) == n && fclose(f) == 0);
}

static void drop(void)
{
    char path[128];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
}

static void leave(void)
{
    drop();
    rmdir(folder);
}

/* Memory is quicker than a disk. */
static void enter(void)
{
    snprintf(folder, sizeof folder, "%s/fikr-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    MUST(mkdtemp(folder));
    MUST(atexit(leave) == 0);
}

static void read_config(void)
{
    struct hf_config c;
    struct hf_rope rope;
    struct gguf_writer *w = NULL;
    struct fk_error err = {.message = ""};
    enum fk_status st = hf_config_read(&c, folder, &err);
    MUST(st == FK_OK || err.message[0]);
    if (st == FK_OK && gguf_writer_create(&w, 32, &err) == FK_OK) {
        hf_put_keys(&c, w, "x", DT_F16, &err);
        float *factors = malloc(sizeof *factors * (size_t)(c.head_dim / 2 + 1));
        MUST(factors);
        if (hf_rope_read(&c, &rope, &err) == FK_OK) hf_rope_factors(&c, &rope, factors, &err);
        free(factors);
    }
    gguf_writer_destroy(&w);
    hf_config_fini(&c);
}

static void read_vocabulary(void)
{
    struct vocab_in v;
    struct gguf_writer *w = NULL;
    struct fk_error err = {.message = ""};
    enum fk_status st = vocab_in_read(&v, folder, N_VOCAB, &err);
    MUST(st == FK_OK || err.message[0]);
    if (st == FK_OK && v.model) {
        for (size_t i = 0; i < v.n; i++)
            MUST(v.tokens[i].p && v.types[i] >= TOKEN_NORMAL && v.types[i] <= TOKEN_BYTE);
        for (int i = 0; i < SPECIAL_N; i++) MUST(v.special[i] < (int)v.n);
        if (gguf_writer_create(&w, 32, &err) == FK_OK) vocab_in_put(&v, w);
    }
    gguf_writer_destroy(&w);
    vocab_in_fini(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char vocabulary[] =
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{\"type\":\"BPE\","
        "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}";
    if (n == 0) return 0;
    if (!folder[0]) enter();
    size_t which = data[0] % (sizeof files / sizeof *files);
    drop();
    if (which > 2) put("tokenizer.json", vocabulary, sizeof vocabulary - 1);
    put(files[which], data + 1, n - 1);
    if (which == 0) read_config();
    else read_vocabulary();
    return 0;
}
