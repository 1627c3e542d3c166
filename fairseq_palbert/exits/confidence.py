"""Confidence: leave once the classifier is sure, by its largest probability."""

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from .base import ExitRule, Seen, fractions_between, parse_fraction


@dataclass(frozen=True)
class Confidence(ExitRule):
    """Exit at the first n with max softmax(ŷ_n) > P, 0 ≤ P ≤ 1, in float64: at P = 0 everybody leaves at layer 1, at
    P = 1 nobody before layer N."""

    parameter: float
    name: ClassVar[str] = "confidence"
    form: ClassVar[str] = "confidence:P with 0 <= P <= 1"
    reads_logits: ClassVar[bool] = True
    reads_classes: ClassVar[bool] = True

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        return cls(parse_fraction(parameter, "P is a probability"))

    @classmethod
    def sweep(cls, halting_logits: Tensor | None, logits: Tensor, points: int) -> list[Self]:
        return [cls(p) for p in fractions_between(confidence(logits[:-1]), points)]

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        return confidence(seen.logits) > self.parameter, state


def confidence(logits: Tensor) -> Tensor:
    """max softmax(ŷ) of 1/K..1, in float64. Shape: [..., K] -> [...]."""
    return logits.double().softmax(-1).amax(-1)
