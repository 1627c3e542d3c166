"""Write predictions to standard output, or to a file by atomic rename."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import UserError
from ..files import replacing, writing


@contextmanager
def opened(path: Path | None) -> Iterator[BinaryIO]:
    """Opens ``path`` for writing, or standard output for None.

    The file is renamed into place when the block succeeds; when it fails, nothing is left. Raises UserError where it
    cannot be written.
    """
    if path is not None and path.exists() and not path.is_file():
        raise UserError(f"--out {path}: is no regular file: choose another name, or redirect standard output there")
    if path is None:
        with writing(Path("standard output")):
            yield sys.stdout.buffer
    else:
        with replacing(path) as part, open(part, "wb") as file:
            yield file


def tsv_line(names: list[str], values: list[Any]) -> str:
    return "\t".join(str(value) for _, value in zip(names, values)) + "\n"


def json_line(names: list[str], values: list[Any]) -> str:
    return json.dumps(dict(zip(names, values)), ensure_ascii=False) + "\n"


LINES = {"tsv": tsv_line, "jsonl": json_line}
