"""The ``command`` file of a seed: the training command as it was typed."""

import re
import shlex

VARIABLE = re.compile(r"\$[A-Z_]+(/[\w./-]*)?")  # a folder of the recipe, which stays unquoted


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
