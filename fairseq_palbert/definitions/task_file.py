"""Read a task's definition from a TOML file."""

import re
import tomllib
from pathlib import Path

from ..errors import UserError
from ..files import read_text
from .content import Fault, definition_of
from .definition import TaskDefinition

ENDING = ".toml"
REMEDY = "preprocess/README.md describes a task file"


def read_task_file(path: Path) -> TaskDefinition:
    """The task that the file defines. Raises UserError, with the line, at the first mistake."""
    text = read_text(path, REMEDY)
    try:
        return definition_of(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: no TOML ({error}): {REMEDY}") from error
    except Fault as fault:
        line = _line_of(text, fault.key)
        raise UserError(f"{path}{f', line {line}' if line else ''}: {fault}: {REMEDY}") from fault


def _line_of(text: str, key: str) -> int | None:
    """The line that sets the key, or that begins the table that it should be in."""
    *tables, name = key.split(".")
    section, found = [], None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([^\]]*?)\s*\]", line):
            section = [part.strip().strip("\"'") for part in header[1].split(".")]
            if section == [*tables, name] or section == tables:
                found = number
        elif (section == tables or not tables) and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return number
    return found
