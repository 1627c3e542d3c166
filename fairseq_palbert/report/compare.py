"""``palbert compare``: paired bootstrap confidence intervals for score differences between two runs.

A run's score is the official score, averaged over seeds. A resample draws as many examples as the split has, with
replacement. Both runs, with all their seeds, are scored on it. The interval lies between the 2.5th and 97.5th
percentile of the differences. Over several tasks the differences are averaged; each task's split is resampled by
itself.
"""

import argparse
from dataclasses import dataclass
from functools import partial
from math import isclose
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..analysis.bootstrap import MOST_RESAMPLES, interval, resampled
from ..analysis.predictions_file import PREDICTIONS_FILE, read_predictions
from ..analysis.recorded_split import RecordedSplit
from ..analysis.records import predictions
from ..analysis.sweep import decisions
from ..definitions.metrics import TaskMetrics
from ..definitions.packaged import find_task
from ..errors import UserError
from ..exits.registry import parse_rule
from ..numbers_from_text import LARGEST_SEED, check_range, finite_float, integer
from ..tables import aligned
from .kept import read_kept

POINTS = 100
ROUNDING = 1e-4  # tolerance for a score of −1..1


@dataclass(frozen=True)
class Answers:
    """A run's answers to E examples: ``ids`` [E], ``targets`` [E], and ``predictions`` [S, E] of its S seeds."""

    ids: list[int]
    targets: Tensor
    predictions: Tensor


@dataclass(frozen=True)
class Comparison:
    """Scores and ``differences`` (a − b, one a resample), in points."""

    name: str
    examples: int
    seeds: str
    a: float
    b: float
    differences: np.ndarray

    @property
    def interval(self) -> tuple[float, float]:
        return interval(self.differences)


def read_answers(run: Path, split: str, rule: str, metrics: TaskMetrics) -> Answers:
    """Read a run. Raises UserError for files that are missing, lack the rule, or do not agree with each other."""
    if run.is_file():
        return _replayed(run, split, rule, metrics)
    paths = sorted(run.glob(f"seed*/scores/{split}/{PREDICTIONS_FILE}"))
    if not paths:
        raise UserError(f"no {run}/seed*/scores/{split}/predictions.tsv: score that run with recipes/glue_task.sh")
    seeds = [_read(path, rule, metrics) for path in paths]
    for path, (ids, targets, _) in zip(paths, seeds):
        if (ids, targets) != seeds[0][:2]:
            raise UserError(f"{path} and {paths[0]} have other examples or labels: score the same data")
    ids, targets, _ = seeds[0]
    return Answers(ids, torch.tensor(targets), torch.tensor([predictions for _, _, predictions in seeds]))


def _replayed(path: Path, split: str, rule: str, metrics: TaskMetrics) -> Answers:
    """The rule replayed on the records in a file of ``palbert keep``; it need not have been scored."""
    seeds = [seed.splits[split].recorded for seed in read_kept(path).get(metrics.task.name, {}).values()
             if split in seed.splits]
    if not seeds:
        raise UserError(f"{path} has no record of {metrics.task.name}'s split {split}: keep that run with palbert keep")
    exit_rule, answers = parse_rule(rule), []
    for recorded in seeds:
        if recorded.targets is None:
            raise UserError(f"{path}: the split {split} has no labels, and so no score: compare on another --split")
        exit_rule.check(recorded)
        answers.append(_in_order(predictions(decisions(recorded, exit_rule).outputs), recorded, metrics))
    return Answers(seeds[0].ids.tolist(), _in_order(seeds[0].targets, seeds[0], metrics), torch.stack(answers))


def _in_order(values: Tensor, recorded: RecordedSplit, metrics: TaskMetrics) -> Tensor:
    """Class ids in the order of the task's labels instead of the record's; scores are unchanged."""
    if metrics.task.regression:
        return values
    return torch.tensor([metrics.task.labels.index(label) for label in recorded.task.labels])[values]


def _read(path: Path, rule: str, metrics: TaskMetrics) -> tuple[list[int], list, list]:
    """ids, targets and predictions, in the order of the ids."""
    answers = read_predictions(path, rule, task=metrics.task.name)
    class_of = {name: i for i, name in enumerate(metrics.task.labels)}
    value_of = finite_float if metrics.task.regression else class_of.__getitem__
    try:
        targets, predicted = (list(map(value_of, values)) for values in (answers.labels, answers.predictions))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: {error} is no label of {metrics.task.name} "
                        f"({metrics.task.answers_in_words})") from error
    places = torch.arange(len(targets))
    score = metrics(metrics.statistics(torch.tensor(predicted), torch.tensor(targets), places, len(places)))["score"]
    if answers.score is not None and not isclose(score, answers.score, abs_tol=ROUNDING):
        raise UserError(f"{path} has the score {score:.4f} as {metrics.task.name}, and scores.jsonl beside it "
                        f"{answers.score:.4f}: name the task that was scored, or score the split again")
    return answers.ids, targets, predicted


def mean_score(answers: Answers, weights: Tensor, metrics: TaskMetrics) -> Tensor:
    """The official score of weighted examples in points, averaged over seeds. Shape: [B, E] -> [B]."""
    scores = [metrics.weighted(of_seed, answers.targets, weights) for of_seed in answers.predictions]
    return POINTS * sum(scores) / len(scores)


def compare(name: str, a: Answers, b: Answers, metrics: TaskMetrics, resamples: int, seed: int) -> Comparison:
    examples = len(a.ids)
    of_a, of_b = (resampled(partial(mean_score, answers, metrics=metrics), examples, resamples, (seed, *name.encode()))
                  for answers in (a, b))
    return Comparison(name, examples, f"{len(a.predictions)}, {len(b.predictions)}", float(of_a[0]), float(of_b[0]),
                      (of_a - of_b)[1:])


def averaged(comparisons: list[Comparison]) -> Comparison:
    """The mean over tasks, all with equal weight."""
    return Comparison(
        name="mean of tasks",
        examples=sum(task.examples for task in comparisons),
        seeds="",
        a=float(np.mean([task.a for task in comparisons])),
        b=float(np.mean([task.b for task in comparisons])),
        differences=np.mean([task.differences for task in comparisons], axis=0),
    )


def table(comparisons: list[Comparison], rule_a: str, rule_b: str) -> str:
    lines = [["task", "examples", "seeds", f"A {rule_a}", f"B {rule_b}", "A - B", "95 % interval"]]
    for comparison in comparisons:
        low, high = comparison.interval
        lines.append([comparison.name, str(comparison.examples), comparison.seeds,
                      f"{comparison.a:.2f}", f"{comparison.b:.2f}", f"{comparison.a - comparison.b:+.2f}",
                      f"{low:+.2f} to {high:+.2f}"])
    return aligned(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="palbert compare",
        description="Prints the scores of two runs, each under an exit rule, and their difference in points with its "
                    "paired bootstrap 95 % interval, for each task and their mean. RUN is a run directory, with "
                    "seed*/scores/SPLIT/predictions.tsv, or a file of palbert keep, on which any rule is replayed.",
        epilog="Example: palbert compare q_exit:0.5 fixed:6 --runs MRPC runs/palbert/MRPC runs/vanilla/MRPC")
    parser.add_argument("rule_a", help="exit rule of the first runs, as it was scored, such as q_exit:0.5")
    parser.add_argument("rule_b", help="exit rule of the second runs, such as fixed:6")
    parser.add_argument("--runs", nargs=3, action="append", required=True, metavar=("TASK", "RUN_A", "RUN_B"))
    parser.add_argument("--split", default="valid", help="split that was scored (default: %(default)s)")
    parser.add_argument("--resamples", type=integer, default=10_000, help="number of resamples (default: %(default)s)")
    parser.add_argument("--seed", type=integer, default=0, help="seed of the resampling (default: %(default)s)")
    options = parser.parse_args(arguments)
    check_range("--resamples", options.resamples, 1, MOST_RESAMPLES)
    check_range("--seed", options.seed, 0, LARGEST_SEED)
    comparisons = []
    for task, *runs in options.runs:
        metrics = TaskMetrics(find_task(task))
        a, b = (read_answers(Path(run), options.split, rule, metrics)
                for run, rule in zip(runs, (options.rule_a, options.rule_b)))
        if a.ids != b.ids or not a.targets.equal(b.targets):
            raise UserError(f"{runs[0]} and {runs[1]} have other examples or labels: score the same data")
        comparisons.append(compare(task, a, b, metrics, options.resamples, options.seed))
    if len(comparisons) > 1:
        comparisons.append(averaged(comparisons))
    print(table(comparisons, options.rule_a, options.rule_b))
