"""The report's claims about a method, with paired bootstrap intervals.

Sizes: E examples, U units (examples, or groups), B ways to weight them, M settings of a rule, N layers, R resamples.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..analysis.bootstrap import Difference, Statistic, resampled
from ..analysis.measures import curve_area
from ..analysis.recorded_split import RecordedSplit
from ..analysis.records import expected_scores
from ..analysis.sweep import decisions
from ..exits.base import Rule
from ..exits.rules.confidence import Confidence
from ..exits.rules.expectation import Expectation
from ..exits.rules.fixed import Fixed
from ..exits.rules.q_exit import QExit
from .curves import Curve
from .runs import Run
from .task import Task
from .thresholds import BUDGETS, Setting

BOOTSTRAP_SEED = 0
MEAN = "mean of tasks"
LOW, HIGH = min(BUDGETS.values()), max(BUDGETS.values())  # the depths of an area, as fractions of N
Q_EXIT = QExit(0.5)  # the median of the posterior


@dataclass(frozen=True)
class Claim:
    """The score ``a`` of ``method`` minus the score ``b`` of ``other``, on a task's reported split.

    ``tasks`` > 1: the means over that many tasks. ``drawn``: the differences that ``bootstrap.resampled`` gives, [1 +
    R].
    """

    method: str
    other: str
    a: float
    b: float
    drawn: np.ndarray
    tasks: int = 1

    @property
    def difference(self) -> Difference:
        return Difference.of(self.drawn)


class Bootstrap:
    """Statistics of one task, all on the same resamples of its units; every task has resamples of its own."""

    def __init__(self, task: Task, resamples: int):
        self._arguments = task.recorded.units, resamples, (BOOTSTRAP_SEED, *task.name.encode())

    def claim(self, method: str, other: str, a: np.ndarray, b: np.ndarray) -> Claim:
        return Claim(method, other, float(a[0]), float(b[0]), a - b)

    def __call__(self, statistic: Statistic) -> np.ndarray:
        return resampled(statistic, *self._arguments)


def pooled(claims: list[Claim]) -> Claim:
    """The mean over tasks; each task is resampled by itself."""
    first = claims[0]
    return Claim(first.method, first.other,
                 *(float(np.mean([getattr(claim, side) for claim in claims])) for side in "ab"),
                 np.mean([claim.drawn for claim in claims], axis=0), len(claims))


def against_fixed_models(task: Task, chosen: Setting, bootstrap: Bootstrap) -> list[Claim]:
    """The score at the chosen thresholds minus the scores of three models of fixed depth.

    - The fixed exits of the same model at the same mean depth, interpolated linearly between two layers.
    - The static model of N/2 layers.
    - The vanilla model of N layers.

    A model that the task lacks is left out.
    """
    ours, run = bootstrap(_mean(chosen.run, chosen.rules)), chosen.run
    claims = [bootstrap.claim(run.method, "fixed exit, same depth", ours, bootstrap(_fixed_at_depth(chosen)))]
    for name in (f"static{run.recorded.depth // 2}", "vanilla"):
        for other in task.runs:
            if other.method == name:
                theirs = bootstrap(_mean(other, [other.full_model] * len(other.seeds)))
                claims.append(bootstrap.claim(run.method, f"{name}, {other.recorded.depth} layers", ours, theirs))
    return claims


def against_other_rules(task: Task, run: Run, bootstrap: Bootstrap) -> list[Claim]:
    """The area of the run's Q-exit curve minus that of every other rule on the same models."""
    curves = {**task.curves[run.method], Fixed.name: task.static[run.method]}
    if run.recorded.outputs == 2:
        del curves[Confidence.name]  # ranks the answers of two classes as entropy does
    areas = {name: bootstrap(_area(curve)) for name, curve in curves.items()}
    return [bootstrap.claim(run.method, name, areas[QExit.name], area)
            for name, area in areas.items() if name != QExit.name]


def ordering(task: Task, run: Run, bootstrap: Bootstrap) -> list[Claim]:
    """PALBERT's ordering on one trained model (arXiv 2204.03276): sampling < Q-exit <= expectation.

    The claims are Q-exit 0.5 minus sampling, by its exact expectation, and expectation minus Q-exit 0.5. There are none
    of a task with groups, whose score has no closed form under sampling.
    """
    if run.recorded.groups is not None:
        return []
    sampling = bootstrap(_over_seeds([lambda weights, recorded=seed.recorded: expected_scores(recorded, weights)
                                      for seed in run.seeds]))
    q_exit, expectation = (bootstrap(_mean(run, [rule] * len(run.seeds))) for rule in (Q_EXIT, Expectation()))
    return [bootstrap.claim(run.method, "Q-exit − sampling", q_exit, sampling),
            bootstrap.claim(run.method, "expectation − Q-exit", expectation, q_exit)]


def _over_seeds(statistics: list[Statistic]) -> Statistic:
    return lambda weights: sum(statistic(weights) for statistic in statistics) / len(statistics)


def _mean(run: Run, rules: list[Rule]) -> Statistic:
    """The official score, averaged over seeds."""
    replayed = [_Replayed.of(seed.recorded, [rule]) for seed, rule in zip(run.seeds, rules, strict=True)]
    return _over_seeds([lambda weights, of_seed=of_seed: of_seed.scores(weights)[0] for of_seed in replayed])


def _fixed_at_depth(chosen: Setting) -> Statistic:
    """The fixed exits' score at the chosen rule's mean depth on the same resample, averaged over seeds."""
    def of(recorded: RecordedSplit, rule: Rule) -> Statistic:
        adaptive = _Replayed.of(recorded, [rule])
        fixed = _Replayed.of(recorded, [Fixed(n + 1) for n in range(recorded.depth)])

        def statistic(weights: Tensor) -> Tensor:
            depth, scores = adaptive.depths(weights)[0], fixed.scores(weights)
            below = depth.long().clamp(1, max(recorded.depth - 1, 1))
            low, high = (scores.gather(0, (layer - 1).unsqueeze(0))[0]
                         for layer in (below, (below + 1).clamp(max=len(scores))))
            return low + (depth - below) * (high - low)

        return statistic

    return _over_seeds([of(seed.recorded, rule) for seed, rule in zip(chosen.run.seeds, chosen.rules, strict=True)])


def _area(curve: Curve) -> Statistic:
    """``measures.curve_area`` between the mean exit layers N/3 and 2N/3, averaged over seeds.

    Scores and depths come from the same resample.
    """
    def of(recorded: RecordedSplit, rules: list[Rule]) -> Statistic:
        low, high = LOW * recorded.depth, HIGH * recorded.depth
        replayed = _Replayed.of(recorded, rules)
        rising = replayed.at(replayed.exit_layers.mean(1).argsort(stable=True))

        def statistic(weights: Tensor) -> Tensor:
            depths = rising.depths(weights)
            first = max(int((depths <= low).sum(0).min()) - 1, 0)  # no resample has more than one point below this
            last = min(len(depths) - int((depths >= high).sum(0).min()) + 1, len(depths))
            scores = rising.at(torch.arange(first, last)).scores(weights)
            return torch.from_numpy(curve_area(depths[first:last].T.numpy(), scores.T.numpy(), low, high))

        return statistic

    return _over_seeds([of(seed.recorded, [point.rule for point in points])
                        for seed, points in zip(curve.run.seeds, curve.seeds)])


@dataclass(frozen=True)
class _Replayed:
    """The decisions of M rules on one record: ``TaskMetrics.units`` [M, U, D], ``exit_layers`` [M, E], float64."""

    recorded: RecordedSplit
    units: Tensor
    exit_layers: Tensor

    @classmethod
    def of(cls, recorded: RecordedSplit, rules: list[Rule]) -> Self:
        decided = [decisions(recorded, rule) for rule in rules]
        units = [recorded.metrics.units(of_rule.outputs, recorded.references) for of_rule in decided]
        return cls(recorded, torch.stack(units),
                   torch.stack([of_rule.exit_layers for of_rule in decided]).double())

    def scores(self, weights: Tensor) -> Tensor:
        """Shape: [B, U] -> [M, B]."""
        return torch.stack([self.recorded.metrics.weighted(units, weights) for units in self.units])

    def depths(self, weights: Tensor) -> Tensor:
        """Mean exit layers. Shape: [B, U] -> [M, B]."""
        of_examples = weights[:, self.recorded.unit_of]
        return self.exit_layers @ of_examples.T / of_examples.sum(1)

    def at(self, places: Tensor) -> Self:
        """The rules at ``places`` alone, in that order."""
        return replace(self, units=self.units[places], exit_layers=self.exit_layers[places])


MakeClaims = Callable[[Task, Run, Bootstrap], list[Claim]]


def by_task_and_pooled(tasks: list[Task], make: MakeClaims, resamples: int) -> list[tuple[str, list[Claim]]]:
    """(task, claims of one method) for every run that ``claims_depth``, then for the mean of tasks.

    A mean is over the tasks that have the claim, where there is more than one.
    """
    by_task = [(task.name, make(task, run, Bootstrap(task, resamples))) for task in tasks for run in task.runs
             if run.claims_depth]
    by_task = [(name, claims) for name, claims in by_task if claims]
    by_pair: dict[tuple[str, str], list[Claim]] = {}
    for _, claims in by_task:
        for claim in claims:
            by_pair.setdefault((claim.method, claim.other), []).append(claim)
    means: dict[str, list[Claim]] = {}
    for (method, _), claims in by_pair.items():
        if len(claims) > 1:
            means.setdefault(method, []).append(pooled(claims))
    return by_task + [(MEAN, claims) for claims in means.values()]
