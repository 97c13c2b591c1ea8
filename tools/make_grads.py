#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/deepseek2-v3.grads: the gradients of a tiny DeepSeek-V3 as PyTorch computes them.

  python3 tools/make_grads.py [OUT_DIR]       needs torch, transformers and gguf, as make_goldens.py

The model is that of deepseek2-v3.gguf. The loss is the sum of the cross entropies of the next tokens
of two documents, ids[:40] and ids[40:] of the golden's 64. The file is a GGUF with the model's own
tensor names, whose numbers are gradients, float32; the routing bias has none and is 0. Its key
general.description holds the loss.
"""
import os
import sys
import types

import gguf
import numpy as np
import torch

import make_goldens as mg

CUT = 40


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../tests/golden")
    cls, config = next((c, k) for name, _, _, c, k in mg.families() if name == "deepseek2-v3")
    model = result = None
    for seed in range(1, 1000):
        model = mg.tiny(cls, config, seed)
        result = mg.run(model)
        if result:
            break
    ids = result[0]
    stored = {t.name: t.data for t in gguf.GGUFReader(os.path.join(out, "deepseek2-v3.gguf")).tensors}
    ours = model.state_dict()["model.embed_tokens.weight"].numpy()
    assert np.array_equal(ours, stored["token_embd.weight"]), "another model than the golden's"
    loss = 0
    for doc in (ids[:CUT], ids[CUT:]):
        logits = model(doc[None], use_cache=False).logits[0].float()
        loss = loss + torch.nn.functional.cross_entropy(logits[:-1], doc[1:], reduction="sum")
    loss.backward()
    grads = {n: torch.zeros_like(t) for n, t in model.state_dict().items()}
    for name, p in model.named_parameters():
        grads[name] = p.grad if p.grad is not None else grads[name]
    twin = types.SimpleNamespace(config=config, state_dict=lambda: grads)
    path = os.path.join(out, "deepseek2-v3.grads")
    plain_writer = mg.writer
    mg.writer = lambda p, arch, c: describe(plain_writer(p, arch, c), loss.item())
    mg.write_mla(path, "deepseek2", twin)
    print(f"{path}: loss {loss.item():.6f}, {os.path.getsize(path)} bytes")


def describe(w, loss):
    w.add_description(f"{loss:.9g}")
    return w


if __name__ == "__main__":
    main()
