/* SPDX-License-Identifier: Apache-2.0
 * mutant.c - finds keys and tensors in the bytes of a golden file by their length and name. */
#include "tests/unit/model/mutant.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/base/map.h"

void mutant_init(struct mutant *m, const char *golden)
{
    char *text;
    *m = (struct mutant){0};
    assert_int_equal(file_read(gold_path(golden), 1 << 20, &text, &m->n, NULL), FK_OK);
    m->data = (uint8_t *)text;
}

void mutant_fini(struct mutant *m)
{
    if (m->path[0]) unlink(m->path);
    mem_free(m->data);
}

const char *mutant_save(struct mutant *m)
{
    if (!m->path[0]) {
        strcpy(m->path, "/tmp/fikr-mutant-XXXXXX");
        int fd = mkstemp(m->path);
        assert_true(fd >= 0);
        close(fd);
    }
    FILE *f = fopen(m->path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(m->data, 1, m->n, f), m->n);
    fclose(f);
    return m->path;
}

/* Behind "u64 length, name". */
static uint8_t *behind_name(struct mutant *m, const char *name)
{
    uint64_t n = strlen(name);
    for (size_t i = 0; i + 8 + n < m->n; i++)
        if (!memcmp(m->data + i, &n, 8) && !memcmp(m->data + i + 8, name, n))
            return m->data + i + 8 + n;
    fail_msg("'%s' is not in the file", name);
    return NULL;
}

uint8_t *mutant_value(struct mutant *m, const char *key)
{
    return behind_name(m, key) + 4;
}

void mutant_set_u32(struct mutant *m, const char *key, uint32_t v)
{
    memcpy(mutant_value(m, key), &v, 4);
}

void mutant_set_f32(struct mutant *m, const char *key, float v)
{
    memcpy(mutant_value(m, key), &v, 4);
}

uint8_t *mutant_tensor(struct mutant *m, const char *name)
{
    return behind_name(m, name);
}
