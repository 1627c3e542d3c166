"""Raw files of a GLUE task, wherever the usual copies have them, as checked examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairseq_palbert.errors import UserError
from fairseq_palbert.glue.definitions import GlueTask, Split
from fairseq_palbert.tsv import Record, read_records, read_rows

_MSR_TRAIN = "msr_paraphrase_train.txt"
_MSR_FILES = {"train": _MSR_TRAIN, "valid": _MSR_TRAIN, "test": "msr_paraphrase_test.txt"}
_MSR_DEV_IDS = ("mrpc_dev_ids.tsv", "dev_ids.tsv")
_MSR_IDS = ("#1 ID", "#2 ID")
_REMEDY = "give GLUE's own file, header included"


@dataclass(frozen=True)
class Example:
    """One sentence or pair with its label, None in a test split."""

    sentences: tuple[str, ...]
    label: str | None


@dataclass(frozen=True)
class Rejected:
    """A row that is no example. ``released`` marks those that a release of GLUE is known to hold."""

    file: str
    line: int
    reason: str
    text: str
    released: bool


def raw_file(task: GlueTask, split: Split, raw: Path) -> Path:
    """The file of that split under ``raw``: ``task/file``, MRPC's MSR original or AX as GLUE's own script saves it.

    Raises UserError where there is none.
    """
    usual = raw / task.name / split.file
    copies = {"MRPC": raw / "MRPC" / _MSR_FILES.get(split.name, ""), "AX": raw / "diagnostic" / "diagnostic.tsv"}
    for path in (usual, copies.get(task.name)):
        if path and path.is_file():
            return path
    raise UserError(f"{usual} is missing: --raw (default $GLUE_DIR) is the folder of GLUE's task folders; "
                    f"`python -m preprocess.download --task {task.name} --out {raw}` fetches it, --split does without")


def read_examples(task: GlueTask, split: Split, raw: Path) -> Iterator[Example | Rejected]:
    """Every row of the split in file order, as an example or with the reason why it is none.

    Raises UserError where the file as a whole cannot be used.
    """
    path = raw_file(task, split, raw)
    count = len(task.sentences)
    for record in _records(task, split, path):
        label = record.values[count] if split.labelled and not record.problem else None
        problem = record.problem or (_label_problem(task, label) if split.labelled else None)
        if problem:
            yield Rejected(str(path), record.line, problem, record.text, split.ragged and record.width_differs)
        else:
            yield Example(record.values[:count], label)


def _records(task: GlueTask, split: Split, path: Path) -> Iterator[Record]:
    """Rows of the split; their values are the sentences, then the label where the split has one."""
    needed = task.sentences + ((task.label,) if split.labelled else ())
    if path.name == _MSR_TRAIN:
        return _msr_records(split, path, needed)
    return read_records(path, needed, _REMEDY, split.columns)


def _msr_records(split: Split, path: Path, needed: tuple[str, ...]) -> Iterator[Record]:
    """GLUE's MRPC: the rows of MSR's training file whose ids are in the list of dev ids are dev, the rest train."""
    dev_ids = _msr_dev_ids(path.parent)
    for record in read_records(path, needed + _MSR_IDS, _REMEDY):
        if record.problem:
            if split.name == "train":  # of unknown split: named once
                yield record
        elif (record.values[-2:] in dev_ids) == (split.name == "valid"):
            yield record


def _msr_dev_ids(folder: Path) -> set[tuple[str, ...]]:
    for name in _MSR_DEV_IDS:
        if (folder / name).is_file():
            return set(read_rows(folder / name, _MSR_IDS, _REMEDY, columns=_MSR_IDS))
    raise UserError(f"{folder / _MSR_DEV_IDS[0]} is missing: it tells MRPC's dev from its train; "
                    f"`python -m preprocess.download --task MRPC --out {folder.parent}` fetches it")


def _label_problem(task: GlueTask, label: str) -> str | None:
    fault = task.fault(label)
    return fault and f"{'score' if task.regression else 'label'} {fault}"
