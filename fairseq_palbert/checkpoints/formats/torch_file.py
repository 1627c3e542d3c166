"""Read what ``torch.save`` has written, as data, and only if it is undamaged."""

import mmap
import warnings
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch

ZIP_MAGIC = b"PK\3\4"
ALLOCATES = b"bytearray"  # torch lets a pickle call it with a number alone: 200 bytes then take any memory


def read_torch_file(path: str | Path, mapped: bool = True) -> Any:
    """The object in the file, with tensors mapped into memory where that is wanted and the format allows it.

    No code runs, and no memory is filled that the file does not fill. The CRC of every part is checked; torch's legacy
    format has none. ``argparse.Namespace``, which fairseq's models write into checkpoints, is allowed.

    Raises ValueError, whose message is a phrase, for a file that is missing, damaged, compressed, or of another kind.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no regular file")
        zipped = _checked(path)
        with torch.serialization.safe_globals([Namespace]), warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and zipped)
    except Exception as error:  # torch and zipfile raise exceptions of any class on damaged bytes
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        raise ValueError(reason.splitlines()[0].split(". ")[0]) from error


def _checked(path: Path) -> bool:
    """Whether the file is a zip archive, as torch writes today. Raises an exception for a damaged or inflating file."""
    with open(path, "rb") as file:
        if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                _check_pickle(content)
            return False
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise ValueError("its parts are compressed, which torch.save never does")
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise ValueError("its parts overlap")
        if damaged := archive.testzip():
            raise ValueError(f"its part {damaged} is damaged (wrong CRC)")
        for part in parts:
            if part.filename.endswith(".pkl"):
                _check_pickle(archive.read(part))
    return True


def _check_pickle(content: bytes | mmap.mmap) -> None:
    if content.find(ALLOCATES) >= 0:
        raise ValueError("it asks for a bytearray, which no checkpoint needs")
