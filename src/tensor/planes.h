/* SPDX-License-Identifier: Apache-2.0
 * planes.h - weights that can be read at 2, 3, 4, 5, 6 or 8 bits: the layout of codes, planes, scales and
 * tables. Owns the meaning of every byte; kernels/ref/planes.c multiplies by it, precision/ chooses it.
 *
 *   w[r,c] = row[r] * unit[width] * scale[r, c/32] * level(width, code[r,c])
 *
 * A code has 8 bits, the first bits being the coarse ones:  a a b c d e f f
 *   2 bits: level2[aa]    3 bits: level3[aab]    4 bits: level4[n], n = aabc, the leaf
 *   5 bits: base[n] + step5[2 class(n) + d]      6 bits: base[n] + step6[4 class(n) + de]
 *   8 bits: 8 * (6 bits' level) + step8[4 class(n) + ff]
 * Levels of 2, 3 and 4 bits lie in -64 to 63, of 5 and 6 bits in -127 to 127: a kernel may multiply them as
 * bytes. Plane i holds the bits that width i adds to the one before, so a read touches planes 0..i.
 *
 * A tile is 8 rows x 32 columns. Weight (row, col) of it is item j = 8 * (row % 8) + col % 8 of part
 * p = col % 32 / 8.  A plane of two bits has 64 bytes a tile: bits 2p, 2p+1 of byte j.  A plane of one
 * bit has 32: bit 2p + j/32 of byte j % 32.  Tiles of 8 rows follow each other along the columns, then
 * come the next 8 rows; the last rows of a matrix are padded with zero codes and a zero row factor. */
#ifndef TENSOR_PLANES_H
#define TENSOR_PLANES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLANES_ROWS 8
#define PLANES_COLS 32
#define PLANES_TILE (PLANES_ROWS * PLANES_COLS)
#define PLANES_N 6
#define PLANES_HEAD_BYTES 256

struct planes_tables {
    float unit[PLANES_N]; /* by width: what one step of a level stands for */
    int8_t level2[4], level3[8], level4[16];
    int8_t base[16], step5[8], step6[16], step8[16];
    uint8_t leaf_class[16]; /* 0..3 */
};

/* A set of equal matrices in memory, usually mapped. */
struct planes {
    int64_t n_cols, n_rows, n_mats;
    int64_t n_blocks;     /* n_cols / 32 */
    int64_t n_groups;     /* of 8 rows, of one matrix */
    int n_planes;         /* that are there: 1..6 */
    const uint8_t *plane[PLANES_N]; /* [n_mats * n_groups][n_blocks] tiles */
    const int8_t *scales; /* [n_mats * n_groups][n_blocks][8] */
    const uint8_t *rows;  /* f16 [n_mats * n_groups * 8], little-endian */
    const uint8_t *prec;  /* bits by group [n_mats * n_groups], or NULL: all groups as `plan` says */
    int plan;             /* bits of all groups as the file plans; 0: all there is */
    int first;            /* bits of the first of two stages, of an output head; 0: it is read in one */
    float loss[PLANES_N - 1]; /* see planes_head */
    struct planes_tables tables;
};

/* 2, 3, 4, 5, 6, 8 for i < 6. */
static inline int planes_bits(int i)
{
    return i < 5 ? i + 2 : 8;
}
/* The widest i whose width is at most `bits`; 0 below 2. */
static inline int planes_index(int bits)
{
    return bits >= 8 ? 5 : bits >= 6 ? 4 : bits < 2 ? 0 : bits - 2;
}
/* For sentences: the widths, and those of a first stage or a cut. */
#define PLANES_WIDTHS "2, 3, 4, 5, 6 or 8"
#define PLANES_NARROWER "2, 3, 4, 5 or 6"
static inline bool planes_is_width(int bits)
{
    return planes_bits(planes_index(bits)) == bits;
}
/* Where plane i begins in a code, from its lowest bit. */
static inline int planes_shift(int i)
{
    return i < 5 ? 6 - i : 0;
}
/* What stands behind the name of a tensor and a dot: p2, p3, ... */
extern const char *const planes_part[PLANES_N];
/* Bytes of plane i for one tile. */
static inline size_t planes_tile_bytes(int i)
{
    return i == 0 || i == 5 ? 64 : 32;
}
/* Which width (index) group g of all matrices is read at when `bits` are asked (0: the file's plan). */
static inline int planes_read_index(const struct planes *p, int64_t g, int bits)
{
    if (!bits) bits = p->prec ? p->prec[g] : p->plan ? p->plan : 8;
    int i = planes_index(bits);
    return i < p->n_planes ? i : p->n_planes - 1;
}
/* Bytes that reading groups [first, first + n) at `bits` takes. */
uint64_t planes_read_bytes(const struct planes *p, int64_t first, int64_t n, int bits);
/* Bytes of all groups of one matrix at first_bits and of n_again, or all, at all bits there are. */
uint64_t planes_staged_bytes(const struct planes *p, int first_bits, int64_t n_again);

int planes_level(const struct planes_tables *t, int i, uint8_t code); /* at width i */
float planes_row_factor(const struct planes *p, int64_t group, int row);

/* codes[row * 32 + col] of one tile, from and to planes. Planes from n_planes on count as zeros. */
void planes_pack_tile(const uint8_t codes[PLANES_TILE], int i, uint8_t *out);
void planes_unpack_tile(const struct planes *p, int64_t tile, int n_planes,
                        uint8_t codes[PLANES_TILE]);

/* What stands in a file before the rows and scales of a tensor. */
struct planes_head {
    uint64_t n_cols, n_rows, n_mats;
    int plan; /* bits it is read at unless told otherwise; 0: all there is */
    int first; /* an output head's first stage, where it is read as planned: see op_matmul_best; 0: none */
    struct planes_tables tables;
    uint32_t crc[PLANES_N]; /* CRC-32C of each plane */
    uint32_t crc_scales;    /* of rows and scales */
    uint32_t crc_head;      /* see planes_head_crc; only read, a write computes it */
    /* Nats of divergence that reading it, and what shares its input, at 2, 3, 4, 5 or 6 bits was measured to
     * cost, from which plans are made; all 0: not measured. */
    float loss[PLANES_N - 1];
};
/* Where plan, first stage and losses stand in a head: they may change in a file that is there. */
#define PLANES_PLAN_AT 11
#define PLANES_FIRST_AT 12
#define PLANES_LOSS_AT 192
/* CRC-32C of a head but for those three; 0: none was kept. */
#define PLANES_CRC_AT 212
uint32_t planes_head_crc(const uint8_t in[PLANES_HEAD_BYTES]);
void planes_loss_write(const float loss[PLANES_N - 1], uint8_t out[4 * (PLANES_N - 1)]);
void planes_head_write(const struct planes_head *h, uint8_t out[PLANES_HEAD_BYTES]);
/* NULL: fine; else what is wrong, in a few words for a sentence. */
const char *planes_head_read(struct planes_head *h, const uint8_t in[PLANES_HEAD_BYTES]);

/* Groups of all matrices, bytes of the part with head, rows and scales, and of plane i. False on
 * overflow. */
struct planes_sizes {
    uint64_t n_groups, n_tiles, rows_at, scales_at, side_bytes, plane_bytes[PLANES_N];
};
bool planes_sizes(struct planes_sizes *s, uint64_t n_cols, uint64_t n_rows, uint64_t n_mats);

#endif
