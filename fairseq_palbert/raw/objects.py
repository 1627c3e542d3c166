"""Read files whose rows name their values: JSON lines, a JSON list, and lines that match a pattern."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..definitions.content import spelt
from ..errors import UserError
from ..json_files import nested_value, parse_list, parse_object
from ..schema import SHORT
from ..text_lines import Line, read_lines, read_whole
from ..tsv import Record

LARGEST_LIST = 2**27  # bytes of a JSON list, which is read whole
NamedRow = tuple[Line, Mapping[str, Any]]


def json_lines(path: Path, encoding: str) -> Iterator[NamedRow]:
    """Yields the object of each line; none of a line with a problem."""
    for line in read_lines(path, encoding):
        try:
            yield line, {} if line.problem else parse_object(line.text)
        except ValueError as error:
            yield replace(line, problem=str(error)), {}


def json_list(path: Path, encoding: str, remedy: str) -> Iterator[NamedRow]:
    """Yields the objects of the list that is the file's content; their lines count objects.

    Raises UserError for other content, such as an object that has the list, and for more than ``LARGEST_LIST`` bytes.
    """
    remedy = f'give a list of objects, or one object a line with format = "jsonl": {remedy}'
    text = read_whole(path, encoding, remedy, LARGEST_LIST)
    try:
        values = parse_list(text)
    except ValueError as error:
        raise UserError(f"{path}: {error}: {remedy}") from error
    for number, value in enumerate(values, 1):
        problem = None if isinstance(value, dict) else f"{SHORT.repr(value):.40} is no JSON object"
        yield Line(number, as_json(value), problem), value


def matched_lines(path: Path, encoding: str, pattern: str) -> Iterator[NamedRow]:
    """Yields the named groups of each line, which should match the pattern as a whole."""
    compiled = re.compile(pattern)
    for line in read_lines(path, encoding):
        match = compiled.fullmatch(line.text)
        if not match and not line.problem:
            line = replace(line, problem="the line does not match the pattern")
        yield line, {name: text for name, text in (match.groupdict() if match else {}).items() if text is not None}


def named_records(rows: Iterable[NamedRow], needed: Sequence[str], layout=None) -> Iterator[Record]:
    """Yields a record for each row, or where there is a ``layout`` for each row that it makes of an object."""
    for line, value in rows:
        try:
            if line.problem:
                raise ValueError(line.problem)
            laid_out = layout(value) if layout else [value]
        except ValueError as error:
            yield Record(line.number, line.text, problem=str(error))
            continue
        for row in laid_out:
            yield _record(line, row, needed)


def as_json(value: Any) -> str:
    """The value in one line; what JSON has not, such as a date, as Python spells it."""
    return json.dumps(value, ensure_ascii=False, default=repr)


def _record(line: Line, row: Mapping[str, Any], needed: Sequence[str]) -> Record:
    try:
        return Record(line.number, line.text, tuple(_text(row, column) for column in needed))
    except ValueError as error:
        return Record(line.number, line.text, problem=str(error))


def _text(row: Mapping[str, Any], column: str) -> str:
    """The value of the column as text. Raises ValueError, whose message is a phrase, where there is none."""
    try:
        value = nested_value(row, column)
    except KeyError as error:
        raise ValueError(f"there is no column {column!r} among {', '.join(map(repr, row)) or 'none'}") from error
    if isinstance(value, str | int):  # true and false are integers
        return spelt(value)
    if isinstance(value, float) and value == value:
        return repr(value)
    found = "null" if value is None else "NaN" if isinstance(value, float) else SHORT.repr(value)
    raise ValueError(f"column {column!r} is {found}, and should be a text, a number, true or false")
