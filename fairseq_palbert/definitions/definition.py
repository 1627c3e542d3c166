"""What a task is: columns, labels, metrics and splits.

A definition is data: the package's own and a user's are TOML files (``task_file``), and what binarized folders,
checkpoints, records and exported models carry is the same content as JSON.
"""

from dataclasses import dataclass

from ..errors import UserError
from ..numbers_from_text import finite_float

# Parts of train that no layer is trained on; see tasks.sentence_task. Thresholds are chosen on CALIBRATION.
HOLDOUT, GATE, CALIBRATION = PARTS_OF_TRAIN = "holdout", "gate", "calibration"
CALIBRATION_FRACTION = 0.25  # of the holdout
NAMED_LABELS = 10  # labels that a message names
Column = str | int


@dataclass(frozen=True)
class Source:
    """A raw file and how it is read.

    ``format``: None follows the file's ending. ``columns`` names the fields of a file that has no header line; empty,
    its first line does. ``delimiter``: of CSV. ``pattern``: a regular expression that each line of the format
    ``lines`` matches as a whole, and whose named groups are the columns. ``layout``: the function of
    ``raw.layouts`` that turns an object of the file into rows, None where an object is a row.
    """

    file: str
    format: str | None = None
    encoding: str = "utf-8"
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    pattern: str | None = None
    layout: str | None = None


@dataclass(frozen=True)
class Split:
    """One split of a task: a file, or a ``fraction`` of train that a seeded shuffle takes out.

    ``rows`` and ``groups`` are the official counts, None where there is none. ``ragged`` marks a file of which a
    release holds rows of other widths, which are not examples.
    """

    name: str
    source: Source | None = None
    fraction: float | None = None
    rows: int | None = None
    groups: int | None = None
    labelled: bool = True
    ragged: bool = False


@dataclass(frozen=True)
class Groups:
    """Rows that are scored together: those with the same content of ``column``.

    ``answer``: ``best``, the group is answered by its row of the largest probability of the positive label, or ``all``,
    by the answers to all its rows. ``candidate`` is the column with what a row stands for, such as the entity that it
    proposes.
    """

    column: Column
    answer: str
    candidate: Column | None = None


@dataclass(frozen=True)
class Hub:
    """The columns of the task's files on the Hugging Face Hub; see ``raw.hub``."""

    sentences: tuple[str, ...]
    label: str


@dataclass(frozen=True)
class TaskDefinition:
    """A task: its columns, labels, metrics and splits.

    ``sentences`` and ``label`` are columns: names, dotted for nested JSON, or numbers from 1 for a file without header.
    ``labels`` are in the order of the class ids; they are empty for a regression, whose scores lie in ``score_range``,
    and ``None`` as long as they are still to be collected from train. ``metrics`` are names of ``definitions.metrics``.
    ``score`` says which number is the task's score, by which checkpoints are selected: the ``first`` metric, or the
    ``mean`` of all. ``positive`` is the label of F1 and of groups. ``benchmark`` is the name of the benchmark that the
    package has the task of, and ``folder`` that of the task's folder there; ``hub`` describes its other form. A task
    without training data is answered by the model of the task ``model_of``.
    """

    name: str
    sentences: tuple[Column, ...]
    label: Column
    metrics: tuple[str, ...]
    splits: tuple[Split, ...]
    labels: tuple[str, ...] | None = ()
    score_range: tuple[float, float] | None = None
    score: str = "first"
    positive: str | None = None
    groups: Groups | None = None
    benchmark: str | None = None
    model_of: str | None = None
    folder: str | None = None
    hub: Hub | None = None

    @property
    def regression(self) -> bool:
        return self.score_range is not None

    @property
    def scores_texts(self) -> bool:
        """Whether the text of the candidate that answers a group is scored."""
        return (self.groups is not None and self.groups.answer == "best"
                and not {"exact_match", "token_f1"}.isdisjoint(self.metrics))

    @property
    def sentence_names(self) -> tuple[str, ...]:
        """The names of the columns that serving reads; numbered ones are sentence1 and sentence2."""
        return tuple(f"sentence{place}" if isinstance(column, int) else column
                     for place, column in enumerate(self.sentences, 1))

    @property
    def outputs(self) -> int:
        """Width of the classifier: classes, or 1 for regression."""
        return len(self.labels) or 1

    def split(self, name: str) -> Split:
        for split in self.splits:
            if split.name == name:
                return split
        raise UserError(f"{self.name} has no split {name!r}: choose from {', '.join(s.name for s in self.splits)}")

    def columns_of(self, split: Split) -> tuple[Column, ...]:
        """The columns that are read of the split: sentences, a label, and those of the groups."""
        groups = (self.groups.column, self.groups.candidate) if self.groups else ()
        return (*self.sentences, *([self.label] if split.labelled else []),
                *(column for column in groups if column is not None))

    def source_of(self, split: Split) -> Source:
        """The file that the split is in: that of train, where it is a part of it."""
        return split.source or self.split("train").source

    def fault(self, answer: str) -> str | None:
        """Why ``answer`` is not a label or score of the task; None where it is one."""
        if not self.regression:
            return None if answer in self.labels else f"{answer!r:.100} is none of {_listed(self.labels)}"
        try:
            self.score_in(answer)
        except ValueError as error:
            return str(error)
        return None

    def score_in(self, answer: str) -> float:
        """The score in ``answer``. Raises ValueError, whose message is a phrase, where it is none of the task."""
        return finite_float(answer, *self.score_range)

    @property
    def valid_splits(self) -> tuple[str, ...]:
        """The validation splits; checkpoints are selected on the first."""
        return tuple(split.name for split in self.splits if split.name.startswith("valid"))

    @property
    def answers_in_words(self) -> str:
        """The labels, or the range of the scores, for a message."""
        if self.regression:
            return "scores from {:g} to {:g}".format(*self.score_range)
        return _listed(self.labels)


def _listed(labels: tuple[str, ...]) -> str:
    more = f" and {len(labels) - NAMED_LABELS} more" if len(labels) > NAMED_LABELS else ""
    return ", ".join(labels[:NAMED_LABELS]) + more


def held_out(count: int, fraction: float) -> tuple[int, int]:
    """How many of ``count`` rows of train, or groups, are of ``gate`` and of ``calibration``, a ``fraction`` in all."""
    whole = round(fraction * count)
    calibration = round(CALIBRATION_FRACTION * whole)
    return whole - calibration, calibration
