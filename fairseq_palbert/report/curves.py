"""Trade-off curves: a rule over its whole range, for every seed of a run.

Sizes: S seeds, X points of a grid.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..analysis.describe import describe
from ..analysis.recorded_split import RecordedSplit
from ..analysis.sweep import decisions, fitting_rules
from ..exits.base import Rule
from ..exits.rules.patience import Patience
from .runs import Point, Run

POINTS = 50  # thresholds a rule
GRID = 60


@dataclass(frozen=True, eq=False)
class Curve:
    """``seeds``: for each seed the points of the rule named ``rule``, the cheapest first."""

    run: Run
    rule: str
    seeds: list[list[Point]]


def curve(run: Run, rule: str) -> Curve:
    """The rule over its whole range, for every seed."""
    seeds = []
    for seed in run.seeds:
        points = [Point(setting, describe(seed.recorded, setting, decisions(seed.recorded, setting)))
                  for setting in _range(run, seed.recorded, rule)]
        seeds.append(sorted(points, key=lambda point: point.row["mean_flops"]))
    return Curve(run, rule, seeds)


def _range(run: Run, recorded: RecordedSplit, name: str) -> list[Rule]:
    """The settings of a rule over its whole range.

    Patience for regression has two parameters: the tolerance varies, and P is the scored one, else 1.
    """
    if name != Patience.name or recorded.outputs > 1 or recorded.depth == 1:
        return fitting_rules(recorded, [name], POINTS)
    scored = next((rule.parameter for rule in run.rules if isinstance(rule, Patience)), 1)
    patience = min(max(scored, 1), recorded.depth - 1)
    return [rule for rule in fitting_rules(recorded, [name], POINTS * recorded.depth) if rule.parameter == patience]


def on_grid(seeds: list[list[Point]], x: Callable[[Point], float],
            y: Callable[[Point], float]) -> tuple[np.ndarray, np.ndarray]:
    """``y`` of each seed, interpolated linearly over the range of ``x`` that all seeds have. Shape: [X], [S, X]."""
    xs = [np.array([x(point) for point in points]) for points in seeds]
    grid = np.linspace(max(of_seed.min() for of_seed in xs), min(of_seed.max() for of_seed in xs), GRID)
    orders = [np.argsort(of_seed, kind="stable") for of_seed in xs]
    return grid, np.stack([np.interp(grid, of_seed[order], np.array([y(point) for point in points])[order])
                           for of_seed, order, points in zip(xs, orders, seeds)])
