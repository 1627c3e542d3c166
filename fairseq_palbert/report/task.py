"""The runs of one task, and the results that its tables and plots share."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor, stack

from ..analysis.measures import errors
from ..analysis.recorded_split import RecordedSplit
from ..analysis.records import predictions
from ..analysis.sweep import decisions
from ..exits.base import AllDepthsRule
from ..exits.rules.confidence import confidence
from ..exits.rules.fixed import Fixed
from .curves import Curve, curve
from .runs import Run, adaptive_rules
from .thresholds import HALF, Setting, chosen_settings, full_depth, setting


@dataclass(frozen=True)
class Examples:
    """Every example under a rule, one row a seed [S, E].

    ``errors``: see ``measures.errors``. ``confidences``: the answer's probability, None for regression.
    """

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
        """The first run's record, for what all runs have in common."""
        return self.runs[0].recorded

    @cached_property
    def depth(self) -> int:
        """The number of layers of the deepest model; the budgets of a run have its own."""
        return max(run.recorded.depth for run in self.runs)

    @property
    def adaptive(self) -> list[Run]:
        return [run for run in self.runs if run.main_rule]

    @property
    def halting(self) -> list[Run]:
        return [run for run in self.runs if run.recorded.halts]

    @cached_property
    def chosen(self) -> dict[str, dict[tuple[str, str], Setting]]:
        """For each method with a calibration record, its rules at chosen thresholds; see ``chosen_settings``."""
        return {run.method: chosen_settings(run) for run in self.adaptive if run.calibrated}

    @cached_property
    def main(self) -> dict[str, Setting]:
        """The main setting of each method.

        It is the main rule at the threshold chosen for N/2 layers, or as scored where none can be chosen. A model
        without such a rule has its last layer.
        """
        return {run.method: self._main(run) for run in self.runs}

    def _main(self, run: Run) -> Setting:
        if not run.main_rule:
            return full_depth(run)
        if run.method in self.chosen:
            return self.chosen[run.method][run.main_rule.name, HALF]
        return setting(run, run.main_rule.name, [run.main_rule] * len(run.seeds), chosen=False)

    @cached_property
    def static(self) -> dict[str, Curve]:
        """The fixed exits of each method."""
        return {run.method: curve(run, Fixed.name) for run in self.runs}

    @cached_property
    def curves(self) -> dict[str, dict[str, Curve]]:
        """For each method that adapts the depth, the curves of all adaptive rules that fit its model."""
        return {run.method: {name: curve(run, name) for name in adaptive_rules(run.recorded)} for run in self.adaptive}

    def main_curve(self, run: Run) -> Curve:
        """The curve of the run's main rule, or of its fixed exits where it has none."""
        return self.curves[run.method][run.main_rule.name] if run.main_rule else self.static[run.method]

    @cached_property
    def full_flops(self) -> float:
        """FLOPs of a sentence in the deepest model without early exits, averaged over sentences and seeds."""
        return max(float(np.mean([points[-1].row["mean_flops"] for points in static.seeds]))
                   for static in self.static.values())


def examples(chosen: Setting) -> Examples:
    exit_layers, wrong, confidences = [], [], []
    for seed, rule in zip(chosen.run.seeds, chosen.rules):
        decided = decisions(seed.recorded, rule)
        exit_layers.append(decided.exit_layers)
        wrong.append(errors(seed.recorded, predictions(decided.outputs)))
        mixed = isinstance(rule, AllDepthsRule)  # its outputs are probabilities, not logits
        confidences.append(decided.outputs.amax(-1) if mixed else confidence(decided.outputs))
    regression = chosen.run.recorded.task.regression
    return Examples(stack(exit_layers), stack(wrong), None if regression else stack(confidences))
