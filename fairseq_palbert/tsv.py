"""Strict TSV: UTF-8, no quoting, every row as wide as the header."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import UserError

BYTE_ORDER_MARK = "\ufeff"


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


def read_records(path: Path, needed: Sequence[str], remedy: str, columns: Sequence[str] = ()) -> Iterator[Record]:
    """Yields every row of ``path``, good or bad. ``columns`` names the columns of a file without a header line.

    Raises UserError where the file is missing or empty, or where the header does not have each ``needed`` column once.
    Messages about the content end in ``remedy``.
    """
    lines = enumerate(_lines(path), 1)
    columns = columns or _header(path, next(lines, (0, b""))[1], remedy)
    try:
        chosen = places(columns, needed)
    except ValueError as error:
        raise UserError(f"{path}, line 1: {error}: {remedy}") from error
    for number, line in lines:
        yield _record(number, line, chosen, len(columns))


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
    return _header(path, next(_lines(path), b""), remedy)


def decoded(line: bytes, number: int) -> str:
    """The text of a line without its end (LF or CRLF); line ``number`` 1 also loses its byte order mark.

    Raises ValueError, whose message is a phrase, for bytes that are not UTF-8.
    """
    try:
        text = _without_end(line).decode()
    except UnicodeDecodeError as error:
        byte = f"byte 0x{line[error.start]:02x} at position {error.start + 1} of the line"
        raise ValueError(f"{byte} is no UTF-8") from error
    return text.removeprefix(BYTE_ORDER_MARK) if number == 1 else text


def fields(text: str, width: int) -> list[str]:
    """The fields of a row. Raises ValueError, whose message is a phrase, where there are not ``width`` of them."""
    values = text.split("\t")
    if len(values) != width:
        count = f"{len(values)} field{'s' * (len(values) != 1)}" if text else "a blank line"
        raise ValueError(f"{count} instead of {width} fields")
    return values


def places(header: Sequence[str], needed: Sequence[str]) -> list[int]:
    """The indices of the ``needed`` columns in the header.

    Raises ValueError, whose message is a phrase, where the header does not name each of them once.
    """
    for name in needed:
        count = header.count(name)
        if count != 1:
            raise ValueError(f"the header has {count or 'no'} column{'s' * (count > 1)} {name!r}, but names "
                             f"{', '.join(map(repr, header))}")
    return [header.index(name) for name in needed]


def write_tsv(path: Path, columns: dict[str, list]) -> None:
    """Writes a header line of the column names, then the rows."""
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            yield from file
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _header(path: Path, line: bytes, remedy: str) -> list[str]:
    if not line:
        raise UserError(f"{path} is empty: {remedy}")
    try:
        return decoded(line, 1).split("\t")
    except ValueError as error:
        raise UserError(f"{path}, line 1: {error}: {remedy}") from error


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _record(number: int, line: bytes, chosen: Sequence[int], width: int) -> Record:
    try:
        text = decoded(line, number)
    except ValueError as error:
        return Record(number, _without_end(line).decode("utf-8", "backslashreplace"), problem=str(error))
    try:
        values = fields(text, width)
    except ValueError as error:
        return Record(number, text, problem=str(error), width_differs=True)
    return Record(number, text, tuple(values[place] for place in chosen))
