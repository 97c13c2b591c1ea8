/* SPDX-License-Identifier: Apache-2.0
 * planes.c - sizes, tiles and the head of plane tensors; the meaning stands in planes.h.
 *
 * Head, 256 bytes, little-endian:
 *     0  "fkpl"                        4  u8 version 2       5  u8[6] bits of each plane: 2 1 1 1 1 2
 *    11  u8 plan, u8 first stage     13  3 zero bytes      16  u64 n_cols, n_rows, n_mats
 *    40  f32[6] unit                  64  i8 level2[4], level3[8], level4[16]
 *    92  i8 base[16], step5[8], step6[16], step8[16]       148  u8 leaf_class[16]
 *   164  u32[6] crc of planes, u32 crc of rows and scales
 *   192  f32[5] loss                212  u32 crc of all of the head but plan, first stage, losses and itself
 *   216  40 zero bytes
 * Refused: another magic, version or split; a plan other than 0, 2, 3, 4, 5, 6 and 8; a level outside of
 * its range; a class above 3; a unit that is not finite; a loss that
 * is negative or not finite; dimensions outside of 1 to 2^40 or columns that
 * are no multiple of 32. */
#include "src/tensor/planes.h"
#include <string.h>
#include "src/base/crc32c.h"
#include "src/tensor/dtype.h"

#define MAX_DIM ((uint64_t)1 << 40)
#define VERSION 2

static const uint8_t split[PLANES_N] = {2, 1, 1, 1, 1, 2};
const char *const planes_part[PLANES_N] = {"p2", "p3", "p4", "p5", "p6", "p8"};

uint64_t planes_read_bytes(const struct planes *p, int64_t first, int64_t n, int bits)
{
    uint64_t bytes = 0, side = (uint64_t)p->n_blocks * PLANES_ROWS + 2 * PLANES_ROWS;
    for (int64_t g = first; g < first + n; g++) {
        int i = planes_read_index(p, g, bits);
        bytes += side + (uint64_t)p->n_blocks * PLANES_TILE / 8 * (uint64_t)planes_bits(i);
    }
    return bytes;
}

uint64_t planes_staged_bytes(const struct planes *p, int first_bits, int64_t n_again)
{
    if (n_again > p->n_groups) n_again = p->n_groups;
    return planes_read_bytes(p, 0, p->n_groups, first_bits) + planes_read_bytes(p, 0, n_again, 8);
}

int planes_level(const struct planes_tables *t, int i, uint8_t code)
{
    int leaf = code >> 4, c = 4 * t->leaf_class[leaf];
    switch (i) {
    case 0: return t->level2[code >> 6];
    case 1: return t->level3[code >> 5];
    case 2: return t->level4[leaf];
    case 3: return t->base[leaf] + t->step5[c / 2 + (code >> 3 & 1)];
    case 4: return t->base[leaf] + t->step6[c + (code >> 2 & 3)];
    default: return 8 * (t->base[leaf] + t->step6[c + (code >> 2 & 3)]) + t->step8[c + (code & 3)];
    }
}

float planes_row_factor(const struct planes *p, int64_t group, int row)
{
    const uint8_t *h = p->rows + 2 * (group * PLANES_ROWS + row);
    return f16_to_f32((uint16_t)(h[0] | h[1] << 8));
}

void planes_pack_tile(const uint8_t codes[PLANES_TILE], int i, uint8_t *out)
{
    memset(out, 0, planes_tile_bytes(i));
    for (int n = 0; n < PLANES_TILE; n++) {
        int row = n / PLANES_COLS, col = n % PLANES_COLS, j = 8 * row + col % 8, part = col / 8;
        unsigned v = (unsigned)codes[n] >> planes_shift(i);
        if (split[i] == 2) out[j] |= (uint8_t)((v & 3) << 2 * part);
        else out[j % 32] |= (uint8_t)((v & 1) << (2 * part + j / 32));
    }
}

void planes_unpack_tile(const struct planes *p, int64_t tile, int n_planes,
                        uint8_t codes[PLANES_TILE])
{
    memset(codes, 0, PLANES_TILE);
    for (int i = 0; i < n_planes; i++) {
        const uint8_t *in = p->plane[i] + (size_t)tile * planes_tile_bytes(i);
        for (int n = 0; n < PLANES_TILE; n++) {
            int row = n / PLANES_COLS, col = n % PLANES_COLS, j = 8 * row + col % 8, part = col / 8;
            int v = split[i] == 2 ? in[j] >> 2 * part & 3 : in[j % 32] >> (2 * part + j / 32) & 1;
            codes[n] |= (uint8_t)(v << planes_shift(i));
        }
    }
}

static void put(uint8_t *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++) p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

void planes_loss_write(const float loss[PLANES_N - 1], uint8_t out[4 * (PLANES_N - 1)])
{
    for (int i = 0; i < PLANES_N - 1; i++) {
        uint32_t u;
        memcpy(&u, &loss[i], 4);
        put(out + 4 * i, u, 4);
    }
}

void planes_head_write(const struct planes_head *h, uint8_t out[PLANES_HEAD_BYTES])
{
    const struct planes_tables *t = &h->tables;
    memset(out, 0, PLANES_HEAD_BYTES);
    memcpy(out, "fkpl", 4);
    out[4] = VERSION;
    memcpy(out + 5, split, PLANES_N);
    out[PLANES_PLAN_AT] = (uint8_t)h->plan;
    out[PLANES_FIRST_AT] = (uint8_t)h->first;
    put(out + 16, h->n_cols, 8);
    put(out + 24, h->n_rows, 8);
    put(out + 32, h->n_mats, 8);
    for (int i = 0; i < PLANES_N; i++) {
        uint32_t u;
        memcpy(&u, &t->unit[i], 4);
        put(out + 40 + 4 * i, u, 4);
        put(out + 164 + 4 * i, h->crc[i], 4);
    }
    memcpy(out + 64, t->level2, 4);
    memcpy(out + 68, t->level3, 8);
    memcpy(out + 76, t->level4, 16);
    memcpy(out + 92, t->base, 16);
    memcpy(out + 108, t->step5, 8);
    memcpy(out + 116, t->step6, 16);
    memcpy(out + 132, t->step8, 16);
    memcpy(out + 148, t->leaf_class, 16);
    put(out + 188, h->crc_scales, 4);
    planes_loss_write(h->loss, out + PLANES_LOSS_AT);
    put(out + PLANES_CRC_AT, planes_head_crc(out), 4);
}

uint32_t planes_head_crc(const uint8_t in[PLANES_HEAD_BYTES])
{
    uint8_t fixed[PLANES_HEAD_BYTES];
    memcpy(fixed, in, sizeof fixed);
    fixed[PLANES_PLAN_AT] = fixed[PLANES_FIRST_AT] = 0;
    memset(fixed + PLANES_LOSS_AT, 0, 4 * (PLANES_N - 1));
    memset(fixed + PLANES_CRC_AT, 0, 4);
    uint32_t crc = crc32c(0, fixed, sizeof fixed);
    return crc ? crc : 1;
}

static const char *check_tables(const struct planes_tables *t)
{
    for (int i = 0; i < PLANES_N; i++)
        if (!(t->unit[i] - t->unit[i] == 0)) return "a unit that is not finite";
    for (int i = 0; i < 16; i++) {
        int low[3] = {t->level2[i % 4], t->level3[i % 8], t->level4[i]};
        for (int k = 0; k < 3; k++)
            if (low[k] < -64 || low[k] > 63) return "a level outside of -64 to 63";
        if (t->leaf_class[i] > 3) return "a class of leaves above 3";
        for (int r = 0; r < 4; r++) {
            int v = t->base[i] + t->step6[4 * t->leaf_class[i] + r];
            int v5 = t->base[i] + t->step5[2 * t->leaf_class[i] + r / 2];
            if (v < -127 || v > 127 || v5 < -127 || v5 > 127) return "a level outside of -127 to 127";
        }
    }
    return NULL;
}

const char *planes_head_read(struct planes_head *h, const uint8_t in[PLANES_HEAD_BYTES])
{
    struct planes_tables *t = &h->tables;
    if (memcmp(in, "fkpl", 4) != 0) return "no head of planes";
    if (in[4] == 1) return "planes of a version before 5 bits could be read, to be made again with `fikr quantize`";
    if (in[4] != VERSION) return "a version of planes other than 2";
    if (memcmp(in + 5, split, PLANES_N) != 0) return "planes split other than 2 1 1 1 1 2";
    h->plan = in[PLANES_PLAN_AT];
    if (h->plan && !planes_is_width(h->plan)) return "a plan of no width there is";
    h->first = in[PLANES_FIRST_AT];
    if (h->first && (h->first == 8 || !planes_is_width(h->first)))
        return "a first stage of no width there is";
    h->n_cols = get(in + 16, 8);
    h->n_rows = get(in + 24, 8);
    h->n_mats = get(in + 32, 8);
    for (int i = 0; i < PLANES_N; i++) {
        uint32_t u = (uint32_t)get(in + 40 + 4 * i, 4);
        memcpy(&t->unit[i], &u, 4);
        h->crc[i] = (uint32_t)get(in + 164 + 4 * i, 4);
    }
    memcpy(t->level2, in + 64, 4);
    memcpy(t->level3, in + 68, 8);
    memcpy(t->level4, in + 76, 16);
    memcpy(t->base, in + 92, 16);
    memcpy(t->step5, in + 108, 8);
    memcpy(t->step6, in + 116, 16);
    memcpy(t->step8, in + 132, 16);
    memcpy(t->leaf_class, in + 148, 16);
    h->crc_scales = (uint32_t)get(in + 188, 4);
    h->crc_head = (uint32_t)get(in + PLANES_CRC_AT, 4);
    for (int i = 0; i < PLANES_N - 1; i++) {
        uint32_t u = (uint32_t)get(in + PLANES_LOSS_AT + 4 * i, 4);
        memcpy(&h->loss[i], &u, 4);
        if (!(h->loss[i] >= 0 && h->loss[i] - h->loss[i] == 0)) return "a loss that is no number of nats";
    }
    struct planes_sizes s;
    if (!planes_sizes(&s, h->n_cols, h->n_rows, h->n_mats)) return "dimensions that no planes have";
    return check_tables(t);
}

bool planes_sizes(struct planes_sizes *s, uint64_t n_cols, uint64_t n_rows, uint64_t n_mats)
{
    if (!n_cols || !n_rows || !n_mats || n_cols > MAX_DIM || n_rows > MAX_DIM || n_mats > MAX_DIM ||
        n_cols % PLANES_COLS)
        return false;
    uint64_t per_mat = (n_rows + PLANES_ROWS - 1) / PLANES_ROWS, bytes;
    if (__builtin_mul_overflow(per_mat, n_mats, &s->n_groups) ||
        __builtin_mul_overflow(s->n_groups, n_cols / PLANES_COLS, &s->n_tiles) ||
        __builtin_mul_overflow(s->n_tiles, PLANES_TILE, &bytes) || bytes > (uint64_t)INT64_MAX / 2 ||
        s->n_groups > MAX_DIM)
        return false;
    for (int i = 0; i < PLANES_N; i++) s->plane_bytes[i] = s->n_tiles * planes_tile_bytes(i);
    s->rows_at = PLANES_HEAD_BYTES;
    s->scales_at = (s->rows_at + s->n_groups * PLANES_ROWS * 2 + 63) & ~(uint64_t)63;
    s->side_bytes = s->scales_at + s->n_tiles * PLANES_ROWS;
    return true;
}
