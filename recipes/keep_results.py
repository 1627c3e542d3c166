"""Copies what a finished run has scored to where this project keeps it, without a path of the machine that ran it.

    recipes/keep_results.sh RUN_DIR NAME [--out recipes/results] [--predictions]

RUN_DIR is that of recipes/glue_task.sh. Every seed's scores/SPLIT/scores.jsonl and training command go to
OUT/NAME/METHOD/TASK/seedS, METHOD being the recipe's and TASK that of the command; so does record.safetensors, where there is
one, which recipes/report.sh reads and which says all that evaluation.json does; with --predictions predictions.tsv too, which
recipes/compare.sh reads. In commands, that of the record included, paths are given by the recipe's variables:
$RUN_DIR, $DATA, $PRETRAINED (the converted checkpoint's folder), $VANILLA_RUN; those in the repository are relative to it.
"""

import argparse
import json
import os
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from fairseq_palbert.evaluation.recorded_split import RecordedSplit, read_record, write_record

ROOT = Path(__file__).resolve().parent.parent
USUAL_METHOD = "palbert"


def keep(run: Path, name: str, out: Path, predictions: bool) -> list[Path]:
    """The folders of the seeds that were kept; one that is not scored yet is named on stderr.

    Exits with one line where none is."""
    seeds = {seed: sorted(seed.glob("scores/*/scores.jsonl")) for seed in sorted(run.glob("seed*/"))}
    if not any(seeds.values()):
        _refuse(f"{run} has no seed*/scores/*/scores.jsonl: give the RUN_DIR of a run that recipes/glue_task.sh has scored")
    for seed, scores in seeds.items():
        if not scores:
            print(f"{seed} is not scored yet: left out", file=sys.stderr)
    commands = {seed: shlex.split((seed / "command").read_text()) for seed, scores in seeds.items() if scores}
    kept = {seed: portable(words, run, words[1]) for seed, words in commands.items()}  # all before anything is written
    records = {seed: _records(seeds[seed], run) for seed in commands}
    out = out / name / _method(run)
    return [_keep_seed(seed, seeds[seed], kept[seed], records[seed], out, predictions) for seed in commands]


def _method(run: Path) -> str:
    """That of the recipe's last call, which refuses a RUN_DIR of another one. Exits with one line where none is known."""
    try:
        *_, last = (run / "invocations.jsonl").read_text().splitlines()
    except (OSError, ValueError):
        _refuse(f"{run} has no invocations.jsonl, which says METHOD: give the RUN_DIR of recipes/glue_task.sh itself")
    return json.loads(last)["variables"].get("METHOD", USUAL_METHOD)


def _keep_seed(seed: Path, scores: list[Path], words: list[str], records: dict[Path, RecordedSplit], out: Path,
               predictions: bool) -> Path:
    folder = out / _value(words, "--glue-task") / seed.name
    files = scores + [path.with_name("predictions.tsv") for path in scores if predictions]
    for path in files:
        target = folder / path.relative_to(seed)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for path, recorded in records.items():
        write_record(folder / path.relative_to(seed), recorded)
    command = " ".join(word if word.startswith("$") else shlex.quote(word) for word in words)
    (folder / "command").write_text(command + "\n")
    return folder


def _records(scores: list[Path], run: Path) -> dict[Path, RecordedSplit]:
    """The records beside the scores, with a portable origin."""
    found = {}
    for path in (path.with_name("record.safetensors") for path in scores):
        if path.is_file():
            recorded = read_record(path)
            origin, command = recorded.origin, recorded.origin["command"]
            checkpoint, *command = portable([origin["checkpoint"]["path"], *command], run, _value(command, "--data"))
            found[path] = replace(recorded, origin={**origin, "command": command,
                                                    "checkpoint": {**origin["checkpoint"], "path": checkpoint}})
    return found


def portable(words: list[str], run: Path, data: str) -> list[str]:
    """The command with variables for the folders of the machine. Exits with one line where another absolute path is left."""
    places = {str(run): "$RUN_DIR"}
    if "--freeze-backbone" in words:  # a second phase: VANILLA_RUN/seedS/checkpoints/checkpoint_best.pt
        places[str(Path(_value(words, "--finetune-from-model")).parents[2])] = "$VANILLA_RUN"
    elif "--finetune-from-model" in words:
        places[str(Path(_value(words, "--finetune-from-model")).parent)] = "$PRETRAINED"
    places[str(ROOT)] = "."
    if os.path.isabs(data):
        places[data] = "$DATA"
    for path, variable in places.items():
        words = [variable + word[len(path):] if word == path or word.startswith(path + os.sep) else word for word in words]
    if left := [word for word in words if os.path.isabs(word)]:
        _refuse(f"the command of {run} has a path of this machine, {left[0]}: give it relative to the repository")
    return words


def _value(words: list[str], flag: str) -> str:
    return words[len(words) - words[::-1].index(flag)]


def _refuse(reason: str) -> NoReturn:
    sys.exit(f"keep_results.py: error: {reason}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="keep_results.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("name", metavar="NAME", help="of what training started from, such as minilm_l6")
    parser.add_argument("--out", type=Path, default=ROOT / "recipes" / "results", help="default: recipes/results")
    parser.add_argument("--predictions", action="store_true", help="keep predictions.tsv too")
    args = parser.parse_args(arguments)
    for folder in keep(args.run.resolve(), args.name, args.out, args.predictions):
        print(folder)


if __name__ == "__main__":
    main()
