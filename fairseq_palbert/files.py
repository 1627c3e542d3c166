"""Files and folders that appear complete or not at all."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError


def file_sha256(path: Path) -> str:
    """The SHA-256 of the file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside ``path`` for a file that takes its place when the block ends well, and is removed when it does not."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A scratch folder inside ``folder``, whose files move to ``folder`` by atomic renames when the block ends well.

    When it does not, nothing is left behind. Raises UserError where ``folder`` cannot be written.
    """
    existed = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    except OSError as error:
        raise UserError(f"--out {folder}: cannot be written ({error.strerror}): choose another folder") from error
    try:
        yield scratch
        for path in sorted(scratch.iterdir()):
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(scratch)
        if not existed and not any(folder.iterdir()):
            folder.rmdir()


def check_replaceable(target: Path, overwrite: bool, provenance: str) -> None:
    """Raises UserError where ``target`` is there and may not be replaced: unasked, or since it is no output of ours, which
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


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_json_lines(path: Path, rows: list[dict]) -> None:
    """One object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_tsv(path: Path, columns: dict[str, list]) -> None:
    """A line of the names, then the rows."""
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
