"""Run an experiment with settings from environment variables, as the recipes do.

    TASK=RTE LR=2e-5 SEEDS="1 2" python -m fairseq_palbert.experiment.variables

The variable of a setting is its name in capitals; one that is empty is not set. A list is words, separated by blanks or
lines. Values are data: no part of one is evaluated or substituted.
"""

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

from .. import command
from ..errors import UserError
from ..numbers_from_text import finite_float, integer
from .run import run
from .settings import Settings

NO_VARIABLE = "run_name"  # --multirun sets it
SWITCH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def settings_of(variables: Mapping[str, str]) -> Settings:
    """Raises UserError for a value of another type than its setting's, which names the variable."""
    kinds, values = get_type_hints(Settings), {}
    for item in fields(Settings):
        name = item.name.upper()
        if item.name != NO_VARIABLE and variables.get(name):
            try:
                values[item.name] = _value(variables[name], kinds[item.name])
            except ValueError as error:
                raise UserError(f"{name}: {error}") from error
    return Settings(**values)


def _value(text: str, kind: Any) -> Any:
    """The value of a type such as ``int``, ``float | None`` or ``list[str] | None``."""
    if type(None) in get_args(kind):
        kind = get_args(kind)[0]
    if get_origin(kind) is list:
        return [_value(word, *get_args(kind)) for word in text.split()]
    return {int: integer, float: finite_float, bool: _switch, str: str}[kind](text)


def _switch(text: str) -> bool:
    if text.lower() not in SWITCH:
        raise ValueError(f"{text!r} is no switch: choose from {', '.join(SWITCH)}")
    return SWITCH[text.lower()]


def main() -> None:
    run(settings_of(os.environ))


if __name__ == "__main__":
    command.run(main)
