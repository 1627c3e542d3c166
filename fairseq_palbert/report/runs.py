"""Read a report's runs: folders of recipes/glue_task.sh, or files of palbert keep."""

import sys
from dataclasses import dataclass
from functools import cached_property
from math import isclose, nan
from pathlib import Path

from ..analysis.describe import describe
from ..analysis.recorded_split import RECORD_FILE, RecordedSplit, read_record
from ..analysis.sweep import decisions
from ..command_file import COMMAND_FILE, parse_command, read_command
from ..definitions.definition import CALIBRATION
from ..errors import UserError
from ..exits.base import AllDepthsRule, Rule
from ..exits.registry import RULES, parse_rule
from ..exits.rules.fixed import Fixed
from ..exits.rules.q_exit import QExit
from ..exits.rules.random import Random
from ..exits.rules.sampling import Sampling
from ..experiment.methods import LAST_LAYER, METHODS, Method
from ..scores_file import CLOCK_KINDS, SCORES_FILE, read_scores, scored_seeds
from ..tables import visible
from .kept import KeptSeed, read_kept
from .same_settings import check_same_settings

ROUNDING = 1e-4  # tolerance for a score of 0..1


@dataclass(frozen=True)
class Point:
    """A rule on one seed, and its fields of ``describe``, with timings where there are any."""

    rule: Rule
    row: dict


@dataclass(frozen=True)
class Seed:
    """One trained model: its ``name``, its recorded split, and the rules it was ``scored`` under.

    ``command``: the training command, [] where unknown. ``calibration``: the record of the split that thresholds are
    chosen on, None where there is none.
    """

    name: str
    recorded: RecordedSplit
    scored: list[Point]
    command: list[str]
    calibration: RecordedSplit | None = None


@dataclass(frozen=True)
class Run:
    """The seeds of one method on one task; ``method`` is the name of the folder above the run's."""

    method: str
    seeds: list[Seed]

    @property
    def recorded(self) -> RecordedSplit:
        """The first seed's record, for what all seeds have in common."""
        return self.seeds[0].recorded

    @cached_property
    def rules(self) -> list[Rule]:
        """The rules that every seed was scored under."""
        return [point.rule for point in self.seeds[0].scored
                if all(point.rule in [other.rule for other in seed.scored] for seed in self.seeds)]

    @property
    def main_rule(self) -> Rule | None:
        """The first scored rule whose threshold adapts the depth; plots and tables show the method with it.

        Of a run that was scored under none, it is Q-exit where the model halts, else the method's usual one.
        """
        return next((rule for rule in (*self.rules, *self._usual_rules()) if adapts(type(rule))), None)

    def _usual_rules(self) -> list[Rule]:
        if self.recorded.halts:
            return [QExit(0.5)]
        method = METHODS.get(self.method, Method())
        return [parse_rule(rule) for rule in method.exits_of(self.recorded.task) if rule != LAST_LAYER]

    @property
    def calibrated(self) -> bool:
        return all(seed.calibration for seed in self.seeds)

    @property
    def claims_depth(self) -> bool:
        """Whether this project claims its depth: it halts, and is PALBERT or has a gate trained afterwards."""
        return self.recorded.halts and (self.method.startswith("palbert") or self.method.endswith("_staged"))

    @property
    def full_model(self) -> Fixed:
        return Fixed(self.recorded.depth)

    def points(self, rule: Rule) -> list[Point]:
        """The points of a scored rule, one a seed."""
        return [point for seed in self.seeds for point in seed.scored if point.rule == rule]


def adapts(rule: type[Rule]) -> bool:
    """Whether the rule's threshold trades score for depth, example by example."""
    return not issubclass(rule, (AllDepthsRule, Fixed, Random, Sampling))


def adaptive_rules(recorded: RecordedSplit) -> list[str]:
    return [name for name, rule in RULES.items() if adapts(rule) and not rule.misfit(recorded)]


def official(recorded: RecordedSplit) -> str:
    """The official score in words: "mean of pearson and spearman"."""
    names = recorded.task.metrics
    return names[0] if recorded.task.score == "first" else f"mean of {' and '.join(names)}"


def read_runs(folders: list[Path], split: str) -> dict[str, list[Run]]:
    """The runs by task, in the order given.

    Raises UserError for a run without a record, one that is named twice, one whose seeds were trained with other
    settings, and for runs of a task that were not scored on the same labelled examples.
    """
    tasks: dict[str, list[Run]] = {}
    first_folders: dict[str, Path] = {}
    for folder, run in ((path, run) for path in folders for run in _read(path, split)):
        others = tasks.setdefault(run.recorded.task.name, [])
        if any(run.method == other.method for other in others):
            raise UserError(f"{folder}: a second run of {run.method} on {run.recorded.task.name}: runs are told apart "
                            "by the name of the folder above them")
        others.append(run)
        first_folder = first_folders.setdefault(run.recorded.task.name, folder)
        _check_same_examples(folder, run, first_folder, others[0])
        check_same_settings(f"{folder}, {run.recorded.task.name}", {seed.name: seed.command for seed in run.seeds})
    return tasks


def _read(path: Path, split: str) -> list[Run]:
    """The runs in a file of palbert keep, of all tasks that have the split; or the one run of a folder."""
    if not path.exists():
        raise UserError(f"{path}: no such file or folder: give a file of palbert keep, or the RUN_DIR of a run")
    if path.is_dir():
        return [_read_run(path, split)]
    runs = []
    for task, seeds in read_kept(path).items():
        found = [_kept_seed(name, seed, split) for name, seed in seeds.items() if split in seed.splits]
        if found:
            runs.append(Run(visible(path.stem), found))
            for name, seed in seeds.items():
                if split not in seed.splits:
                    print(f"{path}, {task}, {visible(name)} is not scored on {split!r}: left out", file=sys.stderr)
    if not runs:
        raise UserError(f"{path} has nothing of the split {split!r}")
    return runs


def _kept_seed(name: str, seed: KeptSeed, split: str) -> Seed:
    kept, calibration = seed.splits[split], seed.splits.get(CALIBRATION)
    _check_labelled(kept.recorded, name)
    points = [_point(kept.recorded, clock) for clock in kept.clocks]
    return Seed(visible(name), kept.recorded, points, parse_command(seed.command),
                calibration.recorded if calibration and split != CALIBRATION else None)


def _check_labelled(recorded: RecordedSplit, name: object) -> None:
    if recorded.targets is None:
        raise UserError(f"{name}: the split has no labels, and so no score: report on another --split")


def _read_run(folder: Path, split: str) -> Run:
    scored = scored_seeds(folder, split, SCORES_FILE)
    recorded = [path for path in scored if path.with_name(RECORD_FILE).is_file()]
    for path in set(scored) - set(recorded):
        print(f"{path.parent} has no {RECORD_FILE}: left out", file=sys.stderr)
    if not recorded:
        raise UserError(f"no {folder}/seed*/scores/{split} with scores.jsonl and {RECORD_FILE}: score that run "
                        "with palbert evaluate --record")
    return Run(visible(folder.resolve().parent.name), [_read_seed(path) for path in recorded])


def read_split(path: Path) -> RecordedSplit:
    """The record in a folder scores/SPLIT. Raises UserError where it is of another split."""
    recorded = read_record(path)
    if recorded.split != path.parent.name:
        raise UserError(f"{path}: of the split {recorded.split}: move its folder out of {path.parents[1]}, or score "
                        "that split again")
    return recorded


def check_same_checkpoint(place: object, recorded: RecordedSplit, other: RecordedSplit) -> None:
    """Raises UserError, which names the ``place`` of the record, where the two splits were scored with two models."""
    if recorded.origin["checkpoint"]["sha256"] != other.origin["checkpoint"]["sha256"]:
        raise UserError(f"{place}: of another checkpoint than the record of {other.split}: score both splits with one")


def _read_seed(scores: Path) -> Seed:
    folder = scores.parents[2]
    recorded = read_split(scores.with_name(RECORD_FILE))
    _check_labelled(recorded, scores.parent)
    clocks = read_scores(scores, recorded.task.name, recorded.split)
    points = [_point(recorded, clock) for clock in clocks]
    if not all(map(_agree, (point.row for point in points), clocks)):
        raise UserError(f"{scores} and the record beside it are of different models: score that run again with "
                        "--record")
    command = folder / COMMAND_FILE
    return Seed(visible(folder.name), recorded, points, read_command(command) if command.is_file() else [],
                _read_calibration(scores.parents[1] / CALIBRATION / RECORD_FILE, recorded))


def _read_calibration(path: Path, recorded: RecordedSplit) -> RecordedSplit | None:
    """Raises UserError for a record of another checkpoint."""
    if recorded.split == CALIBRATION or not path.is_file():
        return None
    calibration = read_split(path)
    check_same_checkpoint(path, calibration, recorded)
    return calibration


def _point(recorded: RecordedSplit, clock: dict) -> Point:
    """The rule's results, computed from the record, and its timings, measured in the engine's run.

    Raises UserError where the rule does not fit the model.
    """
    rule = parse_rule(clock["exit"])
    rule.check(recorded)
    timed = {name: clock[name] for name in CLOCK_KINDS if name != "exit"}
    return Point(rule, {**describe(recorded, rule, decisions(recorded, rule)), **timed})


def _agree(row: dict, scored: dict) -> bool:
    """Whether the record and the engine's run agree, up to rounding.

    Rounding changes the ranks of answers that are nearly equal.
    """
    return (row["exit_histogram"] == scored["exit_histogram"]
            and isclose(row["metrics"]["score"], scored["metrics"].get("score", nan), abs_tol=ROUNDING))


def _check_same_examples(folder: Path, run: Run, first_folder: Path, first: Run) -> None:
    labels = first.recorded.targets.float()  # kept files of earlier versions have them in float32
    for seed in run.seeds:
        if not (seed.recorded.ids.equal(first.recorded.ids) and seed.recorded.targets.float().equal(labels)):
            raise UserError(f"{folder}/{seed.name} and {first_folder}/{first.seeds[0].name} have other examples or "
                            "labels: score the same data")
        if seed.recorded.depth != run.recorded.depth:
            raise UserError(f"{folder}/{seed.name} has {seed.recorded.depth} layers, {run.seeds[0].name} "
                            f"{run.recorded.depth}: give a run whose seeds have the same number of layers")
