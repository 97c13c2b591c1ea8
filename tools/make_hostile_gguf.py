#!/usr/bin/env python3
"""Writes small GGUF files, valid ones and ones that lie, to tests/fuzz/corpus/gguf.

They are seeds of the fuzzer and the cases of tests/unit/file/gguf_hostile_test.c, which knows what each must
be refused with. Run it again after adding a case; its output is committed."""
import struct
import sys
from pathlib import Path

U8, I8, U16, I16, U32, I32, F32, BOOL, STR, ARR, U64, I64, F64 = range(13)
CODE = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}
M1, BIG, HUGE = 2**64 - 1, 2**63 - 1, 2**60


def string(s):
    s = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(s)) + s


def value(kind, v):
    return string(v) if kind == STR else struct.pack("<" + CODE[kind], v)


def kv(key, kind, v):
    return string(key) + struct.pack("<I", kind) + value(kind, v)


def array(key, kind, items, n=None):
    return (string(key) + struct.pack("<IIQ", ARR, kind, len(items) if n is None else n)
            + b"".join(value(kind, v) for v in items))


def tensor(name, dims, dtype, offset, n_dims=None):
    return (string(name) + struct.pack("<I", len(dims) if n_dims is None else n_dims)
            + b"".join(struct.pack("<Q", d) for d in dims) + struct.pack("<IQ", dtype, offset))


def gguf(kvs=(), tensors=(), data=b"", version=3, n_kv=None, n_tensors=None, align=32, order="<"):
    head = b"GGUF" + struct.pack(order + "IQQ", version, len(tensors) if n_tensors is None else n_tensors,
                                 len(kvs) if n_kv is None else n_kv)
    head += b"".join(kvs) + b"".join(tensors)
    return head + b"\0" * (-len(head) % align) + data if tensors else head


ARCH = kv("general.architecture", STR, "llama")
ONE = [tensor("w", [4], 0, 0)]
D16 = bytes(range(16))


def valid():
    kvs = [ARCH, kv("u8", U8, 200), kv("i8", I8, -5), kv("u16", U16, 65535), kv("i16", I16, -32768),
           kv("u32", U32, 2**32 - 1), kv("i32", I32, -7), kv("f32", F32, 1e-6), kv("yes", BOOL, 1),
           kv("name", STR, "a name"), kv("u64", U64, M1), kv("i64", I64, -2**63), kv("f64", F64, 0.1),
           array("tokens", STR, [f"token{i}" * (i % 3) for i in range(19)]),
           array("scores", F32, [0.5, -1.25, 3.0]), array("types", I32, [1, 2, 3, -4]),
           array("flags", BOOL, [1, 0]), array("none", STR, []), array("bytes", U8, [1, 2, 255])]
    tensors = [tensor("a.weight", [4, 2], 0, 0), tensor("b.weight", [32, 1, 2], 8, 32), tensor("c", [1], 26, 128)]
    return gguf(kvs, tensors, bytes(range(132)))


def cases():
    yield "ok_all_types", valid()
    yield "ok_v2", gguf([ARCH], ONE, D16, version=2)
    yield "ok_empty", gguf([], [], b"")
    yield "ok_aligned_4096", gguf([kv("general.alignment", U32, 4096)], ONE, D16, align=4096)
    yield "ok_names", gguf([kv(b"k\x1b[2J\n\xe2\x80\xae", STR, b"\x1b]0;x\x07\nv")],
                           [tensor(b"t\x1b[31m\n\xff", [4], 0, 0)], D16)
    two = [tensor("b", [4], 0, 32), tensor("a", [4], 0, 0)]
    yield "ok_unsorted", gguf([ARCH], two, D16 + b"\0" * 16 + D16)

    yield "f1_dim_product", gguf([ARCH], [tensor("w", [2**42 + 1, 2**42], 0, 0)], D16)
    yield "f1_dims_2_32", gguf([ARCH], [tensor("w", [2**32, 2**32], 0, 0)], D16)
    yield "f1_bytes", gguf([ARCH], [tensor("w", [2**61, 3], 28, 0)], D16)
    yield "f1_three_dims", gguf([ARCH], [tensor("w", [4194305, 4194305, 211106198978564], 0, 0)], D16)
    for name, n in (("max", BIG), ("minus1", M1), ("2_60", HUGE), ("131073", 131073)):
        yield f"f3_n_tensors_{name}", gguf([ARCH], ONE, D16, n_tensors=n)
        yield f"f3_n_kv_{name}", gguf([ARCH], ONE, D16, n_kv=n)
        yield f"f3_array_{name}", gguf([ARCH, array("a", U32, [1], n)], ONE, D16)
        yield f"f3_strings_{name}", gguf([ARCH, array("a", STR, ["x"], n)], ONE, D16)
        yield f"f3_string_{name}", gguf([string("s") + struct.pack("<IQ", STR, n) + b"abc"], ONE, D16)
        yield f"f3_key_{name}", gguf([struct.pack("<Q", n) + b"abc"], ONE, D16)
        yield f"f3_name_{name}", gguf([ARCH], [struct.pack("<Q", n) + b"abcdefghijklmnopqrstuvwxyzabcdefghi"], D16)
        yield f"f3_item_{name}", gguf([string("s") + struct.pack("<IIQQ", ARR, STR, 2, n) + b"abc" * 9], ONE, D16)
    yield "f4_dim_0", gguf([ARCH], [tensor("w", [4, 0], 0, 0)], D16)
    yield "f4_dim_negative", gguf([ARCH], [tensor("w", [M1], 0, 0)], D16)
    for t in (4, 16, 31, 99, 200, 2**31, 2**32 - 1):
        yield f"f4_type_{t}", gguf([ARCH], [tensor("w", [256], t, 0)], bytes(1024))
    yield "f4_n_dims_0", gguf([ARCH], [tensor("wwwwwwwwww", [], 0, 0)], D16)
    yield "f4_n_dims_5", gguf([ARCH], [tensor("w", [1, 1, 1, 1, 1], 0, 0)], D16)
    yield "f4_n_dims_max", gguf([ARCH], [tensor("w", [1], 0, 0, 2**32 - 1)], D16)
    for a in (0, 3, 4, 2**31):
        yield f"f4_alignment_{a}", gguf([kv("general.alignment", U32, a)], ONE, D16)
    yield "f4_alignment_type", gguf([kv("general.alignment", U64, 32)], ONE, D16)
    yield "f4_alignment_string", gguf([kv("general.alignment", STR, "32")], ONE, D16)
    yield "f4_alignment_array", gguf([array("general.alignment", U32, [32])], ONE, D16)
    yield "f4_block", gguf([ARCH], [tensor("w", [33, 2], 8, 0)], bytes(200))
    yield "f4_value_type", gguf([string("k") + struct.pack("<IQ", 13, 0)], ONE, D16)
    yield "f4_nested_array", gguf([string("k") + struct.pack("<IIQ", ARR, ARR, 1) + bytes(16)], ONE, D16)
    yield "f4_bool_2", gguf([kv("k", BOOL, 2)], ONE, D16)
    yield "f5_offset_2_40", gguf([ARCH], [tensor("w", [4], 0, 2**40)], D16)
    yield "f5_offset_wraps", gguf([ARCH], [tensor("w", [4], 0, 2**64 - 32)], D16)
    yield "f5_size_wraps", gguf([ARCH], [tensor("w", [2**60], 24, 2**64 - 2**60)], D16)
    yield "f5_one_short", gguf([ARCH], ONE, D16[:15])
    yield "f5_misaligned", gguf([ARCH], [tensor("w", [4], 0, 8)], bytes(64))
    yield "f5_overlap", gguf([ARCH], [tensor("a", [16], 0, 0), tensor("b", [4], 0, 32)], bytes(128))
    yield "f5_same_place", gguf([ARCH], [tensor("b", [4], 0, 32), tensor("a", [4], 0, 0), tensor("c", [4], 0, 32)],
                                bytes(128))
    yield "twice_key", gguf([kv("k", U8, 1), kv("j", U8, 1), kv("k", U8, 2)], ONE, D16)
    yield "twice_tensor", gguf([ARCH], [tensor("w", [4], 0, 0), tensor("w", [4], 0, 32)], bytes(64))
    yield "key_empty", gguf([kv("", U8, 1), ARCH], ONE, D16)
    yield "name_long", gguf([ARCH], [tensor("w" * 1025, [4], 0, 0)], D16)
    yield "big_endian", gguf([], [], b"", order=">")
    yield "v1", gguf([ARCH], ONE, D16, version=1)
    yield "v4", gguf([ARCH], ONE, D16, version=4)
    yield "v0", gguf([ARCH], ONE, D16, version=0)
    yield "magic", b"GGML" + gguf([ARCH], ONE, D16)[4:]
    yield "magic_only", b"GGUF"
    yield "f17_split_name", gguf([kv("split.no", U16, 0), kv("split.count", U16, 3)], ONE, D16)
    yield "f17_split_65535", gguf([kv("split.no", U16, 0), kv("split.count", U16, 65535)], ONE, D16)
    yield "f17_split_type", gguf([kv("split.count", STR, "3")], ONE, D16)
    yield "f18_name", gguf([ARCH], [tensor(b"t\x1b]0;owned\x07\n\xe2\x80\xae", [4, 0], 0, 0)], D16)


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "tests/fuzz/corpus/gguf")
    out.mkdir(parents=True, exist_ok=True)
    n = 0
    for name, data in cases():
        (out / f"{name}.gguf").write_bytes(data)
        n += 1
    print(f"{n} files in {out}")


if __name__ == "__main__":
    main()
