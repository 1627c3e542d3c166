"""Read the rows of a raw file in any format of a task definition."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..definitions.definition import Column, Source
from ..definitions.split_content import format_of
from ..text_lines import read_lines
from ..tsv import Record, read_records, records
from .csv_rows import csv_rows
from .layouts import LAYOUTS
from .objects import json_lines, json_list, matched_lines, named_records
from .parquet import parquet_rows


def read_table(path: Path, source: Source, needed: Sequence[Column], remedy: str) -> Iterator[Record]:
    """Yields every row, good or bad, with the values of the ``needed`` columns as text.

    JSON's true, false and numbers become their digits and letters. The line of a row is that in which it begins, and
    for a JSON list and Parquet its number. Blank lines at the end of CSV, JSON lines and lines with a pattern are left
    out.

    Raises UserError where the file as a whole cannot be read: missing, empty, of another format or encoding, or
    without a needed column. Messages about the content end in ``remedy``.
    """
    layout = source.layout and LAYOUTS[source.layout]
    match format_of(source):
        case "tsv":
            return read_records(path, needed, remedy, source.columns, source.encoding)
        case "csv":
            rows = csv_rows(read_lines(path, source.encoding), source.delimiter, path, remedy)
            return _without_blank_end(records(rows, path, needed, remedy, source.columns))
        case "lines":
            return _without_blank_end(named_records(matched_lines(path, source.encoding, source.pattern), needed))
        case "jsonl":
            rows = json_lines(path, source.encoding)
            return _without_blank_end(named_records(rows, needed, layout))
        case "json":
            return named_records(json_list(path, source.encoding, remedy), needed, layout)
        case "parquet":
            return named_records(parquet_rows(path, needed, remedy), needed)


def _without_blank_end(found: Iterator[Record]) -> Iterator[Record]:
    """Yields the records, but none of blank lines that no row follows."""
    blanks = range(0)
    for record in found:
        if not record.text:
            blanks = range(blanks.start or record.line, record.line + 1)
            continue
        for number in blanks:
            yield Record(number, "", problem="a blank line between the rows")
        blanks = range(0)
        yield record
