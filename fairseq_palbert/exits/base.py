"""The protocol of an exit rule.

Sizes: N layers, B sentences still in the batch, K outputs (classes, or 1 for regression). Layers are counted from 1.

A rule is a pure function of what has been seen so far, so that the engine, which drops the sentences that have left,
and a replay over recorded numbers give the same answer. What it remembers from layer to layer is one tensor with a row
per sentence. Nobody asks a rule at layer N: there every sentence leaves.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from ..errors import UserError


@dataclass(frozen=True)
class Seen:
    """What a rule is shown after layer ``n``: ``halting_logits`` [B] and ``logits`` [B, K], where it reads them."""

    n: int
    halting_logits: Tensor | None = None
    logits: Tensor | None = None


@dataclass(frozen=True)
class Decisions:
    """One row per sentence: ``outputs`` [B, K], logits at the exit or a rule's mixture; ``exit_layers`` [B] of 1..N."""

    outputs: Tensor
    exit_layers: Tensor


class Rule(ABC):
    """What every rule has: its name, its form on the command line, and at most one number as its parameter.

    ``form`` is what a user types; ``parameter`` is None where the rule takes none; ``reads_halting`` says whether it is
    shown halting logits.
    """

    name: ClassVar[str]
    form: ClassVar[str]
    reads_halting: ClassVar[bool] = False
    parameter: float | int | None = None

    @classmethod
    @abstractmethod
    def parse(cls, parameter: str | None) -> Self:
        """The rule with the text behind the colon, None where there is no colon. Raises ValueError with the reason."""

    def check(self, depth: int, halts: bool) -> None:
        """Raises UserError where the rule does not fit a model of ``depth`` layers, with halting logits or without."""
        if self.reads_halting and not halts:
            raise self.refuse("it reads halting logits, and a model of --lambda-module none has none: choose fixed:K with "
                              f"1 <= K <= {depth}")

    @property
    def spec(self) -> str:
        """The rule as one types it, one spelling for equal rules."""
        return self.name if self.parameter is None else f"{self.name}:{self.parameter}"

    def refuse(self, reason: str) -> UserError:
        return UserError(f"exit rule {self.spec}: {reason}")


class ExitRule(Rule):
    """Decides layer by layer who leaves; the answer is the classifier's at that layer."""

    reads_logits: ClassVar[bool] = False

    @abstractmethod
    def start(self, example_ids: Tensor) -> Tensor:
        """What to remember before layer 1. Shape: ids [B], int64, of the examples in their split -> [B, ...]."""

    @abstractmethod
    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        """Who leaves after layer n < N, and what to remember. Shape: [B, ...] -> bool [B], [B, ...]."""


class AllDepthsRule(Rule):
    """Reads every layer of every sentence, and answers with something made of all of them; its exit layer is N."""

    @abstractmethod
    def combine(self, halting_logits: Tensor, logits: Tensor) -> Tensor:
        """Shape: [N − 1, B], [N, B, K] -> outputs [B, K]."""
