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
        places, counted = self._counted(rows)
        return torch.bincount(places.flatten(), counted.flatten(), 4 * self.task.outputs).view(4, -1)

    def of_statistics(self, statistics: Tensor) -> dict[str, Tensor]:
        return self._of_counts(statistics[None])

    def of_units(self, units: Tensor) -> dict[str, Tensor]:
        return self.of_statistics(self.statistics(units, None, len(units)))

    def weighted(self, units: Tensor, weights: Tensor) -> dict[str, Tensor]:
        places, counted = self._counted(units)
        row = torch.arange(len(units)).expand(4, -1)
        of_units = torch.sparse_coo_tensor(torch.stack([places, row]).flatten(1), counted.flatten(),
                                           (4 * self.task.outputs, len(units)), check_invariants=False)
        return self._of_counts(torch.sparse.mm(of_units, weights.T).T.unflatten(1, (4, -1)))

    def _counted(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """Where each of a row's four counts goes in [4, K], flattened, and whether it counts. Shape: [4, B] each."""
        (targets, answers), in_top = units[:, :2].long().T, units[:, 2]
        ones, count = torch.ones_like(in_top), torch.arange(4, device=units.device)[:, None]
        places = torch.stack([targets, answers, targets, targets]) + self.task.outputs * count
        return places, torch.stack([ones, ones, (targets == answers).double(), in_top])

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
    return ratio(covariance, (_spread(targets) * _spread(answers)).sqrt())


def _spread(counts: Tensor) -> Tensor:
    """(Σ_k c_k)² − Σ_k c_k²: exactly 0 where all is of one class, and never less. Shape: [R, K] -> [R]."""
    return (counts.sum(1)**2 - (counts**2).sum(1)).clamp(min=0)
