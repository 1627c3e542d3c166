"""The command line of experiments, by Hydra: NAME=VALUE changes a setting.

    python -m fairseq_palbert.experiment task=RTE method=pabee pretrained=DIR seeds=[1,2,3]
    python -m fairseq_palbert.experiment task=RTE --cfg job    show every setting; null ones depend on others
    python -m fairseq_palbert.experiment task=RTE --multirun lr=1e-5,2e-5    one run directory a value
    python -m fairseq_palbert.experiment task=RTE --multirun lr=1e-5,2e-5 hydra/launcher=submitit_slurm

The same command, run again, continues where it stopped. A setting with an empty value has its default.
--hydra-help lists Hydra's own flags.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra import main as hydra_main
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..errors import UserError
from .run import run
from .settings import Settings

IN_THE_USUAL_RUN_DIR = ("task", "method", "arch")
MODES = {"-r": "--run", "-m": "--multirun", "-c": "--cfg", "-i": "--info", "-sc": "--shell-completion"}  # of Hydra


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake.

    One that an experiment finds is told at once, since others may go on, and SystemExit raised when all have ended.
    """
    argv = sorted(sys.argv[1:] if argv is None else argv, key=is_override)  # Hydra takes no flag between overrides
    if {"-h", "--help"} & set(argv):
        print(help_text())
        return
    check_modes(argv)
    ConfigStore.instance().store("settings", Settings)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach this function as they are
    process, mistakes = os.getpid(), []

    def job(config: DictConfig) -> None:
        """Run one experiment, perhaps in a launcher's process."""
        try:
            run(settings_of(config))
        except UserError as error:
            if os.getpid() != process:
                raise
            print(error.line, file=sys.stderr)
            mistakes.append(error)

    try:
        check_names(override.key_or_group for override in overrides_in(argv))
        check_values(overrides_in(argv))
        argv = [word for word in argv if not is_empty(word)]  # as an unset variable of the shell leaves them
        sys.argv[1:] = [*argv, *run_name(argv)]
        hydra_main(str(Path(__file__).with_name("conf")), "train", version_base="1.3")(job)()
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_reason(error)) from error
    if mistakes:
        raise SystemExit(1)


def settings_of(config: DictConfig) -> Settings:
    """Convert Hydra's configuration.

    Raises UserError for an unknown setting, and where a value has another type than its setting.
    """
    check_names(config)
    if OmegaConf.is_missing(config, "task"):
        raise UserError("task is missing: give one, as in task=RTE")
    try:
        return OmegaConf.to_object(OmegaConf.merge(Settings, config))
    except OmegaConfBaseException as error:
        raise UserError(_reason(error)) from error


def check_names(names: Iterable[str]) -> None:
    """Raises UserError for the first name that is neither a setting's nor Hydra's own."""
    settings = [item.name for item in fields(Settings)]
    for name in names:
        root = re.split("[./[]", name)[0]
        if root not in (*settings, "hydra"):
            close = get_close_matches(root.lower(), settings, 1)
            meant = f"do you mean {close[0]}? " if close else ""
            raise UserError(f"unknown setting {root}: {meant}palbert train --help lists all settings")


def check_values(overrides: list[Override]) -> None:
    """Raises UserError for values that --multirun cannot list."""
    for override in overrides:
        if override.value_type in (ValueType.GLOB_CHOICE_SWEEP, ValueType.INTERVAL_SWEEP):
            raise UserError(f"{override.input_line}: list the values, as in lr=1e-5,2e-5")


def check_modes(argv: list[str]) -> None:
    """Raises UserError for two of Hydra's flags that exclude each other, and for a launcher that starts nothing."""
    words = [word.partition("=")[0] for word in argv]
    given = dict.fromkeys(MODES.get(word, word) for word in words if word in MODES or word in MODES.values())
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} exclude each other: give one of them")
    launchers = [word for word in words if word.lstrip("+").startswith(("hydra/launcher", "hydra.launcher"))]
    if launchers and not given:
        raise UserError(f"{launchers[0]} needs --multirun: without it the experiment runs here, without a launcher")
    if "hydra/launcher=submitit_slurm" in argv and "--multirun" in given and not shutil.which("srun"):
        raise UserError("hydra/launcher=submitit_slurm needs Slurm, and this machine has no srun: start it where "
                        "Slurm is, or choose hydra/launcher=submitit_local")


def is_override(word: str) -> bool:
    return "=" in word and not word.startswith("-")


def is_empty(word: str) -> bool:
    """Whether the word gives a setting no value, as lr= or run_dir=''."""
    name, _, value = word.partition("=")
    return is_override(word) and not name.startswith("hydra") and not value.strip("'\"")


def overrides_in(argv: list[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(filter(is_override, argv)))


def run_name(argv: list[str]) -> list[str]:
    """With --multirun, an override that gives each run a folder named for the values that vary, as lr=1e-05.

    A ':' in a value is %3A there. Empty where nothing varies or the user has named the folder.
    """
    overrides = overrides_in(argv)
    names = {override.key_or_group for override in overrides}
    if not {"-m", "--multirun"} & set(argv) or "run_name" in names:
        return []
    varied = [override.key_or_group for override in overrides if override.is_sweep_override()]
    varied = [name for name in varied if "/" not in name]
    if "run_dir" not in names:
        varied = [name for name in varied if name not in IN_THE_USUAL_RUN_DIR]
    return [f"run_name='{'/'.join(f'{name}=${{in_a_path:${{{name}}}}}' for name in varied)}'"] if varied else []


def in_a_path(value: Any) -> str:
    """The text of a value without ':', which separates folders for fairseq; other values have other texts."""
    return str(value).replace("%", "%25").replace(":", "%3A")


OmegaConf.register_new_resolver("in_a_path", in_a_path, replace=True)  # here, since a job may have its own process


def help_text() -> str:
    return __doc__ + "\n" + "\n".join(f"  {item.name:18}{item.metadata['help']}" for item in fields(Settings))


def _reason(error: Exception) -> str:
    """The message of Hydra and of its cause, without the lines that name objects, and what to do."""
    causes = [error] + ([error.__cause__] if error.__cause__ else [])
    lines = [line.strip() for cause in causes for line in str(cause).splitlines()]
    reason = " ".join(line for line in lines if not line.startswith("object_type="))
    if isinstance(error, OverrideParseException):
        return f"{reason}: a value with special characters needs quotes within quotes, as \"run_dir='a (b)'\""
    return f"{reason}: write a list, as seeds=[1]" if "ListConfig" in reason else reason
