"""A rule over its whole range on every seed of a run, and what it scores at a given cost.

Sizes: E examples, R draws of the bootstrap, S seeds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ...exits.base import Rule
from ...exits.patience import Patience
from ..bootstrap import resampled, score_at
from ..recorded_split import RecordedSplit
from ..records import predictions
from ..scoring import describe
from ..sweep import decisions, fitting_rules
from .runs import Point, Run

POINTS = 50  # thresholds a rule
GRID = 60
BOOTSTRAP_SEED = 0


@dataclass(frozen=True, eq=False)
class Curve:
    """``seeds``: of each seed, the points of the rule named ``rule``, the cheapest first."""

    run: Run
    rule: str
    seeds: list[list[Point]]


def curve(run: Run, rule: str) -> Curve:
    """The rule over its whole range."""
    seeds = []
    for seed in run.seeds:
        points = [Point(one, describe(seed.recorded, one, decisions(seed.recorded, one)))
                  for one in _range(run, seed.recorded, rule)]
        seeds.append(sorted(points, key=lambda point: point.row["mean_flops"]))
    return Curve(run, rule, seeds)


def _range(run: Run, recorded: RecordedSplit, name: str) -> list[Rule]:
    """Of patience for regression, which has two parameters, the tolerances of one P: the scored one, else 1."""
    if name != Patience.name or recorded.outputs > 1 or recorded.depth == 1:
        return fitting_rules(recorded, [name], POINTS)
    scored = next((rule.parameter for rule in run.rules if isinstance(rule, Patience)), 1)
    patience = min(max(scored, 1), recorded.depth - 1)
    return [rule for rule in fitting_rules(recorded, [name], POINTS * recorded.depth) if rule.parameter == patience]


@dataclass(frozen=True, eq=False)
class Matched:
    """A curve at one cost. ``scores``: of each seed [S]. ``mixtures``: of each seed, answers [E] with their weights, whose
    score is the mean of theirs."""

    curve: Curve
    scores: list[float]
    mixtures: list[list[tuple[float, Tensor]]]

    @property
    def score(self) -> float:
        return float(np.mean(self.scores))

    def resampled(self, resamples: int) -> np.ndarray:
        """The score, as a mean over seeds, on every draw. The weights stay those of the whole split. Shape: [R]."""
        recorded = self.curve.run.recorded

        def score(places: Tensor) -> float:
            return sum(weight * score_at(recorded.metrics, answers, recorded.targets, places)
                       for mixture in self.mixtures for weight, answers in mixture) / len(self.mixtures)

        return resampled(score, len(recorded.ids), resamples, BOOTSTRAP_SEED)


def at_cost(curve: Curve, flops: float) -> Matched | None:
    """The curve at so many operations a sentence, on the straight line between the two points around it: what a coin between
    the two thresholds scores. Above its dearest point it has that point's score; None below its cheapest."""
    scores, mixtures = [], []
    for seed, points in zip(curve.run.seeds, curve.seeds):
        costs = [point.row["mean_flops"] for point in points]
        if flops < costs[0]:
            return None
        above = int(np.searchsorted(costs, min(flops, costs[-1])))
        weights = {above: 1.0}
        if above:
            part = (costs[above] - min(flops, costs[-1])) / (costs[above] - costs[above - 1])
            weights = {place: weight for place, weight in ((above - 1, part), (above, 1 - part)) if weight}
        scores.append(sum(weight * points[place].row["metrics"]["score"] for place, weight in weights.items()))
        mixtures.append([(weight, predictions(decisions(seed.recorded, points[place].rule).outputs))
                         for place, weight in weights.items()])
    return Matched(curve, scores, mixtures)


def on_grid(seeds: list[list[Point]], x: Callable[[Point], float],
            y: Callable[[Point], float]) -> tuple[np.ndarray, np.ndarray]:
    """``y`` of each seed's points on straight lines over ``x``, where all of them have points. Shape: [X], [S, X]."""
    xs = [np.array([x(point) for point in points]) for points in seeds]
    grid = np.linspace(max(of_seed.min() for of_seed in xs), min(of_seed.max() for of_seed in xs), GRID)
    orders = [np.argsort(of_seed, kind="stable") for of_seed in xs]
    return grid, np.stack([np.interp(grid, of_seed[order], np.array([y(point) for point in points])[order])
                           for of_seed, order, points in zip(xs, orders, seeds)])
