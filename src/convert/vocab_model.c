/* SPDX-License-Identifier: Apache-2.0
 * vocab_model.c - tokenizer.model, SentencePiece's file: a protocol buffer of pieces.
 *
 *   message   what                          field: wire type, meaning
 *   Model     the file                      1: bytes, a Piece (repeated)   2: bytes, Trainer
 *                                           3: bytes, Normalizer
 *   Piece                                   1: bytes, text   2: fixed32, score   3: varint, type
 *   Trainer                                 3: varint, 1 unigram, 2 BPE
 *   Normalizer                              2: bytes, character map   3: varint, add a space in front
 *                                           4: varint, remove extra spaces
 * A field starts with a varint: number * 8 + wire type (0 varint, 1 eight bytes, 2 length and bytes,
 * 5 four bytes). Piece types are those of GGUF. */
#include <inttypes.h>
#include "src/base/fail.h"
#include "src/convert/vocab_in.h"
#include "src/file/le.h"

struct field {
    uint32_t number, wire;
    uint64_t value;      /* varint, fixed */
    const uint8_t *p;    /* bytes */
    size_t n;
};

static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; shift < 64 && *p < end; shift += 7) {
        uint8_t b = *(*p)++;
        *v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return true;
    }
    return false;
}

static bool next_field(const uint8_t **p, const uint8_t *end, struct field *f)
{
    uint64_t tag;
    *f = (struct field){0};
    if (!varint(p, end, &tag) || tag >> 3 > UINT32_MAX) return false;
    f->number = (uint32_t)(tag >> 3);
    f->wire = tag & 7;
    size_t left = (size_t)(end - *p), fixed = f->wire == 1 ? 8 : 4;
    if (f->wire == 0) return varint(p, end, &f->value);
    if (f->wire == 2) {
        if (!varint(p, end, &f->value) || f->value > (uint64_t)(end - *p)) return false;
        f->p = *p;
        f->n = (size_t)f->value;
        *p += f->n;
        return true;
    }
    if ((f->wire != 1 && f->wire != 5) || left < fixed) return false;
    f->value = f->wire == 1 ? le64(*p) : le32(*p);
    *p += fixed;
    return true;
}

static enum fk_status bad(const struct vocab_in *v, const uint8_t *p, struct fk_error *err)
{
    return fail(err, FK_EFORMAT, "%s: byte %zu: no field of a SentencePiece model", v->path,
                (size_t)(p - v->map.data));
}

static enum fk_status read_piece(struct vocab_in *v, const struct field *piece, uint64_t id,
                                 struct fk_error *err)
{
    const uint8_t *p = piece->p, *end = p + piece->n;
    struct gguf_str text = {(const char *)p, 0};
    float score = 0;
    int type = TOKEN_NORMAL;
    struct field f;
    while (p < end) {
        if (!next_field(&p, end, &f)) return bad(v, p, err);
        if (f.number == 1 && f.wire == 2) text = (struct gguf_str){(const char *)f.p, f.n};
        if (f.number == 2 && f.wire == 5) score = le_f32(p - 4);
        if (f.number == 3 && f.wire == 0) type = f.value <= TOKEN_BYTE ? (int)f.value : 0;
    }
    if (type < TOKEN_NORMAL)
        return fail(err, FK_EFORMAT, "%s: piece %" PRIu64 " is of an unknown type", v->path, id);
    return vocab_set(v, id, text, score, type, err);
}

static enum fk_status read_normalizer(struct vocab_in *v, const struct field *message,
                                      struct fk_error *err)
{
    const uint8_t *p = message->p, *end = p + message->n;
    struct field f;
    v->add_space_prefix = v->remove_spaces = 1; /* the format's defaults */
    while (p < end) {
        if (!next_field(&p, end, &f)) return bad(v, p, err);
        if (f.number == 2 && f.wire == 2) v->charsmap = (struct gguf_str){(const char *)f.p, f.n};
        if (f.number == 3 && f.wire == 0) v->add_space_prefix = f.value != 0;
        if (f.number == 4 && f.wire == 0) v->remove_spaces = f.value != 0;
    }
    return FK_OK;
}

enum fk_status vocab_read_model(struct vocab_in *v, struct fk_error *err)
{
    const uint8_t *p = v->map.data, *end = p + v->map.bytes;
    uint64_t n = 0, kind = 1;
    struct field f;
    while (p < end) {
        if (!next_field(&p, end, &f)) return bad(v, p, err);
        if (f.wire != 2) continue;
        if (f.number == 1) TRY(read_piece(v, &f, n++, err));
        if (f.number == 3) TRY(read_normalizer(v, &f, err));
        if (f.number != 2) continue;
        struct field inner;
        for (const uint8_t *q = f.p; q < f.p + f.n;) {
            if (!next_field(&q, f.p + f.n, &inner)) return bad(v, q, err);
            if (inner.number == 3 && inner.wire == 0) kind = inner.value;
        }
    }
    if (n == 0) return fail(err, FK_EFORMAT, "%s: no pieces", v->path);
    if (kind != 1 && kind != 2)
        return fail(err, FK_EUNSUPPORTED, "%s: model_type is %" PRIu64 ", supported are 1 and 2", v->path,
                    kind);
    v->model = kind == 1 ? "t5" : "llama";
    v->pre = "default";
    v->has_scores = true;
    if (kind == 2) { /* its merging knows neither */
        v->charsmap = (struct gguf_str){NULL, 0};
        v->remove_spaces = -1;
    }
    return FK_OK;
}
