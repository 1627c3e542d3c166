"""The plots of one task; see ``style``."""

from pathlib import Path

import numpy as np

from ..analysis.records import layer_report
from ..evaluation.plots import GREY
from .runs import Run
from .style import layers_axis, legend, panels
from .task import Task, examples

COLUMNS = 3
LENGTH_BINS = 5
FEWEST = 10  # examples that a mean needs


def exit_histograms(path: Path, task: Task, colours: dict[str, str]) -> None:
    """The share of examples that exit at each layer at each method's main setting: mean and sd over seeds."""
    for panel, run in _panel_a_run(path, task.adaptive, "exit layer", "examples, %"):
        rows = task.main[run.method].rows
        shares = np.array([np.array(row["exit_histogram"]) / row["examples"] for row in rows]) * 100
        mean_exit = float(np.mean([row["mean_exit"] for row in rows]))
        layers = np.arange(1, shares.shape[1] + 1)
        panel.bar(layers, shares.mean(0), width=0.8, color=colours[run.method])
        if len(shares) > 1:
            panel.errorbar(layers, shares.mean(0), shares.std(0, ddof=1), fmt="none", ecolor="black", elinewidth=1,
                           capsize=2)
        panel.axvline(mean_exit, color=GREY, linestyle="--")
        panel.set(title=f"{run.method}, {run.main_rule.name}: mean {mean_exit:.2f}", ylim=(0, 102))


def posteriors(path: Path, task: Task, colours: dict[str, str]) -> None:
    """The exit layer's posterior, averaged over examples and seeds, and the training's prior."""
    for panel, run in _panel_a_run(path, task.halting, "layer", "exit probability"):
        reports = [layer_report(seed.recorded) for seed in run.seeds]
        layers = np.arange(1, run.recorded.depth + 1)
        mean = np.mean([report.posterior for report in reports], axis=0)
        panel.bar(layers, mean, width=0.8, color=colours[run.method], label="posterior")
        if run.recorded.prior is not None:
            panel.plot(layers, run.recorded.prior, color="black", marker="o", markersize=4, label="prior")
        panel.set_title(run.method)
        panel.legend(loc="upper left")


def _panel_a_run(path: Path, runs: list[Run], across: str, up: str):
    columns = min(COLUMNS, len(runs))
    with panels(path, columns, -(-len(runs) // columns), sharey=True) as (figure, grid):
        for panel, run in zip(grid, runs):
            yield panel, run
            layers_axis(panel, run.recorded.depth)
        for panel in grid[len(runs):]:
            panel.set_visible(False)
        figure.supxlabel(across, fontsize="medium")
        figure.supylabel(up, fontsize="medium")


def depth_against_examples(path: Path, task: Task, colours: dict[str, str]) -> None:
    """Accuracy (or mean error) by exit layer, and mean exit layer by length; seeds pooled."""
    regression = task.recorded.task.regression
    with panels(path, 2) as (figure, (by_exit, by_length)):
        for run in task.adaptive:
            decided, colour = examples(task.main[run.method]), colours[run.method]
            exits, errors = decided.exit_layers.flatten().numpy(), decided.errors.flatten().numpy()
            layers = [n for n in range(1, run.recorded.depth + 1) if (exits == n).sum() >= FEWEST]
            values = [errors[exits == n].mean() if regression else 100 * (1 - errors[exits == n].mean())
                      for n in layers]
            by_exit.plot(layers, values, color=colour, marker="o", markersize=4,
                         label=f"{run.method}, {run.main_rule.name}")
            lengths, means = _by_length(run.recorded.lengths.numpy(), decided.exit_layers.double().mean(0).numpy())
            by_length.plot(lengths, means, color=colour, marker="o", markersize=4)
        layers_axis(by_exit, task.depth)
        by_exit.set(xlabel="exit layer", ylabel="mean |error|" if regression else "right, %")
        by_length.set(xlabel="tokens (fifths of the split)", ylabel="mean exit layer", ylim=(0.5, task.depth + 0.5))
        legend(figure, by_exit.lines)


def _by_length(lengths: np.ndarray, exits: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean length and mean exit layer of each fifth of the examples by length."""
    parts = [part for part in np.array_split(np.argsort(lengths, kind="stable"), LENGTH_BINS) if len(part)]
    return [lengths[part].mean() for part in parts], [exits[part].mean() for part in parts]
