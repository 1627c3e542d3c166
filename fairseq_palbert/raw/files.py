"""Find the raw files of a task."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from ..definitions.definition import Split, TaskDefinition
from ..definitions.packaged import find_task
from ..definitions.task_file import ENDING
from ..errors import UserError
from ..files import file_sha256
from .hub import hub_files

MSR_TRAIN = "msr_paraphrase_train.txt"
MSR_FILES = {"train": MSR_TRAIN, "valid": MSR_TRAIN, "test": "msr_paraphrase_test.txt"}


def raw_folder(name: str, folders: Mapping[str, str | None]) -> Path | None:
    """The folder of a task's raw files, or of a task file's; None where they are to be downloaded.

    ``folders``: GLUE_DIR and SUPERGLUE_DIR, where they are set.
    """
    if name.endswith(ENDING):
        return Path(name).parent
    folder = folders.get(f"{(find_task(name).benchmark or 'GLUE').upper()}_DIR")
    return Path(folder) if folder else None


def raw_files(task: TaskDefinition, split: Split, raw: Path) -> list[Path]:
    """Where the split's file may lie under ``raw``: as the definition says, and for tasks of GLUE elsewhere.

    Those are MRPC, as its MSR original, AX, as GLUE's own script saves it, and all in the Hub's form.
    """
    folder = raw / (task.folder or "")
    copies = {"MRPC": Path("MRPC", MSR_FILES.get(split.name, "")), "AX": Path("diagnostic", "diagnostic.tsv")}
    return [folder / task.source_of(split).file,
            *(raw / path for name, path in copies.items() if name == task.name and task.benchmark),
            *hub_files(task, split, folder)]


def raw_file(task: TaskDefinition, split: Split, raw: Path) -> Path:
    """The file of the split under ``raw``. Raises UserError where there is none."""
    paths = raw_files(task, split, raw)
    for path in paths:
        if path.is_file():
            return path
    if task.folder is None:  # a task of its own file
        state = "is no regular file" if paths[0].exists() else "is missing"
        raise UserError(f"{paths[0]} {state}: correct splits.{split.name} of the task file")
    if task.benchmark is None:
        raise UserError(f"{paths[0]} is missing: give {_folder_with(task)}; palbert data --split leaves it out")
    raise UserError(f"{paths[0]} is missing: give {_folder_with(task)}; `python -m preprocess.download --task "
                    f"{task.name} --out {raw}` fetches it, palbert data --split leaves it out")


def has_raw(task: TaskDefinition, raw: Path) -> bool:
    """Whether the files of all splits are under ``raw``."""
    return all(any(path.is_file() for path in raw_files(task, split, raw)) for split in task.splits if split.source)


def raw_sha256(task: TaskDefinition, raw: Path) -> str:
    """One SHA-256 of the raw files of all splits that are there."""
    paths = dict.fromkeys(path for split in task.splits if split.source for path in raw_files(task, split, raw))
    return sha256("".join(file_sha256(path) for path in paths if path.is_file()).encode()).hexdigest()


def check_raw(task: TaskDefinition, raw: Path) -> None:
    """Raises UserError where ``raw`` has no folder of a benchmark's task, or lacks a file of an own task."""
    splits = [split for split in task.splits if split.source]
    if task.folder is None:  # a task of its own file
        for split in splits:
            raw_file(task, split, raw)
    elif not any(path.parent.is_dir() for path in raw_files(task, splits[0], raw)):
        raise UserError(f"{raw} has no folder {task.folder}: give {_folder_with(task)}")


def _folder_with(task: TaskDefinition) -> str:
    if task.benchmark is None:
        return f"the folder with {task.folder} in it"
    return f"the folder of {task.benchmark}'s task folders"
