"""The protocol of an exit rule.

Sizes: N layers, B sentences still in the batch, K outputs (classes, or 1 for regression). Layers are counted from 1.

A rule is a pure function of what it has seen so far. The engine, which drops sentences that have exited, and a replay
on recorded numbers therefore decide the same. A rule's state from layer to layer is one tensor with a row per sentence.
At layer N every sentence exits, and no rule is called.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..numbers_from_text import finite_float

MOST_LAYERS = 10_000  # that a rule may name


class Model(Protocol):
    """What decides whether a rule fits: N, K, and whether the model has halting logits and learned-exit scores."""

    depth: int
    outputs: int
    halts: bool
    learns_exit: bool


@dataclass(frozen=True)
class Seen:
    """What a rule sees of each sentence after layer ``n`` [B], int64, where it reads it.

    ``halting_logits`` [B], ``logits`` [B, K] and ``error_logits`` [B].
    """

    n: Tensor
    halting_logits: Tensor | None = None
    logits: Tensor | None = None
    error_logits: Tensor | None = None


@dataclass(frozen=True)
class Recording:
    """All layers of E examples.

    ``halting_logits`` [N − 1, E] and ``error_logits`` [N − 1, E] are None where the network has no such head;
    ``logits`` [N, E, K].
    """

    halting_logits: Tensor | None
    logits: Tensor
    error_logits: Tensor | None = None

    def at(self, n: int) -> Seen:
        """What a rule sees of layer ``n`` < N."""
        logits = self.logits[n - 1]
        n_of_each = torch.full((len(logits),), n, device=logits.device)
        return Seen(n_of_each, of_layer(self.halting_logits, n - 1), logits, of_layer(self.error_logits, n - 1))


def of_layer(by_layer: Tensor | None, i: int) -> Tensor | None:
    """Row ``i``, or None for a head that the network lacks. Shape: [L, B] -> [B]."""
    return None if by_layer is None else by_layer[i]


@dataclass(frozen=True)
class Decisions:
    """One row per sentence: ``outputs`` [B, K], logits at the exit or a rule's mixture; ``exit_layers`` [B], 1..N."""

    outputs: Tensor
    exit_layers: Tensor


class Rule(ABC):
    """The name of a rule, its form on the command line, and the parameter that moves its exits.

    ``form`` is what a user types. ``parameter`` is None where the rule takes none. ``reads_halting``: it sees halting
    logits; ``reads_errors``: learned-exit scores; ``reads_logits``: every layer's answer. ``reads_classes``: it needs
    class probabilities.
    """

    name: ClassVar[str]
    form: ClassVar[str]
    reads_halting: ClassVar[bool] = False
    reads_errors: ClassVar[bool] = False
    reads_logits: ClassVar[bool] = False
    reads_classes: ClassVar[bool] = False
    parameter: float | int | None = None

    @classmethod
    @abstractmethod
    def parse(cls, parameter: str | None) -> Self:
        """The rule for the text after the colon, None without a colon. Raises ValueError with the reason."""

    @classmethod
    @abstractmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        """About ``points`` rules that span the trade-off on this recording, from the earliest exits to the latest.

        The order may be reversed.
        """

    @classmethod
    def misfit(cls, model: Model) -> str | None:
        """Why no rule of this name fits the model, or None."""
        if cls.reads_halting and not model.halts:
            return ("it reads halting logits, and a model of --lambda-module none has none: choose fixed:K with "
                    f"1 <= K <= {model.depth}, or a rule that reads the classifiers' answers")
        if cls.reads_errors and not model.learns_exit:
            return "it reads learned-exit scores, which models trained with --learned-exit have"
        if cls.reads_classes and model.outputs == 1:
            return ("it reads the probabilities of classes, and a regression has none: choose patience:P:TOLERANCE, or "
                    f"fixed:K with 1 <= K <= {model.depth}")
        return None

    def check(self, model: Model) -> None:
        """Raises UserError where the rule does not fit the model."""
        if reason := self.misfit(model):
            raise self.refuse(reason)

    def check_layer(self, model: Model) -> None:
        """Raises UserError where the parameter is a layer that the model does not have."""
        if self.parameter > model.depth:
            raise self.refuse(f"the model has {model.depth} layers, choose {self.name}:1 to {self.name}:{model.depth}")

    @property
    def spec(self) -> str:
        """The rule in the form that a user types; equal rules have equal texts."""
        return self.name if self.parameter is None else f"{self.name}:{self.parameter}"

    def refuse(self, reason: str) -> UserError:
        return UserError(f"exit rule {self.spec}: {reason}")


class ExitRule(Rule):
    """Decides after each layer which sentences exit; the answer is the classifier's at that layer."""

    def start(self, example_ids: Tensor) -> Tensor:
        """The state before layer 1, by default empty, [B, 0].

        Shape: ids [B], int64, of the examples in their split -> [B, ...].
        """
        return example_ids.new_empty(len(example_ids), 0)

    @abstractmethod
    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        """Which sentences exit after layer n < N, and the new state. Shape: [B, ...] -> bool [B], [B, ...]."""


class AllDepthsRule(Rule):
    """Combines the answers of all layers of every sentence; its exit layer is N."""

    reads_logits: ClassVar[bool] = True

    @abstractmethod
    def combine(self, halting_logits: Tensor, logits: Tensor) -> Tensor:
        """The combined answers. Shape: [N − 1, B], [N, B, K] -> outputs [B, K]."""


def parse_fraction(parameter: str | None) -> float:
    """The typed number from 0 to 1; −0.0 becomes 0.0, so that equal rules have equal texts.

    Raises ValueError with the reason.
    """
    return finite_float(parameter or "", low=0, high=1) + 0.0


def fractions_between(values: Tensor, points: int) -> list[float]:
    """0, 1 and quantiles of ``values``, which lie in 0..1: thresholds where decisions change."""
    inner = np.linspace(0, 1, max(points - 2, 0) if values.numel() else 0)
    quantiles = np.quantile(values.flatten().numpy(), inner, method="lower") if len(inner) else inner
    return sorted({0.0, 1.0, *quantiles.clip(0, 1).tolist()})
