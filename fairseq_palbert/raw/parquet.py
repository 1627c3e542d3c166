"""Read the rows of a Parquet file in batches."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import UserError
from ..text_lines import GZIP, Line, opened
from .objects import NamedRow, as_json

BATCH = 1000  # rows


def parquet_rows(path: Path, needed: Sequence[str], remedy: str) -> Iterator[NamedRow]:
    """Yields the ``needed`` columns of each row; its line is its number from 1.

    Raises UserError where pyarrow is not installed, and for a file that is damaged or lacks a column.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UserError(f"{path}: Parquet needs pyarrow: pip install 'fairseq-palbert[parquet]', or give the rows as "
                        "CSV or JSON lines") from error
    number = 0
    with opened(path) as file, tempfile.TemporaryFile() as seekable:
        if path.suffix.lower() == GZIP:
            shutil.copyfileobj(file, seekable)
            file = seekable
        try:
            table = ParquetFile(file, page_checksum_verification=True)
            _check_columns(table, needed, path, remedy)
            for batch in table.iter_batches(BATCH, columns=list(needed), use_threads=False):
                batch.validate(full=True)
                for row in _shortest_digits(batch, pyarrow).to_pylist():
                    number += 1
                    yield Line(number, as_json(row)), row
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: damaged after row {number}, or no Parquet ({error}): {remedy}") from error


def _shortest_digits(batch, pyarrow):
    """The batch with the float64 of the shortest digits in place of each float32: 3.8 and not 3.799999952316284."""
    for place, field in enumerate(batch.schema):
        if pyarrow.types.is_float32(field.type):
            digits = batch.column(place).cast(pyarrow.string())
            batch = batch.set_column(place, field.name, digits.cast(pyarrow.float64()))
    return batch


def _check_columns(table, needed: Sequence[str], path: Path, remedy: str) -> None:
    paths = [table.schema.column(index).path for index in range(len(table.schema))]
    for column in needed:
        if not any(f"{name}.".startswith(f"{column}.") for name in paths) or paths.count(column) > 1:
            raise UserError(f"{path}: there should be one column {column!r} among {', '.join(map(repr, paths))}: "
                            f"{remedy}")
