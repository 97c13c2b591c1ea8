/* SPDX-License-Identifier: Apache-2.0
 * checkkern - every line of kernels.def against its reference, and how fast it is.
 *
 *   checkkern [--mask NAME] [--bench] [--list] [--allow-unproven] [PREFIX]
 *
 * --mask (or FIKR_CPU) limits the variants as it limits the program; a mask that the machine does
 * not have in full ends with 77 (skipped). Without one all variants that can run here are run. */
#include "tests/checkkern/check.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "src/kernels/variants.h"

static struct variant variants[] = {
#define EXACT 0
#define KERNEL(slot, needs, function, bound) \
    {#slot, #function, needs, bound, false, (void (*)(void))function, NULL},
#define UNPROVEN(slot, needs, function, bound) \
    {#slot, #function, needs, bound, true, (void (*)(void))function, NULL},
#include "src/kernels/kernels.def"
#undef KERNEL
#undef UNPROVEN
};
enum { N_VARIANTS = sizeof variants / sizeof variants[0] };

static long n_checks, n_failures;

void fail_check(const struct variant *v, const char *format, ...)
{
    va_list args;
    if (++n_failures > 40) return;
    printf("FAILED %s: ", v->name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

void count_check(void)
{
    n_checks++;
}

void *xalloc(size_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, 64, bytes + 64)) {
        printf("no memory for %zu bytes\n", bytes);
        exit(3);
    }
    return p;
}

void xfree(void *p)
{
    free(p);
}

struct input input_new(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
    struct input in = {.bytes = bytes, .map_bytes = whole + page};
    void *p = mmap(NULL, in.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect((char *)p + whole, page, PROT_NONE)) {
        printf("no memory for %zu bytes\n", bytes);
        exit(3);
    }
    in.map = p;
    in.data = in.map + whole - bytes;
    return in;
}

void input_free(struct input *in)
{
    munmap(in->map, in->map_bytes);
}

enum { GUARD = 256 };

struct output output_new(size_t bytes)
{
    struct output out = {.bytes = bytes, .block = xalloc(bytes + 2 * GUARD)};
    memset(out.block, OUTPUT_FILL, bytes + 2 * GUARD);
    out.data = out.block + GUARD;
    return out;
}

bool output_intact(const struct output *out)
{
    for (size_t i = 0; i < GUARD; i++)
        if (out->block[i] != OUTPUT_FILL || out->data[out->bytes + i] != OUTPUT_FILL) return false;
    return true;
}

void output_free(struct output *out)
{
    free(out->block);
}

static uint64_t state = 1;

void random_seed(uint64_t seed)
{
    state = seed * 2 + 1;
}

uint64_t random_u64(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = state ^ state >> 32;
    return x * 0x9e3779b97f4a7c15u ^ x >> 17;
}

float random_unit(void)
{
    return (float)(int32_t)(random_u64() >> 32) * 0x1p-31f;
}

const char *fill_name(enum fill f)
{
    static const char *const names[] = {"random", "zero", "max", "denormal"};
    return names[f];
}

void fill_floats(float *x, int64_t n, enum fill f)
{
    for (int64_t i = 0; i < n; i++) {
        float u = random_unit();
        x[i] = f == FILL_ZERO       ? 0
               : f == FILL_MAX      ? (u < 0 ? -1000.0f : 1000.0f)
               : f == FILL_DENORMAL ? u * 0x1p-130f
                                    : u * (1 + 15 * (float)(random_u64() % 97 == 0));
    }
}

bool close_enough(double bound, float got, float want, double sum)
{
    if (!(got - got == 0) || !(want - want == 0))
        return (got != got && want != want) || got == want;
    double error = (double)got - (double)want;
    if (error < 0) error = -error;
    return error <= bound * 0x1p-24 * sum + 1e-42;
}

bool same_bits(const void *a, const void *b, size_t bytes)
{
    return !memcmp(a, b, bytes);
}

/* CPU time: what other programs take on a shared machine does not count. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double time_call(void (*call)(void *arg), void *arg)
{
    double best = 1e9, start = now();
    for (int i = 0; i < 3 || (now() - start < 0.5 && i < 10000); i++) {
        double t = now();
        call(arg);
        t = now() - t;
        if (t < best) best = t;
        if (now() - start > 3) break;
    }
    return best;
}

void print_bench(const struct variant *v, const char *what, double ns, const char *unit,
                 double gb_per_s)
{
    printf("%-28s %-24s %9.3f ns per %-12s", v->name, what, ns, unit);
    if (gb_per_s > 0) printf(" %7.2f GB/s", gb_per_s);
    printf("\n");
    fflush(stdout);
}

static bool run(const struct variant *v, bool bench)
{
    random_seed(7);
    if (bench) return bench_planes(v) || bench_mul(v) || bench_rows(v) || bench_attend(v);
    return check_planes(v) || check_mul(v) || check_rows(v) || check_attend(v);
}

int main(int argc, char **argv)
{
    const char *mask = getenv("FIKR_CPU"), *prefix = "";
    bool bench = false, list = false, unproven = false;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--bench")) bench = true;
        else if (!strcmp(argv[i], "--list")) list = true;
        else if (!strcmp(argv[i], "--allow-unproven")) unproven = true;
        else if (!strcmp(argv[i], "--mask") && i + 1 < argc) mask = argv[++i];
        else prefix = argv[i];
    }
    uint32_t has = cpu_detect() | CPU_AHEAD, flags = has, whole = 0; /* ahead of its lines any CPU may ask */
    if (mask && (!cpu_mask_by_name(mask, ~0u, &whole) || !cpu_mask_by_name(mask, has, &flags))) {
        printf("no mask is called '%s'\n", mask);
        return 2;
    }
    if (whole & ~has) {
        printf("skipped: this machine (%s) cannot run mask %s\n", cpu_flags_name(has), mask);
        return 77;
    }
    int n_run = 0, n_unknown = 0;
    for (int i = 0; i < N_VARIANTS; i++) {
        struct variant *v = &variants[i];
        for (int j = 0; j < N_VARIANTS && !v->ref; j++)
            if (!strcmp(variants[j].slot, v->slot) && variants[j].needs == 0)
                v->ref = variants[j].fn;
        if (!v->ref) fail_check(v, "slot %s has no reference", v->slot);
        if (strncmp(v->slot, prefix, strlen(prefix))) continue;
        if (list)
            printf("%-18s %-28s %s%s\n", v->slot, v->name, cpu_flags_name(v->needs),
                   v->unproven ? " unproven" : "");
        if (list || (v->needs & ~flags) || (v->unproven && !unproven && !mask)) continue;
        if (run(v, bench)) n_run++;
        else n_unknown += !bench;
    }
    if (n_unknown) printf("%d lines of kernels.def belong to no family of checkkern\n", n_unknown);
    if (!list && !bench)
        printf("%s: %d variants, %ld checks, %ld failures\n", cpu_flags_name(flags), n_run,
               n_checks, n_failures);
    return n_failures || n_unknown ? 1 : 0;
}
