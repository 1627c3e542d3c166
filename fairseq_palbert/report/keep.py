"""``palbert keep``: copies a run's records to one file a method, without a path of the machine.

Of every seed its training command and, of every split, the record and the measured times go to
OUT/NAME/METHOD.safetensors, METHOD being the recipe's: one file for all tasks, in which this task is replaced. Answers
are rounded to half precision; how many examples that moves, of all rules that were scored, is printed, and more than a
part of 0.01 is refused. In commands paths are given by the recipe's variables: $RUN_DIR, $DATA, $PRETRAINED (the
converted checkpoint's folder), $FIRST_RUN; those in the repository are relative to it.
"""

import argparse
import json
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from ..analysis.recorded_split import RecordedSplit, read_record
from ..analysis.records import predictions
from ..analysis.sweep import decisions
from ..errors import UserError
from ..exits.base import Rule
from ..exits.registry import parse_rule
from .kept import KeptSeed, KeptSplit, read_kept, rounded, write_kept

ROOT = Path(__file__).resolve().parents[2]
USUAL_METHOD = "palbert"
MOVED = 0.01  # of the examples


def keep(run: Path, name: str, out: Path) -> tuple[Path, str]:
    """The file, and in words what was kept; a seed that is not scored yet, or has a split without a record, is named on
    stderr.

    Raises UserError where none is, and writes nothing then."""
    records = {seed: sorted(seed.glob("scores/*/record.safetensors")) for seed in sorted(run.glob("seed*/"))}
    if not any(records.values()):
        raise UserError(f"{run} has no seed*/scores/*/record.safetensors: give the RUN_DIR of a run that "
                        "recipes/glue_task.sh has scored")
    seeds, moved, task = {}, 0.0, None
    for seed, paths in records.items():
        if not paths:
            print(f"{seed} is not scored yet: left out", file=sys.stderr)
            continue
        words = shlex.split((seed / "command").read_text())
        task = _value(words, "--glue-task")
        command = " ".join(word if word.startswith("$") else shlex.quote(word)
                           for word in portable(words, run, words[1]))
        splits = {}
        for path in paths:
            recorded = _portable_record(path, run)
            rows = [json.loads(line) for line in path.with_name("scores.jsonl").read_text().splitlines()]
            moved = max([moved, *(_moved(recorded, parse_rule(row["exit"])) for row in rows)])
            splits[recorded.split] = KeptSplit(recorded, rows)
        seeds[seed.name] = KeptSeed(command, splits)
    if moved > MOVED:
        raise UserError(f"{run}: rounded to half precision, {moved:.1%} of the examples of a rule leave elsewhere or "
                        "answer otherwise")
    path = out / name / f"{_method(run)}.safetensors"
    kept = read_kept(path) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_kept(path, {**kept, task: seeds})
    splits = dict.fromkeys(split for seed in seeds.values() for split in seed.splits)
    return path, (f"{task}, {', '.join(seeds)}, splits {', '.join(splits)}; rounding moves at most {moved:.2%} of the "
                  "examples of a rule")


def _moved(recorded: RecordedSplit, rule: Rule) -> float:
    """The part of the examples that leave at another layer, or are answered with another class, once the record is
    rounded."""
    before, after = (decisions(one, rule) for one in (recorded, rounded(recorded)))
    other = before.exit_layers != after.exit_layers
    if recorded.outputs > 1:
        other |= predictions(before.outputs) != predictions(after.outputs)
    return float(other.double().mean())


def _method(run: Path) -> str:
    """That of the recipe's last call, which refuses a RUN_DIR of another one. Raises UserError where none is known."""
    try:
        *_, last = (run / "invocations.jsonl").read_text().splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{run} has no invocations.jsonl, which says METHOD: give the RUN_DIR of recipes/glue_task.sh "
                        "itself") from error
    return json.loads(last)["variables"].get("METHOD", USUAL_METHOD)


def _portable_record(path: Path, run: Path) -> RecordedSplit:
    """The record with a portable origin."""
    recorded = read_record(path)
    origin, command = recorded.origin, recorded.origin["command"]
    checkpoint, *command = portable([origin["checkpoint"]["path"], *command], run, _value(command, "--data"))
    return replace(recorded, origin={**origin, "command": command,
                                     "checkpoint": {**origin["checkpoint"], "path": checkpoint}})


def portable(words: list[str], run: Path, data: str) -> list[str]:
    """The command with variables for the folders of the machine. Raises UserError where another absolute path is
    left."""
    places = {str(run): "$RUN_DIR"}
    if "--freeze-backbone" in words or "--train-only" in words:  # FIRST_RUN/seedS/checkpoints/checkpoint_best.pt
        places[str(Path(_value(words, "--finetune-from-model")).parents[2])] = "$FIRST_RUN"
    elif "--finetune-from-model" in words:
        places[str(Path(_value(words, "--finetune-from-model")).parent)] = "$PRETRAINED"
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


def _value(words: list[str], flag: str) -> str:
    return words[len(words) - words[::-1].index(flag)]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="palbert keep",
        description="Copies what a finished run has recorded to OUT/NAME/METHOD.safetensors, which palbert report and "
                    "palbert compare read: all seeds and splits of its task, and no path of this machine.",
        epilog="Example: palbert keep runs/palbert_bert_minilm_l6/MRPC minilm_l6")
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="of recipes/glue_task.sh")
    parser.add_argument("name", metavar="NAME", help="of what training started from, such as minilm_l6")
    parser.add_argument("--out", type=Path, default=Path("recipes/results"), help="default: %(default)s")
    args = parser.parse_args(arguments)
    path, what = keep(args.run.resolve(), args.name, args.out)
    print(f"{path}: {what}")
