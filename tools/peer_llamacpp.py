"""llama.cpp as a peer, through llama-cpp-python's low-level bindings: logits, perplexity, timings.

Used by tools/oracle.py and bench/bench.py; never by the tests of `make check`."""
import ctypes
import os
import time

import llama_cpp as lc
import numpy as np


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def _silent(level, text, user):
    pass


lc.llama_log_set(_silent, None)
lc.llama_backend_init()


class Peer:
    """One model and one context of llama.cpp."""

    def __init__(self, path, n_ctx=512, n_threads=2, n_batch=512, n_seq=1, kv=None, no_repack=False,
                 flash=None, lora=None):
        mp = lc.llama_model_default_params()
        if no_repack and hasattr(mp, "use_extra_bufts"):
            mp.use_extra_bufts = False
        self.model = lc.llama_model_load_from_file(str(path).encode(), mp)
        if not self.model:
            raise RuntimeError(f"llama.cpp cannot load {path}")
        cp = lc.llama_context_default_params()
        cp.n_ctx = n_ctx * n_seq
        cp.n_batch = max(n_batch, n_seq)
        cp.n_ubatch = n_batch
        cp.n_seq_max = n_seq
        cp.n_threads = cp.n_threads_batch = n_threads
        if hasattr(cp, "kv_unified"):
            cp.kv_unified = n_seq > 1
        if kv is not None:
            cp.type_k = cp.type_v = kv
        if flash is not None and hasattr(cp, "flash_attn_type"):
            cp.flash_attn_type = flash
        self.ctx = lc.llama_init_from_model(self.model, cp)
        if not self.ctx:
            raise RuntimeError("llama.cpp makes no context")
        if lora:
            adapter = lc.llama_adapter_lora_init(self.model, str(lora).encode())
            if not adapter:
                raise RuntimeError(f"llama.cpp cannot load the adapter {lora}")
            adapters = (lc.llama_adapter_lora_p_ctypes * 1)(adapter)
            if lc.llama_set_adapters_lora(self.ctx, adapters, 1, (ctypes.c_float * 1)(1.0)):
                raise RuntimeError("llama.cpp does not take the adapter")
        self.vocab = lc.llama_model_get_vocab(self.model)
        self.n_vocab = lc.llama_vocab_n_tokens(self.vocab)
        self.n_batch = n_batch
        self.batch = lc.llama_batch_init(max(n_batch, n_seq), 0, 1)

    def close(self):
        lc.llama_batch_free(self.batch)
        lc.llama_free(self.ctx)
        lc.llama_model_free(self.model)

    def clear(self):
        lc.llama_memory_clear(lc.llama_get_memory(self.ctx), True)

    def tokenize(self, text, bos=True, special=False):
        raw = text.encode() if isinstance(text, str) else text
        n = len(raw) + 16
        out = (lc.llama_token * n)()
        k = lc.llama_tokenize(self.vocab, raw, len(raw), out, n, bos, special)
        return list(out[:k])

    def piece(self, ids):
        out = b""
        buf = ctypes.create_string_buffer(256)
        for t in ids:
            n = lc.llama_token_to_piece(self.vocab, t, buf, 256, 0, True)
            out += buf.raw[:n]
        return out

    def adds_bos(self):
        return bool(lc.llama_vocab_get_add_bos(self.vocab))

    def bos(self):
        return lc.llama_vocab_bos(self.vocab)

    def is_end(self, token):
        return bool(lc.llama_vocab_is_eog(self.vocab, token))

    def decode(self, ids, pos0=0, want=None, seqs=None, pos=None):
        """Feeds ids; want: set of indices whose logits are wanted (None: the last)."""
        b = self.batch
        b.n_tokens = len(ids)
        for i, t in enumerate(ids):
            b.token[i] = t
            b.pos[i] = pos[i] if pos is not None else pos0 + i
            b.n_seq_id[i] = 1
            b.seq_id[i][0] = seqs[i] if seqs is not None else 0
            b.logits[i] = (i == len(ids) - 1) if want is None else (i in want)
        if lc.llama_decode(self.ctx, b):
            raise RuntimeError("llama_decode failed")

    def logits_at(self, i):
        return np.ctypeslib.as_array(lc.llama_get_logits_ith(self.ctx, i), (self.n_vocab,)).copy()

    def prefill(self, ids):
        for at in range(0, len(ids), self.n_batch):
            part = ids[at:at + self.n_batch]
            self.decode(part, at)
        return self.logits_at(len(part) - 1)

    def all_logits(self, ids):
        self.clear()
        rows = []
        for at in range(0, len(ids), self.n_batch):
            part = ids[at:at + self.n_batch]
            self.decode(part, at, want=set(range(len(part))))
            rows += [self.logits_at(i) for i in range(len(part))]
        return np.stack(rows)

    def greedy(self, ids, n):
        """n greedy tokens and the logits of each step."""
        self.clear()
        logits, out, steps = self.prefill(ids), [], []
        for i in range(n):
            steps.append(logits)
            t = int(np.argmax(logits))
            out.append(t)
            if self.is_end(t):
                break
            self.decode([t], len(ids) + i)
            logits = self.logits_at(0)
        return out, steps

    def perplexity(self, text, n_ctx=512, progress=None, windows=0):
        """llama.cpp's protocol, a window as one batch; the context has to hold n_ctx tokens. The logits
        are read where llama.cpp keeps them, rows in order; exponentials in f32, sums in f64."""
        ids = np.array(self.tokenize(text, bos=self.adds_bos()), np.int32)
        n_windows, first = len(ids) // n_ctx, n_ctx // 2
        n_windows = min(windows, n_windows) if windows else n_windows
        nll, count, rows = 0.0, 0, n_ctx - 1 - first
        wanted = set(range(first, n_ctx - 1))
        scratch = np.empty((16, self.n_vocab), np.float32)
        for w in range(n_windows):
            win = ids[w * n_ctx:(w + 1) * n_ctx].copy()
            if self.adds_bos():
                win[0] = self.bos()
            self.clear()
            self.decode(win[:-1].tolist(), want=wanted)  # the last token predicts nothing
            z = np.ctypeslib.as_array(lc.llama_get_logits(self.ctx), (rows, self.n_vocab))
            target = z[np.arange(rows), win[first + 1:]].astype(np.float64)
            for at in range(0, rows, len(scratch)):
                part = z[at:at + len(scratch)]
                room = scratch[:len(part)]
                top = part.max(axis=1, keepdims=True)
                np.subtract(part, top, out=room)
                np.exp(room, out=room)
                nll += float((np.log(room.sum(axis=1, dtype=np.float64)) + top[:, 0]).sum())
            nll -= float(target.sum())
            count += rows
            if progress:
                progress(w + 1, n_windows, nll / count)
        return {"ppl": float(np.exp(nll / count)), "nll": nll / count, "tokens": count}

    def time_prefill(self, ids):
        self.clear()
        start = time.perf_counter()
        self.prefill(ids)
        return len(ids) / (time.perf_counter() - start)

    def time_decode(self, n, pos0=0, token=1):
        start = time.perf_counter()
        for i in range(n):
            self.decode([token], pos0 + i)
            lc.llama_get_logits_ith(self.ctx, 0)
        return n / (time.perf_counter() - start)

    def fill(self, depth, state=None):
        """Puts `depth` tokens in the cache by evaluating them. With a path, what that gave is kept there,
        and found again by the next process: it takes minutes, and only decoding after it is timed."""
        self.clear()
        path = str(state).encode() if state else None
        if path and os.path.exists(path):
            n, room = ctypes.c_size_t(), (lc.llama_token * 1)()
            if lc.llama_state_seq_load_file(self.ctx, path, 0, room, 1, ctypes.byref(n)):
                return
        ids = [1 + (i * 7919) % (self.n_vocab - 2) for i in range(depth)]
        self.prefill(ids)
        if path:
            lc.llama_state_seq_save_file(self.ctx, path, 0, (lc.llama_token * 1)(), 0)

    def time_decode_at(self, depth, n):
        """Tokens per second after fill(depth); the cache is as before afterwards."""
        rate = self.time_decode(n, depth)
        lc.llama_memory_seq_rm(lc.llama_get_memory(self.ctx), 0, depth, -1)
        return rate

    def time_batch(self, n_seq, n):
        """Every sequence has tokens of its own: equal ones would all choose the same experts."""
        self.clear()
        start = time.perf_counter()
        for i in range(n):
            tokens = [1 + (i * n_seq + k) * 7919 % (self.n_vocab - 2) for k in range(n_seq)]
            self.decode(tokens, want=set(range(n_seq)), seqs=list(range(n_seq)),
                        pos=[i] * n_seq)
        return n_seq * n / (time.perf_counter() - start)
