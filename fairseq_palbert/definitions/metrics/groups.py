"""Metrics of rows that are scored together, such as the candidates for one gap.

Sizes: B rows, U groups, R weightings.
"""

import numpy as np
import torch
from torch import Tensor

from .base import Metrics, References, ratio


class _GroupMetrics(Metrics):
    @property
    def _positive(self) -> int:
        return self.task.labels.index(self.task.positive)


class BestRowMetrics(_GroupMetrics):
    """A group is answered by its row of the largest probability of the positive label; of equal ones, by the first.

    A row: its group, the positive output minus the other (which orders logits as it does probabilities), and what the
    group scores if this row answers it: accuracy, exact match and token F1. A unit is a group: these three scores, of
    which the last two need candidates. Each metric is their mean over groups.
    """

    def answers(self, outputs: Tensor, groups: Tensor) -> Tensor:
        """The positive class for each group's best row, the other for all other rows. Shape: [B, 2], [B] -> [B]."""
        answers = torch.full_like(groups, 1 - self._positive)
        answers[best_rows(self._preference(outputs), groups)] = self._positive
        return answers

    def rows(self, outputs: Tensor, references: References) -> Tensor:
        columns = [references.groups, self._preference(outputs), references.targets == self._positive]
        texts = [] if references.text_scores is None else references.text_scores.unbind(1)
        return torch.stack([column.double() for column in (*columns, *texts)], 1)

    def units(self, rows: Tensor) -> Tensor:
        return rows[best_rows(rows[:, 1], rows[:, 0].round().long()), 2:]

    def weighted(self, units: Tensor, weights: Tensor) -> dict[str, Tensor]:
        means = ratio(weights @ units, weights.sum(1, keepdim=True))
        return dict(zip(("accuracy", "exact_match", "token_f1"), means.unbind(1)))

    def _preference(self, outputs: Tensor) -> Tensor:
        return outputs[:, self._positive].double() - outputs[:, 1 - self._positive]


class AllRowsMetrics(_GroupMetrics):
    """A group is answered by the answers to all its rows.

    A row: its group, and whether its target and its answer are positive. A unit is a group: the number of its rows, of
    positive targets, positive answers, right positive answers and right answers, whether all are right, and whether all
    answers are equal. Accuracy and F1 are over all rows, exact match and parity are shares of groups.
    """

    def rows(self, outputs: Tensor, references: References) -> Tensor:
        answers = self.answers(outputs, references.groups)
        return torch.stack([references.groups, references.targets == self._positive, answers == self._positive],
                           1).double()

    def units(self, rows: Tensor) -> Tensor:
        groups = rows[:, 0].round().long().unique(return_inverse=True)[1]
        targets, answers = rows[:, 1:].round().T
        columns = torch.stack([torch.ones_like(targets), targets, answers, targets * answers, targets == answers], 1)
        sums = columns.new_zeros(int(groups.max()) + 1, columns.shape[1]).index_add_(0, groups, columns)
        size, _, answered, _, right = sums.unbind(1)
        return torch.cat([sums, torch.stack([right == size, (answered == 0) | (answered == size)], 1)], 1)

    def weighted(self, units: Tensor, weights: Tensor) -> dict[str, Tensor]:
        size, targets, answers, right_positive, right, all_right, all_equal = (weights @ units).unbind(1)
        groups = weights.sum(1)
        return {"accuracy": ratio(right, size), "f1": ratio(2 * right_positive, targets + answers),
                "exact_match": ratio(all_right, groups), "parity": ratio(all_equal, groups)}


def best_rows(values: Tensor, groups: Tensor) -> Tensor:
    """The place of each group's row with the largest value, the first of equal ones, by ascending group number.

    Shape: [B], [B] -> [U].
    """
    order = np.lexsort((-values.numpy(), groups.numpy()))  # stable: equal rows keep their order
    return torch.from_numpy(order[np.unique(groups.numpy()[order], return_index=True)[1]])
