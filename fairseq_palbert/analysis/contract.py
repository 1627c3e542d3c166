"""Choose the exit rules' thresholds that keep a contract on score or depth.

Sizes: N layers, E examples.

Without a confidence, a contract is kept on the calibration examples as they are. With a confidence it is kept for
examples to come: with at least that probability over the draw of the calibration examples, the expectation of a loss of
0..1 is at most a limit. This holds for examples that are independent of each other and of the model. So the model must
not have been trained on them, nor its checkpoint selected on them. Rows of a group are not independent, so that a task
with groups has no guarantee.

The guarantee is for each rule by itself. To choose one of R rules afterwards and keep the guarantee, ask for the
confidence 1 − (1 − confidence) / R.

The loss of ``MaxDrop`` is that of the literature on early exit: Confident Adaptive Language Modeling (arXiv
2207.07061), Fast yet Safe (arXiv 2405.20915).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import UserError
from ..exits.base import Decisions, Recording, Rule
from ..exits.rules.confidence import Confidence
from ..exits.rules.fixed import Fixed
from .guarantee import risk_p_value, safe_settings
from .measures import errors
from .recorded_split import TENSORS, RecordedSplit
from .records import predictions, score
from .sweep import decisions, fitting_rules
from .temperature import fit_temperatures

POINTS = 100  # thresholds tried a rule, approximately
ROUNDING = 1e-9  # 0.90 − 0.89 > 0.01 in float64


@dataclass(frozen=True)
class Tried:
    """A rule on the calibration examples: its official score, mean exit layer, and decisions."""

    rule: Rule
    score: float
    mean_exit: float
    decided: Decisions


@dataclass(frozen=True)
class Contract(ABC):
    """What a threshold has to keep. ``limit`` is the user's value, ``name`` the flag with underscores."""

    limit: float
    name: ClassVar[str]

    def __str__(self) -> str:
        return f"--{self.name.replace('_', '-')} {self.limit:.15g}"

    @abstractmethod
    def keeps(self, tried: Tried, full_score: float) -> bool:
        """Whether the contract is kept on the calibration examples; ``full_score`` is layer N's score."""

    @abstractmethod
    def preference(self, tried: Tried) -> tuple[float, float]:
        """A sort key: of the settings that keep the contract, the one with the smallest key is chosen."""

    @abstractmethod
    def fallback(self, depth: int) -> Fixed:
        """The fixed exit that keeps the contract on any examples."""

    @abstractmethod
    def losses(self, recorded: RecordedSplit, decided: Decisions) -> Tensor:
        """The loss of each example, 0..1, in float64. Shape: [E]."""

    @abstractmethod
    def risk_limit(self, depth: int) -> float:
        """The limit on the expected loss."""

    @abstractmethod
    def promise(self, recorded: RecordedSplit) -> str:
        """What a confidence guarantees, in words."""


@dataclass(frozen=True)
class Budget(Contract):
    """The largest mean exit layer of at most B; of equal depths the best score.

    A score on a few hundred calibration examples is too noisy to choose by: the threshold with the best one leaves
    budget unused and does worse on new examples. Choosing by depth is the budgeted classification of Multi-Scale Dense
    Networks (arXiv 1703.09844).
    Loss: (n − 1) / (N − 1), with exit layer n.
    """

    name = "budget"

    def __post_init__(self):
        if not 1 <= self.limit < float("inf"):
            raise UserError(f"{self}: give a mean number of layers, at least 1 and finite")

    def keeps(self, tried: Tried, full_score: float) -> bool:
        return tried.mean_exit <= self.limit

    def preference(self, tried: Tried) -> tuple[float, float]:
        return -tried.mean_exit, -tried.score

    def fallback(self, depth: int) -> Fixed:
        return Fixed(min(int(self.limit), depth))

    def losses(self, recorded: RecordedSplit, decided: Decisions) -> Tensor:
        return (decided.exit_layers - 1).double() / max(recorded.depth - 1, 1)

    def risk_limit(self, depth: int) -> float:
        return (self.limit - 1) / max(depth - 1, 1)

    def promise(self, recorded: RecordedSplit) -> str:
        return f"the expected exit layer is at most {self.limit:.15g}"


@dataclass(frozen=True)
class MaxDrop(Contract):
    """The lowest mean exit layer with an official score at most D below layer N's; of equal depths the best score.

    A confidence bounds the expected loss, whatever the official metric is. For classes the loss is 1 where layer N is
    right and the answer wrong, else 0. Its expectation is at least the drop in accuracy. For regression it is max(0, |ŷ
    − y| − |ŷ_N − y|) / R, with answers clipped to the task's scale of width R, as in a submission. Its expectation is
    at least the rise of the mean absolute error over R. Nothing is guaranteed of F1, Matthews, Pearson and Spearman,
    which are not means over examples.
    """

    name = "max_drop"

    def __post_init__(self):
        if not 0 <= self.limit < 1:
            raise UserError(f"{self}: a part of 1, at least 0 and below 1: 0.01 is one point")

    def keeps(self, tried: Tried, full_score: float) -> bool:
        return full_score - tried.score <= self.limit + ROUNDING

    def preference(self, tried: Tried) -> tuple[float, float]:
        return tried.mean_exit, -tried.score

    def fallback(self, depth: int) -> Fixed:
        return Fixed(depth)

    def losses(self, recorded: RecordedSplit, decided: Decisions) -> Tensor:
        task = recorded.task
        answers, at_last = predictions(decided.outputs), predictions(recorded.recording.logits[-1])
        if not task.regression:
            return (errors(recorded, answers) - errors(recorded, at_last)).clamp(min=0)
        low, high = task.score_range
        rise = errors(recorded, answers.clamp(low, high)) - errors(recorded, at_last.clamp(low, high))
        return rise.clamp(0, high - low) / (high - low)

    def risk_limit(self, depth: int) -> float:
        return self.limit

    def promise(self, recorded: RecordedSplit) -> str:
        task = recorded.task
        if not task.regression:
            return f"accuracy is expected to drop by at most {self.limit:.15g}"
        low, high = task.score_range
        return (f"the mean absolute error of answers clipped to {low:.15g}..{high:.15g} is expected to rise by at most "
                f"{self.limit * (high - low):.15g}")


def part_of(recorded: RecordedSplit, places: Tensor) -> RecordedSplit:
    """The examples at ``places`` [n] alone; they keep their ids."""
    recording = Recording(*(None if of_all is None else of_all[:, places]
                            for of_all in vars(recorded.recording).values()))
    tensors = {name: getattr(recorded, name) for name in TENSORS}
    return replace(recorded, recording=recording, **{name: None if values is None else values[places]
                                                     for name, values in tensors.items()})


def rows_of(recorded: RecordedSplit, units: Tensor) -> Tensor:
    """The places of the examples of these ``RecordedSplit.unit_of``, ascending."""
    return torch.isin(recorded.unit_of, units).nonzero().squeeze(1)


def two_parts(examples: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """The places of a random ``fraction`` of the examples, or groups, and of the others; both ascending.

    Raises UserError where a part would be empty.
    """
    first = round(fraction * examples) if 0 < fraction < 1 else 0
    if not 0 < first < examples:
        raise UserError(f"{examples} examples are too few to split at {fraction:.15g}: both parts need one")
    order = torch.randperm(examples, generator=torch.Generator().manual_seed(seed))
    return order[:first].sort().values, order[first:].sort().values


def full_score(recorded: RecordedSplit) -> float:
    """The official score of layer N."""
    return score(recorded, recorded.recording.logits[-1])["score"]


def choose(contract: Contract, names: list[str], calibration: RecordedSplit, confidence: float | None = None,
           seed: int = 0) -> dict[str, Rule]:
    """Each fitting rule's preferred setting that keeps the contract, or the contract's fallback where none does.

    ``names``: the rules to choose from; those that do not fit the model are left out.

    With a confidence, a setting also has to pass the test of ``guarantee``. The examples are then split into two
    halves. Thresholds, temperatures and the order of testing (lowest mean loss first) come from the first half, the
    tests use the second. With the stated probability every setting that passes is within the limit. So the choice among
    them may use all examples again.

    Raises UserError where no rule fits, for a confidence in a task with groups, and where there are too few examples
    for any setting to pass.
    """
    if confidence is not None and calibration.groups is not None:
        raise UserError(f"--confidence {confidence:.15g}: a guarantee is for independent examples, and "
                        f"{calibration.task.name} scores rows in groups: leave it out")
    places = torch.arange(len(calibration.ids))
    shaping, testing = (places, places) if confidence is None else two_parts(len(places), 0.5, seed)
    limit = contract.risk_limit(calibration.depth)
    if confidence is not None and risk_p_value(torch.zeros(len(testing)).numpy(), limit) > 1 - confidence:
        raise UserError(f"{contract} --confidence {confidence:.15g}: {len(testing)} examples to test on could not show "
                        "it even without a loss: calibrate on more, or ask for less")
    chosen = {}
    for name, rules in _settings(part_of(calibration, shaping), names).items():
        tried = [_evaluate(rule, calibration) for rule in rules]
        if confidence is not None:
            losses = {setting.rule: contract.losses(calibration, setting.decided) for setting in tried}
            tried.sort(key=lambda setting: float(losses[setting.rule][shaping].mean()))
            tested = (losses[setting.rule][testing].numpy() for setting in tried)
            tried = tried[:safe_settings(tested, limit, 1 - confidence)]
        chosen[name] = preferred(contract, tried, calibration)
    return chosen


def try_all(names: list[str], calibration: RecordedSplit) -> dict[str, list[Tried]]:
    """Every setting of the named rules that fit the model, for a choice by several contracts."""
    return {name: [_evaluate(rule, calibration) for rule in rules]
            for name, rules in _settings(calibration, names).items()}


def preferred(contract: Contract, tried: list[Tried], calibration: RecordedSplit) -> Rule:
    """The contract's preferred setting of those that keep it, or its fallback where none does."""
    full = full_score(calibration)
    kept = [setting for setting in tried if contract.keeps(setting, full)]
    return min(kept, key=contract.preference).rule if kept else contract.fallback(calibration.depth)


def _settings(recorded: RecordedSplit, names: list[str]) -> dict[str, list[Rule]]:
    """Each fitting rule over its whole range; confidence has fitted temperatures."""
    by_name = {}
    for rule in fitting_rules(recorded, names, POINTS):
        by_name.setdefault(rule.name, []).append(rule)
    if Confidence.name in by_name:
        temperatures = fit_temperatures(recorded.recording.logits, recorded.targets)
        by_name[Confidence.name] = Confidence.sweep(recorded.recording, POINTS, temperatures)
    return by_name


def _evaluate(rule: Rule, recorded: RecordedSplit) -> Tried:
    decided = decisions(recorded, rule)
    return Tried(rule, score(recorded, decided.outputs)["score"],
                 float(decided.exit_layers.double().mean()), decided)
