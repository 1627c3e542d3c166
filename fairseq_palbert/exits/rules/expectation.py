"""Expectation: the mean answer over the posterior of the exit layer."""

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from ...ponder.halting import log_posterior
from ..base import AllDepthsRule, Recording


@dataclass(frozen=True)
class Expectation(AllDepthsRule):
    """Σ_n p_n softmax(ŷ_n) for classes, Σ_n p_n ŷ_n for regression (K = 1), in float64."""

    name: ClassVar[str] = "expectation"
    form: ClassVar[str] = "expectation"
    reads_halting: ClassVar[bool] = True

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        if parameter is not None:
            raise ValueError("it takes no parameter")
        return cls()

    @classmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        return [cls()]

    def combine(self, halting_logits: Tensor, logits: Tensor) -> Tensor:
        p = log_posterior(halting_logits.double()).exp()
        answers = logits.double()
        if logits.shape[-1] > 1:
            answers = answers.softmax(-1)
        return sum(p.unsqueeze(-1) * answers)  # summed layer by layer: bit-identical for any number of rows
