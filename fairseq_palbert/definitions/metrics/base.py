"""What the metrics of every kind of task have in common.

Sizes: B rows, S rows of the split, K outputs (classes, or 1 for regression), U units, R weightings of them.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ..definition import TaskDefinition


@dataclass(frozen=True)
class References:
    """What the outputs of rows are scored against.

    ``targets`` [B]: class ids, or scores, None where labels are unknown. ``groups`` [B]: the number of each row's
    group, None in a task without groups. ``text_scores`` [B, 2], float64: exact match and token F1 of a group that is
    answered by this row, None where the task does not score texts.
    """

    targets: Tensor | None
    groups: Tensor | None = None
    text_scores: Tensor | None = None


class Metrics(ABC):
    """The metrics of one kind of task.

    A unit is what counts once in a metric, and what a bootstrap draws: a row, or a group of rows.
    """

    def __init__(self, task: TaskDefinition):
        self.task = task

    def answers(self, outputs: Tensor, groups: Tensor | None) -> Tensor:
        """The class id of each row. Shape: [B, K], [B] -> [B]."""
        return outputs.argmax(1)

    @abstractmethod
    def rows(self, outputs: Tensor, references: References) -> Tensor:
        """What is needed of each row. Shape: [B, K] -> [B, C], float64."""

    @abstractmethod
    def units(self, rows: Tensor) -> Tensor:
        """What is needed of each unit. Shape: [B, C] -> [U, D]."""

    @abstractmethod
    def weighted(self, units: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """The metrics by name; a whole-number weight equals that many copies. Shape: [U, D], [R, U] -> [R] each."""

    def statistics(self, rows: Tensor, ids: Tensor, examples: int) -> Tensor:
        """Sums that are zero for rows outside the batch: how often each row was seen, and its columns.

        Shape: [B, C], [B] -> [1 + C, S].
        """
        columns = torch.cat([torch.ones_like(rows[:, :1]), rows], 1)
        return columns.new_zeros(1 + rows.shape[1], examples).index_add_(1, ids, columns.T)

    def of_statistics(self, statistics: Tensor) -> dict[str, Tensor]:
        """The metrics by name, of the rows that were seen. Shape: as ``statistics`` -> [1] each."""
        seen = statistics[0] > 0
        return self.of_units(self.units((statistics[1:, seen] / statistics[0, seen]).T))

    def of_units(self, units: Tensor) -> dict[str, Tensor]:
        """The metrics by name, each unit once. Shape: [U, D] -> [1] each."""
        return self.weighted(units, units.new_ones(1, len(units)))


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator, and 0 where the denominator is 0."""
    return torch.where(denominator == 0, 0, numerator / denominator)
