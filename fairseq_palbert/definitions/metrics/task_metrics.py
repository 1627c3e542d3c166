"""A task's metrics by name, and its score.

Sizes: B rows, S rows of the split, K outputs (classes, or 1 for regression), U units (rows, or groups of rows), R
weightings of them.
"""

from torch import Tensor

from ..definition import TaskDefinition
from .base import References
from .classification import ClassificationMetrics
from .groups import AllRowsMetrics, BestRowMetrics
from .regression import RegressionMetrics

ERRORS = ("mse", "mae")


class TaskMetrics:
    """A task's metrics, and ``score``: the first of its ``metrics``, or the mean of all, as the task says.

    The larger a score the better: a mean squared or mean absolute error counts as its negative there, though not under
    its own name. All other metrics lie in [−1, 1]. A metric that is undefined, as for constant answers, is 0, as
    Matthews' coefficient is in scikit-learn.

    There are two ways to them. ``statistics`` are sums over batches and workers, of which a call makes the metrics of
    the whole split. ``units`` are what a bootstrap draws, of a whole split at once.
    """

    def __init__(self, task: TaskDefinition):
        self.task = task
        self.names = task.metrics if task.regression else tuple(dict.fromkeys(("accuracy", *task.metrics)))
        if task.groups:
            self._kind = (BestRowMetrics if task.groups.answer == "best" else AllRowsMetrics)(task)
        else:
            self._kind = (RegressionMetrics if task.regression else ClassificationMetrics)(task)

    @property
    def follow_from_classes(self) -> bool:
        """Whether the score needs nothing of a row but its answer: neither its other outputs nor its group."""
        return self.task.groups is None and "top5_accuracy" not in self._scored

    def statistics(self, outputs: Tensor, references: References, ids: Tensor, examples: int) -> Tensor:
        """Sums of these rows, which are the rows ``ids`` [B] of S ``examples``. Shape: [B, K] -> [L, K or S], float64.

        Outputs are logits or probabilities, for regression scores [B, 1].
        """
        return self._kind.statistics(self._kind.rows(outputs, references), ids, examples)

    def __call__(self, statistics: Tensor) -> dict[str, float]:
        """The metrics by name, and ``score``."""
        return self._named(self._kind.of_statistics(statistics.cpu()))

    def answers(self, outputs: Tensor, groups: Tensor | None) -> Tensor:
        """What the rows are answered: a class id each, or a score.

        Where a group is answered by its best row, that row alone is positive. Shape: [B, K], [B] -> [B].
        """
        return self._kind.answers(outputs, groups)

    def units(self, outputs: Tensor, references: References) -> Tensor:
        """What the metrics need of each unit of a split. Shape: [B, K] -> [U, D], float64."""
        return self._kind.units(self._kind.rows(outputs, references))

    def of_units(self, units: Tensor) -> dict[str, float]:
        """The metrics by name, and ``score``."""
        return self._named(self._kind.of_units(units))

    def weighted(self, units: Tensor, weights: Tensor) -> Tensor:
        """The score of weighted units, one for each row of ``weights``.

        A whole-number weight equals that many copies of the unit. Shape: [U, D], [R, U], float64 -> [R].
        """
        return self._score(self._kind.weighted(units, weights))

    def _named(self, values: dict[str, Tensor]) -> dict[str, float]:
        return {**{name: float(values[name]) for name in self.names}, "score": float(self._score(values))}

    @property
    def _scored(self) -> tuple[str, ...]:
        return self.task.metrics if self.task.score == "mean" else self.task.metrics[:1]

    def _score(self, values: dict[str, Tensor]) -> Tensor:
        return sum(-values[name] if name in ERRORS else values[name] for name in self._scored) / len(self._scored)
