"""Read the hyperparameters of an encoder and a task from hyperparameters.yaml."""

from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

FILE = Path(__file__).with_name("hyperparameters.yaml")
LENGTH = ("max_update", "max_epoch")
OTHER = "other"  # the entry of tasks that have none


def hyperparameters(arch: str, task: str) -> dict[str, Any]:
    """The settings of the architecture's entry, else its family's."""
    return _row(arch, task) or _row("_".join(arch.split("_")[:2]), task)


def of_any_encoder(task: str) -> dict[str, Any]:
    return _row("any_encoder", task)


def _row(name: str, task: str) -> dict[str, Any]:
    entry = _entries().get(name, {})
    tasks = entry.get("tasks", {})
    return entry.get("every_task", {}) | tasks.get(task, tasks.get(OTHER, {}))


@cache
def _entries() -> dict[str, dict]:
    return OmegaConf.to_container(OmegaConf.load(FILE))
