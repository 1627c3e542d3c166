"""Q-exit: exit once the CDF of the exit layer passes q."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from ...ponder.halting import cdf
from ..base import Recording, fractions_between, parse_fraction
from ..cdf_rule import CdfRule


@dataclass(frozen=True)
class QExit(CdfRule):
    """Exit at the first n with CDF_n > q, 0 ≤ q ≤ 1. At q = 1 every sentence exits at layer N.

    Source: PALBERT (arXiv 2204.03276, "Q-exit").
    """

    parameter: float
    name: ClassVar[str] = "q_exit"
    form: ClassVar[str] = "q_exit:Q with 0 <= Q <= 1"

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        return cls(parse_fraction(parameter))

    @classmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        return [cls(q) for q in fractions_between(cdf(recording.halting_logits.double())[:-1], points)]

    def thresholds(self, example_ids: Tensor) -> Tensor:
        return torch.full(example_ids.shape, self.parameter, dtype=torch.float64, device=example_ids.device)
