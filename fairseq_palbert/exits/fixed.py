"""Fixed: the first k layers for every sentence."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from .base import ExitRule, Seen


@dataclass(frozen=True)
class Fixed(ExitRule):
    """Exit at layer k of 1..N: the baseline that an adaptive rule has to beat at the same mean depth."""

    parameter: int
    name: ClassVar[str] = "fixed"
    form: ClassVar[str] = "fixed:K with 1 <= K <= the model's layers"

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        k = int(parameter or "")
        if k < 1:
            raise ValueError("layers are counted from 1")
        return cls(k)

    def check(self, depth: int, halts: bool) -> None:
        super().check(depth, halts)
        if self.parameter > depth:
            raise self.refuse(f"the model has {depth} layers, choose fixed:1 to fixed:{depth}")

    def start(self, example_ids: Tensor) -> Tensor:
        """Nothing to remember: [B, 0]."""
        return example_ids.new_empty(example_ids.shape[0], 0)

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full(state.shape[:1], seen.n >= self.parameter, device=state.device), state
