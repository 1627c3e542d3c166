"""Exit rules with layers set beforehand: drawn at random, or replayed."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import ExitRule, Recording, Rule, Seen
from fairseq_palbert.exits.uniform import uniform
from fairseq_palbert.ponder.prior import log_prior

BISECTIONS = 50


@dataclass(frozen=True)
class Drawn(ExitRule):
    """Each example exits at a layer drawn from the geometric distribution of this parameter on 1..N.

    Layer N has the remaining probability. For 12 layers, 0.14 has the mean 5.97. The lambda module runs as if it
    decided.
    """

    parameter: float
    depth: int = 12
    name: ClassVar[str] = "drawn"
    form: ClassVar[str] = "drawn:LAMBDA with 0 < LAMBDA < 1"
    reads_halting: ClassVar[bool] = True

    @classmethod
    def of_mean(cls, mean: float, depth: int) -> Self:
        """The rule with this mean exit layer. Raises UserError for a mean that no such distribution has."""
        if not 1 < mean < depth:
            raise UserError(f"--drawn {mean:g}: the model has {depth} layers: choose a mean exit between 1 and {depth}")
        low, high = 0.0, 1.0
        for _ in range(BISECTIONS):  # the mean, (1 − (1 − λ)^N) / λ, falls as λ rises
            middle = (low + high) / 2
            low, high = (middle, high) if (1 - (1 - middle)**depth) / middle > mean else (low, middle)
        return cls(round(low, 4), depth)

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        raise ValueError("it needs the model's layers")

    @classmethod
    def sweep(cls, recording: Recording, points: int) -> list[Self]:
        return []

    def start(self, example_ids: Tensor) -> Tensor:
        """The drawn layer of each example: int64 [B]."""
        cdf = log_prior("geometric", self.depth, self.parameter, "last").exp().cumsum(0)[:-1].to(example_ids.device)
        return torch.searchsorted(cdf, uniform(0, example_ids), right=True) + 1

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        return state <= seen.n, state


class Replayed(ExitRule):
    """Example i exits at ``exit_layers[i]``; the heads that ``rule`` reads are computed, as if it decided."""

    name, form = "replayed", "replayed"

    def __init__(self, rule: Rule, exit_layers: Tensor):
        self.exit_layers = exit_layers
        self.reads_halting, self.reads_errors = rule.reads_halting, rule.reads_errors
        self.reads_logits = rule.reads_logits

    parse, sweep = Drawn.parse, Drawn.sweep
    leaves = Drawn.leaves

    def start(self, example_ids: Tensor) -> Tensor:
        """Shape: [B] -> int64 [B]."""
        return self.exit_layers.to(example_ids.device)[example_ids]
