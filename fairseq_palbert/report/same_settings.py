"""Check that the seeds of a run were trained with the same settings."""

import re
from collections.abc import Mapping
from pathlib import PurePath

from ..errors import UserError
from ..numbers_from_text import finite_float
from ..tables import visible

# the seed, the run's places, and what changes no result
FREE = {"--seed", "--user-dir", "--save-dir", "--tensorboard-logdir", "--pooled-states", "--log-format",
        "--log-interval", "--cpu", "--num-workers"}
MLP = ("mlp",)  # the usual lambda module, which alone has a width
Settings = dict[str, tuple[str | float, ...]]


def check_same_settings(run: str, commands: Mapping[str, list[str]]) -> None:
    """Raises UserError where the training commands of two seeds differ in more than seed and places.

    The last of a repeated flag counts, and the order of flags does not. [] is an unknown command.
    """
    known = {name: _settings(command) for name, command in commands.items() if command}
    for name, settings in known.items():
        first_name, first = next(iter(known.items()))
        if differing := [flag for flag in first | settings if first.get(flag) != settings.get(flag)]:
            raise UserError(f"{run}: {name} was trained {_shown(differing[0], settings)}, and {first_name} "
                            f"{_shown(differing[0], first)}: give a run whose seeds have the same settings")


def _settings(command: list[str]) -> Settings:
    settings, flag = {}, None
    for word in command:
        if word.startswith("--"):
            flag, *given = word.split("=", 1)
            settings[flag] = tuple(map(_value, given))
        elif flag:
            settings[flag] = (*settings[flag], _value(word))
    if settings.get("--lambda-module", MLP) != MLP:
        settings.pop("--lambda-width", None)
    return {flag: values for flag, values in settings.items() if flag not in FREE}


def _value(word: str) -> str | float:
    """A number, however it is written; of a path the last two parts, but no seed's folder."""
    try:
        return finite_float(word)
    except ValueError:
        return "/".join([part for part in PurePath(word).parts if not re.fullmatch(r"seed\d+", part)][-2:])


def _shown(flag: str, settings: Settings) -> str:
    return visible(f"with {' '.join([flag, *map(str, settings[flag])])}" if flag in settings else f"without {flag}")
