"""Bounded reads and atomic writes of files and folders, locks, and SHA-256."""

import hashlib
import json
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from .errors import UserError

SCRATCH_PREFIX, SCRATCH_SUFFIX = f".{socket.gethostname()}-", ".partial"
LARGEST = 16 * 2**20  # bytes of a file that is read whole
_SCRATCH = re.compile(rf"{re.escape(SCRATCH_PREFIX)}(?P<process>\d+)-\w+{re.escape(SCRATCH_SUFFIX)}")


def check_regular(path: Path, remedy: str) -> None:
    """Raises UserError, which ends in ``remedy``, where ``path`` is missing, a folder, a pipe or a device."""
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: {remedy}") from error
    if not regular:
        raise UserError(f"{path}: is no regular file: {remedy}")


def read_bytes(path: Path, remedy: str, largest: int = LARGEST) -> bytes:
    """The content of a file of at most ``largest`` bytes.

    Raises UserError, which ends in ``remedy``, for a larger file, one that cannot be read, a device and a pipe.
    """
    check_regular(path, remedy)
    try:
        with open(path, "rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: {remedy}") from error
    if len(content) > largest:
        raise UserError(f"{path}: has more than {largest:,} bytes: {remedy}")
    return content


def read_text(path: Path, remedy: str, largest: int = LARGEST) -> str:
    """The text of a file of UTF-8, without a byte order mark. Raises UserError as ``read_bytes`` does."""
    try:
        return read_bytes(path, remedy, largest).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte 0x{error.object[error.start]:02x} at position {error.start + 1} is no UTF-8: "
                        f"{remedy}") from error


def file_sha256(path: Path) -> str:
    """The SHA-256 of the file's bytes, in hexadecimal digits. Raises UserError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): give a file that can") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises UserError, which names ``path``, for a write error in the block, such as a full disk.

    An error of another file, such as one that cannot be read, passes through.
    """
    try:
        yield
    except BrokenPipeError:  # the reader of a pipe has gone, which is no error of the path
        raise
    except (OSError, SafetensorError) as error:
        if _is_elsewhere(getattr(error, "filename", None), path.parent.absolute()):
            raise
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be written ({reason}): choose another place, or make room there") from error


def _is_elsewhere(file: object, folder: Path) -> bool:
    """Whether ``file`` is a path that is neither in ``folder`` nor one of the folders that ``folder`` is in."""
    if not isinstance(file, str | os.PathLike):
        return False
    return not (Path(file).absolute().is_relative_to(folder) or folder.is_relative_to(Path(file).absolute()))


def make_folder(folder: Path) -> Path:
    """The folder, created with its parents where it is missing. Raises UserError where that fails."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Locks ``path`` against other processes during the block, by the lock file ``.NAME.lock`` beside it.

    The lock file is removed at the end. Raises UserError where another process holds the lock.
    """
    from filelock import FileLock, Timeout  # imported here, since serving starts faster without it

    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(f"{path} is being written by another run: wait for it to end") from error
    try:
        yield
    finally:
        os.unlink(lock.lock_file)  # while held: FileLock never acquires a lock whose file is gone
        lock.release()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a scratch file, which replaces ``path`` when the block succeeds and is removed when it fails.

    Raises UserError where it cannot be written.
    """
    with writing(path), _scratch_folder(path.parent) as scratch:
        yield scratch / path.name
        os.replace(scratch / path.name, path)


@contextmanager
def staged(folder: Path, sometimes: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yields a scratch folder inside ``folder``; its files move to ``folder`` by renames when the block succeeds.

    ``sometimes`` are the files that only some calls write: one that this call does not write is removed from
    ``folder``, where it would stand beside files of another call.

    When the block fails, nothing is left behind. Raises UserError where ``folder`` cannot be written.
    """
    with writing(folder), _made(folder), _scratch_folder(folder) as scratch:
        yield scratch
        written = sorted(path.name for path in scratch.iterdir())
        replaced = [folder / name for name in dict.fromkeys([*sometimes, *written])]
        if in_the_way := [path for path in replaced if path.is_dir()]:
            raise UserError(f"{in_the_way[0]}: is a folder, in whose place a file is to be written: choose another "
                            "place, or move it")
        for path in replaced:
            if path.name not in written:
                path.unlink(missing_ok=True)
        for name in written:
            os.replace(scratch / name, folder / name)


@contextmanager
def written_folder(target: Path) -> Iterator[Path]:
    """Yields an empty folder, which replaces ``target`` when the block succeeds and is removed when it fails.

    Raises UserError while another run writes the same target, and where it cannot be written.
    """
    with writing(target), _made(target.parent), locked(target), _scratch_folder(target.parent) as scratch:
        new = scratch / target.name
        new.mkdir()
        yield new
        if target.exists():
            os.replace(target, scratch / ".replaced")
        os.replace(new, target)


def check_replaceable(target: Path, overwrite: bool, provenance: str) -> None:
    """Raises UserError where ``target`` exists and may not be replaced.

    It may be replaced with ``overwrite``, and only if it holds the file ``provenance``, as every output of ours does.
    """
    if not target.exists():
        return
    if not (target / provenance).is_file():
        raise UserError(f"{target} exists and was not made here (no {provenance}): choose another --out")
    if not overwrite:
        raise UserError(f"{target} exists: give --overwrite to make it again, or another --out")


def write_json(path: Path, value: dict | list) -> None:
    """Writes indented JSON in ASCII."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def write_json_lines(path: Path, rows: list[dict]) -> None:
    """Writes one JSON object a line, in ASCII."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Creates the folder and its parents; after the block it removes those that it created and that are empty."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in missing:
            if any(path.iterdir()):
                break
            path.rmdir()


@contextmanager
def _scratch_folder(folder: Path) -> Iterator[Path]:
    """Yields a new folder in ``folder``, and removes it after the block.

    Before that it removes the scratch folders that killed processes of this machine left in ``folder``.
    """
    for path in folder.iterdir():
        if (match := _SCRATCH.fullmatch(path.name)) and not _is_running(int(match["process"])):
            shutil.rmtree(path, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{SCRATCH_PREFIX}{os.getpid()}-", suffix=SCRATCH_SUFFIX, dir=folder))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends no signal
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True
