"""What a scoring run says of its rules: a table for people, a table of predictions, and plots of both."""

from torch import Tensor

from ..exits.base import Decisions, Rule
from ..glue.metrics import GlueMetrics
from .loading import Split
from .records import LayerReport, predictions


def score_table(rules: list[Rule], rows: list[dict], layers: LayerReport) -> str:
    """One line a rule. ``same depth`` is the score of the fixed exit at the rule's mean exit, between whole layers on the
    straight line: what adapting the depth has to beat."""
    labelled = layers.scores is not None
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    header = ["exit rule", *names, *(["same depth"] if labelled else []), "mean exit", "sd", "median", "p95", "layer speed-up",
              "sentences/s"]
    table = [header]
    for rule, row in zip(rules, rows):
        table.append([
            rule.spec,
            *(f"{row['metrics'][name]:.4f}" if name in row["metrics"] else "-" for name in names),
            *([f"{layers.score_at(row['mean_exit']):.4f}"] if labelled else []),
            f"{row['mean_exit']:.2f}", f"{row['sd_exit']:.2f}", f"{row['median_exit']:g}", f"{row['p95_exit']}",
            f"{row['layer_speedup']:.2f}x", f"{row['sentences_per_second']:.1f}",
        ])
    return _aligned(table)


def layer_table(layers: LayerReport) -> str:
    """One line a layer: prior, mean posterior, and the score if every example left there."""
    columns = {"prior": layers.prior, "posterior": layers.posterior, "score": layers.scores}
    present = {name: values for name, values in columns.items() if values is not None}
    rows = [[str(n), *(f"{values[n - 1]:.4f}" for values in present.values())] for n in range(1, len(layers.posterior) + 1)]
    return _aligned([["layer", *present], *rows])


def prediction_columns(rules: list[Rule], decided: list[Decisions], split: Split, metrics: GlueMetrics) -> tuple[list[str], list[list]]:
    """``index``, ``label`` (empty where unknown), then ``RULE.prediction`` and ``RULE.exit_layer`` of every rule; classes
    by their names."""
    examples = len(split.sentences)
    header, columns = ["index", "label"], [split.ids.tolist(), [""] * examples]
    if split.targets is not None:
        columns[1] = _named(split.targets, metrics)
    for rule, decisions in zip(rules, decided):
        header += [f"{rule.spec}.prediction", f"{rule.spec}.exit_layer"]
        columns += [_named(predictions(decisions.outputs), metrics), decisions.exit_layers.tolist()]
    return header, columns


def _named(values: Tensor, metrics: GlueMetrics) -> list:
    return values.tolist() if metrics.task.regression else [metrics.labels[value] for value in values.tolist()]


def _aligned(table: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
                     for row in table)
