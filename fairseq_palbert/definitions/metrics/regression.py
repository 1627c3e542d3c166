"""Pearson's and Spearman's correlation, mean squared and mean absolute error.

Sizes: B rows, R weightings.
"""

import torch
from scipy.stats import rankdata
from torch import Tensor

from .base import Metrics, References, ratio


class RegressionMetrics(Metrics):
    """A unit is a row: its target and its answer.

    ``statistics`` are [3, S]: how often each row of the split was seen, and the sums of its targets and answers, so
    that ranks can be taken over the whole split.
    """

    def answers(self, outputs: Tensor, groups: Tensor | None) -> Tensor:
        """The score of each row. Shape: [B, 1], [B] -> [B]."""
        return outputs.squeeze(1)

    def rows(self, outputs: Tensor, references: References) -> Tensor:
        return torch.stack([references.targets.double(), outputs.squeeze(1).double()], 1)

    def units(self, rows: Tensor) -> Tensor:
        return rows

    def weighted(self, units: Tensor, weights: Tensor) -> dict[str, Tensor]:
        targets, answers = units.T
        errors, total = answers - targets, weights.sum(1)
        return {
            "pearson": _pearson(*(values.expand_as(weights) for values in (answers, targets)), weights),
            "spearman": _pearson(_ranks(answers, weights), _ranks(targets, weights), weights),
            "mse": ratio(weights @ errors**2, total), "mae": ratio(weights @ errors.abs(), total),
        }


def _pearson(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Pearson's correlation; 0 where all x or all y with a positive weight are equal. Shape: [R, B] each -> [R]."""
    total, parts = weights.sum(-1), []
    for values in (x, y):
        counted = torch.where(weights > 0, values, values.new_tensor(float("nan")))
        low, high = torch.nan_to_num(counted, float("inf")).amin(-1), torch.nan_to_num(counted, -float("inf")).amax(-1)
        centred = values - ((weights * values).sum(-1) / total).unsqueeze(-1)
        parts.append((centred, (weights * centred**2).sum(-1) * (low < high)))
    (x, spread_x), (y, spread_y) = parts
    return ratio((weights * x * y).sum(-1), (spread_x * spread_y).sqrt())


def _ranks(values: Tensor, weights: Tensor) -> Tensor:
    """The weight below each value plus half the weight at it; for whole-number weights the mean rank minus 1/2.

    Shape: [B], [R, B] -> [R, B].
    """
    rank = torch.from_numpy(rankdata(values.numpy(), method="dense")).long() - 1
    weight_at = weights.new_zeros(len(weights), int(rank.max()) + 1).index_add_(1, rank, weights)
    return (weight_at.cumsum(-1) - weight_at / 2)[:, rank]
