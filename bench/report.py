#!/usr/bin/env python3
"""results.csv to RESULTS.md (medians, ratios) and two plots (SVG): speed against context and
against the number of sequences. Usage: report.py [FOLDER]"""
import csv
import statistics
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
PEER = "llama.cpp"
# figure: (what a reader calls it, is less better)
FIGURES = {
    "first_token_ms": ("start to first token, ms", True), "peak_rss_bytes": ("peak memory, MB", True),
    "prefill": ("prefill of {x}, tokens/s", False), "int8_share": ("prefill, share of the int8 limit", False),
    "decode": ("decode, {x} thread(s), tokens/s", False),
    "bandwidth_share": ("decode, {x} thread(s), share of the plain read", False),
    "read_gb_per_s": ("plain read, {x} thread(s), GB/s", False),
    "batch": ("{x} sequences, tokens/s in all", False),
    "depth_f16": ("decode at {x} of context, f16 cache, tokens/s", False),
    "depth_i8": ("decode at {x} of context, int8 cache, tokens/s", False),
    "ppl_f16": ("perplexity, f16 cache", True), "ppl_i8": ("perplexity, int8 cache", True),
}


def read():
    """{model: {(figure, x): {engine: [values]}}} and the stamps in use."""
    data, stamps = defaultdict(lambda: defaultdict(lambda: defaultdict(list))), set()
    with open(HERE / "results.csv") as f:
        for r in csv.DictReader(f):
            scale = 1e-6 if r["figure"] == "peak_rss_bytes" else 1
            data[r["model"]][r["figure"], r["x"]][r["engine"]].append(scale * float(r["value"]))
            stamps.add((r["date"], r["commit"], r["cpu"]))
    return data, sorted(stamps)


def table(rows):
    lines = ["| figure | fikr | llama.cpp | ratio |", "| --- | --- | --- | --- |"]
    order = list(FIGURES)
    for figure, x in sorted(rows, key=lambda k: (order.index(k[0]), float(k[1] or 0))):
        name, _ = FIGURES[figure]
        med = {e: statistics.median(v) for e, v in rows[figure, x].items()}
        ours, theirs = med.get("fikr"), med.get(PEER)
        cells = [f"{v:.4g}" if v is not None else "-" for v in (ours, theirs)]
        ratio = f"{ours / theirs:.2f}" if ours and theirs else "-"
        lines.append(f"| {name.format(x=x)} | {cells[0]} | {cells[1]} | {ratio} |")
    return lines


def plot(data, figures, label, path):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "fikr"
    import matplotlib.pyplot as plt
    models = [m for m in data if any(f in figures for f, _ in data[m])]
    if not models:
        return False
    fig, axes = plt.subplots(1, len(models), figsize=(3.4 * len(models), 3.2), squeeze=False)
    for ax, model in zip(axes[0], models):
        for figure, style, extra in figures.values():
            for engine, color in (("fikr", "tab:blue"), (PEER, "tab:orange")):
                points = sorted((int(x), statistics.median(by[engine])) for (f, x), by in data[model].items()
                                if f == figure and engine in by)
                if points:
                    ax.plot(*zip(*points), style, color=color, marker="o", label=engine + extra)
        ax.set_xscale("log", base=2)
        ax.set_ylim(bottom=0)
        ax.set_title(model, fontsize=9)
        ax.set_xlabel(label)
        ax.legend(fontsize=7)
    axes[0][0].set_ylabel("tokens/s")
    fig.tight_layout()
    fig.savefig(path, metadata={"Date": None})
    return True


def main():
    data, stamps = read()
    lines = ["# Results", "", "`make bench`: each engine in processes of its own, taking turns; medians. Ratio: "
             "fikr over llama.cpp; above 1 is better for fikr, for times, memory and perplexity below 1.", ""]
    lines += [f"- {date}, commit {commit}, {cpu}" for date, commit, cpu in stamps] + [""]
    plots = [("batch", "sequences at once", {"batch": ("batch", "-", "")}),
             ("context", "tokens in the cache", {"depth_f16": ("depth_f16", "-", ", f16"),
                                                  "depth_i8": ("depth_i8", "--", ", int8")})]
    for name, label, figures in plots:
        if plot(data, figures, label, HERE / f"{name}.svg"):
            lines += [f"![speed against {label}]({name}.svg)", ""]
    for model, rows in data.items():
        lines += [f"## {model}", "", *table(rows), ""]
    (HERE / "RESULTS.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
