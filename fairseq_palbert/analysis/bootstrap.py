"""Paired bootstrap confidence intervals for score differences.

Sizes: E examples, R resamples, B of them at a time.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3, the percentile interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

PERCENTILES = (2.5, 97.5)
MOST_RESAMPLES = 1_000_000
AT_ONCE = 1 << 19  # weights in memory at a time
Statistic = Callable[[Tensor], Tensor]  # of weighted examples, [B, E] -> [..., B]


def resampled(statistic: Statistic, examples: int, resamples: int, seed: int | Sequence[int]) -> np.ndarray:
    """The ``statistic`` of the split itself, then of R resamples of E examples drawn with replacement.

    A resample is given as the number of times that it has each example, in float64; the split has each once. The
    resamples depend on the other arguments alone. So two such arrays are paired, and so is their difference. Shape:
    [..., 1 + R].
    """
    rng = np.random.default_rng(seed)
    rows, size = [np.ones(examples)], max(1, AT_ONCE // examples)
    statistics = []
    for i in range(1, resamples + 2):
        if len(rows) == size or i == resamples + 1:
            statistics.append(statistic(torch.from_numpy(np.stack(rows))).numpy())
            rows = []
        if i <= resamples:
            rows.append(np.bincount(rng.integers(examples, size=examples), minlength=examples).astype(np.float64))
    return np.concatenate(statistics, axis=-1)


def interval(differences: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval."""
    low, high = np.percentile(differences, PERCENTILES)
    return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """A difference of two scores and its paired bootstrap 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, differences: np.ndarray) -> Self:
        """From the difference on the split itself and on each resample. Shape: [1 + R]."""
        return cls(float(differences[0]), *interval(differences[1:]))

    @property
    def points(self) -> str:
        """The difference and its interval in points, as "+0.84 (+0.35 to +1.34)"."""
        value, low, high = (f"{round(100 * number, 2) + 0.0:+.2f}"
                            for number in (self.value, self.low, self.high))  # no -0.00
        return f"{value} ({low} to {high})"
