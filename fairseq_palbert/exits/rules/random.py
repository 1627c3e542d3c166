"""Random: each sentence exits at one of two neighbouring layers, at random."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from torch import Tensor

from ...numbers_from_text import finite_float
from ..base import MOST_LAYERS, ExitRule, Model, Recording, Seen
from ..uniform import uniform

_SEED = 0


@dataclass(frozen=True)
class Random(ExitRule):
    """Exit at ⌊D⌋ or, with probability D − ⌊D⌋, at ⌊D⌋ + 1: mean depth D, by one random number per example id.

    The baseline for any mean depth between two fixed exits: an adaptive rule that does no better has learnt nothing.
    """

    parameter: float
    name: ClassVar[str] = "random"
    form: ClassVar[str] = "random:D with 1 <= D <= the model's layers"

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        return cls(finite_float(parameter or "", 1, MOST_LAYERS))

    @classmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        return [cls(mean_depth) for mean_depth in np.linspace(1, len(recording.logits), points).tolist()]

    def check(self, model: Model) -> None:
        super().check(model)
        self.check_layer(model)

    def start(self, example_ids: Tensor) -> Tensor:
        """The drawn exit layer: float64 [B]."""
        below = int(self.parameter)
        return below + uniform(_SEED, example_ids).lt(self.parameter - below).double()

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        return state <= seen.n, state
