"""``python -m fairseq_palbert.evaluation``: scores a checkpoint under any number of exit rules.

Writes to ``--out``: scores.jsonl (one object a rule), predictions.tsv, evaluation.json (provenance, and prior, posterior
and score by layer), exit_histogram.png and posterior.png.
"""

import argparse
import sys
from pathlib import Path

import torch

from ..errors import UserError
from ..exits.base import Rule
from ..exits.registry import RULES, parse_rules
from ..exits.sampling import Sampling
from ..inference.engine import Workload, record
from .loading import Model, Split, load_model, load_split
from .output import staged, write_json, write_json_lines, write_tsv
from .plots import plot_exit_histogram, plot_posterior
from .provenance import provenance
from .records import expected_score, layer_report
from .report import layer_table, prediction_columns, score_table
from .scoring import score_row, timed_decisions
from .tensorboard import write_summary

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m fairseq_palbert.evaluation", description="Scores a checkpoint under exit rules.")
    options.add_argument("checkpoint", type=Path, help="a checkpoint of fairseq-train with --task glue")
    options.add_argument("--data", required=True, help="folder of the binarized task")
    options.add_argument("--split", default="valid", help="split to score (default: valid)")
    options.add_argument("--exit", action="append", default=[], metavar="RULE", dest="rules",
                         help="exit rule, any number of times: " + "; ".join(rule.form for rule in RULES.values()))
    options.add_argument("--out", required=True, type=Path, help="folder for scores, predictions and plots")
    options.add_argument("--glue-task", help="GLUE task of the data, where it is not the checkpoint's own (AX with MNLI's model)")
    options.add_argument("--batch-size", type=int, default=32, help="sentences a batch (default: 32)")
    options.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where to run (default: cpu)")
    options.add_argument("--dtype", default="float32", choices=DTYPES, help="precision of the network (default: float32)")
    options.add_argument("--tensorboard-logdir", type=Path, help="write the scores there for TensorBoard, under score_SPLIT")
    return options


def main(argv: list[str] | None = None) -> None:
    """Raises UserError, one line and exit status 1, for whatever a user can get wrong; argparse's own errors exit with 2."""
    argv = sys.argv[1:] if argv is None else argv
    options = parser().parse_args(argv)
    rules = parse_rules(options.rules)
    _check_run(options)
    model = load_model(options.checkpoint, options.data, options.glue_task)
    for rule in rules:
        rule.check(model.network.depth)
    split = load_split(model.task, options.split)
    with staged(options.out) as folder:
        _score(folder, argv, options, rules, model, split)


def _check_run(options: argparse.Namespace) -> None:
    if options.batch_size < 1:
        raise UserError(f"--batch-size {options.batch_size}: at least 1")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no CUDA device here; use --device cpu")


def _score(folder: Path, argv: list[str], options: argparse.Namespace, rules: list[Rule], model: Model, split: Split) -> None:
    device, metrics = torch.device(options.device), model.task.metrics
    network = model.network.to(device, DTYPES[options.dtype])
    workload = Workload(split.sentences, model.task.source_dictionary.pad(), options.batch_size, device, split.ids)
    recording = record(network, workload)
    layers = layer_report(recording, split, metrics, model.prior)
    timed = [timed_decisions(network, rule, workload) for rule in rules]
    run = {"batch_size": options.batch_size, "device": options.device, "dtype": options.dtype}
    rows = [score_row(rule, one, network.depth, split, metrics, run) for rule, one in zip(rules, timed)]
    for rule, row in zip(rules, rows):
        if isinstance(rule, Sampling) and split.targets is not None:
            row["metrics"]["expected_score"] = expected_score(recording, split, metrics)
    decided = [one.decisions for one in timed]

    title = f"{model.task.glue_task.name}, {split.name}: {len(split.sentences)} examples"
    plot_exit_histogram(folder / "exit_histogram.png", title, rules, rows)
    plot_posterior(folder / "posterior.png", title, layers)
    write_json_lines(folder / "scores.jsonl", rows)
    write_tsv(folder / "predictions.tsv", *prediction_columns(rules, decided, split, metrics))
    write_json(folder / "evaluation.json", {**provenance(argv, options.checkpoint, device), "split": split.name,
                                            "examples": len(split.sentences), "layers": vars(layers)})
    if options.tensorboard_logdir:
        write_summary(options.tensorboard_logdir / f"score_{split.name}", model.updates, layers, rules, rows, decided,
                      [folder / "exit_histogram.png", folder / "posterior.png"])
    print(title, *([] if split.targets is not None else ["This split has no labels: predictions only, no metrics."]),
          layer_table(layers), score_table(rules, rows, layers), f"Written to {options.out}", sep="\n\n")
