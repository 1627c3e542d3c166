"""What is wrong with the content of a task definition."""

from collections.abc import Mapping
from typing import Any

from ..schema import Kind, check_fields


class Fault(ValueError):
    """What is wrong with a definition, as a phrase that names the ``key``."""

    def __init__(self, key: str, message: str):
        super().__init__(message)
        self.key = key


def check_table(content: Any, kinds: Mapping[str, Kind], required: tuple[str, ...], prefix: str = "",
                unoffered: tuple[str, ...] = ()) -> None:
    """Raises Fault for content that is no object of these fields: wrong type, unknown name, missing field.

    The message on an unknown name does not offer the names ``unoffered``.
    """
    place = f"{prefix}." if prefix else ""
    if not isinstance(content, Mapping):
        raise Fault(prefix, f"{prefix or 'the content'} should be a table of {', '.join(kinds)}")
    for name in content:
        if name not in kinds:
            offered = ", ".join(kind for kind in kinds if kind not in unoffered)
            raise Fault(place + name, f"{place}{name} is not known: choose from {offered}")
        try:
            check_fields({name: content[name]}, {name: kinds[name]}, place)
        except ValueError as error:
            raise Fault(place + name, str(error)) from error
    for name in required:
        if name not in content:
            raise Fault(place + name, f"{place}{name} is missing: it should be {kinds[name].description}")
