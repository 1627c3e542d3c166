"""What a lambda module reads of a layer: the pooled vector, the classifier's answer, or both.

Sizes: N layers, L of them at once, B sentences, C hidden units, K outputs (classes, or 1 for regression).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..ponder.entropy import normalised_entropy
from .depthwise import Layers

LAMBDA_READS = ("pooled", "answers", "both")


def input_width(reads: str, hidden: int, outputs: int, depth: int) -> int:
    """The units of ``lambda_input``."""
    answer = depth + (outputs + 2 if outputs > 1 else 1)
    return {"pooled": hidden, "answers": answer, "both": hidden + answer}[reads]


def lambda_input(reads: str, first: Layers, pooled: Tensor, logits: Tensor | None, depth: int) -> Tensor:
    """x_n of L layers from ``first`` on: z_n, the answer's numbers a_n, or the two side by side.

    a_n is the layer one-hot [N] beside, of classes, H(p_n) / log K, max p_n and p_n = softmax(ŷ_n), of a regression ŷ_n.
    No gradient goes back into the answers: halting judges them, and does not shape them.
    Shape: [L, B, C], [L, B, K] -> [L, B, F].
    """
    if reads == "pooled":
        return pooled
    answer = _answer(logits.detach()).to(pooled.dtype)
    layers = (torch.arange(len(pooled), device=pooled.device)[:, None] + first - 1).expand(answer.shape[:2])
    parts = [answer, F.one_hot(layers, depth).to(pooled.dtype)]
    return torch.cat(parts if reads == "answers" else [pooled, *parts], dim=-1)


def _answer(logits: Tensor) -> Tensor:
    if logits.shape[-1] == 1:
        return logits
    p = logits.double().softmax(-1)
    return torch.cat([normalised_entropy(logits)[..., None], p.amax(-1, keepdim=True), p], dim=-1)
