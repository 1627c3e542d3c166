"""Patience: exit once the classifiers of successive layers agree."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from ...numbers_from_text import finite_float, integer
from ..base import MOST_LAYERS, ExitRule, Model, Recording, Seen


@dataclass(frozen=True)
class Patience(ExitRule):
    """Exit at the first n where the answers of the last P layers, n among them, each equal the answer before them.

    Answers are equal if the class is the same or, for regression, if |ŷ_n − ŷ_{n−1}| < TOLERANCE. With P = 0 all
    sentences exit at layer 1, with P = N − 1 none before layer N. Source: PABEE (arXiv 2006.04152, section 3.2).
    """

    parameter: int
    tolerance: float | None = None
    name: ClassVar[str] = "patience"
    form: ClassVar[str] = "patience:P with an integer P >= 0, for regression patience:P:TOLERANCE with TOLERANCE > 0"
    reads_logits: ClassVar[bool] = True

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        patience, colon, tolerance = (parameter or "").partition(":")
        return cls(integer(patience, 0, MOST_LAYERS), finite_float(tolerance, above=0) if colon else None)

    @classmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        """Every P; for regression also quantiles of the distances between neighbouring layers' answers."""
        depth = len(recording.logits)
        if recording.logits.shape[-1] > 1:
            return [cls(patience) for patience in range(depth)]
        distances = recording.logits.squeeze(-1).double().diff(dim=0).abs().flatten().numpy()
        quantiles = np.quantile(distances, np.linspace(0, 1, max(points // depth, 2))).tolist() if depth > 1 else []
        tolerances = sorted({tolerance for tolerance in quantiles if tolerance > 0}) or [1.0]
        at_once = cls(0, tolerances[0])
        return [at_once, *(cls(patience, tolerance) for patience in range(1, depth) for tolerance in tolerances)]

    @property
    def spec(self) -> str:
        return super().spec if self.tolerance is None else f"{super().spec}:{self.tolerance}"

    def check(self, model: Model) -> None:
        super().check(model)
        if model.outputs == 1 and self.tolerance is None:
            raise self.refuse("two answers of a regression are never quite equal: give "
                              f"patience:{self.parameter}:TOLERANCE")
        if model.outputs > 1 and self.tolerance is not None:
            raise self.refuse(f"classes are equal or not: give patience:{self.parameter}, without a tolerance")

    def start(self, example_ids: Tensor) -> Tensor:
        """The last answer and the number of agreements before it: float64 [B, 2]. No answer equals the first, NaN."""
        return torch.tensor([float("nan"), 0.0], dtype=torch.float64,
                            device=example_ids.device).expand(len(example_ids), 2)

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        last, agreed = state.unbind(1)
        if self.tolerance is None:
            answers = seen.logits.argmax(-1).double()
            same = answers == last
        else:
            answers = seen.logits.squeeze(-1).double()
            same = (answers - last).abs() < self.tolerance
        agreed = torch.where(same, agreed + 1, 0.0)
        return agreed >= self.parameter, torch.stack([answers, agreed], dim=1)
