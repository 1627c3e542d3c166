"""The groups of a split's rows in a binarized folder, one JSON object a line."""

import json
from pathlib import Path

from ..errors import UserError
from ..json_files import read_json_lines
from ..schema import Kind, check_fields, optional

LARGEST = 2**30  # bytes: ReCoRD's train has 1.2 million rows
TEXT = Kind("a text", lambda value: isinstance(value, str))
KINDS = {"group": TEXT, "candidate": optional(TEXT)}


def group_file(folder: Path, split: str) -> Path:
    return folder / "group" / f"{split}.jsonl"


def group_line(group: str, candidate: str | None) -> str:
    """The line of a row; its texts may have tabs and line ends."""
    return json.dumps({"group": group, "candidate": candidate}) + "\n"


def read_groups(path: Path, remedy: str) -> tuple[list[str], list[str | None]]:
    """The group and the candidate of each row. Raises UserError for any other file."""
    rows = read_json_lines(path, remedy, LARGEST)
    for number, row in enumerate(rows, 1):
        try:
            check_fields(row, KINDS)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}: {remedy}") from error
    return [row["group"] for row in rows], [row["candidate"] for row in rows]
