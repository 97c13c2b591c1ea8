#!/usr/bin/env python3
"""Writes small safetensors files, valid ones and ones that lie, to tests/fuzz/corpus/safetensors: seeds of the
fuzzer and the cases of tests/unit/file/safetensors_test.c. Run it again after adding a case."""
import json
import struct
import sys
from pathlib import Path


def raw(header, data=b"", n=None):
    header = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(header) if n is None else n) + header + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def file(tensors, data):
    return raw(json.dumps(tensors), data)


D8 = bytes(range(8))
ONE = {"w": entry("F32", [2], 0, 8)}


def cases():
    yield "ok_one", file(ONE, D8)
    yield "ok_types", file({"__metadata__": {"format": "pt", "a\"\\\u00e9": "\n"}, "b": entry("BF16", [2, 1], 8, 12),
                            "a": entry("F32", [2], 0, 8), "s": entry("F64", [], 12, 20), "e": entry("F16", [0, 4], 20, 20),
                            "f8": entry("F8_E4M3", [2, 2], 20, 24), "i": entry("I64", [1], 24, 32),
                            "u": entry("U8", [3], 32, 35)}, bytes(range(35)))
    yield "ok_spaces", raw(json.dumps(ONE, indent=1) + "   \n", D8)
    yield "ok_empty", raw("{}")
    yield "f13_length_0", raw("", n=0)
    yield "f13_length_2_63", raw(json.dumps(ONE), D8, 2**63)
    yield "f13_length_minus_1", raw(json.dumps(ONE), D8, 2**64 - 1)
    yield "f13_length_plus_1", raw(json.dumps(ONE), D8, len(json.dumps(ONE)) + len(D8) + 1)
    yield "f13_length_100mb", raw(json.dumps(ONE), D8, 100_000_000)
    yield "f13_shape_wraps", file({"w": entry("F32", [4194305, 4194305, 211106198978564], 0, 16)}, D8 * 2)
    yield "f13_bytes_wrap", file({"w": entry("F64", [2**61 + 1], 0, 8)}, D8)
    yield "f13_end_before_begin", file({"w": entry("F32", [2], 8, 0)}, D8)
    yield "f13_end_beyond", file({"w": entry("F32", [4], 0, 16)}, D8)
    yield "f13_negative_shape", file({"w": entry("F32", [-2], 0, 8)}, D8)
    yield "f13_negative_offset", file({"w": entry("F32", [2], -8, 0)}, D8)
    yield "f13_float_offset", file({"w": entry("F32", [2], 0.0, 8.0)}, D8)
    yield "f13_huge_offset", raw('{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551616]}}', D8)
    yield "f13_depth_10k", raw("{\"w\":" + "[" * 10000, b"")
    yield "f13_depth_shape", file({"w": {"dtype": "F32", "shape": [[[2]]], "data_offsets": [0, 8]}}, D8)
    yield "f13_gap", file({"a": entry("F32", [1], 0, 4), "b": entry("F16", [1], 6, 8)}, D8)
    yield "f13_overlap", file({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 2, 6)}, D8)
    yield "f13_first_gap", file({"a": entry("F32", [1], 4, 8)}, D8)
    yield "f13_tail", file(ONE, D8 + b"x")
    yield "f13_size_differs", file({"w": entry("F32", [3], 0, 8)}, D8)
    yield "f13_twice", raw('{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                           '"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', D8)
    yield "f13_key_twice", raw('{"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', D8)
    yield "f13_key_missing", raw('{"w":{"dtype":"F32","data_offsets":[0,8]}}', D8)
    yield "f13_key_unknown", raw('{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}', D8)
    yield "f13_dtype", file({"w": entry("Q4", [2], 0, 8)}, D8)
    yield "f13_dims_9", file({"w": entry("U8", [1] * 9, 0, 1)}, b"x")
    yield "f13_name_empty", file({"": entry("F32", [2], 0, 8)}, D8)
    yield "f13_name_escape", raw('{"a\\u0041":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', D8)
    yield "f13_name_bytes", raw(b'{"a\xff":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', D8)
    yield "f13_name_nul", raw(b'{"a\0":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', D8)
    yield "f13_array", raw("[]")
    yield "f13_tail_text", raw(json.dumps(ONE) + "x", D8)
    yield "f13_metadata", raw('{"__metadata__":{"a":1}}')
    yield "f13_cut", file(ONE, D8)[:40]
    yield "f13_short", b"\1\0\0"


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1
               else Path(__file__).resolve().parent.parent / "tests/fuzz/corpus/safetensors")
    out.mkdir(parents=True, exist_ok=True)
    n = 0
    for name, data in cases():
        (out / f"{name}.safetensors").write_bytes(data)
        n += 1
    print(f"{n} files in {out}")


if __name__ == "__main__":
    main()
