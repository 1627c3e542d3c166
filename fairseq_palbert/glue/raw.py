"""Read and check the raw files of a GLUE task."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..tsv import Record, read_records, read_rows
from .definitions import GlueTask, Split

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


def raw_files(task: GlueTask, split: Split, raw: Path) -> list[Path]:
    """Where the split may lie under ``raw``: ``task/file``, MRPC's MSR original, or AX's as GLUE's own script saves it.
    """
    copies = {"MRPC": Path("MRPC", _MSR_FILES.get(split.name, "")), "AX": Path("diagnostic", "diagnostic.tsv")}
    return [raw / task.name / split.file, *(raw / path for name, path in copies.items() if name == task.name)]


def raw_file(task: GlueTask, split: Split, raw: Path) -> Path:
    """The file of the split under ``raw``. Raises UserError where there is none."""
    paths = raw_files(task, split, raw)
    for path in paths:
        if path.is_file():
            return path
    raise UserError(f"{paths[0]} is missing: --raw (default $GLUE_DIR) is the folder of GLUE's task folders; "
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
        return _msr_records(task, split, path, needed)
    return read_records(path, needed, _REMEDY, split.columns)


def _msr_records(task: GlueTask, split: Split, path: Path, needed: tuple[str, ...]) -> Iterator[Record]:
    """GLUE's MRPC from MSR's training file: rows whose ids are in the list of dev ids are dev, the rest train.

    Raises UserError for a list that is empty, names a row that the file lacks, or does not name all of GLUE's dev.
    """
    listed = _msr_dev_ids(path.parent)
    remedy = f"`python -m preprocess.download --task {task.name} --out {path.parent.parent}` fetches GLUE's own"
    dev_ids = set(read_rows(listed, _MSR_IDS, remedy, columns=_MSR_IDS))
    records = list(read_records(path, needed + _MSR_IDS, _REMEDY))
    lacking = dev_ids - {record.values[-2:] for record in records}
    if not dev_ids:
        raise UserError(f"{listed} is empty: {remedy}")
    if len(lacking) > sum(bool(record.problem) for record in records):
        raise UserError(f"{listed}: {path.name} has no row of the ids {' and '.join(min(lacking))}: {remedy}")
    train, dev = (task.split(name).rows for name in ("train", "valid"))
    if len(records) == train + dev and len(dev_ids) != dev:
        raise UserError(f"{listed} names {len(dev_ids)} rows, and GLUE's dev has {dev}: {remedy}")
    for record in records:
        # the split of a row with a problem is unknown: it is reported once, with train
        if (split.name == "valid") == (not record.problem and record.values[-2:] in dev_ids):
            yield record


def _msr_dev_ids(folder: Path) -> Path:
    for name in _MSR_DEV_IDS:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder / _MSR_DEV_IDS[0]} is missing: it tells MRPC's dev from its train; "
                    f"`python -m preprocess.download --task MRPC --out {folder.parent}` fetches it")


def _label_problem(task: GlueTask, label: str) -> str | None:
    fault = task.fault(label)
    return fault and f"{'score' if task.regression else 'label'} {fault}"
