"""Relative position bias: attention scores depend on the distance of tokens.

Each head adds a learned number for the distance of a key from its query.

Sizes: T tokens of a sentence, H attention heads, K buckets.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_DISTANCE = 128  # as in MPNet and T5: greater distances share the last bucket of their direction


def check_buckets(buckets: int) -> None:
    """Raises ValueError unless the number divides into two directions, each with near and far distances, or is 0."""
    if buckets != 0 and (buckets % 2 or not 4 <= buckets < 4 * MAX_DISTANCE):
        raise ValueError(f"relative_buckets {buckets}: choose 0, or an even number from 4 to {4 * MAX_DISTANCE - 2}")


def bucket(distances: Tensor, buckets: int) -> Tensor:
    """The bucket, of K, of each distance j − i between a key j and its query i. Shape: int64 [...] -> [...].

    Keys up to the query use the first half of the buckets, later keys the second half. In each half the first m = K / 4
    buckets hold one distance each. A distance d ≥ m has bucket m + ⌊m log(d / m) / log(128 / m)⌋ of its half, at most
    the last. Sources: T5 (arXiv 1910.10683, section 2.1); MPNet (arXiv 2004.09297) in its released code.
    """
    half = buckets // 2
    exact = half // 2
    far = distances.abs()
    # MPNet was trained with this order of operations in float32, which decides how a bucket's bound rounds
    ratio = torch.log(far.clamp(min=exact).float() / exact) / math.log(MAX_DISTANCE / exact)
    wide = (exact + (ratio * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(far < exact, far, wide) + half * (distances > 0)


def relative_position_bias(table: Tensor, length: int) -> Tensor:
    """b[h, i, j] = table[bucket(j − i), h] for a sentence of T tokens; its top left corner is a shorter one's.

    Shape: [K, H] -> [H, T, T].
    Each distance is looked up once, and row i is a window over them. For T = 3 the distances are −2 −1 0 1 2 and the
    rows 0 1 2, −1 0 1 and −2 −1 0.
    """
    distances = torch.arange(1 - length, length)  # on the CPU, so that bounds round equally on every device
    of_distance = F.embedding(bucket(distances, len(table)).to(table.device), table)  # [2T - 1, H]
    return of_distance.T.unfold(1, length, 1).flip(1)
