/* SPDX-License-Identifier: Apache-2.0
 * tree.c - tables out of levels: rounding to bytes, the cells of the leaves, their classes. */
#include "src/precision/tree.h"
#include <math.h>
#include <string.h>

#define UNIT_LOW (1.0f / 61)  /* levels of 2 to 4 bits: -64..63 reach from -1.05 to 1.03 */
#define UNIT_6 (1.0f / 112)   /* and of 5 bits; -127..127: the outer cells end beyond the outer levels */
#define UNIT_8 (UNIT_6 / 8)
/* Where leaves reach over each other, levels of 5 bits stand nearer together than the middles of the 6-bit levels'
 * pairs: most weights lie in their own leaf's cell. And how much they count beside 6 bits in choosing a code. Permuted
 * SmolLM2: without either a file for all widths had more KL at 5 bits than at 4; more weight hurts 6 and 8 bits. */
#define NEAR_5 0.65f
#define LAMBDA_5 0.25f
#define SPAN 2.0f             /* leaf_of covers -SPAN/2-.. to SPAN/2+.. */

/* By aim + 1. A width that is aimed at keeps a little of the next one, so that the file still reads at
 * others; 4 bits with all of them weigh 3 bits by what serves both (doc/precision.md). */
static const struct {
    int coarse;
    float lambda, lambda4, overflow, wide;
} aims[PLANES_N + 1] = {
    {1, 0.15f, 1, 3, 1.3f}, {0, 1, 0.02f, 0.02f, 1.3f}, {1, 1, 0.02f, 0.02f, 1.3f},
    {1, 0.01f, 1, 0.1f, 1.3f}, {1, 0, 1, 0, 1.05f}, {1, 0, 1, 0, 1.05f}, {1, 0, 1, 0, 1.05f},
};

static int8_t to_level(float x, int min, int max)
{
    float v = roundf(x);
    return (int8_t)(v < (float)min ? min : v > (float)max ? max : (int)v);
}

/* Four spacings, in thirds of a step, for sixteen cells: the best choice by squared misfit. */
static void choose_classes(const float width[16], int thirds[4])
{
    enum { LEAST = 6, MOST = 30 };
    float best = INFINITY;
    for (int a = LEAST; a <= MOST; a++)
        for (int b = a; b <= MOST; b++)
            for (int c = b; c <= MOST; c++)
                for (int d = c; d <= MOST; d++) {
                    int s[4] = {a, b, c, d};
                    float sum = 0;
                    for (int n = 0; n < 16; n++) {
                        float least = INFINITY;
                        for (int k = 0; k < 4; k++) {
                            float e = (float)s[k] - width[n];
                            least = fminf(least, e * e);
                        }
                        sum += least;
                    }
                    if (sum >= best) continue;
                    best = sum;
                    memcpy(thirds, s, sizeof s);
                }
}

/* base, classes and steps from the leaves' cells: a cell is cut in four of its class's spacing. */
static void cut_leaves(struct tree *t)
{
    struct planes_tables *p = &t->tables;
    float width[16]; /* of a quarter of a cell, in thirds */
    int thirds[4];
    for (int n = 0; n < 16; n++) width[n] = t->wide * 0.75f * (t->edge[n + 1] - t->edge[n]) / UNIT_6;
    choose_classes(width, thirds);
    for (int c = 0; c < 4; c++)
        for (int r = 0; r < 4; r++) {
            float s = (float)thirds[c] / 3;
            p->step6[4 * c + r] = (int8_t)(roundf((float)r * s) - roundf(1.5f * s));
            p->step8[4 * c + r] = (int8_t)roundf(((float)r - 1.5f) * 2 * s);
        }
    for (int c = 0; c < 4; c++) {
        float s = (float)thirds[c] / 3 * (t->aim > 2 ? 1 : NEAR_5);
        float middle = (float)(p->step6[4 * c] + p->step6[4 * c + 3]) / 2;
        p->step5[2 * c] = (int8_t)roundf(middle - s);
        p->step5[2 * c + 1] = (int8_t)roundf(middle + s);
    }
    for (int n = 0; n < 16; n++) {
        int best = 0;
        for (int c = 1; c < 4; c++)
            if (fabsf((float)thirds[c] - width[n]) < fabsf((float)thirds[best] - width[n])) best = c;
        /* The mean of the steps is seldom zero: the base makes up for it. */
        int first = p->step6[4 * best], last = p->step6[4 * best + 3];
        int twice = t->aim == 3 ? p->step5[2 * best] + p->step5[2 * best + 1] : first + last;
        float middle = (t->edge[n] + t->edge[n + 1]) / 2 / UNIT_6 - (float)twice / 2;
        p->leaf_class[n] = (uint8_t)best;
        p->base[n] = to_level(middle, -127 - first, 127 - last);
    }
}

static void fill_levels(struct tree *t)
{
    for (int i = 0; i < PLANES_N; i++)
        for (int code = 0; code < 256; code++)
            t->level[i][code] =
                (float)planes_level(&t->tables, i, (uint8_t)code) * t->tables.unit[i];
}

static void fill_leaves(struct tree *t)
{
    t->step0 = -SPAN / 2 - 0.02f;
    t->per_step = TREE_STEPS / (SPAN + 0.12f);
    for (int i = 0; i < TREE_STEPS; i++) {
        float u = t->step0 + ((float)i + 0.5f) / t->per_step, best = INFINITY;
        for (int n = 0; n < 16; n++) {
            float a = u - t->level[t->coarse][n << 4], b = u - t->level[2][n << 4];
            float cost = t->lambda * a * a + t->lambda4 * b * b;
            if (cost >= best) continue;
            best = cost;
            t->leaf_of[i] = (uint8_t)n;
        }
    }
}

static void fill_fine(struct tree *t)
{
    float per_step = t->per_step * ((float)TREE_FINE_STEPS / TREE_STEPS);
    for (int i = 0; i < TREE_FINE_STEPS && t->aim > 2; i++)
        t->fine[i] = t->level[t->aim][tree_code(t, t->step0 + ((float)i + 0.5f) / per_step)];
}

/* Where leaves n - 1 and n cost the same. */
static float border(const struct tree *t, int n)
{
    const struct planes_tables *p = &t->tables;
    float a4 = p->level4[n - 1], b4 = p->level4[n];
    float a = t->coarse ? p->level3[(n - 1) / 2] : p->level2[(n - 1) / 4];
    float b = t->coarse ? p->level3[n / 2] : p->level2[n / 4];
    float slope = t->lambda4 * (b4 - a4) + t->lambda * (b - a);
    if (!(slope > 0)) return (a4 + b4) / 2 * UNIT_LOW;
    return (t->lambda4 * (b4 * b4 - a4 * a4) + t->lambda * (b * b - a * a)) / (2 * slope) * UNIT_LOW;
}

void tree_init(struct tree *t, const float level2[4], const float level3[8], const float level4[16],
               int aim)
{
    memset(t, 0, sizeof *t);
    struct planes_tables *p = &t->tables;
    t->aim = aim;
    t->coarse = aims[aim + 1].coarse;
    t->lambda = aims[aim + 1].lambda;
    t->lambda4 = aims[aim + 1].lambda4;
    t->overflow = aims[aim + 1].overflow;
    t->wide = aims[aim + 1].wide;
    for (int i = 0; i < PLANES_N; i++) p->unit[i] = i < 3 ? UNIT_LOW : i < 5 ? UNIT_6 : UNIT_8;
    for (int i = 0; i < 4; i++) p->level2[i] = to_level(level2[i] / UNIT_LOW, -64, 63);
    for (int i = 0; i < 8; i++) p->level3[i] = to_level(level3[i] / UNIT_LOW, -64, 63);
    for (int i = 0; i < 16; i++) p->level4[i] = to_level(level4[i] / UNIT_LOW, -64, 63);
    for (int n = 1; n < 16; n++) t->edge[n] = border(t, n);
    t->edge[0] = -1.02f; /* the other sign's largest weights lie far out */
    t->edge[16] = 2 * (float)p->level4[15] * UNIT_LOW - t->edge[15];
    cut_leaves(t);
    fill_levels(t);
    fill_leaves(t);
    fill_fine(t);
}

void tree_init_default(struct tree *t, int aim)
{
    static const float level2[4] = {-.575f, -.133f, .258f, .758f};
    static const float level3[8] = {-.758f, -.467f, -.242f, -.042f, .158f, .375f, .617f, .950f};
    static const float level4[16] = {-.858f, -.692f, -.533f, -.417f, -.292f, -.192f, -.092f, .008f,
                                     .108f,  .208f,  .325f,  .433f,  .567f,  .692f,  .867f,  1.033f};
    tree_init(t, level2, level3, level4, aim);
}

/* Of n codes from `code` on, `step` apart, the one whose level is nearest to u. */
static unsigned nearest(const float level[256], unsigned code, unsigned n, unsigned step, float u)
{
    unsigned best = code;
    for (unsigned k = 1; k < n; k++)
        if (fabsf(u - level[code + k * step]) < fabsf(u - level[best])) best = code + k * step;
    return best;
}

/* The code below a leaf that serves 5 and 6 bits. */
static unsigned nearest_of_both(const struct tree *t, unsigned leaf, float u5, float u6)
{
    unsigned best = leaf;
    float least = INFINITY;
    for (unsigned code = leaf; code < leaf + 16; code += 4) {
        float a = u5 - t->level[3][code], b = u6 - t->level[4][code];
        float cost = LAMBDA_5 * a * a + b * b;
        if (cost >= least) continue;
        least = cost;
        best = code;
    }
    return best;
}

uint8_t tree_refine(const struct tree *t, unsigned leaf, float u5, float u6, float u8)
{
    unsigned code = leaf << 4;
    if (t->aim == 3) code = nearest(t->level[4], nearest(t->level[3], code, 2, 8, u5), 2, 4, u6);
    else if (t->aim == TREE_ALL) code = nearest_of_both(t, code, u5, u6);
    else code = nearest(t->level[4], code, 4, 4, u6);
    return (uint8_t)nearest(t->level[5], code, 4, 1, u8);
}
