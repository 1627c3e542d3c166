"""GLUE's TSV files, read strictly: UTF-8, quoting off, every row as wide as the header."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairseq_palbert.errors import UserError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Record:
    """One row: the ``values`` of the columns asked for, or the ``problem`` that keeps it from having them.

    ``line`` counts from 1 over the whole file, ``text`` is the row as it stands there. ``width_differs`` marks a row
    with more or fewer fields than the header.
    """

    line: int
    text: str
    values: tuple[str, ...] = ()
    problem: str | None = None
    width_differs: bool = False


def read_records(path: Path, needed: Sequence[str], columns: Sequence[str] = ()) -> Iterator[Record]:
    """The rows of ``path``, their columns named by its first line, or by ``columns`` for a file without a header.

    Lines end in LF or CRLF; a byte order mark is skipped; quotes are plain characters. Raises UserError where the file
    is missing or empty, or where its header has not each of the ``needed`` columns once.
    """
    try:
        with open(path, "rb") as file:
            lines = enumerate((_strip(line) for line in file), 1)
            if not columns:
                _, header = next(lines, (0, None))
                if header is None:
                    raise UserError(f"{path} is empty: give GLUE's own file")
                columns = _header(path, header, needed)
            chosen = [columns.index(name) for name in needed]
            for number, line in lines:
                yield _record(number, line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line, chosen, len(columns))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _strip(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _header(path: Path, line: bytes, needed: Sequence[str]) -> list[str]:
    try:
        columns = line.removeprefix(BYTE_ORDER_MARK).decode("utf-8").split("\t")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, line 1: {_undecodable(error)}: save the file as UTF-8") from error
    for name in needed:
        if columns.count(name) != 1:
            raise UserError(f"{path}, line 1: the header has {columns.count(name) or 'no'} column {name!r}, but names "
                            f"{', '.join(map(repr, columns))}: give GLUE's own file, header included")
    return columns


def _record(number: int, line: bytes, chosen: Sequence[int], width: int) -> Record:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return Record(number, line.decode("utf-8", "backslashreplace"), problem=_undecodable(error))
    fields = text.split("\t")
    if len(fields) != width:
        found = f"{len(fields)} field{'s' * (len(fields) != 1)}" if text else "a blank line"
        return Record(number, text, problem=f"{found} instead of {width} fields", width_differs=True)
    return Record(number, text, tuple(fields[index] for index in chosen))


def _undecodable(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} at position {error.start + 1} of the line is no UTF-8"
