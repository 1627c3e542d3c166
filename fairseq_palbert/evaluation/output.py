"""Files of a scoring run: all appear together, or none."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UserError


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


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_json_lines(path: Path, rows: list[dict]) -> None:
    """One object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_tsv(path: Path, columns: dict[str, list]) -> None:
    """A line of the names, then the rows."""
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
