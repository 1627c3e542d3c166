"""An experiment's command line, by Hydra: NAME=VALUE sets a setting.

    python -m fairseq_palbert.experiment task=RTE method=pabee pretrained=DIR seeds=[1,2,3]
    python -m fairseq_palbert.experiment task=RTE --cfg job    every setting; those that are null depend on others
    python -m fairseq_palbert.experiment task=RTE --multirun lr=1e-5,2e-5    one run directory a value
    python -m fairseq_palbert.experiment task=RTE --multirun lr=1e-5,2e-5 hydra/launcher=submitit_slurm

Run again, it goes on where it ended. --hydra-help lists Hydra's own flags.
"""

import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra import main as hydra_main
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..errors import UserError
from .run import run
from .settings import Settings

IN_THE_USUAL_RUN_DIR = ("task", "method", "arch")


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake, in a single experiment SystemExit with that line."""
    argv = sorted(sys.argv[1:] if argv is None else argv, key=is_override)  # Hydra takes no flag between overrides
    if {"-h", "--help"} & set(argv):
        print(help_text())
        return
    ConfigStore.instance().store("settings", Settings)
    OmegaConf.register_new_resolver("words_of", lambda variable: os.environ[variable].split(), replace=True)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us as they are
    try:
        sys.argv[1:] = [*argv, *run_name(argv)]
        hydra_main(str(Path(__file__).with_name("conf")), "train", version_base="1.3")(job)()
    except (CompactHydraException, OmegaConfBaseException) as error:
        raise UserError(_reason(error)) from error


def job(config: DictConfig) -> None:
    """One experiment; of the tasks that Slurm starts for it, the first one runs it and starts the others' part."""
    if int(os.environ.get("SLURM_PROCID", 0)):
        return
    try:
        run(settings_of(config))
    except UserError as error:
        if HydraConfig.get().mode == RunMode.RUN:
            raise SystemExit(error.line) from error  # Hydra would add its own line
        print(error.line, file=sys.stderr)  # now: the other jobs go on, and the first mistake is told again after them
        raise


def settings_of(config: DictConfig) -> Settings:
    """Raises UserError where a value has another type than its setting."""
    try:
        resolved = OmegaConf.to_container(config, resolve=True)
        # again, since the items of a list that a resolver gives are not converted
        literal = {name: _literal(value) for name, value in resolved.items()}
        values = OmegaConf.to_object(OmegaConf.merge(Settings, literal))
    except OmegaConfBaseException as error:
        raise UserError(_reason(error)) from error
    for item in fields(values):
        if getattr(values, item.name) == "":
            setattr(values, item.name, item.default if item.name in ("run_name", "method") else None)
    return values


def _literal(value: Any) -> Any:
    """A value in which OmegaConf finds nothing more to resolve."""
    if isinstance(value, list):
        return [_literal(one) for one in value]
    return value.replace("${", r"\${") if isinstance(value, str) else value


def is_override(word: str) -> bool:
    return "=" in word and not word.startswith("-")


def run_name(argv: list[str]) -> list[str]:
    """With --multirun, the setting that gives each of its runs a folder named for what they vary, as lr=1e-05."""
    overrides = OverridesParser.create().parse_overrides(list(filter(is_override, argv)))
    names = {override.key_or_group for override in overrides}
    if not {"-m", "--multirun"} & set(argv) or "run_name" in names:
        return []
    varied = [override.key_or_group for override in overrides if override.is_sweep_override()]
    varied = [name for name in varied if "/" not in name]
    if "run_dir" not in names:
        varied = [name for name in varied if name not in IN_THE_USUAL_RUN_DIR]
    return [f"run_name='{'/'.join(f'{name}=${{{name}}}' for name in varied)}'"] if varied else []


def help_text() -> str:
    return __doc__ + "\n" + "\n".join(f"  {item.name:18}{item.metadata['help']}" for item in fields(Settings))


def _reason(error: Exception) -> str:
    """Hydra's message, and what caused it, without the lines that name objects."""
    causes = [error] + ([error.__cause__] if error.__cause__ else [])
    lines = [line.strip() for cause in causes for line in str(cause).splitlines()]
    return " ".join(line for line in lines if not line.startswith("object_type="))
