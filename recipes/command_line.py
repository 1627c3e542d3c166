"""Argument parsers and variables of the recipes."""

import argparse
import os
from pathlib import Path

from fairseq_palbert.errors import UserError
from fairseq_palbert.numbers_from_text import check_range


def parser(recipe: str, description: str) -> argparse.ArgumentParser:
    """``description``: a module's docstring, whose lines --help keeps."""
    return argparse.ArgumentParser(prog=recipe, description=description,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)


def check_ranges(options: argparse.Namespace, ranges: dict[str, tuple[int, int]]) -> None:
    """Raises UserError where the value of a flag is not in its range, whose ends are included."""
    for name, (low, high) in ranges.items():
        check_range(f"--{name.replace('_', '-')}", getattr(options, name), low, high)


def folder_with(file: str, variable: str, meaning: str) -> Path:
    """The folder that the variable names. Raises UserError where it has no ``file``, which may be a folder too."""
    named = os.environ.get(variable)
    if not named or not Path(named, file).exists():
        raise UserError(f"no {file} in {variable}={named or ''}: set it to {meaning}")
    return Path(named).resolve()


def glue_folder(file: str) -> Path:
    """GLUE_DIR. Raises UserError where it has no ``file``."""
    return folder_with(file, "GLUE_DIR", "the folder of GLUE's task folders")


def whole_number(variable: str, default: int, least: int = 1) -> int:
    """The value of the variable. Raises UserError where it is not a whole number, or is below ``least``."""
    value = os.environ.get(variable) or str(default)
    if not value.isdecimal() or int(value) < least:
        raise UserError(f"{variable}={value}: give {least} or more")
    return int(value)
