"""Read GLUE's files of the Hugging Face Hub: JSON lines or Parquet, labels as class ids."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..definitions.definition import Source, Split, TaskDefinition
from ..numbers_from_text import integer
from ..tsv import Record
from .tables import read_table

INDEX = "idx"
ENDINGS = (".jsonl", ".jsonl.gz", ".parquet", "-00000-of-00001.parquet", ".parquet.gz")
NAMES = {"dev": "validation", "AX": "test"}  # where they are other than GLUE's own


def hub_files(task: TaskDefinition, split: Split, folder: Path) -> list[Path]:
    """Where the split's file may lie in the task's folder, such as validation_matched.jsonl; empty for an own task."""
    if task.hub is None:
        return []
    name = "_".join(NAMES.get(word, word) for word in Path(task.source_of(split).file).stem.split("_"))
    return [folder / f"{name}{ending}" for ending in ENDINGS]


def hub_records(task: TaskDefinition, split: Split, path: Path, remedy: str) -> Iterator[Record]:
    """Yields rows as GLUE's own file has them: the sentences, and the label of a labelled split.

    The label is a class id, the place of a label in the definition, or the label itself. Rows should be in the order
    of ``idx``, which is GLUE's: one that is not has a problem.
    """
    needed = (*task.hub.sentences, *([task.hub.label] if split.labelled else []), INDEX)
    labels = {str(place): label for place, label in enumerate(task.labels)} | {label: label for label in task.labels}
    last = -1
    for record in read_table(path, Source(path.name), needed, remedy):
        if record.problem:
            yield record
            continue
        *values, index = record.values
        try:
            last = integer(index, low=last + 1)
        except ValueError as error:
            yield replace(record, values=(), problem=f"{INDEX}: {error}")
            continue
        if split.labelled:
            values[-1] = labels.get(values[-1], values[-1])
        yield replace(record, values=tuple(values))
