"""Plots of the parity experiment, after figures 1 and 2 of PonderNet (arXiv 2107.05407)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fairseq_palbert.report.style import colours, legend, panels

from .plan import LAMBDA_P, METHODS, SETTINGS, TAU

Curves = dict[str, Any]  # of a run, as in curves.jsonl
COLOURS = colours(list(METHODS))
BASE = {"PonderNet": LAMBDA_P, "ACT": TAU, "fixed steps": None}
BIN = 0.5  # steps
SWEEPS = (("ACT", "ponder cost τ", True), ("PonderNet", "prior's λ_p", False))


def draw(folder: Path, runs: list[Curves]) -> None:
    """Writes training.svg, compute.svg, sensitivity.svg and spread.svg to the folder."""
    training(folder / "training.svg", runs)
    compute(folder / "compute.svg", runs)
    sensitivity(folder / "sensitivity.svg", runs)
    spread(folder / "spread.svg", runs)


def base_runs(runs: Iterable[Curves], method: str, setting: str) -> list[Curves]:
    """The runs of figure 1: those of every value of the method would mix its sensitivity in."""
    return [run for run in runs if (run["method"], run["setting"], run["value"]) == (method, setting, BASE[method])]


def training(path: Path, runs: list[Curves]) -> None:
    """Accuracy and mean steps on test over the updates (figure 1 a and b): mean, and least to most of the seeds."""
    with panels(path, 2, 2, sharex="col", sharey="row") as (figure, grid):
        for row, name in enumerate(("accuracy", "steps")):
            for column, setting in enumerate(SETTINGS):
                panel = grid[2 * row + column]
                for method in METHODS:
                    _band(panel, base_runs(runs, method, setting), name, method)
                if row == 0:
                    panel.set_title(setting)
        for panel in grid[2:]:
            panel.set_xlabel("updates")
        grid[0].set_ylabel("accuracy on test, %")
        grid[2].set_ylabel("mean steps on test")
        grid[2].set_ylim(bottom=0)
        legend(figure, grid[0].lines)


def _band(panel: Axes, runs: list[Curves], name: str, method: str) -> None:
    if runs:
        scale = 100 if name == "accuracy" else 1
        values = scale * np.array([run["test"][name] for run in runs])
        panel.plot(runs[0]["updates"], values.mean(0), color=COLOURS[method], label=method)
        panel.fill_between(runs[0]["updates"], values.min(0), values.max(0), color=COLOURS[method], alpha=0.2,
                           linewidth=0)


def total_steps(run: Curves, batch: int) -> float:
    """Steps up to the exits, of all vectors trained on: Σ over epochs of mean steps on valid × vectors, in millions."""
    updates = np.diff([0, *run["updates"]])
    return float((updates * batch * np.array(run["valid"]["steps"])).sum() / 1e6)


def compute(path: Path, runs: list[Curves]) -> None:
    """Steps up to the exits over all of training (figure 1 c): mean, and a dot a seed."""
    with panels(path, 2, sharey=True) as (_, grid):
        for panel, setting in zip(grid, SETTINGS):
            for place, method in enumerate(METHODS):
                totals = [total_steps(run, run["batch"]) for run in base_runs(runs, method, setting)]
                if totals:
                    panel.bar(place, np.mean(totals), color=COLOURS[method], width=0.7)
                    panel.plot([place] * len(totals), totals, "o", color="black", markersize=3)
            panel.set_xticks(range(len(METHODS)), METHODS)
            panel.set_title(setting)
        grid[0].set_ylabel("steps up to the exits, millions")


def sensitivity(path: Path, runs: list[Curves]) -> None:
    """Accuracy and mean steps on interpolation by τ and by λ_p (figure 2 a and b): mean, and a dot a seed."""
    with panels(path, 2, 2, sharex="col", sharey="row") as (_, grid):
        for column, (method, label, logarithmic) in enumerate(SWEEPS):
            by_value = sweep(runs, method)
            for row, name in enumerate(("accuracy", "steps")):
                panel, scale = grid[2 * row + column], 100 if name == "accuracy" else 1
                values = {value: [scale * run["test"][name][-1] for run in of_value]
                          for value, of_value in by_value.items()}
                panel.plot(list(values), [np.mean(of_value) for of_value in values.values()], color=COLOURS[method])
                for value, of_value in values.items():
                    panel.plot([value] * len(of_value), of_value, "o", color=COLOURS[method], markersize=3)
                if logarithmic:
                    panel.set_xscale("log")
                panel.set_xticks(list(values), [f"{value:g}" for value in values])
                panel.minorticks_off()
            grid[column].set_title(method)
            grid[2 + column].set_xlabel(label)
        grid[0].set_ylabel("accuracy on test, %")
        grid[2].set_ylabel("mean steps on test")
        grid[2].set_ylim(bottom=0)


def sweep(runs: Iterable[Curves], method: str) -> dict[float, list[Curves]]:
    """The method's interpolation runs by value, of the seeds that every value has."""
    ours = [run for run in runs if (run["method"], run["setting"]) == (method, SETTINGS[0])]
    values = sorted({run["value"] for run in ours})
    seeds = set.intersection(*({run["seed"] for run in ours if run["value"] == value} for value in values))
    return {value: [run for run in ours if run["value"] == value and run["seed"] in seeds] for value in values}


def spread(path: Path, runs: list[Curves]) -> None:
    """How many seeds of PonderNet end at which mean steps on interpolation, at λ_p = 0.1 (figure 2 c)."""
    steps = [run["test"]["steps"][-1] for run in base_runs(runs, "PonderNet", SETTINGS[0])]
    with panels(path, 1) as (_, (panel,)):
        panel.hist(steps, bins=np.arange(np.floor(min(steps)), np.floor(max(steps)) + 1.01, BIN),
                   color=COLOURS["PonderNet"], edgecolor="white")
        panel.yaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set(title=f"PonderNet, λ_p = {LAMBDA_P:g}, {len(steps)} seeds", xlabel="mean steps on test",
                  ylabel="seeds")
