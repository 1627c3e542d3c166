"""Sampling: exit after layer n with probability λ_n."""

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from ...numbers_from_text import integer
from ..base import Recording
from ..cdf_rule import CdfRule
from ..uniform import uniform


@dataclass(frozen=True)
class Sampling(CdfRule):
    """Exit at the first n with CDF_n > u, with u uniform in [0, 1): exactly Bernoulli(λ_n) layer by layer.

    u is a pure function of (seed, example id). Source: PonderNet (arXiv 2107.05407).
    """

    parameter: int
    name: ClassVar[str] = "sampling"
    form: ClassVar[str] = "sampling:SEED with an integer 0 <= SEED < 2^63"

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        return cls(integer(parameter or "", 0, 2**63 - 1))

    @classmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        return [cls(0)]

    def thresholds(self, example_ids: Tensor) -> Tensor:
        return uniform(self.parameter, example_ids)
