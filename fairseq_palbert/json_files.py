"""Strict reading of JSON that a user brings.

A file is bounded in size and nesting, UTF-8, and JSON as RFC 8259 has it: no NaN or Infinity, no number beyond float64,
no key twice in an object, no half of a surrogate pair. ``schema.check_fields`` then checks types and ranges.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from .errors import UserError
from .files import LARGEST, read_text
from .schema import SHORT

DEEPEST = 100  # levels of objects and lists
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
Object = dict[str, Any]


def read_json(path: Path, remedy: str, largest: int = LARGEST) -> Object:
    """The JSON object that is the file's content. Raises UserError, which ends in ``remedy``, for any other file."""
    text = read_text(path, remedy, largest)
    try:
        return parse_object(text)
    except ValueError as error:
        raise UserError(f"{path}: {error}: {remedy}") from error


def read_json_lines(path: Path, remedy: str, largest: int = LARGEST) -> list[Object]:
    """The JSON objects of the file, one a line. Raises UserError, which ends in ``remedy``, for any other file."""
    objects = []
    for number, line in enumerate(read_text(path, remedy, largest).removesuffix("\n").split("\n"), 1):
        try:
            objects.append(parse_object(line))
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}: {remedy}") from error
    return objects


def parse_object(text: str) -> Object:
    """The JSON object of ``text``. Raises ValueError, whose message is a phrase, for any other text."""
    return _parse(text, dict, "no JSON object")


def parse_list(text: str) -> list[Any]:
    """The JSON list of ``text``. Raises ValueError, whose message is a phrase, for any other text."""
    return _parse(text, list, "no JSON list")


def nested_value(content: Mapping[str, Any], name: str) -> Any:
    """The value under the key, or under keys one inside another, whose names dots join.

    Raises KeyError where there is none.
    """
    if name in content:
        return content[name]
    value = content
    for key in name.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise KeyError(name)
        value = value[key]
    return value


def _parse(text: str, kind: type, otherwise: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates, parse_float=_finite, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError(f"not JSON (nested more than {DEEPEST} levels deep)") from error
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(value, kind):
        raise ValueError(f"{SHORT.repr(value):.40} is {otherwise}")
    _check_depth(value)
    if _SURROGATE.search(text):  # a whole pair is one character
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(error.object[error.start]):04x}"
            raise ValueError(f"not JSON ({half} is half a surrogate pair)") from error
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Object:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r:.40} occurs twice")
    return content


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits:.40} is too large")
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check_depth(value: Object | list) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [child for container in level
                 for child in (container.values() if isinstance(container, dict) else container)
                 if isinstance(child, dict | list)]
        if not level:
            return
    raise ValueError(f"not JSON (nested more than {DEEPEST} levels deep)")
