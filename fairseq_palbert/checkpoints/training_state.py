"""Find where training resumes, and read fairseq's checkpoints.

    python -m fairseq_palbert.checkpoints.training_state resume FOLDER      prints the updates done, 0 if none
    python -m fairseq_palbert.checkpoints.training_state best CHECKPOINT    prints the best validation score so far
    python -m fairseq_palbert.checkpoints.training_state config CHECKPOINT  prints the resolved configuration, YAML
"""

import argparse
import os
import pickle
import shutil
import sys
from pathlib import Path

import torch
import yaml

from .. import command
from ..errors import UserError
from ..files import replacing

LAST = "checkpoint_last.pt"


def read(path: Path) -> dict | None:
    """The checkpoint, or None where the file does not load, as after an interrupted copy."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError):
        return None


def read_or_refuse(path: Path) -> dict:
    """The checkpoint. Raises UserError where it is missing or does not load."""
    if not path.exists():
        raise UserError(f"{path} does not exist: training has saved none, or its score was never a number")
    state = read(path)
    if state is None:
        raise UserError(f"{path} does not load: remove it, and train again from the others")
    return state


def updates_of(state: dict) -> int:
    return state["optimizer_history"][-1]["num_updates"]


def resume(folder: Path) -> int:
    """Makes sure that ``checkpoint_last.pt`` loads, and returns its number of updates, 0 without a checkpoint.

    fairseq writes this file by a plain copy, and resumes from this file alone. Every checkpoint that does not load is
    renamed to NAME.broken. The newest that loads replaces a missing ``checkpoint_last.pt``. stderr names both.
    """
    last = folder / LAST
    states = {}
    for path in sorted(folder.glob("checkpoint*.pt")):
        state = read(path)
        if state is None:
            print(f"{path} does not load: put aside as {path.name}.broken", file=sys.stderr)
            os.replace(path, path.with_name(path.name + ".broken"))
        else:
            states[path] = updates_of(state)
    if last in states or not states:
        return states.get(last, 0)
    newest = max(states, key=states.get)
    print(f"{last} is missing: going on from {newest.name}, update {states[newest]}", file=sys.stderr)
    with replacing(last) as part:
        shutil.copyfile(newest, part)
    return states[newest]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fairseq_palbert.checkpoints.training_state",
                                     description="Find where training resumes, and read fairseq's checkpoints.")
    parser.add_argument("what", choices=("resume", "best", "config"))
    parser.add_argument("path", type=Path)
    args = parser.parse_args(arguments)
    if args.what == "resume":
        print(resume(args.path))
    elif args.what == "best":
        print(read_or_refuse(args.path)["extra_state"]["best"])
    else:
        print(yaml.safe_dump(read_or_refuse(args.path)["cfg"]), end="")


if __name__ == "__main__":
    command.run(main)
