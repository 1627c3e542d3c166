"""Accuracy, F1, Matthews' correlation and top-5 accuracy, from four counts a class.

Sizes: B rows, K classes, R weightings.
"""

import torch
from torch import Tensor

from .base import Metrics, References, ratio

TOP = 5


class ClassificationMetrics(Metrics):
    """A unit is a row: the class of its target, that of its answer, and whether the target is in the top 5.

    ``statistics`` are counts [4, K] of each class: targets, answers, right answers, targets in the top 5.
    """

    def rows(self, outputs: Tensor, references: References) -> Tensor:
        targets = references.targets.long()
        return torch.stack([targets, outputs.argmax(1), _rank(outputs, targets) < TOP], 1).double()

    def units(self, rows: Tensor) -> Tensor:
        return rows

    def statistics(self, rows: Tensor, ids: Tensor, examples: int) -> Tensor:
        return self._counts(rows, rows.new_ones(1, len(rows)))[0]

    def of_statistics(self, statistics: Tensor) -> dict[str, Tensor]:
        return self._of_counts(statistics[None])

    def weighted(self, units: Tensor, weights: Tensor) -> dict[str, Tensor]:
        return self._of_counts(self._counts(units, weights))

    def _counts(self, units: Tensor, weights: Tensor) -> Tensor:
        """The weight of each class's rows. Shape: [B, 3], [R, B] -> [R, 4, K]."""
        (targets, answers), in_top, classes = units[:, :2].long().T, units[:, 2], self.task.outputs
        ones, row = torch.ones_like(in_top), torch.arange(len(units), device=units.device)
        counted = torch.stack([ones, ones, (targets == answers).double(), in_top])
        count = torch.arange(4, device=units.device)[:, None]
        places = torch.stack([torch.stack([targets, answers, targets, targets]) + classes * count, row.expand(4, -1)])
        by_class = torch.sparse_coo_tensor(places.flatten(1), counted.flatten(), (4 * classes, len(units)),
                                           check_invariants=True)
        return torch.sparse.mm(by_class, weights.T).T.unflatten(1, (4, classes))

    def _of_counts(self, counts: Tensor) -> dict[str, Tensor]:
        """Shape: [R, 4, K] -> [R] each.

        Macro F1 is the mean over the classes that some target or answer has, as in scikit-learn. Micro F1 equals
        accuracy where each row has one class.
        """
        targets, answers, right, in_top = counts.unbind(1)
        total = targets.sum(1)
        f1 = ratio(2 * right, targets + answers)
        values = {
            "accuracy": ratio(right.sum(1), total), "micro_f1": ratio(right.sum(1), total),
            "macro_f1": ratio(f1.sum(1), (targets + answers > 0).double().sum(1)),
            "matthews": _matthews(targets, answers, right), "top5_accuracy": ratio(in_top.sum(1), total),
        }
        if self.task.positive is not None:
            values["f1"] = f1[:, self.task.labels.index(self.task.positive)]
        return values


def _rank(outputs: Tensor, targets: Tensor) -> Tensor:
    """How many outputs are before the target's, in descending order; of equal ones the first class is first, as in
    argmax. Shape: [B, K], [B] -> [B]."""
    own, classes = outputs.gather(1, targets[:, None]), torch.arange(outputs.shape[1], device=outputs.device)
    return ((outputs > own) | (outputs == own) & (classes < targets[:, None])).sum(1)


def _matthews(targets: Tensor, answers: Tensor, right: Tensor) -> Tensor:
    """Matthews' correlation of K classes (Gorodkin 2004): covariance of targets and answers over their spreads.

    It needs no other counts than these, of each class. Shape: [R, K] each -> [R].
    """
    total = targets.sum(1)
    covariance = right.sum(1) * total - (targets * answers).sum(1)
    spreads = (total**2 - (targets**2).sum(1)) * (total**2 - (answers**2).sum(1))
    return ratio(covariance, spreads.sqrt())
