"""The entropy of a classifier's answer.

Sizes: K classes.
"""

import math

from torch import Tensor


def normalised_entropy(logits: Tensor) -> Tensor:
    """H(softmax(ŷ)) / log K of 0..1, in float64. Shape: [..., K] -> [...]."""
    log_p = logits.double().log_softmax(-1)
    terms = (log_p.exp() * log_p).unbind(-1)  # added class by class: the same to the bit for any number of rows
    return -sum(terms) / math.log(logits.shape[-1])
