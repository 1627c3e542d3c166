"""GLUE's metrics from statistics that add up over batches and workers.

Sizes: B sentences, K classes, S examples of the split.
"""

from collections.abc import Sequence

import torch
from scipy.stats import spearmanr
from torch import Tensor

from .tasks import GlueTask

OFFICIAL = {
    "accuracy": ("accuracy",),
    "accuracy_f1": ("accuracy", "f1"),
    "matthews": ("matthews",),
    "pearson_spearman": ("pearson", "spearman"),
}
POSITIVE_LABEL = "1"


class GlueMetrics:
    """A task's metrics, all in [−1, 1]; ``score`` is the official one, the mean where GLUE averages two.

    For classification ``statistics`` is the confusion matrix [K, K], targets down, predictions across. For regression it
    is [3, S]: how often each example was seen, its predictions and its targets, zero but at this batch's examples, so
    that ranks can be taken over the whole split. A metric that is undefined (constant predictions) is 0, as
    scikit-learn has it for Matthews' coefficient.
    """

    def __init__(self, task: GlueTask, labels: Sequence[str] = ()):
        """``labels`` is the order of the class ids, the task's own by default."""
        self.task = task
        self.labels = tuple(labels) or task.labels
        self.names = OFFICIAL[task.metric] if task.regression else tuple(dict.fromkeys(("accuracy", *OFFICIAL[task.metric])))

    def statistics(self, predictions: Tensor, targets: Tensor, ids: Tensor, examples: int) -> Tensor:
        """Class ids or scores [B], targets [B], example indices [B] within a split of S ``examples`` -> float64 sums."""
        if self.task.regression:
            columns = torch.stack([torch.ones_like(targets, dtype=torch.float64), predictions.double(), targets.double()])
            return columns.new_zeros(3, examples).index_add_(1, ids, columns)
        classes = len(self.labels)
        pairs = targets.long() * classes + predictions.long()
        return torch.bincount(pairs, minlength=classes * classes).view(classes, classes).double()

    def __call__(self, statistics: Tensor) -> dict[str, float]:
        """The metrics by name, and ``score``."""
        statistics = statistics.cpu()
        values = _regression(statistics) if self.task.regression else self._classification(statistics)
        official = [values[name] for name in OFFICIAL[self.task.metric]]
        return {**{name: values[name] for name in self.names}, "score": sum(official) / len(official)}

    def _classification(self, confusion: Tensor) -> dict[str, float]:
        values = {"accuracy": _ratio(confusion.trace(), confusion.sum()), "matthews": _matthews(confusion)}
        if POSITIVE_LABEL in self.labels:
            positive = self.labels.index(POSITIVE_LABEL)
            values["f1"] = _ratio(2 * confusion[positive, positive], confusion[positive].sum() + confusion[:, positive].sum())
        return values


def _ratio(numerator: Tensor, denominator: Tensor) -> float:
    return float(numerator / denominator) if denominator != 0 else 0.0


def _matthews(confusion: Tensor) -> float:
    """Matthews' correlation of K classes (Gorodkin 2004): the covariance of targets and predictions over their spreads."""
    total, targets, predictions = confusion.sum(), confusion.sum(1), confusion.sum(0)
    covariance = confusion.trace() * total - targets @ predictions
    spreads = (total**2 - targets @ targets) * (total**2 - predictions @ predictions)
    return _ratio(covariance, spreads.sqrt())


def _regression(statistics: Tensor) -> dict[str, float]:
    seen = statistics[0] > 0
    predictions, targets = statistics[1:, seen] / statistics[0, seen]
    if len(targets) < 2 or predictions.min() == predictions.max() or targets.min() == targets.max():
        return {"pearson": 0.0, "spearman": 0.0}
    return {
        "pearson": float(torch.corrcoef(torch.stack([predictions, targets]))[0, 1]),
        "spearman": float(spearmanr(predictions, targets).statistic),
    }
