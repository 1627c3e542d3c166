"""Read and check the raw files of a task."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from ..definitions.content import LONGEST_LABEL, MOST_LABELS, RESERVED, content_of, definition_of
from ..definitions.definition import Split, TaskDefinition
from ..definitions.fault import Fault
from ..errors import UserError
from ..tsv import Record, read_records, read_rows
from .files import MSR_TRAIN, raw_file
from .hub import hub_files, hub_records
from .parts import fractional, parts
from .tables import read_table

_MSR_DEV_IDS = ("mrpc_dev_ids.tsv", "dev_ids.tsv")
_MSR_IDS = ("#1 ID", "#2 ID")
_GLUES_REMEDY = "give GLUE's own file, header included"
_REMEDY = "correct the file, or the task file that names it"


@dataclass(frozen=True)
class Example:
    """One sentence or pair with its label, None in a test split.

    ``group`` and ``candidate`` are those of ``definition.Groups``, where the task has groups.
    """

    sentences: tuple[str, ...]
    label: str | None
    group: str | None = None
    candidate: str | None = None


@dataclass(frozen=True)
class Rejected:
    """A row that is not an example. ``released`` marks a fault that is known in a release of GLUE."""

    file: str
    line: int
    reason: str
    text: str
    released: bool


def with_labels(task: TaskDefinition, raw: Path) -> TaskDefinition:
    """The task with the labels of train, where its definition leaves them to that: in order of number or alphabet.

    Raises UserError for fewer than two labels, for too many, and for labels that the definition's metrics or groups do
    not fit.
    """
    if task.labels is not None:
        return task
    train = task.split("train")
    path, found, rejected = raw_file(task, train, raw), set(), None
    for row in _rows_of_file(task, train, raw):
        if isinstance(row, Example):
            found.add(row.label)
        else:
            rejected = rejected or row
    if rejected and len(found) < 2:
        raise UserError(f"{path}, line {rejected.line}: {rejected.reason}: {_REMEDY}")
    if not found:
        raise UserError(f"{path} has no row: {_REMEDY}")
    if not 2 <= len(found) <= MOST_LABELS:
        what = f"only the label {min(found)!r}" if len(found) == 1 else f"{len(found):,} different labels"
        raise UserError(f"{path}: column {task.label!r} has {what}, and a classification has 2 to {MOST_LABELS:,}: "
                        "check label in the task file, or give score_range for a regression")
    labelled = replace(task, labels=_in_order(found))
    try:
        return definition_of(content_of(labelled))
    except Fault as fault:
        raise UserError(f"{path} has the labels {labelled.answers_in_words}: {fault}: {_REMEDY}") from fault


def _in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """In order of number where all labels are whole numbers, with 7 before 07, and of the alphabet elsewhere."""
    if all(label.isascii() and label.removeprefix("-").isdigit() for label in labels):
        return tuple(sorted(labels, key=lambda label: (Decimal(label), len(label), label)))
    return tuple(sorted(labels))


def read_examples(task: TaskDefinition, split: Split, raw: Path) -> Iterator[Example | Rejected]:
    """Yields every row of the split in file order, as an example or as rejected, with the reason.

    Where the split is a part of train, or train lacks such parts, examples of train's file that are not its own are
    left out. Rejected rows of that file come with each part: nobody knows whose they are. Raises UserError where the
    file as a whole cannot be used.
    """
    if split.fraction is None and not (split.name == "train" and fractional(task)):
        yield from _rows_of_file(task, split, raw)
        return
    train = task.split("train")
    examples = [row for row in _rows_of_file(task, train, raw) if isinstance(row, Example)]
    split_of = iter(parts(task, [row.label for row in examples], [row.group for row in examples if task.groups]))
    for row in _rows_of_file(task, train, raw):
        if isinstance(row, Rejected) or next(split_of) == split.name:
            yield row


def _rows_of_file(task: TaskDefinition, split: Split, raw: Path) -> Iterator[Example | Rejected]:
    path = raw_file(task, split, raw)
    count = len(task.sentences)
    for record in _records(task, split, path):
        values = iter(record.values)
        sentences = tuple(value for _, value in zip(range(count), values))
        label = next(values) if split.labelled and not record.problem else None
        group_and_candidate = tuple(values)
        problem = (record.problem or (_label_problem(task, label) if split.labelled else None)
                   or _group_problem(*group_and_candidate))
        if problem:
            yield Rejected(str(path), record.line, problem, record.text, split.ragged and record.width_differs)
        else:
            yield Example(sentences, label, *group_and_candidate)


def _records(task: TaskDefinition, split: Split, path: Path) -> Iterator[Record]:
    """Yields rows of the split: sentences, the label of a labelled split, and group and candidate where there are."""
    if path.name == MSR_TRAIN:
        return _msr_records(task, split, path, task.columns_of(split))
    remedy = _GLUES_REMEDY if task.benchmark == "GLUE" else _REMEDY
    if path in hub_files(task, split, path.parent):
        return hub_records(task, split, path, remedy)
    return read_table(path, split.source, task.columns_of(split), remedy)


def _msr_records(task: TaskDefinition, split: Split, path: Path, needed: tuple[str, ...]) -> Iterator[Record]:
    """GLUE's MRPC from MSR's training file: rows whose ids are in the list of dev ids are dev, the rest train.

    Raises UserError for a list that is empty, names a row that the file lacks, or does not name all of GLUE's dev.
    """
    listed = _msr_dev_ids(path.parent)
    remedy = f"`python -m preprocess.download --task {task.name} --out {path.parent.parent}` fetches GLUE's own"
    dev_ids = set(read_rows(listed, _MSR_IDS, remedy, columns=_MSR_IDS))
    records = list(read_records(path, needed + _MSR_IDS, _GLUES_REMEDY))
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
            yield replace(record, values=record.values[:-2])


def _msr_dev_ids(folder: Path) -> Path:
    for name in _MSR_DEV_IDS:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder / _MSR_DEV_IDS[0]} is missing: it tells MRPC's dev from its train; "
                    f"`python -m preprocess.download --task MRPC --out {folder.parent}` fetches it")


def _label_problem(task: TaskDefinition, label: str) -> str | None:
    if task.regression:
        fault = task.fault(label)
        return fault and f"score {fault}"
    if task.labels is None:
        return _no_label_because(label)
    fault = task.fault(label)
    return fault and (_no_label_because(label) or f"label {fault}")


def _group_problem(group: str | None = None, candidate: str | None = None) -> str | None:
    return "the group is empty" if group is not None and not group.strip() else None


def _no_label_because(label: str) -> str | None:
    """Why the text is a label of no task; None where it can be one."""
    if not label.strip():
        return "the label is empty"
    if label in RESERVED or label.startswith("madeupword"):
        return f"the label {label!r} is one that fairseq keeps for itself"
    if label != label.strip() or not label.isprintable() or len(label) > LONGEST_LABEL:
        return f"the label {label!r:.120} has blanks around it, or more than {LONGEST_LABEL} or unprintable characters"
    return None
