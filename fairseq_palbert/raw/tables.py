"""Read the rows of a raw file in any format of a task definition."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..definitions.definition import Column, Source
from ..tsv import Record, read_records


def read_table(path: Path, source: Source, needed: Sequence[Column], remedy: str) -> Iterator[Record]:
    """Yields every row, good or bad, with the values of the ``needed`` columns as text.

    Raises UserError where the file as a whole cannot be read: missing, empty, of another format or encoding, or
    without a needed column. Messages about the content end in ``remedy``.
    """
    return read_records(path, needed, remedy, source.columns)
