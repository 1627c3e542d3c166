"""The hardest and the easiest examples of a task.

All methods that adapt their depth count, with all their seeds. Sizes: N layers, E examples.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..analysis.measures import errors
from ..analysis.records import predictions
from ..tables import markdown, plain
from .runs import Run
from .task import Task, examples

SHOWN = 5


def hardest_and_easiest(task: Task, texts: Sequence[tuple[str, ...]] | None) -> str:
    """Two tables.

    The hardest examples have the largest mean error over all layers; ties go to the latest exit. The easiest have the
    smallest; ties go to the earliest exit. ``texts``: the sentences of each row of the split, if known.
    """
    wrong = torch.stack([_mean_error(run) for run in task.adaptive]).mean(0)
    exits = {run.method: examples(task.main[run.method]).exit_layers.double().mean(0) for run in task.adaptive}
    latest = torch.stack(list(exits.values())).mean(0)
    order = sorted(range(len(wrong)),
                   key=lambda place: (round(float(wrong[place]), 9), round(float(latest[place]), 9), place))
    tables = [("Hardest", order[::-1][:SHOWN]), ("Easiest", order[:SHOWN])]
    return "\n\n".join(f"{title}:\n\n{_table(task, places, wrong, exits, texts)}" for title, places in tables)


def _mean_error(run: Run) -> Tensor:
    """The mean error over layers and seeds. Shape: [E]."""
    records = [seed.recorded for seed in run.seeds]
    return torch.stack([errors(record, predictions(record.recording.logits)).mean(0) for record in records]).mean(0)


def _table(task: Task, places: list[int], wrong: Tensor, exits: dict[str, Tensor], texts: Sequence | None) -> str:
    recorded = task.recorded
    labels = recorded.task.labels
    lines = []
    for place in places:
        row, target = int(recorded.ids[place]), recorded.targets[place]
        lines.append([
            str(row), *([" / ".join(map(plain, texts[row]))] if texts else []),
            f"{float(target):.2f}" if recorded.task.regression else plain(labels[int(target)]),
            f"{wrong[place]:.2f}", *(f"{layers[place]:.1f}" for layers in exits.values()),
        ])
    measure = "mean error" if recorded.task.regression else "share wrong"
    header = ["row", *(["text"] if texts else []), "label", measure, *(f"exit, {plain(method)}" for method in exits)]
    return markdown([header, *lines], words=2 if texts else 1)
