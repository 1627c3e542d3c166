"""The entropy of a classifier's answer.

Sizes: K classes.
"""

import math

from torch import Tensor

BELOW_ONE = math.nextafter(1.0, 0.0)


def normalised_entropy(logits: Tensor) -> Tensor:
    """H(softmax(ŷ)) / log K, from 0 to 1, in float64; 1 for equal logits, and for no others. Shape: [..., K] -> [...].

    The formula alone gives 1 − 2^-53 for the uniform answer of 3 classes and 1 for that of 2.
    """
    log_p = logits.double().log_softmax(-1)
    entropy = normalised_entropy_of(log_p.exp(), log_p).clamp(max=BELOW_ONE)
    smallest, largest = logits.aminmax(dim=-1)
    return entropy.masked_fill(smallest == largest, 1.0)


def normalised_entropy_of(p: Tensor, log_p: Tensor) -> Tensor:
    """−Σ p log p / log K, in the precision given. Shape: [..., K] -> [...]."""
    first, *others = (p * log_p).unbind(-1)  # summed class by class: bit-identical for any number of rows
    return sum(others, first) / -math.log(p.shape[-1])
