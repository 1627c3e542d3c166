"""The tasks that the package defines, and how records name them.

Sources: GLUE (arXiv 1804.07461), SuperGLUE (arXiv 1905.00537) and the released files. Split names are fairseq's (train,
valid, valid1, test, test1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import UserError
from .content import OF_THE_PACKAGE, content_of, definition_of
from .definition import TaskDefinition
from .task_file import ENDING, read_task_file

FOLDER = Path(__file__).parent / "tasks"


@cache
def packaged() -> dict[str, TaskDefinition]:
    """The package's tasks by name, those of benchmarks first."""
    paths = sorted(FOLDER.rglob(f"*{ENDING}"), key=lambda path: (path.parent == FOLDER, path))
    tasks = map(read_task_file, paths)
    return {task.name: replace(task, folder=task.folder or task.name) for task in tasks}


def benchmark_tasks(benchmark: str) -> dict[str, TaskDefinition]:
    """The tasks of a benchmark by name, GLUE or SuperGLUE."""
    return {name: task for name, task in packaged().items() if task.benchmark == benchmark}


def task_names(given: str) -> list[str]:
    """The names of a benchmark's tasks, where that is ``given`` (``all``: GLUE), or what is given alone."""
    return list(benchmark_tasks("GLUE" if given == "all" else given)) or [given]


def packaged_task(name: str) -> TaskDefinition:
    """The package's task of that name. Raises UserError where there is none."""
    if name not in packaged():
        raise UserError(f"unknown task {name!r:.100}: choose from {', '.join(packaged())}, or give a task file (TOML)")
    return packaged()[name]


def find_task(name_or_file: str) -> TaskDefinition:
    """The package's task of that name, or the one that a task file defines.

    Raises UserError for an unknown name, and for a file with a mistake, with the name of a task of the package or with
    what only the tasks of a benchmark have.
    """
    if not name_or_file.endswith(ENDING):
        return packaged_task(name_or_file)
    task = read_task_file(Path(name_or_file))
    if task.name in packaged():
        raise UserError(f"{name_or_file}: name = {task.name!r} is that of a task of the package: choose another")
    for key in OF_THE_PACKAGE:
        if getattr(task, key) is not None:
            raise UserError(f"{name_or_file}: {key} is for the package's own tasks: leave it out")
    return task


def recorded(task: TaskDefinition) -> dict[str, Any] | None:
    """What a file carries beside the task's name and labels: the whole definition, None for a task of the package."""
    own = packaged().get(task.name)
    return None if own and replace(task, labels=own.labels) == own else content_of(task)


def restored(name: str | None, definition: Mapping[str, Any] | None,
             labels: Sequence[str] | None = None) -> TaskDefinition:
    """The task of that name, from its definition in a file or from the package.

    ``labels`` are the labels in the order of the class ids, where that may differ from the definition's. Raises
    ValueError, whose message is a phrase, for a wrong definition, and for labels that are not the task's.
    """
    if name is None:
        raise ValueError("names no task")
    if definition is None and name not in packaged():
        raise ValueError(f"the task {name!r:.100} is none of the package, and its definition is missing")
    task = packaged()[name] if definition is None else definition_of(definition)
    if task.name != name or task.labels is None:
        raise ValueError(f"the definition is of the task {task.name!r}, or without labels, and should be of "
                         f"{name!r:.100}")
    return task if labels is None else in_order(task, labels)


def in_order(task: TaskDefinition, labels: Sequence[str]) -> TaskDefinition:
    """The task with its labels in this order. Raises ValueError, whose message is a phrase, for other labels."""
    if sorted(labels) != sorted(task.labels):
        raise ValueError(f"the labels {', '.join(labels) or '(none: regression)':.200} are not those of {task.name}: "
                         f"{task.answers_in_words}")
    return replace(task, labels=tuple(labels))
