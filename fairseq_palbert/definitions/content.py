"""Turn a definition's plain content, of TOML or JSON, into a task, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..schema import BOOLEAN, OBJECT, Kind, check_fields, choice, integer, list_of, number, text
from .definition import Groups, Source, Split, TaskDefinition

FROM_TRAIN = "from train"
MOST_LABELS, LONGEST_LABEL = 1000, 100
FORMATS = ("tsv", "csv", "jsonl", "json", "parquet", "lines")
ENDINGS = {ending: name for name in FORMATS[:-1] for ending in (f".{name}", f".{name}.gz")}
SPLITS = ("train", *(f"{kind}{number or ''}" for kind in ("valid", "test") for number in range(10)))
CLASSIFICATION = ("accuracy", "f1", "macro_f1", "micro_f1", "matthews", "top5_accuracy")
REGRESSION = ("pearson", "spearman", "mse", "mae")
OF_GROUPS = {"best": ("accuracy", "exact_match", "token_f1"), "all": ("accuracy", "f1", "exact_match", "parity")}
RESERVED = ("<s>", "<pad>", "</s>", "<unk>")  # of fairseq's dictionaries, which labels are kept in

NAME = Kind("a name of at most 100 letters, digits, - and _", lambda value: text(100).accepts(value)
            and value.isascii() and bool(value) and value.replace("-", "").replace("_", "").isalnum())
COLUMN = Kind("a column's name, or its number from 1", lambda value: type(value) is int and 1 <= value <= 10_000
              or text(200).accepts(value) and value != "")
LABEL = Kind("a label: a text, a whole number, true or false", lambda value: isinstance(value, bool | int)
             or text(LONGEST_LABEL).accepts(value) and value == value.strip() != "")
SOURCE_KINDS = {
    "file": text(), "format": choice(*FORMATS), "encoding": text(40), "columns": list_of(text(200), 1, 10_000),
    "delimiter": Kind("a single character", lambda value: isinstance(value, str) and len(value) == 1),
    "pattern": text(), "layout": NAME,
}
DEFAULT_KINDS = {name: kind for name, kind in SOURCE_KINDS.items() if name != "file"}  # for all splits of a task
SPLIT_KINDS = SOURCE_KINDS | {"rows": integer(1, 10**8), "labelled": BOOLEAN, "ragged": BOOLEAN}
KINDS = {
    "name": NAME, "sentences": list_of(COLUMN, 1, 2), "label": COLUMN,
    "labels": Kind(f'"{FROM_TRAIN}", or a list of 2 to {MOST_LABELS} labels', lambda value: value == FROM_TRAIN
                   or list_of(LABEL, 2, MOST_LABELS).accepts(value)),
    "score_range": list_of(number(-1e9, 1e9), 2, 2), "metric": text(), "score": choice("first", "mean"),
    "positive": LABEL, "splits": OBJECT, "groups": OBJECT, "benchmark": NAME, "folder": NAME,
} | DEFAULT_KINDS
REQUIRED = ("name", "sentences", "label", "metric", "splits")
GROUP_KINDS = {"column": COLUMN, "answer": choice(*OF_GROUPS), "candidate": COLUMN}


class Fault(ValueError):
    """What is wrong with a definition, as a phrase that names the ``key``."""

    def __init__(self, key: str, message: str):
        super().__init__(message)
        self.key = key


def definition_of(content: Mapping[str, Any]) -> TaskDefinition:
    """The task that ``content`` defines. Raises Fault at the first mistake."""
    _check(content, KINDS, REQUIRED)
    groups = content.get("groups")
    if groups is not None:
        _check(groups, GROUP_KINDS, ("column", "answer"), "groups")
        groups = Groups(**groups)
    defaults = {name: content[name] for name in DEFAULT_KINDS if name in content}
    labels = content.get("labels", FROM_TRAIN if "score_range" not in content else [])
    task = TaskDefinition(
        name=content["name"], sentences=tuple(content["sentences"]), label=content["label"],
        metrics=tuple(name.strip() for name in content["metric"].split(",")),
        splits=tuple(_split(name, split, defaults) for name, split in content["splits"].items()),
        labels=None if labels == FROM_TRAIN else tuple(map(spelt, labels)),
        score_range=tuple(map(float, content["score_range"])) if "score_range" in content else None,
        score=content.get("score", "first"), positive=_optional(spelt, content.get("positive")), groups=groups,
        benchmark=content.get("benchmark"), folder=content.get("folder"))
    for check in (_check_answers, _check_metrics, _check_splits):
        check(task)
    return task


def content_of(task: TaskDefinition) -> dict[str, Any]:
    """The plain content that ``definition_of`` turns into this task."""
    splits = {split.name: split.fraction if split.fraction is not None else _given(asdict(split.source)) | _given(
        {"rows": split.rows, "labelled": None if split.labelled else False, "ragged": split.ragged or None})
        for split in task.splits}
    return _given({
        "name": task.name, "sentences": list(task.sentences), "label": task.label, "metric": ", ".join(task.metrics),
        "score": task.score, "labels": FROM_TRAIN if task.labels is None else list(task.labels) or None,
        "score_range": _optional(list, task.score_range), "positive": task.positive,
        "groups": _optional(lambda groups: _given(asdict(groups)), task.groups), "benchmark": task.benchmark,
        "folder": task.folder, "splits": splits})


def spelt(label: str | int | bool) -> str:
    """A label as text: true, false and whole numbers as JSON spells them."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
            if value is not None and value != ()}


def _optional(function, value):
    return None if value is None else function(value)


def _check(content: Any, kinds: Mapping[str, Kind], required: tuple[str, ...], prefix: str = "") -> None:
    """Raises Fault for content that is no object of these fields: wrong type, unknown name, missing field."""
    place = f"{prefix}." if prefix else ""
    if not isinstance(content, Mapping):
        raise Fault(prefix, f"{prefix or 'the content'} should be a table of {', '.join(kinds)}")
    for name in content:
        if name not in kinds:
            raise Fault(place + name, f"{place}{name} is not known: choose from {', '.join(kinds)}")
        try:
            check_fields({name: content[name]}, {name: kinds[name]}, place)
        except ValueError as error:
            raise Fault(place + name, str(error)) from error
    for name in required:
        if name not in content:
            raise Fault(place + name, f"{place}{name} is missing: it should be {kinds[name].description}")


def _split(name: str, content: Any, defaults: Mapping[str, Any]) -> Split:
    key = f"splits.{name}"
    if name not in SPLITS:
        raise Fault(key, f"{key}: a split is named train, valid, valid1 to valid9, test, or test1 to test9")
    if isinstance(content, int | float) and not isinstance(content, bool):
        if not 0 < content < 1 or name == "train":
            raise Fault(key, f"{key} is {content}: give a file, or for valid and test a part of train above 0 and "
                             "below 1")
        return Split(name, fraction=float(content), labelled=True)
    if isinstance(content, str):
        content = {"file": content}
    _check(content, SPLIT_KINDS, ("file",), key)
    source = Source(**{field: tuple(value) if isinstance(value, list) else value
                       for field, value in (defaults | dict(content)).items() if field in SOURCE_KINDS})
    if source.format is None and not any(source.file.lower().endswith(ending) for ending in ENDINGS):
        raise Fault(key, f"{key}: {source.file} has none of the endings {', '.join(ENDINGS)}: add format = "
                         f'"{FORMATS[0]}" or another of {", ".join(FORMATS)}')
    if (source.pattern is None) == (source.format == "lines"):
        raise Fault(key, f'{key}: format = "lines" and pattern go together')
    return Split(name, source, rows=content.get("rows"), labelled=content.get("labelled", True),
                 ragged=content.get("ragged", False))


def _check_answers(task: TaskDefinition) -> None:
    if task.regression:
        if task.labels:
            raise Fault("labels", "labels and score_range: a classification has labels, a regression a score_range")
        if not task.score_range[0] < task.score_range[1]:
            raise Fault("score_range", "score_range: the first number should be below the second")
        return
    if task.labels is None:
        if not any(split.name == "train" for split in task.splits):
            raise Fault("labels", f'labels = "{FROM_TRAIN}", and there is no splits.train')
        return
    for label in task.labels:
        if task.labels.count(label) > 1:
            raise Fault("labels", f"labels has {label!r} twice")
        if label in RESERVED or label.startswith("madeupword"):
            raise Fault("labels", f"labels has {label!r}, which fairseq keeps for itself: rename it")
    if task.positive is not None and task.positive not in task.labels:
        raise Fault("positive", f"positive is {task.positive!r}, which is none of the labels")


def _check_metrics(task: TaskDefinition) -> None:
    known = OF_GROUPS[task.groups.answer] if task.groups else REGRESSION if task.regression else CLASSIFICATION
    for name in task.metrics:
        if name not in known:
            raise Fault("metric", f"metric {name!r}: choose from {', '.join(known)}, separated by commas")
    if len(set(task.metrics)) < len(task.metrics):
        raise Fault("metric", "metric names one twice")
    if ("f1" in task.metrics or task.groups) and task.positive is None:
        raise Fault("positive", 'positive is missing: f1 and groups need it, such as positive = "yes"')
    if task.groups and task.labels is not None and len(task.labels) != 2:
        raise Fault("labels", f"labels: rows of groups have 2 labels, not {len(task.labels)}")
    if "token_f1" in task.metrics and task.groups.candidate is None:
        raise Fault("groups.candidate", "groups.candidate is missing: token_f1 compares the texts in that column")


def _check_splits(task: TaskDefinition) -> None:
    if not task.splits:
        raise Fault("splits", "splits names no file")
    fractions = [split.fraction for split in task.splits if split.fraction is not None]
    if fractions and not any(split.name == "train" for split in task.splits):
        raise Fault("splits.train", "splits.train is missing, and other splits are a part of it")
    if sum(fractions) >= 1:
        raise Fault("splits", "splits: the parts of train leave nothing to train on")
    for split in task.splits:
        if not split.labelled and not split.name.startswith("test"):
            raise Fault(f"splits.{split.name}", f"splits.{split.name}: only a test split may be without labels")
