"""Read the hyperparameters of an encoder and a task from hyperparameters.yaml."""

from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ..errors import UserError

FILE = Path(__file__).with_name("hyperparameters.yaml")
LENGTH = ("max_update", "max_epoch")
OTHER = "other"  # the entry of tasks that have none


def hyperparameters(arch: str, task: str) -> dict[str, Any]:
    """The settings of the architecture's entry, else its family's. Raises UserError where neither has the task."""
    family = "_".join(arch.split("_")[:2])
    for name in (arch, family):
        if any(length in (row := _row(name, task)) for length in LENGTH):
            return row
    raise UserError(f"no hyperparameters for arch={arch} and task={task}: add them to {FILE}")


def of_any_encoder(task: str) -> dict[str, Any]:
    return _row("any_encoder", task)


def _row(name: str, task: str) -> dict[str, Any]:
    entry = _entries().get(name, {})
    tasks = entry.get("tasks", {})
    return entry.get("every_task", {}) | tasks.get(task, tasks.get(OTHER, {}))


@cache
def _entries() -> dict[str, dict]:
    return OmegaConf.to_container(OmegaConf.load(FILE))
