"""Fixed: every sentence exits at layer k."""

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from ...numbers_from_text import integer
from ..base import MOST_LAYERS, ExitRule, Model, Recording, Seen


@dataclass(frozen=True)
class Fixed(ExitRule):
    """Exit at layer k of 1..N: the baseline that an adaptive rule has to beat at the same mean depth."""

    parameter: int
    name: ClassVar[str] = "fixed"
    form: ClassVar[str] = "fixed:K with 1 <= K <= the model's layers"

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        return cls(integer(parameter or "", 1, MOST_LAYERS))

    @classmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        return [cls(k) for k in range(1, len(recording.logits) + 1)]

    def check(self, model: Model) -> None:
        super().check(model)
        self.check_layer(model)

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        return seen.n >= self.parameter, state
