"""Write one task as fairseq binarized data."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder, data_file_path, index_file_path, make_builder

from fairseq_palbert.definitions.definition import Split, TaskDefinition
from fairseq_palbert.definitions.packaged import recorded
from fairseq_palbert.errors import UserError
from fairseq_palbert.raw.examples import Example, Rejected, read_examples, with_labels
from fairseq_palbert.raw.files import raw_file
from fairseq_palbert.tasks.group_file import group_file, group_line
from fairseq_palbert.tasks.provenance import DEFINITION, write_provenance
from fairseq_palbert.tokenization import Vocabulary
from fairseq_palbert.tokenization.special_tokens import UNKNOWN

BATCH = 10_000  # examples tokenized at a time
REJECTED_FILE = "rejected.tsv"
UNKNOWN_LIMIT = 0.05  # share of <unk> among the tokens: BERT has 0 and ALBERT at most 0.0014 in five tasks


@dataclass
class SplitReport:
    """Counts of a split's rows and tokens. ``empty`` counts the examples kept although a sentence is empty."""

    split: Split
    rows: int = 0
    empty: int = 0
    tokens: int = 0
    unknown: int = 0
    labels: Counter = field(default_factory=Counter)
    groups: set[str] = field(default_factory=set)
    rejected: list[Rejected] = field(default_factory=list)


def binarize(task: TaskDefinition, splits: Iterable[Split], raw: Path, vocabulary: Vocabulary, target: Path,
             keep_going: bool = False) -> list[SplitReport]:
    """Writes ``input0/ input1/ label/ glue.json`` into the empty folder ``target`` and reports on each split.

    A task with groups has ``group/SPLIT.jsonl`` as well, the group of every row and its candidate, if it has one.

    Raises UserError at the first row that is not an example, unless ``keep_going`` is set or a release is known to hold
    such rows (``Split.ragged``). Rows left out are listed in ``rejected.tsv``.
    """
    for name in _inputs(task):
        (target / name).mkdir()
        (target / name / "dict.txt").write_text(vocabulary.dictionary_text, encoding="utf-8")
    for name in ("label", *(["group"] if task.groups else [])):
        (target / name).mkdir()
    task = with_labels(task, raw)
    reports = [_binarize_split(task, split, raw, vocabulary, target, keep_going) for split in splits]
    if not task.regression:
        _label_dictionary(task, reports[0].labels).save(str(target / "label" / "dict.txt"))
    _write_rejected(target / REJECTED_FILE, reports)
    _write_provenance(target, task, vocabulary, reports)
    return reports


def _inputs(task: TaskDefinition) -> list[str]:
    return [f"input{index}" for index in range(len(task.sentences))]


def _label_dictionary(task: TaskDefinition, counts: Counter) -> Dictionary:
    """The labels in the order of the task table, which fixes their ids, with their counts."""
    dictionary = Dictionary()
    for label in task.labels:
        dictionary.add_symbol(label, counts[label])
    return dictionary


def _binarize_split(task: TaskDefinition, split: Split, raw: Path, vocabulary: Vocabulary, target: Path,
                    keep_going: bool) -> SplitReport:
    report = SplitReport(split)
    examples = _accepted(read_examples(task, split, raw), report, keep_going)
    with ExitStack() as stack:
        prefixes = [target / name / split.name for name in _inputs(task)]
        inputs = [stack.enter_context(_builder(prefix, len(vocabulary))) for prefix in prefixes]
        add_labels = stack.enter_context(_label_writer(task, split, target / "label")) if split.labelled else None
        groups = task.groups and stack.enter_context(open(group_file(target, split.name), "w", encoding="utf-8"))
        while batch := list(islice(examples, BATCH)):
            for sentences, builder in zip(zip(*(example.sentences for example in batch)), inputs):
                for ids in vocabulary.encode(sentences):
                    builder.add_item(torch.from_numpy(ids))
                    report.tokens += len(ids)
                    report.unknown += int(np.count_nonzero(ids == UNKNOWN))
            if add_labels:
                add_labels(example.label for example in batch)
            if groups:
                report.groups.update(example.group for example in batch)
                groups.writelines(group_line(example.group, example.candidate) for example in batch)
            report.rows += len(batch)
            report.empty += sum(not all(map(str.strip, example.sentences)) for example in batch)
            report.labels.update(example.label for example in batch)
    if not report.rows and split.fraction is not None:
        raise UserError(f"{raw_file(task, split, raw)} has too few rows for splits.{split.name} = {split.fraction:g}: "
                        "give more rows a label, a larger part, or a file")
    if not report.rows:
        raise UserError(f"{raw_file(task, split, raw)} has no usable row ({len(report.rejected)} rejected): "
                        "give the whole file; palbert data --split leaves this split out")
    if report.unknown > UNKNOWN_LIMIT * report.tokens:
        raise UserError(f"{raw_file(task, split, raw)}: {report.unknown} of {report.tokens} tokens would be <unk>: "
                        "give a vocabulary that is whole, and of the language of the text")
    return report


def _accepted(rows: Iterable[Example | Rejected], report: SplitReport, keep_going: bool) -> Iterator[Example]:
    for row in rows:
        if isinstance(row, Example):
            yield row
        elif keep_going or row.released:
            report.rejected.append(row)
        else:
            raise UserError(f"{row.file}, line {row.line}: {row.reason}. Correct it; palbert data --keep-going leaves "
                            f"out such rows, and lists them in {REJECTED_FILE}")


@contextmanager
def _builder(prefix: Path, entries: int) -> Iterator[MMapIndexedDatasetBuilder]:
    builder = make_builder(data_file_path(str(prefix)), "mmap", vocab_size=entries)
    yield builder
    builder.finalize(index_file_path(str(prefix)))


@contextmanager
def _label_writer(task: TaskDefinition, split: Split, folder: Path) -> Iterator[Callable[[Iterable[str]], None]]:
    """Yields a function that adds labels to ``split.bin`` as [id, </s>], for regression to ``split.label`` as lines."""
    if task.regression:
        with open(folder / f"{split.name}.label", "w", encoding="utf-8") as file:
            yield lambda labels: file.writelines(f"{task.score_in(label)}\n" for label in labels)
        return
    dictionary = _label_dictionary(task, Counter())
    items = {label: torch.tensor([dictionary.index(label), dictionary.eos()]) for label in task.labels}
    with _builder(folder / split.name, len(dictionary)) as builder:
        def add(labels: Iterable[str]) -> None:
            for label in labels:
                builder.add_item(items[label])
        yield add


def _write_rejected(path: Path, reports: list[SplitReport]) -> None:
    """Writes a line per row left out: split, file, line, reason and the row with its tabs; no file for no rows."""
    if not any(report.rejected for report in reports):
        return
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write("split\tfile\tline\treason\trow\n")
        for report in reports:
            for row in report.rejected:
                file.write(f"{report.split.name}\t{row.file}\t{row.line}\t{row.reason}\t{row.text}\n")


def _write_provenance(folder: Path, task: TaskDefinition, vocabulary: Vocabulary, reports: list[SplitReport]) -> None:
    write_provenance(folder, {
        "task": task.name,
        "labels": list(task.labels),
        "score_range": list(task.score_range) if task.regression else None,
        "tokenizer": vocabulary.record,
        "detokenized": bool(vocabulary.detokenized),
        **({DEFINITION: definition} if (definition := recorded(task)) else {}),
        "splits": {
            report.split.name: {
                "rows": report.rows, "official_rows": report.split.rows, "rejected": len(report.rejected),
                "tokens": report.tokens, "unknown": report.unknown,
            } for report in reports
        },
    })
