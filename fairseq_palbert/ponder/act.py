"""Adaptive Computation Time: the halting step, its mean-field weights and its cost.

Sizes: N steps, B examples, K outputs. Steps are counted 1..N and lie on dimension 0 of every tensor. Step n halts by
h_n = σ(l_n); step N halts in any case, so that only the N − 1 logits before it are read. All results are float32, or
float64 where the logits are.

Source: Adaptive Computation Time for Recurrent Neural Networks (arXiv 1603.08983, sections 2.1 and 2.2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .halting import at_least_float32


@dataclass(frozen=True)
class Halting:
    """``steps`` N(t), int64 [B]; ``remainder`` R(t) [B]; the weight of each step, ``p`` [N, B], which sums to 1."""

    steps: Tensor
    remainder: Tensor
    p: Tensor

    @property
    def ponder_cost(self) -> Tensor:
        """N(t) + R(t), in steps; its gradient is that of R(t), since N(t) is constant almost everywhere. Shape: [B]."""
        return self.steps + self.remainder


def halting(halting_logits: Tensor, epsilon: float) -> Halting:
    """N(t) = min {n : Σ_{j≤n} h_j ≥ 1 − ε}, at the latest N, and R(t) = 1 − Σ_{n<N(t)} h_n.

    p_n = h_n for n < N(t), p_N(t) = R(t), and p_n = 0 afterwards. Shape: [N − 1, B] -> see ``Halting``.
    """
    h = at_least_float32(halting_logits).sigmoid()
    goes_on = h.cumsum(0) < 1 - epsilon  # sums never fall: true up to step N(t) − 1, false from there on
    before = h * goes_on
    remainder = 1 - before.sum(0)
    steps = goes_on.sum(0) + 1
    p = torch.cat([before, torch.zeros_like(remainder)[None]])
    return Halting(steps, remainder, p.scatter(0, steps[None] - 1, remainder[None]))


def mean_field(p: Tensor, answers: Tensor) -> Tensor:
    """Σ_n p_n ŷ_n, of logits or values. Shape: [N, B], [N, B, K] -> [B, K]."""
    return (p.unsqueeze(-1) * answers).sum(0)
