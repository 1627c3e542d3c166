"""Score against what it costs, and against the threshold that decides it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...exits.base import Rule
from ...exits.patience import Patience
from ..measures import oracle
from ..plots import GREY
from .curves import on_grid
from .runs import Point, Run
from .style import MARKERS, layers_axis, legend, panels
from .task import Task

LOWEST = 30  # points below the best; what scores less is cut off
MILLISECONDS = 1000
Cost = Callable[[Point], float]


def tradeoffs(path: Path, task: Task, colours: dict[str, str]) -> None:
    """The score against mean layers, operations and measured time."""
    with panels(path, 3, sharey=True) as (figure, (by_layers, by_flops, by_time)):
        for run in task.runs:
            colour = colours[run.method]
            if run.main_rule:
                _curves(by_layers, task, run, _depth, colour)
                _curves(by_flops, task, run, _gflops, colour)
                _oracle(by_layers, run, colour)
            for rule in run.rules:
                for panel, cost in ((by_layers, _depth), (by_flops, _gflops), (by_time, _milliseconds)):
                    _scored(panel, run, rule, cost, colour)
        layers_axis(by_layers, max(run.recorded.depth for run in task.runs))
        by_layers.set(xlabel="mean exit layer", ylabel="score, points")
        by_flops.set(xlabel="GFLOPs a sentence")
        by_time.set(xlabel="measured ms a sentence")
        _cut(by_layers)
        legend(figure, _handles(task, colours))


def _curves(panel: Axes, task: Task, run: Run, cost: Cost, colour: str) -> None:
    """The main rule's curve with its band of one sd over seeds, and the fixed exits of the same model."""
    for curve, style in ((task.main_curve(run), "-"), (task.static[run.method], ":")):
        grid, scores = on_grid(curve.seeds, cost, _points)
        _band(panel, grid, scores, colour, style, banded=style == "-")


def _band(panel: Axes, grid: np.ndarray, values: np.ndarray, colour: str, style: str = "-", banded: bool = True) -> None:
    """The mean over seeds, and one standard deviation about it. Shape: [X], [S, X]."""
    mean = values.mean(0)
    panel.plot(grid, mean, color=colour, linestyle=style, linewidth=1.4)
    if banded and len(values) > 1:
        deviation = values.std(0, ddof=1)
        panel.fill_between(grid, mean - deviation, mean + deviation, color=colour, alpha=0.18, linewidth=0)


def _scored(panel: Axes, run: Run, rule: Rule, cost: Cost, colour: str) -> None:
    """The rule at its usual setting, with the sd over seeds of score and, where it is measured, of time."""
    points = run.points(rule)
    costs, scores = [cost(point) for point in points], [_points(point) for point in points]
    x, y = np.mean(costs), np.mean(scores)
    panel.plot(x, y, color=colour, marker=MARKERS[rule.name], markersize=6, markeredgecolor="white", markeredgewidth=0.6)
    if len(points) > 1:
        panel.errorbar(x, y, np.std(scores, ddof=1), np.std(costs, ddof=1), fmt="none", ecolor=colour, elinewidth=0.8)


def _oracle(panel: Axes, run: Run, colour: str) -> None:
    best = [oracle(seed.recorded) for seed in run.seeds]
    panel.plot(np.mean([one.mean_exit for one in best]), 100 * np.mean([one.score for one in best]), color=colour, marker="*",
               markersize=11, markeredgecolor="white")


def _cut(panel: Axes) -> None:
    low, high = panel.get_ylim()
    panel.set_ylim(max(low, high - LOWEST), high)


def _points(point: Point) -> float:
    return 100 * point.row["metrics"]["score"]


def _depth(point: Point) -> float:
    return point.row["mean_exit"]


def _gflops(point: Point) -> float:
    return point.row["mean_flops"] / 1e9


def _milliseconds(point: Point) -> float:
    return MILLISECONDS * point.row["seconds"] / point.row["examples"]


def _handles(task: Task, colours: dict[str, str]) -> list[Line2D]:
    names = dict.fromkeys(rule.name for run in task.runs for rule in run.rules)
    handles = [Line2D([], [], color=colours[run.method], linewidth=3, label=run.method) for run in task.runs]
    handles += [Line2D([], [], color=GREY, linestyle=style, label=name)
                for style, name in (("-", "main rule"), (":", "fixed exits"))]
    markers = {name: MARKERS[name] for name in names} | {"oracle": "*"}
    return handles + [Line2D([], [], color=GREY, linestyle="", marker=marker, label=name) for name, marker in markers.items()]


def thresholds(path: Path, task: Task, colours: dict[str, str]) -> None:
    """Score and mean exit layer over the threshold, a column a rule, the usual setting marked; of patience for regression
    over its tolerance."""
    names = list(dict.fromkeys(run.main_rule.name for run in task.adaptive))
    with panels(path, len(names), 2, sharex="col", sharey="row") as (figure, grid):
        for column, name in enumerate(names):
            above, below = grid[column], grid[len(names) + column]
            for run in task.adaptive:
                if run.main_rule.name == name:
                    _threshold(above, below, task, run, colours[run.method])
            below.set(xlabel=f"threshold of {name}")
        grid[0].set(ylabel="score, points")
        _cut(grid[0])
        grid[len(names)].set(ylabel="mean exit layer")
        legend(figure, [Line2D([], [], color=colours[run.method], label=run.method) for run in task.adaptive])


def _threshold(above: Axes, below: Axes, task: Task, run: Run, colour: str) -> None:
    for panel, value in ((above, _points), (below, _depth)):
        _band(panel, *on_grid(task.main_curve(run).seeds, lambda point: _threshold_of(point.rule), value), colour)
        usual = np.mean([value(point) for point in run.points(run.main_rule)])
        panel.plot(_threshold_of(run.main_rule), usual, color=colour, marker="o", markersize=5, markeredgecolor="white")


def _threshold_of(rule: Rule) -> float:
    return rule.tolerance if isinstance(rule, Patience) and rule.tolerance else rule.parameter
