"""Relative position bias: a number a head for how far a key stands from its query, added to the attention scores.

Sizes: T tokens of a sentence, H attention heads, K buckets.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_DISTANCE = 128  # MPNet's and T5's: farther ones share the last bucket of their direction


def check_buckets(buckets: int) -> None:
    """Raises ValueError for a number that cannot be divided among directions, near and far distances; 0 is no bias."""
    if buckets != 0 and (buckets % 2 or not 4 <= buckets < 4 * MAX_DISTANCE):
        raise ValueError(f"relative_buckets {buckets}: choose 0, or an even number from 4 to {4 * MAX_DISTANCE - 2}")


def bucket(distances: Tensor, buckets: int) -> Tensor:
    """The bucket of K of each distance j − i of a key j from its query i. Shape: int64 [...] -> [...].

    Keys behind the query, and itself, have the first half of the buckets, those ahead the other. Of a half, the first
    half are for one distance each, and the others grow in proportion to it: with m = K / 4, a distance d ≥ m has m + ⌊m
    log(d / m) / log(128 / m)⌋, the last one at most. Sources: T5 (arXiv 1910.10683, section 2.1); MPNet (arXiv
    2004.09297) in its released code.
    """
    half = buckets // 2
    exact = half // 2
    far = distances.abs()
    # in this order in float32, as MPNet was trained: a bound may round to either side
    ratio = torch.log(far.clamp(min=exact).float() / exact) / math.log(MAX_DISTANCE / exact)
    wide = (exact + (ratio * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(far < exact, far, wide) + half * (distances > 0)


def relative_position_bias(table: Tensor, length: int) -> Tensor:
    """b[h, i, j] = table[bucket(j − i), h] of a sentence of T tokens; a shorter one's is its corner.

    Shape: [K, H] -> [H, T, T].
    A look-up a distance, of which row i is a window: T = 3 has −2 −1 0 1 2, and its rows are 0 1 2, −1 0 1 and −2 −1 0.
    """
    distances = torch.arange(1 - length, length)  # on the CPU, so that a bound rounds alike on every device
    of_distance = F.embedding(bucket(distances, len(table)).to(table.device), table)  # [2T - 1, H]
    return of_distance.T.unfold(1, length, 1).flip(1)
