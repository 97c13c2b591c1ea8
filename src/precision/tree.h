/* SPDX-License-Identifier: Apache-2.0
 * tree.h - nested tables: 16 leaves for 4-bit reads, merged in pairs for 3 bits and in fours for 2, cut
 * in 2, 4 and 16 for 5, 6 and 8 bits. Owns how a number in units of its block's scale becomes a code. */
#ifndef PRECISION_TREE_H
#define PRECISION_TREE_H
#include "src/tensor/planes.h"

#define TREE_STEPS 512
#define TREE_FINE_STEPS 4096
#define TREE_ALL (-1) /* aim: all widths, with 3 and 4 bits chosen jointly */

/* Levels as numbers in units of a block's scale, rounded to what the tables can hold. */
struct tree {
    float level[PLANES_N][256]; /* by width and code */
    float edge[17];             /* leaf n is nearest between edge[n] and edge[n + 1] */
    /* What codes are chosen for: TREE_ALL, or the width (index) that the weight is planned to be read at. */
    int aim;
    /* A leaf costs lambda (u - coarse level)^2 + lambda4 (u - 4-bit level)^2, where the coarse read is of
     * 3 bits, or of 2 where those are the aim. With 5 or more bits as the aim it is the nearest one. */
    int coarse;
    float lambda, lambda4;
    float overflow; /* what leaving the range of a leaf's finer reads costs */
    float wide;     /* that range, in widths of the leaf's cell: feedback puts weights beside their cells */
    float step0, per_step;      /* leaf_of[(u - step0) * per_step] */
    uint8_t leaf_of[TREE_STEPS];
    /* With 5 or more bits as the aim: the level of the code of u, for the search of scales. */
    float fine[TREE_FINE_STEPS];
    struct planes_tables tables; /* unit: of a scale of one */
};

/* level4 ascending, within -1.05 and 1.05. Levels of 3 and 2 bits: level3, level2. */
void tree_init(struct tree *t, const float level2[4], const float level3[8], const float level4[16],
               int aim);
/* Fitted to normal and heavy-tailed weights alike. */
void tree_init_default(struct tree *t, int aim);

/* The leaf whose coarse and 4-bit levels are nearest to u in the weighted sense; within 1/250 of exact. */
static inline unsigned tree_leaf(const struct tree *t, float u)
{
    float x = (u - t->step0) * t->per_step;
    return t->leaf_of[x <= 0 ? 0 : x >= TREE_STEPS - 1 ? TREE_STEPS - 1 : (int)x];
}
/* The level of tree_code(u) at 5, 6 or 8 bits where those are the aim, within a sixth of a step of 8 bits. */
static inline float tree_fine(const struct tree *t, float u)
{
    float x = (u - t->step0) * t->per_step * ((float)TREE_FINE_STEPS / TREE_STEPS);
    return t->fine[x <= 0 ? 0 : x >= TREE_FINE_STEPS - 1 ? TREE_FINE_STEPS - 1 : (int)x];
}
/* Nearest codes below a leaf: the 6-bit level to u6, then the 8-bit level to u8; where 5 bits are the aim
 * that level to u5 before. */
uint8_t tree_refine(const struct tree *t, unsigned leaf, float u5, float u6, float u8);
static inline uint8_t tree_code(const struct tree *t, float u)
{
    return tree_refine(t, tree_leaf(t, u), u, u, u);
}

#endif
