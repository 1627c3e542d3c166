"""Output folders that appear complete or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairseq_palbert.errors import UserError

PROVENANCE_FILE = "glue.json"  # every folder of binarized data holds it


def check_replaceable(target: Path, overwrite: bool, provenance: str = PROVENANCE_FILE) -> None:
    """Raise UserError where ``target`` is there and may not be replaced: unasked, or since it is no output of ours, which
    the file ``provenance`` would tell."""
    if not target.exists():
        return
    if not (target / provenance).is_file():
        raise UserError(f"{target} exists and was not made here (no {provenance}): choose another --out")
    if not overwrite:
        raise UserError(f"{target} exists: give --overwrite to make it again, or another --out")


@contextmanager
def written_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside ``target``, which takes its place and name once the block has ended without an error.

    What an interrupted run left is cleared away by the next. Raises UserError while another run writes the same target.
    """
    part = target.with_name(f".{target.name}.part")
    old = target.with_name(f".{target.name}.old")
    part.mkdir(parents=True, exist_ok=True)
    lock = os.open(part, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{target} is being written by another run: wait for it to end") from error
        _clear(part)
        try:
            yield part
        except BaseException:
            shutil.rmtree(part)
            raise
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            os.replace(target, old)
        os.replace(part, target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        os.close(lock)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
