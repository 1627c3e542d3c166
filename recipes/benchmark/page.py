"""What was measured, as Markdown and as a plot."""

from pathlib import Path

import matplotlib

from fairseq_palbert.tables import markdown

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


def tables(found: dict) -> str:
    """A line of what it was measured on, the variants, then the ratios beside their bounds."""
    ratio, seconds = found["padding_ratio"], found["median_seconds"]
    said = (f"{found['split']}, the first {found['sentences']} sentences, {found['tokens']} tokens; {found['depth']} "
            f"layers of {found['hidden']}, {found['family']}, {found['pooling']} pooling, "
            f"{found['checkpoint'] or 'random weights'}; {found['device']}, {found['threads']} threads, "
            f"{found['dtype']}, torch {found['torch']}; medians of {found['rounds']}. Padded over real tokens at batch "
            f"{32}: r = {ratio['file order']:.2f} in file order, r_s = {ratio['by length']:.2f} by length. Exits by "
            f"{found['rule']}: mean {found['mean_exit']:.2f} of {found['depth']} layers, sd {found['sd_exit']:.2f}, "
            f"{found['depth'] / found['mean_exit']:.2f} times fewer layers, "
            f"{found['operations']['full'] / found['operations']['exiting']:.2f} times fewer operations. Peak of a "
            f"layer's {found['dtype']} matrix products at 1024 rows: {found['peak_flops'] / 1e9:.0f} GFLOP/s.")
    rows = [["variant", "sentences/s", "ms a sentence", "part of the peak", "times (g) full depth, packed"]]
    for name, median in seconds.items():
        work = found["operations"]["exiting" if name in EXITING or "exiting" in name else "full"]
        rows.append([name, f"{found['sentences'] / median:.1f}", f"{1000 * median / found['sentences']:.2f}",
                     f"{work / median / found['peak_flops']:.2f}", f"{seconds['g: full depth, packed'] / median:.2f}"])
    ratios = [["ratio of medians", "is", "to be", ""]]
    for target in found["targets"]:
        limit, goal = "at most" if target["most"] else "at least", " (goal)" if target["goal"] else ""
        bound = f"{limit} {target['bound']:g}{goal}"
        ratios.append([target["name"], f"{target['value']:.3f}", bound, "met" if target["met"] else "missed"])
    return "\n\n".join([said, *found["left_out"], markdown(rows, words=1), markdown(ratios, words=1)]) + "\n"


EXITING = ("c: one at a time", "d: padded, waiting, file order", "e: padded, dropping, by length")


def plot(path: Path, found: dict) -> None:
    """Sentences a second of every variant."""
    names = list(found["median_seconds"])[::-1]
    speeds = [found["sentences"] / found["median_seconds"][name] for name in names]
    figure, axes = pyplot.subplots(figsize=(8, 0.35 * len(names) + 1), layout="constrained")
    bars = axes.barh(names, speeds, color=["#0072b2" if name.startswith("g") else "#999999" for name in names])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_xlabel("sentences a second")
    axes.set_title(f"{found['split']}, {found['depth']} x {found['hidden']}, {found['dtype']}, {found['threads']} "
                   "threads")
    axes.margins(x=0.1)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
