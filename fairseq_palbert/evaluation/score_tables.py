"""What a scoring run says of its rules: two tables for people, and the columns of ``PREDICTIONS_FILE``."""

from torch import Tensor

from ..analysis.predictions_file import EXIT_LAYER, INDEX, LABEL, PREDICTION
from ..analysis.records import LayerReport, predictions
from ..glue.metrics import GlueMetrics
from ..tables import aligned
from .scoring import Scored
from .split import Split


def score_table(scored: list[Scored], layers: LayerReport) -> str:
    """One line a rule. ``same depth`` is the score of the fixed exit at the rule's mean exit, between whole layers on
    the straight line: what adapting the depth has to beat."""
    names = list(dict.fromkeys(name for one in scored for name in one.row["metrics"]))
    same_depth = ["same depth"] if layers.scores else []
    table = [["exit rule", *names, *same_depth, "mean exit", "sd", "median", "p95", "layer speed-up", "GFLOPs",
              "sentences/s"]]
    for one in scored:
        row = one.row
        table.append([
            one.rule.spec,
            *(f"{row['metrics'][name]:.4f}" if name in row["metrics"] else "-" for name in names),
            *(f"{layers.score_at(row['mean_exit']):.4f}" for _ in same_depth),
            f"{row['mean_exit']:.2f}", f"{row['sd_exit']:.2f}", f"{row['median_exit']:g}", f"{row['p95_exit']}",
            f"{row['layer_speedup']:.2f}x", f"{row['mean_flops'] / 1e9:.3g}", f"{row['sentences_per_second']:.1f}",
        ])
    return aligned(table)


def layer_table(layers: LayerReport) -> str:
    """One line a layer: prior, mean posterior, and the score if every example left there, as far as there are any."""
    columns = {"prior": layers.prior, "posterior": layers.posterior, "score": layers.scores}
    present = {name: [f"{value:.4f}" for value in values] for name, values in columns.items() if values is not None}
    numbers = map(str, range(1, layers.depth + 1))
    return aligned([["layer", *present], *map(list, zip(numbers, *present.values()))])


def prediction_columns(scored: list[Scored], split: Split, metrics: GlueMetrics) -> dict[str, list]:
    """``index``, ``label`` (empty where unknown), then ``RULE.prediction`` and ``RULE.exit_layer`` of every rule;
    classes by their names."""
    columns = {
        INDEX: split.ids.tolist(),
        LABEL: [""] * len(split.sentences) if split.targets is None else _named(split.targets, metrics),
    }
    for one in scored:
        columns[one.rule.spec + PREDICTION] = _named(predictions(one.decisions.outputs), metrics)
        columns[one.rule.spec + EXIT_LAYER] = one.decisions.exit_layers.tolist()
    return columns


def _named(values: Tensor, metrics: GlueMetrics) -> list:
    return values.tolist() if metrics.task.regression else [metrics.labels[value] for value in values.tolist()]
