"""``palbert keep``: copy a run's records into one file a method.

For every seed of the run, its training command and the records and measured times of all splits go to
OUT/NAME/METHOD.safetensors. METHOD is the recipe's. The file holds all tasks of the method; the run replaces its own.

Answers are rounded to half precision. The largest share of a scored rule's examples that rounding changes is printed;
more than 0.01 is refused.

No path of the machine is kept. Commands have the recipe's variables instead: $RUN_DIR, $DATA, $PRETRAINED (the
converted checkpoint's folder), $FIRST_RUN. Paths in the repository are relative to it.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from ..analysis.recorded_split import RECORD_FILE, RecordedSplit
from ..analysis.sweep import decisions
from ..command_file import COMMAND_FILE, read_command, typed, value_of
from ..errors import UserError
from ..exits.base import Rule
from ..exits.registry import parse_rule
from ..files import locked, writing
from ..json_files import read_json_lines
from ..schema import check_fields
from ..scores_file import NAME, SCORES_FILE, read_scores, seed_folders
from .kept import KeptSeed, KeptSplit, read_kept, rounded, write_kept
from .runs import check_same_checkpoint, read_split
from .same_settings import check_same_settings

ROOT = Path(__file__).resolve().parents[2]
USUAL_METHOD = "palbert"
MOVED = 0.01  # largest share of the examples that rounding may change


def keep(run: Path, name: str, out: Path) -> tuple[Path, str]:
    """The file, and a summary of what was kept.

    A seed without records is named on stderr and left out. Raises UserError where no seed has one, where a folder of
    scores has another split's record, where a seed's splits were scored with two checkpoints, where seeds were trained
    with other settings, and while another process writes the file; then it writes nothing.
    """
    if not NAME.accepts(name):
        raise UserError(f"NAME {name!r}: give {NAME.description}, such as minilm_l6")
    records = {seed: sorted(seed.glob(f"scores/*/{RECORD_FILE}")) for seed in seed_folders(run)}
    if not any(records.values()):
        raise UserError(f"{run} has no seed*/scores/*/{RECORD_FILE}: give the RUN_DIR of a run that "
                        "recipes/glue_task.sh has scored")
    seeds, commands, moved, task = {}, {}, 0.0, None
    for seed, paths in records.items():
        if not paths:
            print(f"{seed} is not scored yet: left out", file=sys.stderr)
            continue
        commands[seed.name] = words = read_command(seed / COMMAND_FILE)
        task = _needed(words, "--glue-task")
        command = typed(portable(words, run, words[1]))
        splits = {}
        for path in paths:
            recorded = _portable_record(path, run)
            if recorded.task.name != task:
                raise UserError(f"{path}: of {recorded.task.name}, and the command of its run of {task}: score that "
                                "run again with --record")
            rows = read_scores(path.with_name(SCORES_FILE), recorded.task.name, recorded.split)
            moved = max([moved, *(_moved(recorded, parse_rule(row["exit"])) for row in rows)])
            splits[recorded.split] = KeptSplit(recorded, rows)
            check_same_checkpoint(path, recorded, next(iter(splits.values())).recorded)
        seeds[seed.name] = KeptSeed(command, splits)
    check_same_settings(str(run), commands)
    if moved > MOVED:
        raise UserError(f"{run}: rounded to half precision, {moved:.1%} of a rule's examples exit at another layer or "
                        "get another answer")
    path = out / name / f"{_method(run)}.safetensors"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            kept = read_kept(path) if path.exists() else {}
            write_kept(path, {**kept, task: seeds})
    splits = dict.fromkeys(split for seed in seeds.values() for split in seed.splits)
    return path, (f"{task}, {', '.join(seeds)}, splits {', '.join(splits)}; rounding moves at most {moved:.2%} of the "
                  "examples of a rule")


def _moved(recorded: RecordedSplit, rule: Rule) -> float:
    """The share of the examples whose exit layer or class changes when the record is rounded."""
    before, after = (decisions(record, rule) for record in (recorded, rounded(recorded)))
    other = before.exit_layers != after.exit_layers
    if recorded.outputs > 1:
        answers = [recorded.metrics.answers(decided.outputs, recorded.groups) for decided in (before, after)]
        other |= answers[0] != answers[1]
    return float(other.double().mean())


def _method(run: Path) -> str:
    """METHOD of the recipe's last call; the recipe refuses a RUN_DIR of another method.

    Raises UserError where it is unknown.
    """
    path, remedy = run / "invocations.jsonl", "it says METHOD: give the RUN_DIR of recipes/glue_task.sh itself"
    variables = read_json_lines(path, remedy)[-1].get("variables")
    try:
        check_fields(variables, {"METHOD": NAME}, "variables.", exact=False)
    except ValueError as error:
        raise UserError(f"{path}: {error}: {remedy}") from error
    return variables.get("METHOD", USUAL_METHOD)


def _portable_record(path: Path, run: Path) -> RecordedSplit:
    """The record with a portable origin."""
    recorded = read_split(path)
    origin, command = recorded.origin, recorded.origin["command"]
    checkpoint, *command = portable([origin["checkpoint"]["path"], *command], run, _needed(command, "--data"))
    return replace(recorded, origin={**origin, "command": command,
                                     "checkpoint": {**origin["checkpoint"], "path": checkpoint}})


def portable(words: list[str], run: Path, data: str) -> list[str]:
    """The command with variables for folders of the machine. Raises UserError where another absolute path is left."""
    places = {str(run): "$RUN_DIR"}
    start = Path(value_of(words, "--finetune-from-model") or "")
    if ("--freeze-backbone" in words or "--train-only" in words) and len(start.parents) > 2:
        places[str(start.parents[2])] = "$FIRST_RUN"  # FIRST_RUN/seedS/checkpoints/checkpoint_best.pt
    elif "--finetune-from-model" in words:
        places[str(start.parent)] = "$PRETRAINED"
    places[str(ROOT)] = "."
    if os.path.isabs(data):
        places[data] = "$DATA"
    for path, variable in places.items():
        words = [variable + word[len(path):] if word == path or word.startswith(path + os.sep) else word
                 for word in words]
    if left := [word for word in words if os.path.isabs(word)]:
        raise UserError(f"the command of {run} has a path of this machine, {left[0]}: give it relative to the "
                        "repository")
    return words


def _needed(words: list[str], flag: str) -> str:
    """The flag's value. Raises UserError where the command lacks it."""
    if (value := value_of(words, flag)) is None:
        raise UserError(f"{typed(words)}: it has no {flag}, as the commands of recipes/glue_task.sh have")
    return value


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="palbert keep",
        description="Copies the records of a finished run, all seeds and splits of its task, to "
                    "OUT/NAME/METHOD.safetensors. palbert report and palbert compare read that file. It has no path of "
                    "this machine.",
        epilog="Example: palbert keep runs/palbert_bert_minilm_l6/MRPC minilm_l6")
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="run directory of recipes/glue_task.sh")
    parser.add_argument("name", metavar="NAME", help="name of the pretrained model, such as minilm_l6")
    parser.add_argument("--out", type=Path, default=Path("recipes/results"), help="default: %(default)s")
    args = parser.parse_args(arguments)
    path, summary = keep(args.run.resolve(), args.name, args.out)
    print(f"{path}: {summary}")
