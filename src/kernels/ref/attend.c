/* SPDX-License-Identifier: Apache-2.0
 * attend.c - attention of some queries over one span of keys: scores, their maximum, the exponentials
 * relative to it, and the weighted sum of values. Each query stands alone. */
#include <math.h>
#include <string.h>
#include "src/kernels/kv_i4.h"
#include "src/kernels/variants.h"

/* One type of cache: element c of a query, of the key and of the value in slot i of the span. */
struct cache {
    double (*query)(const struct attend_args *a, int j, int c);
    double (*key)(const struct attend_args *a, int i, int c);
    double (*value)(const struct attend_args *a, int i, int c);
};

static const struct attend_page *page_of(const struct attend_args *a, int i)
{
    return &a->pages[i / a->page_tokens];
}

static double float_query(const struct attend_args *a, int j, int c)
{
    return (double)((const float *)(const void *)((const char *)a->q + (size_t)j * a->q_bytes))[c];
}

static double f32_at(const uint8_t *row, int c)
{
    float f;
    memcpy(&f, row + 4 * (size_t)c, 4);
    return (double)f;
}

static double f16_at(const uint8_t *row, int c)
{
    uint16_t h;
    memcpy(&h, row + 2 * (size_t)c, 2);
    return (double)f16_to_f32(h);
}

#define ROWS(name)                                                                                 \
    static double name##_key(const struct attend_args *a, int i, int c)                            \
    {                                                                                              \
        return name##_at(page_of(a, i)->k + (size_t)(i % a->page_tokens) * a->k_row_bytes, c);     \
    }                                                                                              \
    static double name##_value(const struct attend_args *a, int i, int c)                          \
    {                                                                                              \
        return name##_at(page_of(a, i)->v + (size_t)(i % a->page_tokens) * a->v_row_bytes, c);     \
    }
ROWS(f32)
ROWS(f16)

static double i8_query(const struct attend_args *a, int j, int c)
{
    const char *row = (const char *)a->q + (size_t)j * a->q_bytes;
    const float *scales = (const float *)(const void *)(row + kv_i8_query_scales(a->k_dim));
    return (double)((const int16_t *)(const void *)row)[c] * (double)scales[c / KV_I8_GROUP];
}

static double i8_key(const struct attend_args *a, int i, int c)
{
    const struct attend_page *page = page_of(a, i);
    int slot = i % a->page_tokens;
    return (double)(int8_t)page->k[kv_i8_key(kv_i8_cols(a->k_dim), slot, c)] *
           (double)page->k_scales[c / KV_I8_GROUP * a->page_tokens + slot];
}

static double i8_value(const struct attend_args *a, int i, int c)
{
    if (a->v_in_k) return i8_key(a, i, c);
    const struct attend_page *page = page_of(a, i);
    int slot = i % a->page_tokens;
    return (double)(int8_t)page->v[kv_i8_value(kv_i8_cols(a->v_dim), a->page_tokens, slot, c)] *
           (double)page->v_scales[c / KV_I8_GROUP * a->page_tokens + slot];
}

static double i4_key(const struct attend_args *a, int i, int c)
{
    const struct attend_page *page = page_of(a, i);
    int slot = i % a->page_tokens;
    return (double)kv_i4_get(page->k, kv_i4_key(kv_i8_cols(a->k_dim), slot, c)) *
           (double)page->k_scales[c / KV_I8_GROUP * a->page_tokens + slot];
}

static double i4_value(const struct attend_args *a, int i, int c)
{
    if (a->v_in_k) return i4_key(a, i, c);
    const struct attend_page *page = page_of(a, i);
    int slot = i % a->page_tokens;
    return (double)kv_i4_get(page->v, kv_i4_value(kv_i8_cols(a->v_dim), a->page_tokens, slot, c)) *
           (double)page->v_scales[c / KV_I8_GROUP * a->page_tokens + slot];
}

static float score(const struct cache *cache, const struct attend_args *a, int j, int i)
{
    double sum = 0;
    for (int c = 0; c < a->k_dim; c++)
        sum += cache->query(a, j, c) * cache->key(a, i, c);
    float s = a->scale * (float)sum;
    return a->softcap > 0 ? a->softcap * tanhf(s / a->softcap) : s;
}

static double weighted_sum(const struct cache *cache, const struct attend_args *a, int j,
                           const float *s, int c)
{
    double sum = 0;
    for (int i = a->first[j]; i < a->end[j]; i++)
        sum += (double)s[i] * cache->value(a, i, c);
    return sum;
}

static void attend(const struct cache *cache, const struct attend_args *a)
{
    for (int j = 0; j < a->n_q; j++) {
        float s[KERNEL_SPAN], m = -INFINITY;
        double l = 0;
        for (int i = a->first[j]; i < a->end[j]; i++) {
            s[i] = score(cache, a, j, i);
            if (!(s[i] <= m)) m = s[i];
        }
        for (int i = a->first[j]; i < a->end[j]; i++) {
            /* inf - inf is NaN, and a NaN must reach the logits; only -inf among numbers is zero */
            s[i] = s[i] == m ? 1.0f : expf(s[i] - m);
            l += (double)s[i];
        }
        a->m[j] = m;
        a->l[j] = (float)l;
        for (int c = 0; c < a->v_dim; c++)
            a->acc[(size_t)j * (size_t)a->v_dim + (size_t)c] =
                (float)weighted_sum(cache, a, j, s, c);
    }
}

void attend_f32_ref(const struct attend_args *a)
{
    attend(&(struct cache){float_query, f32_key, f32_value}, a);
}

void attend_f16_ref(const struct attend_args *a)
{
    attend(&(struct cache){float_query, f16_key, f16_value}, a);
}

void attend_i8_ref(const struct attend_args *a)
{
    attend(&(struct cache){i8_query, i8_key, i8_value}, a);
}

void attend_i4_ref(const struct attend_args *a)
{
    attend(&(struct cache){i8_query, i4_key, i4_value}, a);
}

void attend_merge_ref(float *m, float *l, float *acc, float m2, float l2, const float *acc2,
                      int64_t n)
{
    float max = *m >= m2 ? *m : m2;
    float a = *m == max ? 1.0f : expf(*m - max), b = m2 == max ? 1.0f : expf(m2 - max);
    *m = max;
    *l = *l * a + l2 * b;
    for (int64_t i = 0; i < n; i++)
        acc[i] = acc[i] * a + acc2[i] * b;
}
