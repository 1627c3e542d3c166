"""Confidence: exit once the classifier's largest probability passes a threshold."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from ...numbers_from_text import finite_float
from ..base import ExitRule, Model, Recording, Seen, fractions_between, parse_fraction


@dataclass(frozen=True)
class Confidence(ExitRule):
    """Exit at the first n with max softmax(ŷ_n / T_n) > P, 0 ≤ P ≤ 1, in float64.

    At P = 0 all sentences exit at layer 1, at P = 1 none before layer N. ``temperatures`` is one T > 0 for all layers,
    by default 1, or one per layer of 1..N − 1; ``analysis.temperature`` fits them.
    Source: On Calibration of Modern Neural Networks (arXiv 1706.04599, section 4.2).
    """

    parameter: float
    temperatures: tuple[float, ...] = (1.0,)
    name: ClassVar[str] = "confidence"
    form: ClassVar[str] = ("confidence:P with 0 <= P <= 1, or confidence:P:T with a temperature T > 0, "
                           "or T1,T2,... one for each layer but the last")
    reads_logits: ClassVar[bool] = True
    reads_classes: ClassVar[bool] = True

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        p, colon, listed = (parameter or "").partition(":")
        temperatures = tuple(finite_float(t, above=0) for t in listed.split(",")) if colon else (1.0,)
        return cls(parse_fraction(p), temperatures)

    @classmethod
    def sweep(cls, recording: Recording, points: int, temperatures: tuple[float, ...] = (1.0,)) -> list[Self]:
        by_layer = torch.tensor(temperatures, dtype=torch.float64)[:, None, None]
        confidences = confidence(recording.logits[:-1], by_layer)
        return [cls(p, temperatures) for p in fractions_between(confidences, points)]

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
        layer_temperatures = temperatures[seen.n.clamp(max=len(temperatures)) - 1]
        return confidence(seen.logits, layer_temperatures[:, None]) > self.parameter, state


def confidence(logits: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    """max softmax(ŷ / T), from 1/K to 1, in float64, for any T > 0. Shape: [..., K] -> [...]."""
    logits = logits.double()
    below_the_largest = logits - logits.amax(-1, keepdim=True)  # no quotient is then +∞, for any T
    return (below_the_largest / temperature).softmax(-1).amax(-1)
