"""The tables of a scoring run, and the columns of ``PREDICTIONS_FILE``."""

from torch import Tensor

from ..analysis.predictions_file import EXIT_LAYER, INDEX, LABEL, PREDICTION
from ..analysis.records import LayerReport
from ..definitions.definition import TaskDefinition
from ..definitions.metrics import TaskMetrics
from ..tables import aligned
from .scoring import Scored
from .split import Split


def score_table(scored: list[Scored], layers: LayerReport) -> str:
    """One line a rule.

    ``same depth`` is the fixed exits' score at the rule's mean exit, interpolated linearly between two layers. An
    adaptive rule has to beat it. ``layers a group`` is the mean over groups of the sum of their rows' exit layers.
    """
    names = list(dict.fromkeys(name for result in scored for name in result.row["metrics"]))
    same_depth = ["same depth"] if layers.scores else []
    of_groups = ["layers a group"] if any("layers_per_group" in result.row for result in scored) else []
    table = [["exit rule", *names, *same_depth, "mean exit", *of_groups, "sd", "median", "p95", "layer speed-up",
              "GFLOPs", "sentences/s"]]
    for result in scored:
        row = result.row
        table.append([
            result.rule.spec,
            *(f"{row['metrics'][name]:.4f}" if name in row["metrics"] else "-" for name in names),
            *(f"{layers.score_at(row['mean_exit']):.4f}" for _ in same_depth),
            f"{row['mean_exit']:.2f}", *(f"{row['layers_per_group']:.2f}" for _ in of_groups),
            f"{row['sd_exit']:.2f}", f"{row['median_exit']:g}", f"{row['p95_exit']}",
            f"{row['layer_speedup']:.2f}x", f"{row['mean_flops'] / 1e9:.3g}", f"{row['sentences_per_second']:.1f}",
        ])
    return aligned(table)


def layer_table(layers: LayerReport) -> str:
    """One line a layer: its prior, mean posterior, and score if every example exited there, where known."""
    columns = {"prior": layers.prior, "posterior": layers.posterior, "score": layers.scores}
    present = {name: [f"{value:.4f}" for value in values] for name, values in columns.items() if values is not None}
    numbers = map(str, range(1, layers.depth + 1))
    return aligned([["layer", *present], *map(list, zip(numbers, *present.values()))])


def prediction_columns(scored: list[Scored], split: Split, metrics: TaskMetrics) -> dict[str, list]:
    """``index``, ``label`` (empty where unknown), then ``RULE.prediction`` and ``RULE.exit_layer`` of every rule.

    Classes are given by name. Where a group is answered by its best row, that row alone has the positive label.
    """
    task = metrics.task
    columns = {
        INDEX: split.ids.tolist(),
        LABEL: [""] * len(split.sentences) if split.targets is None else _named(split.targets, task),
    }
    for result in scored:
        columns[result.rule.spec + PREDICTION] = _named(metrics.answers(result.decisions.outputs, split.groups), task)
        columns[result.rule.spec + EXIT_LAYER] = result.decisions.exit_layers.tolist()
    return columns


def _named(values: Tensor, task: TaskDefinition) -> list:
    return values.tolist() if task.regression else [task.labels[value] for value in values.tolist()]
