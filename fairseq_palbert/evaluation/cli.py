"""``palbert evaluate``: score a checkpoint under any number of exit rules.

Writes to ``--out``: scores.jsonl (one object a rule), predictions.tsv, evaluation.json (provenance, and the prior,
posterior and score of each layer), exit_histogram.png and posterior.png.
"""

import argparse
import sys
from pathlib import Path

import torch

from ..analysis.predictions_file import PREDICTIONS_FILE
from ..analysis.recorded_split import RECORD_FILE, RecordedSplit, write_record
from ..analysis.records import layer_report
from ..checkpoints.loading import Model, load_model
from ..exits.base import Rule
from ..exits.registry import RULES, parse_rules
from ..files import file_sha256, staged, write_json, write_json_lines
from ..inference.engine import Workload, record
from ..inference.flags import add_engine_flags, check_sizes, device_of, window_of
from ..inference.for_inference import for_inference
from ..scores_file import EVALUATION_FILE, SCORES_FILE
from ..tsv import write_tsv
from .plots import plot_exit_histogram, plot_posterior
from .provenance import provenance
from .score_tables import layer_table, prediction_columns, score_table
from .scoring import Scored, Scorer
from .split import Split, load_split
from .tensorboard import write_summary


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="palbert evaluate",
        description="Scores a checkpoint under exit rules.",
        epilog="Example: palbert evaluate runs/RTE/seed1/checkpoints/checkpoint_best.pt --data data/RTE --exit "
               "q_exit:0.5 --exit fixed:12 --out scores")
    add = options.add_argument
    add("checkpoint", type=Path,
        help="a checkpoint of fairseq-train with --task glue or parity, or an exported model's folder")
    add("--data", help="folder of the binarized task; --task parity has none")
    add("--split", default="valid", help="split to score (default: valid)")
    add("--exit", action="append", default=[], metavar="RULE", dest="rules",
        help="exit rule, once or more: " + "; ".join(rule.form for rule in RULES.values()))
    add("--out", required=True, type=Path, help="folder for scores, predictions and plots")
    add("--glue-task", help="task of the data, if it is not the checkpoint's own (AX with MNLI's model)")
    add_engine_flags(options)
    add("--record", action="store_true", help=f"also write {RECORD_FILE}, every layer's answers, for palbert sweep")
    add("--tensorboard-logdir", type=Path, help="folder to write scores for TensorBoard to, under score_SPLIT")
    return options


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake; argparse's own errors exit with 2."""
    argv = sys.argv[1:] if argv is None else argv
    options = parser().parse_args(argv)
    rules = parse_rules(options.rules)
    check_sizes(options)
    device = device_of(options.device)
    model = load_model(options.checkpoint, options.data, options.glue_task)
    for rule in rules:
        rule.check(model.network)
    split = load_split(model.task, options.split)
    title = f"{model.task.definition.name}, {split.name}: {len(split.sentences)} examples"
    with staged(options.out, sometimes=(RECORD_FILE,)) as folder:
        origin = provenance(argv, options.checkpoint, device)
        recorded, scored = _score(options, device, rules, model, split, origin)
        layers = layer_report(recorded)
        if options.record:
            write_record(folder / RECORD_FILE, recorded)
        write_json_lines(folder / SCORES_FILE, [result.row for result in scored])
        write_tsv(folder / PREDICTIONS_FILE, prediction_columns(scored, split, model.task.metrics))
        write_json(folder / EVALUATION_FILE, {**origin, "task": model.task.definition.name, "split": split.name,
                                              "examples": len(split.sentences), "layers": vars(layers),
                                              "files": {name: file_sha256(folder / name)
                                                        for name in (SCORES_FILE, PREDICTIONS_FILE)}})
        plots = [folder / "exit_histogram.png", folder / "posterior.png"]
        plot_exit_histogram(plots[0], title, scored)
        plot_posterior(plots[1], title, layers)
        if options.tensorboard_logdir:
            write_summary(options.tensorboard_logdir / f"score_{split.name}", model.updates, model.settings, layers,
                          scored, plots)
    remarks = [] if layers.scores else ["This split has no labels: predictions only, no metrics."]
    if not model.network.halts:
        remarks.append("This model has no halting logits (--lambda-module none): no posterior, and no exit rule that "
                       "reads them.")
    print(title, *remarks, layer_table(layers), score_table(scored, layers), f"Written to {options.out}", sep="\n\n")


def _score(options: argparse.Namespace, device: torch.device, rules: list[Rule], model: Model, split: Split,
           origin: dict) -> tuple[RecordedSplit, list[Scored]]:
    """One pass over all depths, then every rule in the engine."""
    network = for_inference(model.network, options.dtype, device)
    workload = Workload(split.sentences, window_of(options, network, device), device, split.ids)
    recorded = RecordedSplit(
        split=split.name, task=model.task.definition, rows=split.rows,
        encoder=network.encoder.shape, heads=network.heads_shape,
        prior=None if model.prior is None else model.prior.tolist(), origin=origin,
        ids=split.ids, lengths=torch.tensor([len(sentence) for sentence in split.sentences]), targets=split.targets,
        recording=record(network, workload), groups=split.groups, text_scores=split.text_scores,
    )
    scorer = Scorer(network, workload, recorded, options.dtype)
    return recorded, [scorer(rule) for rule in rules]
