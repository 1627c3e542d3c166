"""Plots of a scoring run, as PNG."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ..analysis.records import LayerReport
from .scoring import Scored

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#595959"
STYLE = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
         "axes.grid": True, "axes.grid.axis": "y", "grid.color": "#DDDDDD", "grid.linewidth": 0.6,
         "text.parse_math": False}  # a name with $ is no formula
DOTS_PER_INCH = 200
PANEL_COLUMNS = 2


def plot_exit_histogram(path: Path, title: str, scored: list[Scored]) -> None:
    """The share of examples that exit at each layer, one panel a rule; the dashed line is the mean exit."""
    columns = min(PANEL_COLUMNS, len(scored))
    lines = -(-len(scored) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * columns, 0.5 + 2.0 * lines), layout="constrained")
        panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        figure.suptitle(title)
        for panel, result in zip(panels.flat, scored):
            _exit_panel(panel, result.rule.spec, result.row)
        for panel in panels.flat[len(scored):]:
            panel.set_visible(False)
        figure.supxlabel("exit layer (dashed: mean)", fontsize="medium")
        figure.supylabel("share of examples", fontsize="medium")
        figure.savefig(path, dpi=DOTS_PER_INCH)


def plot_posterior(path: Path, title: str, layers: LayerReport) -> None:
    """The exit layer's mean posterior as bars, and the training's prior as a line.

    Without a posterior the plot says so.
    """
    numbers = np.arange(1, layers.depth + 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 3.4), layout="constrained")
        axes = figure.subplots()
        if layers.posterior is None:
            axes.text(0.5, 0.5, "no halting logits, so no posterior", transform=axes.transAxes, ha="center", color=GREY)
        else:
            axes.bar(numbers, layers.posterior, width=0.7, color=BLUE, label="posterior, mean over examples")
        if layers.prior is not None:
            axes.plot(numbers, layers.prior, color=VERMILLION, marker="o", markersize=5, label="prior")
        axes.set(title=title, xlabel="layer", ylabel="exit probability", xlim=(0.4, len(numbers) + 0.6))
        axes.set_ylim(bottom=0)
        axes.set_xticks(_ticks(len(numbers)))
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
        figure.savefig(path, dpi=DOTS_PER_INCH)


def _exit_panel(panel, name: str, row: dict) -> None:
    depth = len(row["exit_histogram"])
    panel.bar(np.arange(1, depth + 1), np.array(row["exit_histogram"]) / row["examples"], width=0.8, color=BLUE)
    panel.axvline(row["mean_exit"], color=VERMILLION, linestyle="--", linewidth=1.4)
    score = f", score {row['metrics']['score']:.3f}" if row["metrics"] else ""
    panel.set_title(f"{name}: mean exit {row['mean_exit']:.2f}{score}", fontsize="small", color=GREY)
    panel.set_xlim(0.4, depth + 0.6)
    panel.set_xticks(_ticks(depth))
    panel.tick_params(labelbottom=True)


def _ticks(depth: int) -> list[int]:
    """Every k-th layer, with the smallest k that labels at most 12."""
    step = -(-depth // 12)
    return list(range(step, depth + 1, step))
