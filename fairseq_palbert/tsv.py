"""Strict TSV: no quoting, every row as wide as the header."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from .errors import UserError
from .text_lines import BYTE_ORDER_MARK, Line, read_lines

Row = tuple[Line, list[str]]  # and its fields


@dataclass(frozen=True)
class Record:
    """One row: the ``values`` of the requested columns, or the ``problem`` that makes the row unreadable.

    ``line`` counts from 1 over the whole file, ``text`` is the row as the file has it. ``width_differs`` marks a row
    with more or fewer fields than the header.
    """

    line: int
    text: str
    values: tuple[str, ...] = ()
    problem: str | None = None
    width_differs: bool = False


def read_records(path: Path, needed: Sequence[str | int], remedy: str, columns: Sequence[str] = (),
                 encoding: str = "utf-8") -> Iterator[Record]:
    """Yields every row of ``path``, good or bad. ``columns`` names the columns of a file without a header line.

    Columns that are ``needed`` by number, from 1, are those of a file without a header line too. Raises UserError where
    the file is missing or empty, or where the header does not have each ``needed`` column once. Messages about the
    content end in ``remedy``.
    """
    return records(_rows(path, encoding), path, needed, remedy, columns)


def records(rows: Iterator[Row], path: Path, needed: Sequence[str | int], remedy: str,
            columns: Sequence[str] = ()) -> Iterator[Record]:
    """Yields the records of rows that are split into fields, of a file of any format with such rows.

    Arguments and errors are those of ``read_records``.
    """
    if not columns:
        line, columns = _first(rows, path, remedy)
        if isinstance(needed[0], int):
            rows, columns = chain([(line, columns)], rows), range(1, len(columns) + 1)
    try:
        chosen = places(columns, needed)
    except ValueError as error:
        raise UserError(f"{path}, line 1: {error}: {remedy}") from error
    columns = list(columns)
    for line, values in rows:
        yield _record(line, values, chosen, columns)


def read_rows(path: Path, needed: Sequence[str], remedy: str, columns: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Yields the values of the ``needed`` columns, row by row.

    Raises UserError as ``read_records`` does, and at the first bad row.
    """
    for record in read_records(path, needed, remedy, columns):
        if record.problem:
            raise UserError(f"{path}, line {record.line}: {record.problem}: {remedy}")
        yield record.values


def read_header(path: Path, remedy: str) -> list[str]:
    """The names of the columns. Raises UserError where the file is missing or empty."""
    return _first(_rows(path), path, remedy)[1]


def decoded(line: bytes, number: int) -> str:
    """The text of a line without its end (LF or CRLF); line ``number`` 1 also loses its byte order mark.

    Raises ValueError, whose message is a phrase, for bytes that are not UTF-8.
    """
    try:
        text = line.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        byte = f"byte 0x{line[error.start]:02x} at position {error.start + 1} of the line"
        raise ValueError(f"{byte} is no UTF-8") from error
    return text.removeprefix(BYTE_ORDER_MARK) if number == 1 else text


def fields(text: str, width: int) -> list[str]:
    """The fields of a row. Raises ValueError, whose message is a phrase, where there are not ``width`` of them."""
    values = text.split("\t")
    _check_width(values, text, width)
    return values


def places(header: Sequence[str | int], needed: Sequence[str | int]) -> list[int]:
    """The indices of the ``needed`` columns in the header.

    Raises ValueError, whose message is a phrase, where the header does not name each of them once.
    """
    for name in needed:
        count = header.count(name)
        if count != 1:
            if isinstance(name, int):
                raise ValueError(f"there is no column {name} among {len(header)}")
            raise ValueError(f"the header has {count or 'no'} column{'s' * (count > 1)} {name!r}, but names "
                             f"{', '.join(map(repr, header))}")
    return [header.index(name) for name in needed]


def write_tsv(path: Path, columns: dict[str, list]) -> None:
    """Writes a header line of the column names, then the rows."""
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def _rows(path: Path, encoding: str = "utf-8") -> Iterator[Row]:
    return ((line, line.text.split("\t")) for line in read_lines(path, encoding))


def _first(rows: Iterator[Row], path: Path, remedy: str) -> Row:
    line, values = next(rows, (None, []))
    if line is None:
        raise UserError(f"{path} is empty: {remedy}")
    if line.problem:
        raise UserError(f"{path}, line 1: {line.problem}: {remedy}")
    return line, values


def _record(line: Line, values: list[str], chosen: Sequence[int], columns: list[str | int]) -> Record:
    if line.problem:
        return Record(line.number, line.text, problem=line.problem)
    try:
        _check_width(values, line.text, len(columns))
    except ValueError as error:
        return Record(line.number, line.text, problem=str(error), width_differs=True)
    if values == columns:
        return Record(line.number, line.text, problem="a header line among the rows")
    return Record(line.number, line.text, tuple(values[place] for place in chosen))


def _check_width(values: Sequence[str], text: str, width: int) -> None:
    if len(values) != width:
        count = f"{len(values)} field{'s' * (len(values) != 1)}" if text else "a blank line"
        raise ValueError(f"{count} instead of {width} fields")
