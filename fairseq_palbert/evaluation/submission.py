"""``palbert submission``: write the submission to GLUE or SuperGLUE from run directories, or check one.

A run's data are its folder data/TASK; a second phase has none, and its data are those it was trained on. Predictions
come from RUN/seedS/checkpoints/checkpoint_best.pt on the test split; MNLI has two of them. AX is predicted by MNLI's
checkpoint, AX-b and AX-g by that of SuperGLUE's RTE.

Existing predictions are reused: those in RUN/seedS/scores/SPLIT or RUN/seedS/submission/SPLIT that this checkpoint (by
its SHA-256) has made under the rule. If there are none, the split is scored into the latter folder. A test split is
binarized whole and in the order of its file, so that its rows are GLUE's indices. SuperGLUE's are read from the raw
test file again.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from ..analysis.predictions_file import PREDICTIONS_FILE, REMEDY, read_predictions, scored_rules
from ..command_file import COMMAND_FILE, read_command, value_of
from ..definitions.packaged import packaged_task
from ..errors import UserError
from ..exits.registry import parse_rule
from ..files import file_sha256
from ..json_files import read_json
from ..numbers_from_text import LARGEST_SEED, check_range, integer
from ..scores_file import EVALUATION_FILE, seed_folders
from ..submissions.benchmark import Benchmark, Sheet
from ..submissions.glue import GLUE
from ..submissions.superglue import SUPERGLUE
from ..tasks.group_file import group_file, read_groups
from . import cli

BENCHMARKS = {benchmark.name.lower(): benchmark for benchmark in (GLUE, SUPERGLUE)}
DATA_REMEDY = "make the data again of the raw files that --raw names"
BEST = Path("checkpoints", "checkpoint_best.pt")


@dataclass(frozen=True)
class Source:
    """The source of a task's predictions: a model, the task's data, and the folder RUN/seedS of its scores."""

    checkpoint: Path
    data: Path
    folder: Path


def find_sources(benchmark: Benchmark, runs: list[Path], seed: int) -> dict[str, Source]:
    """The source of every task that has a run, by the task's name.

    Raises UserError for a folder that is not a run, two runs of a task, and a model that is missing.
    """
    run_of, data_of = {}, {}
    for run in runs:
        task, data = _data_of(benchmark, run, seed)
        if task in run_of:
            raise UserError(f"{run_of[task]} and {run} are both of {task}: give one of them")
        run_of[task], data_of[task] = run, data
    return {task: Source(_checkpoint(run_of, task, seed), data_of[task], run / f"seed{seed}")
            for task, run in run_of.items()}


def _data_of(benchmark: Benchmark, run: Path, seed: int) -> tuple[str, Path]:
    """The task and the folder of its data."""
    found = {task: run / "data" / task for task in benchmark.tasks if (run / "data" / task).is_dir()}
    trained = run / f"seed{seed}" / COMMAND_FILE
    if not found and trained.exists():
        words = read_command(trained)
        found = {task: Path(words[1]) for task in benchmark.tasks if value_of(words, "--glue-task") == task}
    if len(found) != 1:
        raise UserError(f"{run} has {' and '.join(sorted(found)) or f'no task of {benchmark.name}'} in its folder "
                        f"data, and seed {seed} was not trained on one: give the RUN_DIR of recipes/glue_task.sh")
    (task, data), = found.items()
    return task, data


def _checkpoint(run_of: dict[str, Path], task: str, seed: int) -> Path:
    model = packaged_task(task).model_of or task
    if model not in run_of:
        raise UserError(f"{run_of[task]} is of {task}, whose answers are those of {model}'s model: give the run of "
                        f"{model} too")
    checkpoint = run_of[model] / f"seed{seed}" / BEST
    if not checkpoint.is_file():
        seeds = [folder.name.removeprefix("seed") for folder in seed_folders(run_of[model])
                 if (folder / BEST).is_file()]
        raise UserError(f"{checkpoint} is missing: "
                        + (f"choose --seed from {', '.join(seeds)}" if seeds else "train that run first"))
    return checkpoint


def predictions(sheet: Sheet, source: Source, rule: str) -> list[str]:
    """The predictions in the order of the split's rows; the split is scored first where they are missing."""
    if sheet.task.groups:
        path = group_file(source.data, sheet.split.name)
        if list(zip(*read_groups(path, DATA_REMEDY))) != sheet.groups:
            raise UserError(f"{path}: its rows are not those of the raw test file in --raw: {DATA_REMEDY}")
    digest = file_sha256(source.checkpoint)
    places = [source.folder / kind / sheet.split.name for kind in ("scores", "submission")]
    fitting = [place for place in places if _fits(place, digest, rule)]
    if not fitting:
        evaluate(sheet, source, rule, places[-1])
        fitting = places[-1:]
    return read_predictions(fitting[0] / PREDICTIONS_FILE, rule, sheet.rows, sheet.task.name).predictions


def _fits(folder: Path, digest: str, rule: str) -> bool:
    """Whether the folder has predictions of the checkpoint with that SHA-256 under the rule."""
    table, about = folder / PREDICTIONS_FILE, folder / EVALUATION_FILE
    if not (table.is_file() and about.is_file()):
        return False
    checkpoint = read_json(about, REMEDY).get("checkpoint")
    return isinstance(checkpoint, dict) and checkpoint.get("sha256") == digest and rule in scored_rules(table)


def evaluate(sheet: Sheet, source: Source, rule: str, out: Path) -> None:
    """Score the split, on a GPU where there is one."""
    cli.main([str(source.checkpoint), "--data", str(source.data), "--glue-task", sheet.task.name, "--split",
              sheet.split.name, "--exit", rule, "--out", str(out),
              "--device", "cuda" if torch.cuda.is_available() else "cpu"])


def submit(benchmark: Benchmark, runs: list[Path], rule: str, seed: int, fill_missing: bool, raw: Path | None,
           out: Path) -> None:
    """Write the zip, and print where each of its files comes from."""
    sources = find_sources(benchmark, runs, seed)
    missing = [task for task in benchmark.tasks if task not in sources]
    if missing and not fill_missing:
        raise UserError(f"no run of {', '.join(missing)}: give the run of each, or --fill-missing to answer them by a "
                        "constant")
    benchmark, answers, origins = benchmark.read(raw), {}, {}
    for file, sheet in benchmark.sheets.items():
        if sheet.task.name in missing:
            answers[file], origins[file] = [sheet.filler] * sheet.rows, f"no run: filled with {sheet.filler}"
        else:
            source = sources[sheet.task.name]
            answers[file], origins[file] = predictions(sheet, source, rule), f"{source.checkpoint} under {rule}"
    benchmark.write(out, answers)
    for file, origin in origins.items():
        print(f"{file:<13}  {len(answers[file]):>6} rows  {origin}")
    print(f"Written to {out}")


def check(benchmark: Benchmark, path: Path) -> None:
    """End the process with a line for each file that the benchmark would not accept."""
    if wrong := benchmark.faults(path):
        sys.exit("\n".join(UserError(f"{path}: {fault}").line for fault in wrong))
    rows = sum(sheet.lines for sheet in benchmark.sheets.values())
    print(f"{path} is sound: {len(benchmark.sheets)} files, {rows} rows")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="palbert submission",
        description="Writes the submission to GLUE or SuperGLUE, a zip of all eleven or ten files, from trained runs "
                    "under an exit rule; or checks such a zip. An incomplete or invalid zip is never written. Test "
                    "splits that are not scored yet are scored first, on a GPU where there is one.",
        epilog="Example: palbert submission runs/palbert_albert_base/{CoLA,SST-2,MRPC,STS-B,QQP,MNLI,QNLI,RTE,WNLI,AX} "
               "--exit q_exit:0.5 --out glue.zip")
    parser.add_argument("--benchmark", choices=BENCHMARKS, default="glue", help="default: %(default)s")
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN",
                        help="run directory of recipes/glue_task.sh, one a task")
    parser.add_argument("--exit", metavar="RULE", help="exit rule, as palbert evaluate takes it")
    parser.add_argument("--seed", type=integer, default=1, help="seed of the models to use (default: %(default)s)")
    parser.add_argument("--fill-missing", action="store_true", help="fill tasks without a run with a constant answer")
    parser.add_argument("--raw", type=Path, default=os.environ.get("SUPERGLUE_DIR") or None, metavar="DIR",
                        help="SuperGLUE: folder of its task folders, whose test files have the idx (default: "
                             "$SUPERGLUE_DIR)")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--out", type=Path, metavar="ZIP", help="the zip to write, from RUN... and --exit")
    action.add_argument("--check", type=Path, metavar="ZIP", help="the zip to check")
    options = parser.parse_args(arguments)
    check_range("--seed", options.seed, 0, LARGEST_SEED)
    if options.check:
        return check(BENCHMARKS[options.benchmark], options.check)
    if not (options.runs and options.exit):
        parser.error("--out needs RUN... and --exit")
    if not options.out.parent.is_dir() or options.out.is_dir():
        raise UserError(f"--out {options.out}: give the name of a file, in a folder that exists")
    submit(BENCHMARKS[options.benchmark], options.runs, parse_rule(options.exit).spec, options.seed,
           options.fill_missing, options.raw, options.out)
