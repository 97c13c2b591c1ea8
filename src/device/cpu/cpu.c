/* SPDX-License-Identifier: Apache-2.0
 * cpu.c - the CPU device's life, its op table, and how work goes to its threads. */
#include "src/device/cpu/cpu.h"
#include <stdatomic.h>
#include <stdlib.h>
#include "src/base/clock.h"
#include "src/base/fail.h"

#define SCRATCH_BLOCK ((size_t)256 << 10)
#define MAX_THREADS 1024

static void destroy(struct device *d)
{
    struct cpu *c = (struct cpu *)d;
    if (c->pool) pool_destroy(&c->pool);
    cpu_ahead_destroy(c);
    cpu_rope_fini(c);
    arena_fini(&c->scratch);
    mem_free(c);
}

static double read_spans(struct device *d, const struct device_span *spans, size_t n);
static double int8_rate(struct device *d, double seconds);
static void parallel(struct device *d, device_chunk_fn fn, void *arg, int64_t n_chunks);

static const struct device_ops cpu_ops = {
    .name = "cpu",
    .op = {
        [OP_EMBED] = cpu_embed,         [OP_MATMUL] = cpu_matmul,
        [OP_MATMUL_HEADS] = cpu_matmul_heads, [OP_RMSNORM] = cpu_rmsnorm,
        [OP_ADD] = cpu_add,             [OP_SCALE] = cpu_scale,
        [OP_ROPE] = cpu_rope,           [OP_CONCAT] = cpu_concat,
        [OP_GLU] = cpu_glu,             [OP_KV_WRITE] = cpu_kv_write,
        [OP_ATTENTION] = cpu_attention, [OP_ROUTE] = cpu_route,
        [OP_EXPERTS] = cpu_experts,     [OP_TAKE_ROWS] = cpu_take_rows,
        [OP_SOFTCAP] = cpu_softcap,     [OP_COLUMNS] = cpu_columns,
    },
    .read_spans = read_spans,
    .int8_rate = int8_rate,
    .weight_rows = cpu_weight_rows,
    .parallel = parallel,
    .destroy = destroy,
};

enum fk_status device_cpu_create(struct device **out, const struct device_params *p,
                                 struct fk_error *err)
{
    static const struct device_params defaults;
    if (!p) p = &defaults;
    *out = NULL;
    int n_threads = p->n_threads ? p->n_threads : pool_n_cores();
    if (n_threads < 1 || n_threads > MAX_THREADS)
        return fail(err, FK_EINVAL, "threads is %d; it must be 1 to %d (0: all cores)",
                    p->n_threads, MAX_THREADS);
    const char *mask = p->cpu_mask ? p->cpu_mask : getenv("FIKR_CPU");
    uint32_t detected = cpu_detect(), flags = detected;
    bool is_named = mask && mask[0];
    if (is_named && !cpu_mask_by_name(mask, detected, &flags))
        return fail(err, FK_EINVAL, "no CPU mask is called '%s'; there are ref, avx2, avx512, "
                    "avx512vnni, avx512bf16, amx, neon, dotprod and i8mm", mask);

    struct cpu *c = mem_zalloc(sizeof *c, MEM_ENGINE);
    if (!c) return fail_nomem(err, sizeof *c, "the CPU device");
    c->base = (struct device){.ops = &cpu_ops, .n_threads = n_threads,
                              .isa = cpu_flags_name(flags)};
    arena_init(&c->scratch, SCRATCH_BLOCK, 0, MEM_SCRATCH);
    kernels_select(&c->k, flags, is_named);
    /* Intel's vdpbf16ps starts once in two cycles, which is 32 products in the time of 64 by fma. */
    c->base.multiplies_bf16 = c->k.bf16_acts && ((flags & CPU_AMX) || !(flags & CPU_AHEAD));
    c->fetch_experts = p->fetch_experts;
    enum fk_status st = pool_create(&c->pool, n_threads, err);
    if (st == FK_OK) st = cpu_ahead_create(c, err);
    if (st != FK_OK) {
        destroy(&c->base);
        return st;
    }
    *out = &c->base;
    return FK_OK;
}

void cpu_run(struct cpu *c, pool_fn fn, void *arg, int64_t n_chunks, int64_t work)
{
    if (n_chunks > 1 && work >= CPU_SERIAL_WORK && c->base.n_threads > 1) {
        pool_run(c->pool, fn, arg, n_chunks);
        return;
    }
    for (int64_t i = 0; i < n_chunks; i++) fn(arg, i, 0);
}

struct read_job {
    struct cpu *cpu;
    const struct device_span *spans;
    _Atomic uint64_t sum; /* keeps the reads alive */
};

static void read_span(void *arg, int64_t i, int worker)
{
    struct read_job *j = arg;
    (void)worker;
    atomic_fetch_add(&j->sum, j->cpu->k.read_bytes(j->spans[i].data, j->spans[i].bytes));
}

static double read_spans(struct device *d, const struct device_span *spans, size_t n)
{
    struct read_job j = {.cpu = (struct cpu *)d, .spans = spans};
    double begun = clock_seconds();
    pool_run(j.cpu->pool, read_span, &j, (int64_t)n);
    return clock_seconds() - begun;
}

struct peak_job {
    struct cpu *cpu;
    _Atomic uint64_t n_done;
    _Atomic uint32_t sum; /* keeps the products alive */
};

static void peak_chunk(void *arg, int64_t i, int worker)
{
    enum { PRODUCTS = 1 << 20 }; /* some 5 microseconds, of ref a millisecond */
    struct peak_job *j = arg;
    uint32_t sum;
    (void)i, (void)worker;
    atomic_fetch_add(&j->n_done, j->cpu->k.peak_i8(PRODUCTS, &sum));
    atomic_fetch_add(&j->sum, sum);
}

static double int8_rate(struct device *d, double seconds)
{
    enum { CHUNKS = 64 }; /* of a thread between looks at the clock */
    struct peak_job j = {.cpu = (struct cpu *)d};
    double begun = clock_seconds(), spent;
    do {
        pool_run(j.cpu->pool, peak_chunk, &j, CHUNKS * (int64_t)d->n_threads);
        spent = clock_seconds() - begun;
    } while (spent < seconds);
    return (double)j.n_done / spent;
}

static void parallel(struct device *d, device_chunk_fn fn, void *arg, int64_t n_chunks)
{
    pool_run(((struct cpu *)d)->pool, fn, arg, n_chunks);
}

struct row_job {
    struct cpu *cpu;
    const struct op_call *call;
    cpu_row_fn row;
    int64_t n_rows, n_chunks;
};

static void run_row_chunk(void *arg, int64_t chunk, int worker)
{
    const struct row_job *j = arg;
    (void)worker;
    int64_t end = j->n_rows * (chunk + 1) / j->n_chunks;
    for (int64_t t = j->n_rows * chunk / j->n_chunks; t < end; t++) j->row(j->cpu, j->call, t);
}

void cpu_run_rows(struct cpu *c, const struct op_call *call, cpu_row_fn row, int64_t n_rows,
                  int64_t work_per_row)
{
    int64_t most = 4 * (int64_t)c->base.n_threads;
    struct row_job j = {c, call, row, n_rows, n_rows < most ? n_rows : most};
    cpu_run(c, run_row_chunk, &j, j.n_chunks, n_rows * work_per_row);
}

void *cpu_scratch(struct cpu *c, size_t n, size_t bytes, enum fk_status *st, struct fk_error *err)
{
    if (*st != FK_OK) return NULL;
    void *p = arena_array(&c->scratch, n, bytes);
    if (!p) *st = fail_nomem(err, (unsigned long long)n * bytes, "scratch of the CPU device");
    return p;
}

enum fk_status cpu_weight_kernels(const struct cpu *c, const struct tensor *w,
                                  struct weight_kernels *out, struct fk_error *err)
{
    if (kernels_for_weight(&c->k, w->dtype, out)) return FK_OK;
    return fail(err, FK_EUNSUPPORTED, "weight %s: the CPU device has no kernel for type %s",
                w->name ? w->name : "(unnamed)", dtype_name(w->dtype));
}
