"""The paired bootstrap: how far a difference in score hangs on the examples that a split happens to have.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3, the percentile interval.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..glue.metrics import GlueMetrics

PERCENTILES = (2.5, 97.5)


def resampled(score: Callable[[Tensor], float], examples: int, resamples: int, seed: int) -> np.ndarray:
    """``score`` on each of R draws of E examples with replacement, given as their places [E]. Shape: [R].

    The draws depend on the other arguments alone, so that the difference of two such arrays is that of paired scores.
    """
    rng = np.random.default_rng(seed)
    return np.array([score(torch.from_numpy(rng.integers(examples, size=examples))) for _ in range(resamples)])


def interval(differences: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval."""
    low, high = np.percentile(differences, PERCENTILES)
    return float(low), float(high)


def score_at(metrics: GlueMetrics, predicted: Tensor, targets: Tensor, places: Tensor) -> float:
    """The official score on the examples at ``places`` [R]; one that is drawn twice counts as two. Shape: [E], [E], [R]."""
    ids = torch.arange(len(places))
    return metrics(metrics.statistics(predicted[places], targets[places], ids, len(ids)))["score"]


@dataclass(frozen=True)
class Difference:
    """A difference of two scores, and its paired bootstrap 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, drawn: np.ndarray) -> Self:
        return cls(value, *interval(drawn))

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def points(self) -> str:
        """"+0.84 (+0.35 to +1.34)", in points."""
        value, low, high = (f"{round(100 * number, 2) + 0.0:+.2f}" for number in (self.value, self.low, self.high))  # no -0.00
        return f"{value} ({low} to {high})"
