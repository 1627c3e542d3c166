"""The lambda module's input: the pooled vector, the classifier's answer, or both.

Sizes: N layers, L of them at once, B sentences, C hidden units, K outputs (classes, or 1 for regression), A numbers
per answer, F input units.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..ponder.entropy import normalised_entropy_of
from ..ponder.halting import at_least_float32
from .depthwise import Layers

LAMBDA_READS = ("pooled", "answers", "both")


def part_widths(reads: str, hidden: int, outputs: int, depth: int) -> tuple[int, int, int]:
    """The widths of z_n, a_n and the one-hot layer in ``lambda_input``; 0 for what is not read."""
    answer = (outputs + 2 if outputs > 1 else 1, depth)
    return 0 if reads == "answers" else hidden, *((0, 0) if reads == "pooled" else answer)


def input_width(reads: str, hidden: int, outputs: int, depth: int) -> int:
    """F, the width of ``lambda_input``."""
    return sum(part_widths(reads, hidden, outputs, depth))


def lambda_input(reads: str, first: Layers, pooled: Tensor, logits: Tensor | None, depth: int) -> Tensor:
    """x_n of L layers from ``first`` on: z_n, or the answer a_n and the one-hot layer [N], or all three side by side.

    Shape: [L, B, C], [L, B, K] -> [L, B, F].
    """
    if reads == "pooled":
        return pooled
    answer = answer_numbers(logits).to(pooled.dtype)
    layers = (torch.arange(len(pooled), device=pooled.device)[:, None] + first - 1).expand(answer.shape[:2])
    parts = [answer, F.one_hot(layers, depth).to(pooled.dtype)]
    return torch.cat(parts if reads == "answers" else [pooled, *parts], dim=-1)


def answer_numbers(logits: Tensor) -> Tensor:
    """a_n: for classes H(p_n) / log K, max p_n and p_n = softmax(ŷ_n); for regression ŷ_n. At least float32.

    The answers get no gradient: halting reads them without training them. Shape: [..., K] -> [..., A].
    """
    logits = at_least_float32(logits.detach())
    if logits.shape[-1] == 1:
        return logits
    log_p = logits.log_softmax(-1)
    p = log_p.exp()
    return torch.cat([normalised_entropy_of(p, log_p)[..., None], p.amax(-1, keepdim=True), p], dim=-1)
