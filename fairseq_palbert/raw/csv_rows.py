"""Split the lines of a CSV file into rows of fields, strictly."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import UserError
from ..text_lines import LONGEST, Line
from ..tsv import Row

csv.field_size_limit(LONGEST)  # characters, for the process; the library's own limit is 131,072


def csv_rows(lines: Iterable[Line], delimiter: str, path: Path, remedy: str) -> Iterator[Row]:
    """Yields the line in which each row begins, with the text of the whole row, and its fields.

    A field in quotes may have line ends. Raises UserError for a quote that is wrong more than a line after the row's
    beginning, since the rows in between are then unknown.
    """
    read: list[Line] = []
    reader = csv.reader(_texts(lines, read), delimiter=delimiter, strict=True)
    while True:
        read.clear()
        fault, fields = None, []
        try:
            fields = next(reader, None)
        except csv.Error as error:
            fault = f"no CSV ({str(error).partition(' - ')[0]})"
            if len(read) > 1:
                raise UserError(f"{path}, line {read[0].number}: {fault} in or before line {read[-1].number}: "
                                f"write a quote in a field twice: {remedy}") from error
        if fields is None:
            return
        problem = next((line.problem for line in read if line.problem), fault)
        yield Line(read[0].number, "\\n".join(line.text for line in read), problem), fields


def _texts(lines: Iterable[Line], read: list[Line]) -> Iterator[str]:
    """Yields the lines' texts with their ends, and notes the lines as ``read``."""
    for line in lines:
        read.append(line)
        yield f"{line.text}\n"
