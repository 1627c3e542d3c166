"""The entropy of a classifier's answer.

Sizes: K classes.
"""

import math

from torch import Tensor


def normalised_entropy(logits: Tensor) -> Tensor:
    """H(softmax(ŷ)) / log K, from 0 to 1, in float64. Shape: [..., K] -> [...]."""
    log_p = logits.double().log_softmax(-1)
    return normalised_entropy_of(log_p.exp(), log_p)


def normalised_entropy_of(p: Tensor, log_p: Tensor) -> Tensor:
    """−Σ p log p / log K, in the precision given. Shape: [..., K] -> [...]."""
    first, *others = (p * log_p).unbind(-1)  # summed class by class: bit-identical for any number of rows
    return sum(others, first) / -math.log(p.shape[-1])
