"""Plot every method's score against its mean exit layer, one panel a task.

Sizes: S seeds, X points of a grid.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ..evaluation.plots import GREY
from .curves import on_grid
from .runs import Point
from .style import layers_axis, legend, panels
from .task import Task

COLUMNS = 3
LOWEST = 25  # points below the top; lower scores are cut off


def front(path: Path, tasks: list[Task], colours: dict[str, str]) -> None:
    """One panel a task, with four kinds of marks.

    Lines show every method's main rule over its range. Dotted lines show the fixed exits of methods whose depth is
    claimed. Squares show the models of fixed depth. Dots show the thresholds chosen for the budgets.
    """
    with panels(path, min(len(tasks), COLUMNS), -(-len(tasks) // COLUMNS)) as (figure, grid):
        for panel, task in zip(grid, tasks):
            for run in task.adaptive:
                _band(panel, *on_grid(task.main_curve(run).seeds, _depth, _points), colours[run.method],
                      banded=run.claims_depth)
                if run.claims_depth:
                    _band(panel, *on_grid(task.static[run.method].seeds, _depth, _points), colours[run.method], ":",
                          banded=False)
                for (name, _), chosen in task.chosen.get(run.method, {}).items():
                    if name == run.main_rule.name:
                        panel.plot(np.mean([row["mean_exit"] for row in chosen.rows]),
                                   100 * np.mean([row["metrics"]["score"] for row in chosen.rows]),
                                   color=colours[run.method], marker="o", markersize=5,
                                   markeredgecolor="white", markeredgewidth=0.6)
            _models_of_fixed_depth(panel, task)
            layers_axis(panel, task.depth)
            panel.set(title=task.name, xlabel="mean exit layer")
            low, high = panel.get_ylim()
            panel.set_ylim(max(low, high - LOWEST), high)
        for panel in grid[len(tasks):]:
            panel.set_visible(False)
        for panel in grid[::min(len(tasks), COLUMNS)]:
            panel.set(ylabel="score, points")
        methods = dict.fromkeys(run.method for task in tasks for run in task.adaptive)
        handles = [Line2D([], [], color=colours[method], linewidth=2, label=method) for method in methods]
        handles += [Line2D([], [], color="black", linestyle="--", marker="s", markersize=4,
                           label="vanilla and static models"),
                    Line2D([], [], color=GREY, linestyle=":", label="fixed exits of the same model"),
                    Line2D([], [], color=GREY, linestyle="", marker="o", label="chosen thresholds")]
        legend(figure, handles)


def _models_of_fixed_depth(panel: Axes, task: Task) -> None:
    """The last layers of models of fixed depth, with the sd over seeds as error bars."""
    models = sorted((run.recorded.depth, [100 * row["metrics"]["score"] for row in task.main[run.method].rows])
                    for run in task.runs if not run.main_rule)
    if models:
        depths, scores = zip(*models)
        deviations = [np.std(of_model, ddof=1) if len(of_model) > 1 else 0 for of_model in scores]
        panel.errorbar(depths, [np.mean(of_model) for of_model in scores], deviations, color="black", linestyle="--",
                       marker="s", markersize=4, linewidth=1, elinewidth=0.8)


def _band(panel: Axes, grid: np.ndarray, values: np.ndarray, colour: str, style: str = "-",
          banded: bool = True) -> None:
    """The mean over seeds, with a band of one standard deviation. Shape: [X], [S, X]."""
    mean = values.mean(0)
    panel.plot(grid, mean, color=colour, linestyle=style, linewidth=1.4)
    if banded and len(values) > 1:
        deviation = values.std(0, ddof=1)
        panel.fill_between(grid, mean - deviation, mean + deviation, color=colour, alpha=0.18, linewidth=0)


def _points(point: Point) -> float:
    return 100 * point.row["metrics"]["score"]


def _depth(point: Point) -> float:
    return point.row["mean_exit"]
