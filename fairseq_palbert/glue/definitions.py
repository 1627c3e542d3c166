"""The GLUE tasks: columns, labels, metric, splits and official sizes.

Source: GLUE (arXiv 1804.07461) and the released files. Split names are fairseq's (train, valid, valid1, test, test1).
"""

from dataclasses import dataclass

from ..errors import UserError
from ..numbers_from_text import finite_float

CALIBRATION = "calibration"  # the part of train that thresholds are chosen on; see tasks.glue_task


@dataclass(frozen=True)
class Split:
    """One file of a task.

    ``rows`` is GLUE's own count. ``columns`` names the fields of a file that has no header line. ``ragged`` marks a
    file of which a release holds rows of other widths, which are not examples.
    """

    name: str
    file: str
    rows: int
    columns: tuple[str, ...] = ()
    labelled: bool = True
    ragged: bool = False


@dataclass(frozen=True)
class GlueTask:
    """A task: its columns, labels, metric and splits.

    ``sentences`` and ``label`` are column names. ``labels`` fixes the label ids, 0 first; it is empty for regression,
    whose scores lie in ``score_range``. ``metric`` names GLUE's official metric of the task in ``glue.metrics``.
    """

    name: str
    sentences: tuple[str, ...]
    label: str
    metric: str
    splits: tuple[Split, ...]
    labels: tuple[str, ...] = ("0", "1")
    score_range: tuple[float, float] | None = None

    @property
    def regression(self) -> bool:
        return self.score_range is not None

    @property
    def outputs(self) -> int:
        """Width of the classifier: classes, or 1 for regression."""
        return len(self.labels) or 1

    def split(self, name: str) -> Split:
        for split in self.splits:
            if split.name == name:
                return split
        raise UserError(f"{self.name} has no split {name!r}: choose from {', '.join(s.name for s in self.splits)}")

    def fault(self, answer: str) -> str | None:
        """Why ``answer`` is not a label or score of the task; None where it is one."""
        if not self.regression:
            return None if answer in self.labels else f"{answer!r} is none of {', '.join(self.labels)}"
        try:
            self.score(answer)
        except ValueError as error:
            return str(error)
        return None

    def score(self, answer: str) -> float:
        """The score in ``answer``. Raises ValueError, whose message is a phrase, where it is none of the task."""
        return finite_float(answer, *self.score_range)

    @property
    def valid_splits(self) -> tuple[str, ...]:
        """The validation splits; checkpoints are selected on the first."""
        return tuple(split.name for split in self.splits if split.name.startswith("valid"))


def _splits(train: int, dev: int, test: int) -> tuple[Split, ...]:
    return (Split("train", "train.tsv", train), Split("valid", "dev.tsv", dev),
            Split("test", "test.tsv", test, labelled=False))


_COLA_COLUMNS = ("source", "label", "note", "sentence")
_PAIR = ("sentence1", "sentence2")
_ENTAILMENT = ("entailment", "not_entailment")
_NLI = ("entailment", "neutral", "contradiction")

TASKS = {
    task.name: task
    for task in (
        GlueTask("CoLA", ("sentence",), "label", "matthews", (
            Split("train", "train.tsv", 8551, _COLA_COLUMNS),
            Split("valid", "dev.tsv", 1043, _COLA_COLUMNS),
            Split("test", "test.tsv", 1063, labelled=False),
        )),
        GlueTask("SST-2", ("sentence",), "label", "accuracy", _splits(67349, 872, 1821)),
        GlueTask("MRPC", ("#1 String", "#2 String"), "Quality", "accuracy_f1", _splits(3668, 408, 1725)),
        GlueTask("STS-B", _PAIR, "score", "pearson_spearman", _splits(5749, 1500, 1379), labels=(),
                 score_range=(0.0, 5.0)),
        GlueTask("QQP", ("question1", "question2"), "is_duplicate", "accuracy_f1", (
            Split("train", "train.tsv", 363846, ragged=True),
            Split("valid", "dev.tsv", 40430, ragged=True),
            Split("test", "test.tsv", 390965, labelled=False),
        )),
        GlueTask("MNLI", _PAIR, "gold_label", "accuracy", (
            Split("train", "train.tsv", 392702),
            Split("valid", "dev_matched.tsv", 9815),
            Split("valid1", "dev_mismatched.tsv", 9832),
            Split("test", "test_matched.tsv", 9796, labelled=False),
            Split("test1", "test_mismatched.tsv", 9847, labelled=False),
        ), labels=_NLI),
        GlueTask("QNLI", ("question", "sentence"), "label", "accuracy", _splits(104743, 5463, 5463),
                 labels=_ENTAILMENT),
        GlueTask("RTE", _PAIR, "label", "accuracy", _splits(2490, 277, 3000), labels=_ENTAILMENT),
        GlueTask("WNLI", _PAIR, "label", "accuracy", _splits(635, 71, 146)),
        GlueTask("AX", _PAIR, "label", "matthews", (Split("test", "AX.tsv", 1104, labelled=False),), labels=_NLI),
        # not part of GLUE: the generated task of the quickstart (preprocess/cues.py)
        GlueTask("Cues", ("sentence",), "label", "accuracy", _splits(48000, 1200, 600)),
    )
}


def glue_task(name: str) -> GlueTask:
    """The task of that name. Raises UserError where there is none."""
    if name not in TASKS:
        raise UserError(f"unknown GLUE task {name!r}: choose from {', '.join(TASKS)}")
    return TASKS[name]


def label_order(trained_with: dict) -> tuple[str, ...]:
    """The labels in the order of their class ids, from a checkpoint's task configuration ``trained_with``."""
    order = trained_with.get("label_order")
    return tuple(order.split(",")) if order else TASKS[trained_with["glue_task"]].labels
