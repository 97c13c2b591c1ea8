/* SPDX-License-Identifier: Apache-2.0
 * cpu.c - what this CPU and its operating system can do, and the names of masks. */
#include <string.h>
#include "src/kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* Which register files the system saves: bits 1, 2 SSE and AVX; 5, 6, 7 the AVX-512 state;
 * 17, 18 the tiles. */
static uint64_t saved_state(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* The tile registers (8 KB) are saved only for processes that ask; Linux 5.16 and later. */
static bool may_use_tiles(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { REQUEST_FEATURE = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_FEATURE, TILE_DATA) == 0;
#else
    return false;
#endif
}

uint32_t cpu_detect(void)
{
    uint32_t a, b, c, d, c1, b7, c7, d7, a71, flags = 0;
    if (__get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx) flags |= CPU_AHEAD;
    if (!__get_cpuid(1, &a, &b, &c1, &d)) return 0;
    if (!(c1 & bit_OSXSAVE) || !(c1 & bit_AVX)) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return 0;
    uint64_t state = saved_state();
    uint32_t n_leaves = a;
    if ((state & 0x06) == 0x06 && (c1 & bit_FMA) && (c1 & bit_F16C) && (b7 & bit_AVX2) &&
        (b7 & bit_BMI2))
        flags |= CPU_AVX2;
    uint32_t wide = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ | bit_AVX512CD;
    if ((flags & CPU_AVX2) && (state & 0xe6) == 0xe6 && (b7 & wide) == wide) flags |= CPU_AVX512;
    uint32_t vnni = bit_AVX512VNNI | bit_AVX512VBMI;
    if ((flags & CPU_AVX512) && (c7 & vnni) == vnni) flags |= CPU_VNNI;
    if ((flags & CPU_VNNI) && n_leaves >= 1 && __get_cpuid_count(7, 1, &a71, &b, &c, &d) &&
        (a71 & 1u << 5))
        flags |= CPU_AVX512BF16;
    uint32_t tiles = 1u << 22 | 1u << 24 | 1u << 25; /* AMX-BF16, AMX-TILE, AMX-INT8 */
    if ((flags & CPU_AVX512BF16) && (d7 & tiles) == tiles && (state >> 17 & 3) == 3 && may_use_tiles())
        flags |= CPU_AMX;
    return flags;
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

uint32_t cpu_detect(void)
{
    /* asm/hwcap.h: ASIMDDP is bit 20 of AT_HWCAP, I8MM bit 13 of AT_HWCAP2 */
    uint32_t flags = CPU_NEON;
    if (getauxval(AT_HWCAP) & 1ul << 20) flags |= CPU_DOTPROD;
    if ((flags & CPU_DOTPROD) && (getauxval(AT_HWCAP2) & 1ul << 13)) flags |= CPU_I8MM;
    return flags;
}

#else

uint32_t cpu_detect(void)
{
    return 0;
}

#endif

/* From weak to strong; a mask keeps its own line and what leads to it. */
static const struct {
    const char *name;
    uint32_t flags;
} masks[] = {
    {"ref", 0},
    {"avx2", CPU_AVX2},
    {"avx512", CPU_AVX2 | CPU_AVX512},
    {"avx512vnni", CPU_AVX2 | CPU_AVX512 | CPU_VNNI},
    {"avx512bf16", CPU_AVX2 | CPU_AVX512 | CPU_VNNI | CPU_AVX512BF16},
    {"amx", CPU_AVX2 | CPU_AVX512 | CPU_VNNI | CPU_AVX512BF16 | CPU_AMX},
    {"neon", CPU_NEON},
    {"dotprod", CPU_NEON | CPU_DOTPROD},
    {"i8mm", CPU_NEON | CPU_DOTPROD | CPU_I8MM},
};
enum { N_MASKS = sizeof masks / sizeof masks[0] };

bool cpu_mask_by_name(const char *name, uint32_t detected, uint32_t *flags)
{
    for (int i = 0; i < N_MASKS; i++)
        if (!strcmp(masks[i].name, name)) {
            *flags = (masks[i].flags | CPU_AHEAD) & detected;
            return true;
        }
    return false;
}

const char *cpu_flags_name(uint32_t flags)
{
    const char *best = masks[0].name;
    for (int i = 1; i < N_MASKS; i++)
        if ((masks[i].flags & ~flags) == 0) best = masks[i].name;
    return best;
}
