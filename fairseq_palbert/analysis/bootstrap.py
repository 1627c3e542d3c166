"""The paired bootstrap: how far a difference in score hangs on the examples that a split happens to have.

Sizes: E examples, R draws, B of them at a time.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3, the percentile interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

PERCENTILES = (2.5, 97.5)
AT_ONCE = 1 << 19  # weights in memory
Statistic = Callable[[Tensor], Tensor]  # of examples with weights, [B, E] -> [..., B]


def resampled(statistic: Statistic, examples: int, resamples: int, seed: int | Sequence[int]) -> np.ndarray:
    """The ``statistic`` of the split itself, and then of each of R draws of E examples with replacement.

    A draw is given as how often it has each example, and the split as once each: weights in float64. The draws depend
    on the other arguments alone, so that the difference of two such arrays is that of paired statistics. Shape: [..., 1
    + R].
    """
    rng = np.random.default_rng(seed)
    rows, size = [np.ones(examples)], max(1, AT_ONCE // examples)
    found = []
    for i in range(1, resamples + 2):
        if len(rows) == size or i == resamples + 1:
            found.append(statistic(torch.from_numpy(np.stack(rows))).numpy())
            rows = []
        if i <= resamples:
            rows.append(np.bincount(rng.integers(examples, size=examples), minlength=examples).astype(np.float64))
    return np.concatenate(found, axis=-1)


def interval(differences: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval."""
    low, high = np.percentile(differences, PERCENTILES)
    return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """A difference of two scores, and its paired bootstrap 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, found: np.ndarray) -> Self:
        """Of what ``resampled`` gives, [1 + R]."""
        return cls(float(found[0]), *interval(found[1:]))

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def points(self) -> str:
        """"+0.84 (+0.35 to +1.34)", in points."""
        value, low, high = (f"{round(100 * number, 2) + 0.0:+.2f}"
                            for number in (self.value, self.low, self.high))  # no -0.00
        return f"{value} ({low} to {high})"
