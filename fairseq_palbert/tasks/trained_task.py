"""The task that a checkpoint was trained for."""

from typing import Any

from ..definitions.definition import TaskDefinition
from ..definitions.packaged import recorded, restored
from ..errors import UserError


def task_state(task: TaskDefinition) -> dict[str, Any]:
    """What a checkpoint keeps of its task, beside the tokenizer."""
    return {"task": task.name, "labels": list(task.labels), "definition": recorded(task)}


def trained_task(name: str, state: dict[str, Any]) -> TaskDefinition:
    """The task of the checkpoint ``state``, with its labels in the order of the class ids.

    Earlier versions kept the name and the order of the labels as flags. Raises UserError where they name no task.
    """
    kept, flags = state.get("task_state") or {}, state.get("cfg", {}).get("task") or {}
    labels = kept.get("labels")
    if labels is None and flags.get("label_order"):
        labels = flags["label_order"].split(",")
    try:
        return restored(kept.get("task") or flags.get("glue_task"), kept.get("definition"), labels)
    except ValueError as error:
        raise UserError(f"{name}: {error}: choose a checkpoint of --task glue") from error
