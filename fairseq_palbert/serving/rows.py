"""Sentences from TSV or JSON lines, a row at a time, read strictly: the first row that is wrong ends it in a line."""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..errors import UserError
from ..tsv import decoded, fields, places


@dataclass(frozen=True)
class Row:
    """``id``: its value in the column of ids, or else its place, counted from 0. ``sentences``: one, or a pair.
    ``end``: how many bytes of the input it and those before it take."""

    id: Any
    sentences: tuple[str, ...]
    end: int


@dataclass(frozen=True)
class Columns:
    """Which columns (keys of JSON) are read: of the ``choices`` the first that is there is the sentences; ``id``,
    where it is not None, tells the rows apart."""

    choices: tuple[tuple[str, ...], ...]
    id: str | None = None

    def find(self, names: Collection[str]) -> tuple[str, ...]:
        """The sentences' columns. Raises ValueError where no choice, or no column ``id``, is among the names."""
        there = f"among {', '.join(map(repr, names))}"
        if self.id is not None and self.id not in names:
            raise ValueError(f"there is no {self.id!r} {there}: name the column of ids by --id")
        for choice in self.choices:
            if all(name in names for name in choice):
                return choice
        sought = ", or ".join(" and ".join(map(repr, choice)) for choice in self.choices)
        raise ValueError(f"there is no {sought} {there}: name the columns of the sentences by --sentence")


def read_rows(file: BinaryIO, name: str, form: str, columns: Columns) -> Iterator[Row]:
    """The rows of a file, which messages call ``name``, in one of the FORMATS: ``tsv``, whose first line names the
    columns and whose quotes are plain characters, or ``jsonl``, an object a line. Lines end in LF or CRLF.

    Raises UserError, with the line, by the first row that is wrong.
    """
    lines = _Lines(file)
    try:
        for place, (row_id, sentences) in enumerate(FORMATS[form](lines, columns)):
            yield Row(place if columns.id is None else row_id, sentences, lines.end)
    except ValueError as error:
        raise UserError(f"{name}, line {max(lines.number, 1)}: {error}") from error
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror or error}") from error


def chunks(rows: Iterable[Row], characters: int, most: int | None = None) -> Iterator[list[Row]]:
    """The rows in their order, by about so many characters at a time, a row itself counting as one, and ``most``
    rows."""
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
    """A file's lines as text; ``number`` and ``end``, in bytes, tell where the one given last stands and ends."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.number = self.end = 0

    def __iter__(self) -> Iterator[str]:
        for line in self.file:
            self.number, self.end = self.number + 1, self.end + len(line)
            try:
                text = decoded(line, self.number)
            except ValueError as error:
                raise ValueError(f"{error}: save the input as UTF-8") from error
            yield text


def _tsv(lines: _Lines, columns: Columns) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    rows = iter(lines)
    header = next(rows, None)
    if header is None:
        raise ValueError("there is none: the first line is to name the columns")
    names = header.split("\t")
    chosen = places(names, columns.find(names))
    id_place = None if columns.id is None else places(names, [columns.id])[0]
    for row in rows:
        try:
            values = fields(row, len(names))
        except ValueError as error:
            raise ValueError(f"{error}: correct the row") from error
        yield None if id_place is None else values[id_place], tuple(values[place] for place in chosen)


def _json_lines(lines: _Lines, columns: Columns) -> Iterator[tuple[Any, tuple[str, ...]]]:
    chosen = None
    for line in lines:
        values = _json_object(line)
        chosen = columns.find(values) if chosen is None else chosen
        for name in (*chosen, columns.id):
            if name is not None and name not in values:
                raise ValueError(f"there is no {name!r}: every row needs it")
        yield values.get(columns.id), tuple(_json_text(name, values[name]) for name in chosen)


def _json_object(line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON ({error}): give one object a line") from error
    if not isinstance(values, dict):
        raise ValueError(f"{line[:40]!r} is no JSON object: give one a line")
    return values


def _json_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name!r} is {value!r:.40}, and should be a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        place = error.start + 1
        raise ValueError(f"{name!r} has half a surrogate pair at character {place}: correct the row") from error
    return value


FORMATS = {"tsv": _tsv, "jsonl": _json_lines}
