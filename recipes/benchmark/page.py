"""Present the measurements: Markdown tables and a plot."""

from pathlib import Path

import matplotlib

from fairseq_palbert.tables import markdown

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


def tables(measured: dict) -> str:
    """The conditions of the measurement, the table of variants, and the ratios beside their bounds."""
    ratio, seconds = measured["padding_ratio"], measured["median_seconds"]
    conditions = (
        f"{measured['split']}, the first {measured['sentences']} sentences, {measured['tokens']} tokens; "
        f"{measured['depth']} layers of {measured['hidden']}, {measured['family']}, {measured['pooling']} pooling, "
        f"{measured['checkpoint'] or 'random weights'}; {measured['device']}, {measured['threads']} threads, "
        f"{measured['dtype']}, torch {measured['torch']}; medians of {measured['rounds']}. Padded over real tokens at "
        f"batch {32}: r = {ratio['file order']:.2f} in file order, r_s = {ratio['by length']:.2f} by length. Exits by "
        f"{measured['rule']}: mean {measured['mean_exit']:.2f} of {measured['depth']} layers, "
        f"sd {measured['sd_exit']:.2f}, {measured['depth'] / measured['mean_exit']:.2f} times fewer layers, "
        f"{measured['operations']['full'] / measured['operations']['exiting']:.2f} times fewer operations. Peak of a "
        f"layer's {measured['dtype']} matrix products at 1024 rows: {measured['peak_flops'] / 1e9:.0f} GFLOP/s.")
    rows = [["variant", "sentences/s", "ms a sentence", "part of the peak", "times (g) full depth, packed"]]
    for name, median in seconds.items():
        work = measured["operations"]["exiting" if name in EXITING or "exiting" in name else "full"]
        rows.append([name, f"{measured['sentences'] / median:.1f}", f"{1000 * median / measured['sentences']:.2f}",
                     f"{work / median / measured['peak_flops']:.2f}",
                     f"{seconds['g: full depth, packed'] / median:.2f}"])
    ratios = [["ratio of medians", "is", "to be", ""]]
    for target in measured["targets"]:
        limit, goal = "at most" if target["most"] else "at least", " (goal)" if target["goal"] else ""
        bound = f"{limit} {target['bound']:g}{goal}"
        ratios.append([target["name"], f"{target['value']:.3f}", bound, "met" if target["met"] else "missed"])
    return "\n\n".join([conditions, *measured["left_out"], markdown(rows, words=1), markdown(ratios, words=1)]) + "\n"


EXITING = ("c: one at a time", "d: padded, waiting, file order", "e: padded, dropping, by length")


def plot(path: Path, measured: dict) -> None:
    """Sentences a second of every variant."""
    names = list(measured["median_seconds"])[::-1]
    speeds = [measured["sentences"] / measured["median_seconds"][name] for name in names]
    figure, axes = pyplot.subplots(figsize=(8, 0.35 * len(names) + 1), layout="constrained")
    bars = axes.barh(names, speeds, color=["#0072b2" if name.startswith("g") else "#999999" for name in names])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_xlabel("sentences a second")
    axes.set_title(f"{measured['split']}, {measured['depth']} x {measured['hidden']}, {measured['dtype']}, "
                   f"{measured['threads']} threads")
    axes.margins(x=0.1)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
