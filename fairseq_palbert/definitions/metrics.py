"""Metrics from statistics that add up over batches and workers.

Sizes: B sentences, K classes, S examples of the split, R weightings of A answers.
"""

import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn.functional import one_hot

from .definition import TaskDefinition


class TaskMetrics:
    """A task's metrics, all in [−1, 1]; ``score`` is the first, or the mean of all, as the
    task says.

    For classification ``statistics`` is the confusion matrix [K, K], targets in rows, predictions in columns. For
    regression it is [3, S]: how often each example was seen, the sum of its predictions, and that of its targets. All
    are zero for examples outside the batch, so that ranks can be taken over the whole split. A metric that is
    undefined, as for constant predictions, is 0, as Matthews' coefficient is in scikit-learn.
    """

    def __init__(self, task: TaskDefinition):
        self.task = task
        self.names = task.metrics if task.regression else tuple(dict.fromkeys(("accuracy", *task.metrics)))

    def statistics(self, predictions: Tensor, targets: Tensor, ids: Tensor, examples: int) -> Tensor:
        """Class ids or scores [B], targets [B], example ids [B] in a split of S ``examples`` -> float64 sums."""
        if self.task.regression:
            columns = torch.stack([torch.ones_like(targets, dtype=torch.float64), predictions.double(),
                                   targets.double()])
            return columns.new_zeros(3, examples).index_add_(1, ids, columns)
        classes = self.task.outputs
        pairs = targets.long() * classes + predictions.long()
        return torch.bincount(pairs, minlength=classes * classes).view(classes, classes).double()

    def __call__(self, statistics: Tensor) -> dict[str, float]:
        """The metrics by name, and ``score``."""
        statistics = statistics.cpu()
        if self.task.regression:
            seen = statistics[0] > 0
            values = _correlations(*statistics[1:, seen] / statistics[0, seen], statistics.new_ones(1, int(seen.sum())))
        else:
            values = self._classification(statistics)
        return {**{name: float(values[name]) for name in self.names}, "score": float(self._official(values))}

    def weighted(self, predictions: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """The official score of weighted answers, one for each row of ``weights``.

        A whole-number weight equals that many copies of the answer. Shape: [A], [A], [R, A], float64 -> [R].
        """
        if self.task.regression:
            return self._official(_correlations(predictions, targets, weights))
        classes = self.task.outputs
        pairs = one_hot(targets.long() * classes + predictions.long(), classes * classes).to(weights.dtype)
        return self._official(self._classification((weights @ pairs).unflatten(-1, (classes, classes))))

    def _official(self, values: dict[str, Tensor]) -> Tensor:
        counted = [values[name] for name in (self.task.metrics if self.task.score == "mean" else self.task.metrics[:1])]
        return sum(counted) / len(counted)

    def _classification(self, confusion: Tensor) -> dict[str, Tensor]:
        """Accuracy, Matthews' correlation and F1. Shape: [..., K, K] -> [...] each."""
        correct, total = confusion.diagonal(dim1=-2, dim2=-1).sum(-1), confusion.sum((-2, -1))
        values = {"accuracy": _ratio(correct, total), "matthews": _matthews(confusion)}
        if self.task.positive is not None:
            i = self.task.labels.index(self.task.positive)
            values["f1"] = _ratio(2 * confusion[..., i, i], confusion[..., i, :].sum(-1) + confusion[..., :, i].sum(-1))
        return values


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator, and 0 where the denominator is 0."""
    return torch.where(denominator == 0, 0, numerator / denominator)


def _matthews(confusion: Tensor) -> Tensor:
    """Matthews' correlation of K classes (Gorodkin 2004): covariance of targets and predictions over their spreads."""
    correct, total = confusion.diagonal(dim1=-2, dim2=-1).sum(-1), confusion.sum((-2, -1))
    targets, predictions = confusion.sum(-1), confusion.sum(-2)
    covariance = correct * total - (targets * predictions).sum(-1)
    spreads = (total**2 - (targets**2).sum(-1)) * (total**2 - (predictions**2).sum(-1))
    return _ratio(covariance, spreads.sqrt())


def _correlations(x: Tensor, y: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Pearson's and Spearman's correlation. Shape: [A], [A], [R, A] -> [R] each."""
    pearson = _pearson(*(values.double().expand_as(weights) for values in (x, y)), weights)
    return {"pearson": pearson, "spearman": _pearson(_ranks(x, weights), _ranks(y, weights), weights)}


def _pearson(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Pearson's correlation; 0 where all x or all y with a positive weight are equal. Shape: [R, A] each -> [R]."""
    total, parts = weights.sum(-1), []
    for values in (x, y):
        counted = torch.where(weights > 0, values, values.new_tensor(float("nan")))
        low, high = torch.nan_to_num(counted, float("inf")).amin(-1), torch.nan_to_num(counted, -float("inf")).amax(-1)
        centred = values - ((weights * values).sum(-1) / total).unsqueeze(-1)
        parts.append((centred, (weights * centred**2).sum(-1) * (low < high)))
    (x, spread_x), (y, spread_y) = parts
    return _ratio((weights * x * y).sum(-1), (spread_x * spread_y).sqrt())


def _ranks(values: Tensor, weights: Tensor) -> Tensor:
    """The weight below each value plus half the weight at it; for whole-number weights the mean rank minus 1/2.

    Shape: [A], [R, A] -> [R, A].
    """
    rank = torch.from_numpy(rankdata(values.numpy(), method="dense") - 1)
    weight_at = weights.new_zeros(len(weights), int(rank.max()) + 1).index_add_(1, rank, weights)
    return (weight_at.cumsum(-1) - weight_at / 2)[:, rank]
