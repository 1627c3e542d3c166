"""The ``command`` file of a seed: the training command as it was typed."""

import re
import shlex
from pathlib import Path

from .errors import UserError
from .files import read_text

COMMAND_FILE = "command"
LONGEST = 2**20  # bytes
REMEDY = "name a folder of recipes/glue_task.sh, as it was written"
VARIABLE = re.compile(r"\$[A-Z_]+(/[\w./-]*)?")  # a folder of the recipe, which stays unquoted


def read_command(path: Path) -> list[str]:
    """The words of the file. Raises UserError where it is missing, too large, not UTF-8, or no command."""
    content = read_text(path, REMEDY, LONGEST)
    try:
        return parse_command(content)
    except ValueError as error:
        raise UserError(f"{path}: {error}: {REMEDY}") from error


def parse_command(text: str) -> list[str]:
    """The words. Raises ValueError, whose message is a phrase, where a quotation does not end, and for no word."""
    if not (words := shlex.split(text)):
        raise ValueError("no command")
    return words


def typed(words: list[str]) -> str:
    """The command as a shell reads it. Nothing in it is expanded but the recipe's variables."""
    return " ".join(word if VARIABLE.fullmatch(word) else shlex.quote(word) for word in words)


def value_of(command: list[str], flag: str) -> str | None:
    """The flag's last value, which is the one that counts."""
    return next((value for name, value in zip(command[-2::-1], command[:0:-1]) if name == flag), None)
