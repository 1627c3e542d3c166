"""Read sentences from TSV or JSON lines, row by row and strictly."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from ..errors import UserError
from ..json_files import nested_value, parse_object
from ..tsv import decoded, fields, places
from .texts import check_text

LONGEST_LINE = 2**22  # bytes


@dataclass(frozen=True)
class Row:
    """``sentences``: one, or a pair. ``id``: the value in the column of ids, or the row's index from 0.

    ``end`` is the byte offset of the row's end in the input.
    """

    id: Any
    sentences: tuple[str, ...]
    end: int


@dataclass(frozen=True)
class Columns:
    """The columns to read: keys of JSON, or keys one inside another, whose names dots join.

    The first of the ``choices`` that the input has holds the sentences. ``id`` names the column of ids, or is None.
    """

    choices: tuple[tuple[str, ...], ...]
    id: str | None = None

    def find(self, names: Iterable[str], has: Callable[[str], bool]) -> tuple[str, ...]:
        """The columns of the sentences.

        Raises ValueError, which tells the ``names``, where the input ``has`` no choice, or no column ``id``.
        """
        among = f"among {', '.join(map(repr, names))}"
        if self.id is not None and not has(self.id):
            raise ValueError(f"there is no {self.id!r} {among}: name the column of ids by --id")
        for choice in self.choices:
            if all(map(has, choice)):
                return choice
        sought = ", or ".join(" and ".join(map(repr, choice)) for choice in self.choices)
        raise ValueError(f"there is no {sought} {among}: name the columns of the sentences by --sentence")


def read_rows(file: BinaryIO, name: str, form: str, columns: Columns) -> Iterator[Row]:
    """Yields the rows of a file, which messages call ``name``. Lines end in LF or CRLF.

    ``form`` is one of FORMATS: ``tsv``, whose first line names the columns and which has no quoting, or ``jsonl``, one
    object a line. Raises UserError, with the line number, at the first wrong row.
    """
    lines = _Lines(file)
    try:
        for place, (row_id, sentences) in enumerate(FORMATS[form](lines, columns)):
            for sentence in sentences:
                check_text(sentence)
            yield Row(place if columns.id is None else row_id, sentences, lines.end)
    except ValueError as error:
        raise UserError(f"{name}, line {max(lines.number, 1)}: {error}") from error
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror or error}") from error


def chunks(rows: Iterable[Row], characters: int, most: int | None = None) -> Iterator[list[Row]]:
    """Yields the rows in order, in chunks of about ``characters`` and at most ``most`` rows.

    Each row counts one character more than its sentences.
    """
    chunk, size = [], 0
    for row in rows:
        chunk.append(row)
        size += 1 + sum(map(len, row.sentences))
        if size >= characters or len(chunk) == most:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class _Lines:
    """The lines of a file as text; ``number`` and ``end`` are the last one's line number and end in bytes."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.number = self.end = 0

    def __iter__(self) -> Iterator[str]:
        for line in iter(lambda: self.file.readline(LONGEST_LINE + 1), b""):
            self.number, self.end = self.number + 1, self.end + len(line)
            if len(line) > LONGEST_LINE:
                raise ValueError(f"more than {LONGEST_LINE:,} bytes: give one row a line, and cut long texts")
            try:
                text = decoded(line, self.number)
            except ValueError as error:
                raise ValueError(f"{error}: save the input as UTF-8") from error
            yield text


def _tsv(lines: _Lines, columns: Columns) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    rows = iter(lines)
    header = next(rows, None)
    if header is None:
        raise ValueError("the input is empty: the first line must name the columns")
    names = header.split("\t")
    chosen = places(names, columns.find(names, names.__contains__))
    id_place = None if columns.id is None else places(names, [columns.id])[0]
    row = None
    for row in rows:
        try:
            values = fields(row, len(names))
        except ValueError as error:
            raise ValueError(f"{error}: correct the row") from error
        yield None if id_place is None else values[id_place], tuple(values[place] for place in chosen)
    if row == "":  # the only way to write an empty text in a table of one column, but more often a mistake
        raise ValueError("a blank line at the end: remove it, or write an empty text as a blank")


def _json_lines(lines: _Lines, columns: Columns) -> Iterator[tuple[Any, tuple[str, ...]]]:
    chosen = None
    for line in lines:
        values = _json_object(line)
        chosen = columns.find(values, partial(_has, values)) if chosen is None else chosen
        try:
            row_id = None if columns.id is None else nested_value(values, columns.id)
            texts = [nested_value(values, name) for name in chosen]
        except KeyError as error:
            raise ValueError(f"there is no {error}: every row needs it") from error
        yield row_id, tuple(map(_json_text, chosen, texts))


def _has(values: dict[str, Any], name: str) -> bool:
    try:
        nested_value(values, name)
    except KeyError:
        return False
    return True


def _json_object(line: str) -> dict[str, Any]:
    try:
        return parse_object(line)
    except ValueError as error:
        raise ValueError(f"{error}: give one object a line") from error


def _json_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name!r} is {value!r:.40}, and should be a text")
    return value


FORMATS = {"tsv": _tsv, "jsonl": _json_lines}
