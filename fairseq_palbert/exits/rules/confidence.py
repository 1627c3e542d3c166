"""Confidence: leave once the classifier is sure, by its largest probability."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from ..base import ExitRule, Model, Recording, Seen, fractions_between, parse_fraction


@dataclass(frozen=True)
class Confidence(ExitRule):
    """Exit at the first n with max softmax(ŷ_n / T_n) > P, 0 ≤ P ≤ 1, in float64: at P = 0 everybody leaves at layer 1,
    at P = 1 nobody before layer N.

    ``temperatures`` is one T > 0 for all layers, by default 1, or one a layer of 1..N − 1; ``evaluation.temperature``
    fits them. Source: On Calibration of Modern Neural Networks (arXiv 1706.04599, section 4.2).
    """

    parameter: float
    temperatures: tuple[float, ...] = (1.0,)
    name: ClassVar[str] = "confidence"
    form: ClassVar[str] = ("confidence:P with 0 <= P <= 1, or confidence:P:T with a temperature T > 0, "
                           "or T1,T2,... one a layer")
    reads_logits: ClassVar[bool] = True
    reads_classes: ClassVar[bool] = True

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        p, colon, listed = (parameter or "").partition(":")
        temperatures = tuple(map(float, listed.split(","))) if colon else (1.0,)
        if not all(0 < temperature < float("inf") for temperature in temperatures):
            raise ValueError("a temperature T divides logits")
        return cls(parse_fraction(p, "P is a probability"), temperatures)

    @classmethod
    def sweep(cls, recording: Recording, points: int, temperatures: tuple[float, ...] = (1.0,)) -> list[Self]:
        by_layer = torch.tensor(temperatures, dtype=torch.float64)[:, None, None]
        sure = confidence(recording.logits[:-1], by_layer)
        return [cls(p, temperatures) for p in fractions_between(sure, points)]

    @property
    def spec(self) -> str:
        temperatures = ",".join(map(str, self.temperatures))
        return super().spec if self.temperatures == (1.0,) else f"{super().spec}:{temperatures}"

    def check(self, model: Model) -> None:
        super().check(model)
        if len(self.temperatures) not in (1, model.depth - 1):
            raise self.refuse(f"{len(self.temperatures)} temperatures for a model of {model.depth} layers: give one, "
                              f"or {model.depth - 1}, for layers 1 to {model.depth - 1}")

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        temperatures = torch.tensor(self.temperatures, dtype=torch.float64, device=seen.logits.device)
        of_layer = temperatures[seen.n.clamp(max=len(temperatures)) - 1]
        return confidence(seen.logits, of_layer[:, None]) > self.parameter, state


def confidence(logits: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    """max softmax(ŷ / T) of 1/K..1, in float64, for any T > 0. Shape: [..., K] -> [...]."""
    logits = logits.double()
    below_the_largest = logits - logits.amax(-1, keepdim=True)  # so that no quotient is infinite but where it may be
    return (below_the_largest / temperature).softmax(-1).amax(-1)
