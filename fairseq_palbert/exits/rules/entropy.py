"""Entropy: exit once the entropy of the classifier's probabilities is low."""

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from ...ponder.entropy import normalised_entropy
from ..base import ExitRule, Recording, Seen, fractions_between, parse_fraction


@dataclass(frozen=True)
class Entropy(ExitRule):
    """Exit at the first n with H(softmax(ŷ_n)) / log K < S, 0 ≤ S ≤ 1, in float64.

    At S = 0 no sentence exits early; at S = 1 all exit at layer 1 whose logits are not exactly equal.
    Sources: DeeBERT (arXiv 2004.12993), whose threshold is S log K nats; FastBERT (arXiv 2004.02178), whose "speed" is
    S.
    """

    parameter: float
    name: ClassVar[str] = "entropy"
    form: ClassVar[str] = "entropy:S with 0 <= S <= 1"
    reads_logits: ClassVar[bool] = True
    reads_classes: ClassVar[bool] = True

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        return cls(parse_fraction(parameter))

    @classmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        return [cls(s) for s in fractions_between(normalised_entropy(recording.logits[:-1]), points)]

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        return normalised_entropy(seen.logits) < self.parameter, state
