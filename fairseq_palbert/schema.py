"""Check the types and ranges of fields that were read from a file."""

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

SHORT = reprlib.Repr()  # of few levels and items: a pickle can nest lists so that to print them whole never ends
SHORT.maxstring = SHORT.maxother = 60


@dataclass(frozen=True)
class Kind:
    """The values that a field may have: those that ``accepts`` is true of. ``description`` completes "should be"."""

    description: str
    accepts: Callable[[Any], bool]


BOOLEAN = Kind("true or false", lambda value: isinstance(value, bool))
OBJECT = Kind("an object", lambda value: isinstance(value, dict))


def integer(low: int, high: int) -> Kind:
    """An integer from ``low`` to ``high``, both included."""
    return Kind(f"an integer from {low} to {high}", lambda value: type(value) is int and low <= value <= high)


def number(low: float, high: float) -> Kind:
    """A number from ``low`` to ``high``, both finite and both included."""
    return Kind(f"a number from {low:g} to {high:g}",
                lambda value: type(value) in (int, float) and low <= value <= high)


def text(longest: int = 1000) -> Kind:
    """A text of at most so many characters, all of which can be printed: no tab and no line end."""
    return Kind(f"a text of at most {longest} printable characters",
                lambda value: isinstance(value, str) and len(value) <= longest and value.isprintable())


def choice(*values: Any) -> Kind:
    """One of these plain values."""
    return Kind(f"one of {', '.join(map(str, values))}",
                lambda value: any(type(value) is type(other) and value == other for other in values))


def optional(kind: Kind) -> Kind:
    """A value of the kind, or null."""
    return Kind(f"{kind.description}, or null", lambda value: value is None or kind.accepts(value))


def object_of(kinds: Mapping[str, Kind], absent: int = 0) -> Kind:
    """An object with these fields, of which the last ``absent`` may be missing, and no others."""
    required = list(kinds)[:len(kinds) - absent]
    return Kind(f"an object of {', '.join(f'{name} ({kind.description})' for name, kind in kinds.items())}",
                lambda value: isinstance(value, dict) and set(required) <= value.keys() <= kinds.keys()
                and all(kinds[name].accepts(content) for name, content in value.items()))


def list_of(kind: Kind, low: int, high: int) -> Kind:
    """A list of ``low`` to ``high`` values of the kind."""
    return Kind(f"a list of {low} to {high} values, each {kind.description}",
                lambda value: isinstance(value, list) and low <= len(value) <= high and all(map(kind.accepts, value)))


def check_fields(values: Any, kinds: Mapping[str, Kind], prefix: str = "", exact: bool = True) -> None:
    """Raises ValueError, whose message is a phrase, where ``values`` are not an object of fields of these ``kinds``.

    ``prefix`` stands before the fields' names in messages. ``exact``: every field must be there, and no other one.
    Otherwise absent and other fields are allowed.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{prefix.rstrip('.') or 'the content'} is {SHORT.repr(values)}, and should be an object")
    for name, kind in kinds.items():
        if name not in values:
            if exact:
                raise ValueError(f"has no {prefix}{name}")
        elif not kind.accepts(values[name]):
            raise ValueError(f"{prefix}{name} is {SHORT.repr(values[name])}, and should be {kind.description}")
    for name in values:
        if exact and name not in kinds:
            raise ValueError(f"has {prefix}{name}, which this code does not know")
