"""Fixed: every sentence exits at layer k."""

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from ..base import ExitRule, Model, Recording, Seen


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

    @classmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        return [cls(k) for k in range(1, len(recording.logits) + 1)]

    def check(self, model: Model) -> None:
        super().check(model)
        self.check_layer(model)

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        return seen.n >= self.parameter, state
