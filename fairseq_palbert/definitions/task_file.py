"""Read a task's definition from a TOML file."""

import re
import tomllib
from pathlib import Path

from ..errors import UserError
from ..files import read_text
from .content import Fault, check_effect, definition_of
from .definition import TaskDefinition

ENDING = ".toml"
REMEDY = "preprocess/README.md describes a task file"


def read_task_file(path: Path) -> TaskDefinition:
    """The task that the file defines. Raises UserError, with the line, at the first mistake."""
    text = read_text(path, REMEDY)
    try:
        task = definition_of(tomllib.loads(text))
        check_effect(task)
        return task
    except Fault as fault:
        line = _line_of(text, fault.key)
        raise UserError(f"{path}{f', line {line}' if line else ''}: {fault}: {REMEDY}") from fault
    except (ValueError, RecursionError) as error:  # tomllib lets those of int and of nested lists through
        raise UserError(f"{path}: no TOML ({error}): {REMEDY}") from error


def _line_of(text: str, key: str) -> int | None:
    """The line that sets the key, in its table or for all splits, or that begins the table that it should be in."""
    *tables, name = key.split(".")
    line = _line_with(text, tables, name) or (_line_with(text, [], name) if tables else None)
    return line or (_line_of(text, ".".join(tables)) if tables else None)


def _line_with(text: str, tables: list[str], name: str) -> int | None:
    section: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([^\]]*?)\s*\]", line):
            section = [part.strip().strip("\"'") for part in header[1].split(".")]
            if section == [*tables, name]:
                return number
        elif section == tables and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return number
    return None
