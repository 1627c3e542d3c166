"""Find where training resumes, and read fairseq's checkpoints.

    python -m fairseq_palbert.checkpoints.training_state resume FOLDER      prints the updates done, 0 if none
    python -m fairseq_palbert.checkpoints.training_state best CHECKPOINT    prints the best validation score so far
    python -m fairseq_palbert.checkpoints.training_state config CHECKPOINT  prints the resolved configuration, YAML
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from .. import command
from ..errors import UserError
from ..files import replacing
from .formats.checkpoint_file import read_checkpoint, updates_of

LAST = "checkpoint_last.pt"


def read(path: Path) -> dict[str, Any]:
    """The checkpoint. Raises UserError where it is missing or ``read_checkpoint`` refuses it."""
    if not path.exists():
        raise UserError(f"{path} does not exist: training has saved none, or its score was never a number")
    return read_checkpoint(path)


def resume(folder: Path) -> int:
    """Makes sure that ``checkpoint_last.pt`` loads, and returns its number of updates, 0 without a checkpoint.

    fairseq writes this file by a plain copy, and resumes from this file alone. Every checkpoint that does not load is
    renamed to NAME.broken. The newest that loads replaces a missing ``checkpoint_last.pt``. stderr names both.
    """
    last, updates = folder / LAST, {}
    for path in sorted(folder.glob("checkpoint*.pt")):
        try:
            updates[path] = updates_of(str(path), read(path))
        except UserError as error:
            print(f"{path} does not load and is put aside as {path.name}.broken: {error}", file=sys.stderr)
            os.replace(path, path.with_name(path.name + ".broken"))
    if last in updates or not updates:
        return updates.get(last, 0)
    newest = max(updates, key=updates.get)
    print(f"{last} is missing: going on from {newest.name}, update {updates[newest]}", file=sys.stderr)
    with replacing(last) as part:
        shutil.copyfile(newest, part)
    return updates[newest]


def best(path: Path) -> float:
    """The best validation score so far, which may be NaN. Raises UserError where the checkpoint has none."""
    extra = read(path).get("extra_state")
    score = extra.get("best") if isinstance(extra, dict) else None
    if not isinstance(score, float | int):
        raise UserError(f"{path}: has no best score of validation: train it again")
    return float(score)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fairseq_palbert.checkpoints.training_state",
                                     description="Find where training resumes, and read fairseq's checkpoints.")
    parser.add_argument("what", choices=("resume", "best", "config"))
    parser.add_argument("path", type=Path)
    args = parser.parse_args(arguments)
    if args.what == "resume":
        print(resume(args.path))
    elif args.what == "best":
        print(best(args.path))
    else:
        print(yaml.safe_dump(read(args.path)["cfg"]), end="")


if __name__ == "__main__":
    command.run(main)
