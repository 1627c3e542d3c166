"""``palbert compare``: paired bootstrap confidence intervals for score differences between two runs.

A run's score is the official score, averaged over seeds. A resample draws as many examples as the split has, with
replacement, or groups where rows are scored together. Both runs, with all their seeds, are scored on it. The interval
lies between the 2.5th and 97.5th percentile of the differences. Over several tasks the differences are averaged; each
task's split is resampled by itself.
"""

import argparse
from dataclasses import dataclass, replace
from functools import partial
from math import isclose
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..analysis.bootstrap import MOST_RESAMPLES, Statistic, interval, resampled
from ..analysis.predictions_file import PREDICTIONS_FILE, read_predictions
from ..analysis.sweep import decisions
from ..definitions.definition import TaskDefinition
from ..definitions.metrics import References, TaskMetrics
from ..definitions.packaged import find_task
from ..errors import UserError
from ..exits.registry import parse_rule
from ..numbers_from_text import LARGEST_SEED, check_range, finite_float, integer
from ..scores_file import scored_seeds
from ..tables import aligned
from .claims import MEAN
from .kept import read_kept

POINTS = 100
ROUNDING = 1e-4  # tolerance for a score of −1..1, and relative to a larger one


@dataclass(frozen=True)
class Answers:
    """A run's answers to E examples.

    ``ids`` [E], ``labels`` [E] by name or number, and ``unit_of`` [E], which say what was asked and what is drawn.
    ``scores``: of each seed, the official score of weighted units.
    """

    ids: list[int]
    labels: list[str] | list[float]
    unit_of: list[int]
    scores: list[Statistic]

    @property
    def asked(self) -> tuple[list, ...]:
        """Numbers are as float32 has them, since kept files of earlier versions have the labels so."""
        labels = [label if isinstance(label, str) else np.float32(label) for label in self.labels]
        return self.ids, labels, self.unit_of


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


def read_answers(run: Path, split: str, rule: str, task: TaskDefinition) -> Answers:
    """Read a run. Raises UserError for files that are missing, lack the rule, or do not agree with each other."""
    if run.is_file():
        return _replayed(run, split, rule, task)
    paths = scored_seeds(run, split, PREDICTIONS_FILE)
    if not paths:
        raise UserError(f"no {run}/seed*/scores/{split}/predictions.tsv: score that run with recipes/glue_task.sh")
    if not TaskMetrics(task).follow_from_classes:
        raise UserError(f"{run}: the score of {task.name} does not follow from the classes in {PREDICTIONS_FILE}: keep "
                        "that run with palbert keep, and compare its file")
    seeds = [_read(path, rule, task) for path in paths]
    for path, seed in zip(paths, seeds):
        if seed.asked != seeds[0].asked:
            raise UserError(f"{path} and {paths[0]} have other examples or labels: score the same data")
    return replace(seeds[0], scores=[score for seed in seeds for score in seed.scores])


def _replayed(path: Path, split: str, rule: str, task: TaskDefinition) -> Answers:
    """The rule replayed on the records in a file of ``palbert keep``; it need not have been scored."""
    seeds = [seed.splits[split].recorded for seed in read_kept(path).get(task.name, {}).values()
             if split in seed.splits]
    if not seeds:
        raise UserError(f"{path} has no record of {task.name}'s split {split}: keep that run with palbert keep")
    exit_rule, scores = parse_rule(rule), []
    for recorded in seeds:
        if recorded.targets is None:
            raise UserError(f"{path}: the split {split} has no labels, and so no score: compare on another --split")
        exit_rule.check(recorded)
        units = recorded.metrics.units(decisions(recorded, exit_rule).outputs, recorded.references)
        scores.append(partial(recorded.metrics.weighted, units))
    first = seeds[0]
    labels = first.targets.tolist()
    if not task.regression:
        labels = [first.task.labels[label] for label in labels]
    return Answers(first.ids.tolist(), labels, first.unit_of.tolist(), scores)


def _read(path: Path, rule: str, task: TaskDefinition) -> Answers:
    """The answers of one seed, in the order of the ids."""
    answers = read_predictions(path, rule, task=task.name)
    if task.labels is None:  # collected from train: those that occur here are enough
        occur = {*answers.labels, *answers.predictions, task.positive} - {"", None}
        task = replace(task, labels=tuple(sorted(occur)))
    class_of = {name: i for i, name in enumerate(task.labels)}
    value_of = finite_float if task.regression else class_of.__getitem__
    try:
        targets, predicted = (list(map(value_of, values)) for values in (answers.labels, answers.predictions))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: {error} is no label of {task.name} ({task.answers_in_words})") from error
    answered = torch.tensor(predicted)
    outputs = answered.unsqueeze(1) if task.regression else one_hot(answered, task.outputs)
    metrics = TaskMetrics(task)
    units = metrics.units(outputs, References(torch.tensor(targets)))
    score = metrics.of_units(units)["score"]
    if answers.score is not None and not isclose(score, answers.score, rel_tol=ROUNDING, abs_tol=ROUNDING):
        raise UserError(f"{path} has the score {score:.4f} as {task.name}, and scores.jsonl beside it "
                        f"{answers.score:.4f}: name the task that was scored, or score the split again")
    return Answers(answers.ids, targets if task.regression else answers.labels, list(range(len(targets))),
                   [partial(metrics.weighted, units)])


def mean_score(answers: Answers, weights: Tensor) -> Tensor:
    """The official score of weighted units in points, averaged over seeds. Shape: [B, U] -> [B]."""
    return POINTS * sum(score(weights) for score in answers.scores) / len(answers.scores)


def compare(name: str, a: Answers, b: Answers, resamples: int, seed: int) -> Comparison:
    units = max(a.unit_of) + 1
    of_a, of_b = (resampled(partial(mean_score, answers), units, resamples, (seed, *name.encode()))
                  for answers in (a, b))
    return Comparison(name, len(a.ids), f"{len(a.scores)}, {len(b.scores)}", float(of_a[0]), float(of_b[0]),
                      (of_a - of_b)[1:])


def averaged(comparisons: list[Comparison]) -> Comparison:
    """The mean over tasks, all with equal weight."""
    return Comparison(
        name=MEAN,
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
        definition = find_task(task)
        a, b = (read_answers(Path(run), options.split, rule, definition)
                for run, rule in zip(runs, (options.rule_a, options.rule_b)))
        if a.asked != b.asked:
            raise UserError(f"{runs[0]} and {runs[1]} have other examples or labels: score the same data")
        comparisons.append(compare(definition.name, a, b, options.resamples, options.seed))
    if len(comparisons) > 1:
        comparisons.append(averaged(comparisons))
    print(table(comparisons, options.rule_a, options.rule_b))
