"""Exits by a stated distribution, for weights that have learnt none; the lambda module runs as if it decided."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from fairseq_palbert.exits.base import ExitRule, Recording, Seen
from fairseq_palbert.exits.uniform import uniform
from fairseq_palbert.ponder.prior import log_prior


@dataclass(frozen=True)
class Drawn(ExitRule):
    """Each example leaves at the layer that is drawn for it from the geometric distribution of this parameter on 1..N, the
    remainder on N; of 12 layers, 0.14 has the mean 5.97."""

    parameter: float
    depth: int = 12
    name: ClassVar[str] = "drawn"
    form: ClassVar[str] = "drawn:LAMBDA with 0 < LAMBDA < 1"
    reads_halting: ClassVar[bool] = True

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        raise ValueError("it needs the model's layers")

    @classmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        return []

    def start(self, example_ids: Tensor) -> Tensor:
        """The layer that is drawn: int64 [B]."""
        cdf = log_prior("geometric", self.depth, self.parameter, "last").exp().cumsum(0)[:-1].to(example_ids.device)
        return torch.searchsorted(cdf, uniform(0, example_ids), right=True) + 1

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        return state <= seen.n, state
