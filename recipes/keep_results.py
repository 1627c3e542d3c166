"""Copies what a finished run has scored to where this project keeps it, without a path of the machine that ran it.

    python recipes/keep_results.py RUN_DIR NAME [--out recipes/results] [--predictions]

RUN_DIR is that of recipes/glue_task.sh. Every seed's scores/SPLIT/scores.jsonl and training command go to
OUT/NAME/METHOD/TASK/seedS, METHOD being vanilla or palbert and TASK that of the command; with --predictions
predictions.tsv too, which recipes/compare.sh reads. In the command, paths are given by the recipe's variables: $RUN_DIR,
$PRETRAINED (the converted checkpoint's folder); those in the repository are relative to it.
"""

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
METHODS = {"multi_exit_classification": "vanilla", "ponder_classification": "palbert"}


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
    kept = {seed: portable(words, run) for seed, words in commands.items()}  # all of them before anything is written
    return [_keep_seed(seed, seeds[seed], words, kept[seed], out / name, predictions) for seed, words in commands.items()]


def _keep_seed(seed: Path, scores: list[Path], words: list[str], command: str, out: Path, predictions: bool) -> Path:
    folder = out / METHODS[_value(words, "--criterion")] / _value(words, "--glue-task") / seed.name
    files = scores + [path.with_name("predictions.tsv") for path in scores if predictions]
    for path in files:
        target = folder / path.relative_to(seed)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    (folder / "command").write_text(command + "\n")
    return folder


def portable(words: list[str], run: Path) -> str:
    """The command with variables for the folders of the machine. Exits with one line where another absolute path is left."""
    places = {str(run): "$RUN_DIR"}
    if "--finetune-from-model" in words:
        places[str(Path(_value(words, "--finetune-from-model")).parent)] = "$PRETRAINED"
    places[str(ROOT)] = "."
    for path, variable in places.items():
        words = [variable + word[len(path):] if word == path or word.startswith(path + os.sep) else word for word in words]
    data = words[1]
    words[1] = "$DATA" if os.path.isabs(data) else data
    if left := [word for word in words if os.path.isabs(word)]:
        _refuse(f"the command of {run} has a path of this machine, {left[0]}: give it relative to the repository")
    return " ".join(word if word.startswith("$") else shlex.quote(word) for word in words)


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
