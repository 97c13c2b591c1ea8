"""llama.cpp's K-quants over joined rows: what its types would make of a model whose widths are no multiple of 256.

llama-quantize gives such a matrix another type (IQ4_NL for Q3_K, Q5_0 for Q4_K, Q8_0 for Q6_K). Here a matrix is one
row of blocks of 256 weights, each block with the importance of the columns that it meets, quantized and turned back by
llama.cpp's own code; the model that comes out holds those numbers in F16. An emulation: no program reads such a file.
Which type a matrix gets is what llama.cpp chose for it, the fall-back undone."""
import ctypes
from math import lcm, prod

import numpy as np

BLOCK = 256
WANTED = {"Q4_K_M": {"Q5_0": "Q4_K", "Q5_1": "Q5_K", "Q8_0": "Q6_K"},
          "Q3_K_M": {"IQ4_NL": "Q3_K", "Q5_0": "Q4_K", "Q5_1": "Q5_K", "Q8_0": "Q6_K"},
          "Q2_K": {"IQ4_NL": "Q2_K", "Q5_0": "Q4_K", "Q5_1": "Q5_K", "Q8_0": "Q6_K"},
          "IQ4_XS": {"IQ4_NL": "IQ4_XS", "Q5_0": "Q4_K", "Q5_1": "Q5_K", "Q8_0": "Q6_K"},
          "Q5_K_M": {"Q5_1": "Q5_K", "Q8_0": "Q6_K"}, "Q6_K": {"Q8_0": "Q6_K"}}


def library():
    import llama_cpp.llama_cpp as L
    import llama_cpp._ggml as G
    L.llama_backend_init()
    ggml = G.libggml if hasattr(G, "libggml") else L._lib
    quantize = ggml.ggml_quantize_chunk
    quantize.restype = ctypes.c_size_t
    quantize.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64,
                         ctypes.c_void_p]
    return quantize


def wanted_type(name, file_type, real):
    """Q2_K's mixture has Q3_K, too, where both fall back to IQ4_NL."""
    if file_type == "Q2_K" and real == "IQ4_NL" and any(s in name for s in ("attn_v", "attn_output", "ffn_down")):
        return "Q3_K"
    return WANTED[file_type].get(real, real)


def round_joined(w, importance, kind, quantize, gguf):
    """w [n_rows, n_cols] as `kind` would hold it, and its bytes."""
    block_size, type_size = gguf.GGML_QUANT_SIZES[kind]
    assert BLOCK % block_size == 0
    flat, n_cols = w.reshape(-1), w.shape[1]
    out, period = np.empty_like(flat), lcm(n_cols, BLOCK) // BLOCK
    columns = np.tile(importance, period * BLOCK // n_cols).astype(np.float32).reshape(period, BLOCK)
    n_whole = flat.size // BLOCK
    blocks, back = flat[:n_whole * BLOCK].reshape(-1, BLOCK), out[:n_whole * BLOCK].reshape(-1, BLOCK)
    bytes_of_block = BLOCK // block_size * type_size
    for phase in range(period):
        part = np.ascontiguousarray(blocks[phase::period], np.float32)
        codes = np.empty(len(part) * bytes_of_block, np.uint8)
        quantize(int(kind), part.ctypes.data, codes.ctypes.data, 0, len(part), BLOCK, columns[phase].ctypes.data)
        back[phase::period] = gguf.quants.dequantize(codes.reshape(len(part), -1), kind)
    out[n_whole * BLOCK:] = flat[n_whole * BLOCK:]  # less than a block, kept
    return out.reshape(w.shape), n_whole * bytes_of_block + 2 * (flat.size - n_whole * BLOCK)


def make(source, real, imatrix, out, file_type):
    """Writes the model with the numbers that file_type would hold; gives the bytes that it would have. real: the file
    that llama.cpp wrote."""
    import gguf
    quantize = library()
    importance = {name.decode(): values for name, values in imatrix}
    src, chosen = gguf.GGUFReader(source), {t.name: t.tensor_type.name for t in gguf.GGUFReader(real).tensors}
    first = min(t.data_offset for t in src.tensors)
    data = bytearray(open(source, "rb").read())
    size = first
    for t in src.tensors:
        rest = np.frombuffer(data, np.uint8)[t.data_offset:t.data_offset + t.n_bytes]
        kind = wanted_type(t.name, file_type, chosen[t.name])
        if t.tensor_type != gguf.GGMLQuantizationType.F16 or kind in ("F16", "F32"):
            size += t.n_bytes
            continue
        n_cols, n_rows = int(t.shape[0]), prod(map(int, t.shape[1:]))
        w = rest.view(np.float16).reshape(n_rows, n_cols).astype(np.float32)
        diagonal = importance.get(t.name, np.ones(n_cols, np.float32))
        got, n = round_joined(w, diagonal, gguf.GGMLQuantizationType[kind], quantize, gguf)
        rest[:] = got.astype(np.float16).reshape(-1).view(np.uint8)
        size += n
    out.write_bytes(data)
    return size
