#!/usr/bin/env python3
"""What per-neuron widths would save in a feed-forward layer, measured on real activations before any kernel is built.

Usage: ffn_neurons.py FOLDER TEXT [--windows 6] [--bits 4] [--every 8] [--threads 1]
FOLDER is a llama with SwiGLU as `fikr convert MODEL.gguf FOLDER` writes it. Neuron j of a layer has a row of up and a column of
down; both are cut into blocks of 32 and rounded at 2, 3, 4 and 6 bits with levels that are best for normal numbers and
the best of several scales per block. Their error in the layer's output, by the neuron's size, is
    down: h_j^2 |d_j|^2 e^2(bits)         up: silu(g_j)^2 |d_j|^2 |u_j|^2 e^2(bits)
with e^2 as measured on these weights, and 0 bits for a neuron that is not read. A policy gives out bits where they
lower that sum most: `dynamic` anew for each token by a threshold that is the same for all of them, `groups` the same
for 8 or 32 neighbours together, `static` once for all tokens by the mean, as a plan could. Bits are those at which
a policy has the error of all at --bits; KL is of the whole model with up and down so rounded, all else as it is, over
windows of 256 that no threshold was chosen on."""
import argparse
import math

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

WIDTHS = [0, 2, 3, 4, 6]
WINDOW = 256
POLICIES = {"static": 0, "dynamic": 1, "groups of 8": 8, "groups of 32": 32}


def levels_of(bits):
    """Lloyd's levels for a normal number."""
    x = torch.erfinv(torch.linspace(-1, 1, 20001)[1:-1].double()) * math.sqrt(2)
    level = x[torch.linspace(0, len(x) - 1, 2 ** bits + 2)[1:-1].long()]
    for _ in range(60):
        nearest = torch.bucketize(x, (level[1:] + level[:-1]) / 2)
        level = torch.stack([x[nearest == i].mean() if (nearest == i).any() else level[i] for i in range(len(level))])
    return level.float()


def rounded(w, level):
    """Neurons are rows; blocks of 32 of them share a scale."""
    shape, edges = w.shape, (level[1:] + level[:-1]) / 2
    w = w.reshape(-1, 32)
    base, best, least = w.square().mean(1, keepdim=True).sqrt() + 1e-12, torch.zeros_like(w), torch.full((len(w), 1), 1e30)
    for by in (0.8, 0.9, 1.0, 1.1, 1.25):
        q = level[torch.bucketize(w / (base * by), edges)] * (base * by)
        loss = (q - w).square().sum(1, keepdim=True)
        best, least = torch.where(loss < least, q, best), torch.minimum(loss, least)
    return best.reshape(shape)


class Half:
    """up or down of one layer: a neuron a row, at every width."""
    def __init__(self, w, levels):
        self.read = [torch.zeros_like(w)] + [rounded(w, level) for level in levels]
        self.e2 = [1.0] + [((q - w).square().sum() / w.square().sum()).item() for q in self.read[1:]]


def choose(weight, e2, tau):
    """Index of the width of each weight: the least weight * e2 + tau * bits."""
    cost = torch.stack([weight * e + tau * b for e, b in zip(e2, WIDTHS)])
    return cost.argmin(0)


def bits_of(index):
    return torch.tensor(WIDTHS, dtype=torch.float)[index].mean().item()


def find_tau(weight, e2, bits=None, error=None):
    """The threshold at which the mean of bits, or of errors, is as wanted."""
    low, high, e = -40.0, 20.0, torch.tensor(e2)
    for _ in range(24):
        mid = (low + high) / 2
        i = choose(weight, e2, 2.0 ** mid)
        is_fine = (weight * e[i]).mean() < error if bits is None else bits_of(i) > bits
        low, high = (mid, high) if is_fine else (low, mid)
    return 2.0 ** low


def seen_by(policy, weight):
    """What a policy goes by, of [tokens, neurons]: their mean over tokens, or over so many neighbours."""
    n = POLICIES[policy]
    if not n:
        return weight.mean(0, keepdim=True)
    return weight.reshape(len(weight), -1, n).mean(2).repeat_interleave(n, 1)


def weights_of(layer, x):
    """[tokens, neurons] of up and down, and what the layer computes from them."""
    mlp = layer.mlp
    g = torch.nn.functional.silu(mlp.gate_proj(x))
    d2, u2 = mlp.down_proj.weight.square().sum(0), mlp.up_proj.weight.square().sum(1)
    h = g * mlp.up_proj(x)
    return (g.square() * d2 * u2 * x.square().mean(1, keepdim=True), h.square() * d2), g


def mix(x, half, index, is_up):
    """x times the neurons, each token's read at its own widths: index [tokens, neurons] or [1, neurons]."""
    out = 0
    for i in range(1, len(WIDTHS)):
        mask = (index == i).float()
        out = out + ((x @ half.read[i].T) * mask if is_up else (x * mask) @ half.read[i])
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("text")
    ap.add_argument("--windows", type=int, default=6)
    ap.add_argument("--bits", type=int, default=4, choices=WIDTHS[1:])
    ap.add_argument("--every", type=int, default=8, help="thresholds are chosen on one token in so many")
    ap.add_argument("--threads", type=int, default=1)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.set_grad_enabled(False)
    model = AutoModelForCausalLM.from_pretrained(a.model).float().eval()
    ids = AutoTokenizer.from_pretrained(a.model)(open(a.text).read(400000), return_tensors="pt").input_ids[0]
    ids = ids[:2 * a.windows * WINDOW].reshape(-1, WINDOW)
    tune, judge = ids[:a.windows], ids[a.windows:]
    layers = model.model.layers
    levels = [levels_of(b) for b in WIDTHS[1:]]
    halves = [(Half(m.up_proj.weight, levels), Half(m.down_proj.weight.T.contiguous(), levels))
              for m in (layer.mlp for layer in layers)]
    inputs = [[] for _ in layers]
    hooks = [layer.mlp.register_forward_pre_hook(lambda m, x, to=to: to.append(x[0].reshape(-1, x[0].shape[-1])))
             for layer, to in zip(layers, inputs)]
    for w in tune:
        model(w[None])
    for h in hooks:
        h.remove()

    at = WIDTHS.index(a.bits)
    bits = {n: ([], []) for n in POLICIES}
    plans = []  # per layer and half, at the same mean of bits: the static widths, a threshold for the others
    for layer, pair, x in zip(layers, halves, inputs):
        both, _ = weights_of(layer, torch.cat(x)[::a.every])
        plans.append([])
        for k, (weight, half) in enumerate(zip(both, pair)):
            found = {}
            for n in POLICIES:
                seen = seen_by(n, weight)
                bits[n][k].append(bits_of(choose(seen, half.e2, find_tau(seen, half.e2, error=weight.mean() * half.e2[at]))))
                tau = find_tau(seen, half.e2, bits=a.bits)
                found[n] = tau if POLICIES[n] else choose(seen, half.e2, tau)
            plans[-1].append(found)
    e2 = np.mean([[h.e2 for h in pair] for pair in halves], (0, 1))
    print("relative error of " + ", ".join(f"{math.sqrt(e):.3f} at {b}" for e, b in zip(e2[1:], WIDTHS[1:])) + " bits")
    print(f"\n| policy | bits of up | bits of down | at the error of {a.bits} bits |\n| --- | --- | --- | --- |")
    print(f"| all alike | {a.bits} | {a.bits} | |")
    for n in POLICIES:
        up, down = np.mean(bits[n][0]), np.mean(bits[n][1])
        print(f"| {n} | {up:.2f} | {down:.2f} | {100 * ((up + down) / (2 * a.bits) - 1):+.0f} % |")

    policy = None

    def forward(layer, pair, plan):
        def run(x):
            shape, x = x.shape, x.reshape(-1, x.shape[-1])
            (wu, wd), g = weights_of(layer, x)
            index = []
            for weight, half, found in zip((wu, wd), pair, plan):
                if policy == "all alike":
                    index.append(torch.full_like(weight[:1], at))
                elif POLICIES[policy]:
                    index.append(choose(seen_by(policy, weight), half.e2, found[policy]))
                else:
                    index.append(found[policy])
                spent.append(bits_of(index[-1].long()))
            h = g * mix(x, pair[0], index[0], True)
            return mix(h, pair[1], index[1], False).reshape(shape)
        return run

    truth = [torch.log_softmax(model(w[None]).logits[0], -1) for w in judge]
    for layer, pair, plan in zip(layers, halves, plans):
        layer.mlp.forward = forward(layer, pair, plan)
    print("\n| policy | mean bits used | KL |\n| --- | --- | --- |")
    for policy in ["all alike", *POLICIES]:
        spent, kl = [], []
        for w, want in zip(judge, truth):
            got = torch.log_softmax(model(w[None]).logits[0], -1)
            kl += (want.exp() * (want - got)).sum(-1).tolist()
        print(f"| {policy} | {np.mean(spent):.2f} | {np.mean(kl):.4f} ± {1.96 * np.std(kl) / math.sqrt(len(kl)):.4f} |", flush=True)


if __name__ == "__main__":
    main()
