"""Learned: exit once the learned-exit head expects a small error."""

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from ..base import ExitRule, Recording, Seen, fractions_between, parse_fraction


@dataclass(frozen=True)
class Learned(ExitRule):
    """Exit at the first n with e_n < T, 0 ≤ T ≤ 1, in float64; e_n is the error that the learned-exit head expects.

    At T = 0 no sentence exits early; at T = 1 all exit at layer 1 unless e_1 is exactly 1.
    Source: BERxiT's learning to exit (EACL 2021, section 3.3).
    """

    parameter: float
    name: ClassVar[str] = "learned"
    form: ClassVar[str] = "learned:T with 0 <= T <= 1"
    reads_errors: ClassVar[bool] = True

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        return cls(parse_fraction(parameter))

    @classmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        return [cls(t) for t in fractions_between(expected_error(recording.error_logits), points)]

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        return expected_error(seen.error_logits) < self.parameter, state


def expected_error(error_logits: Tensor) -> Tensor:
    """e = σ(error logit), from 0 to 1, in float64. Shape: [...] -> [...]."""
    return error_logits.double().sigmoid()
