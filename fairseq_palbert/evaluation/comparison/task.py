"""Everything of one task that its tables and plots share."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor, stack

from ...exits.base import AllDepthsRule, Rule
from ...exits.confidence import confidence
from ...exits.fixed import Fixed
from ..measures import errors
from ..recorded_split import RecordedSplit
from ..records import predictions
from ..sweep import decisions
from .curves import Curve, curve
from .runs import Run, adaptive_rules


@dataclass(frozen=True)
class Examples:
    """Every example under a rule, a row a seed [S, E]: where it left, how wrong the answer is (``measures.errors``), and the
    answer's probability, None for regression."""

    exit_layers: Tensor
    errors: Tensor
    confidences: Tensor | None


@dataclass(frozen=True)
class Task:
    """The runs of one task."""

    name: str
    runs: list[Run]

    @property
    def recorded(self) -> RecordedSplit:
        """The first run's, for what all have in common."""
        return self.runs[0].recorded

    @property
    def adaptive(self) -> list[Run]:
        return [run for run in self.runs if run.main_rule]

    @property
    def halting(self) -> list[Run]:
        return [run for run in self.runs if run.recorded.halts]

    @cached_property
    def static(self) -> dict[str, Curve]:
        """The fixed exits of each method."""
        return {run.method: curve(run, Fixed.name) for run in self.runs}

    @cached_property
    def curves(self) -> dict[str, dict[str, Curve]]:
        """Of each method, every rule that adapts the depth and fits its model."""
        return {run.method: {name: curve(run, name) for name in adaptive_rules(run.recorded)} for run in self.runs}

    def main_curve(self, run: Run) -> Curve:
        """That of the run's main rule, or its fixed exits."""
        return self.curves[run.method][run.main_rule.name] if run.main_rule else self.static[run.method]

    @cached_property
    def full_flops(self) -> float:
        """Operations of a sentence in the deepest model without early exits, a mean over sentences and seeds."""
        return max(float(np.mean([points[-1].row["mean_flops"] for points in static.seeds])) for static in self.static.values())


def examples(run: Run, rule: Rule) -> Examples:
    exit_layers, wrong, sure = [], [], []
    for seed in run.seeds:
        decided = decisions(seed.recorded, rule)
        exit_layers.append(decided.exit_layers)
        wrong.append(errors(seed.recorded, predictions(decided.outputs)))
        mixed = isinstance(rule, AllDepthsRule)  # whose outputs are probabilities, not logits
        sure.append(decided.outputs.amax(-1) if mixed else confidence(decided.outputs))
    regression = run.recorded.metrics.task.regression
    return Examples(stack(exit_layers), stack(wrong), None if regression else stack(sure))
