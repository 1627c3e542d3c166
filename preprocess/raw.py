"""Read and check the raw files of a GLUE task."""

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
    """A row that is not an example. ``released`` marks a fault that is known in a release of GLUE."""

    file: str
    line: int
    reason: str
    text: str
    released: bool


def raw_file(task: GlueTask, split: Split, raw: Path) -> Path:
    """The file of the split under ``raw``: ``task/file``, MRPC's MSR original, or AX's as GLUE's own script saves it.

    Raises UserError where there is none.
    """
    standard = raw / task.name / split.file
    copies = {"MRPC": raw / "MRPC" / _MSR_FILES.get(split.name, ""), "AX": raw / "diagnostic" / "diagnostic.tsv"}
    for path in (standard, copies.get(task.name)):
        if path and path.is_file():
            return path
    raise UserError(f"{standard} is missing: --raw (default $GLUE_DIR) is the folder of GLUE's task folders; "
                    f"`python -m preprocess.download --task {task.name} --out {raw}` fetches it, --split skips it")


def read_examples(task: GlueTask, split: Split, raw: Path) -> Iterator[Example | Rejected]:
    """Yields every row of the split in file order, as an example or as rejected, with the reason.

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
    """Yields rows of the split, whose values are the sentences and, for a labelled split, the label."""
    needed = task.sentences + ((task.label,) if split.labelled else ())
    if path.name == _MSR_TRAIN:
        return _msr_records(split, path, needed)
    return read_records(path, needed, _REMEDY, split.columns)


def _msr_records(split: Split, path: Path, needed: tuple[str, ...]) -> Iterator[Record]:
    """GLUE's MRPC from MSR's training file: rows whose ids are in the list of dev ids are dev, the rest train."""
    dev_ids = _msr_dev_ids(path.parent)
    for record in read_records(path, needed + _MSR_IDS, _REMEDY):
        if record.problem:
            if split.name == "train":  # its split is unknown: reported once, with train
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
