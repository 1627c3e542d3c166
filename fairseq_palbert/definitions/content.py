"""Turn a definition's plain content, of TOML or JSON, into a task, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..schema import OBJECT, Kind, choice, list_of, number, text
from .definition import Groups, Hub, TaskDefinition
from .fault import Fault, check_table
from .split_content import COLUMN, DEFAULT_KINDS, NAME, check_columns, check_defaults, source_content, split_of

FROM_TRAIN = "from train"
MOST_LABELS, LONGEST_LABEL = 1000, 100
CLASSIFICATION = ("accuracy", "f1", "macro_f1", "micro_f1", "matthews", "top5_accuracy")
REGRESSION = ("pearson", "spearman", "mse", "mae")
OF_GROUPS = {"best": ("accuracy", "exact_match", "token_f1"), "all": ("accuracy", "f1", "exact_match", "parity")}
RESERVED = ("<s>", "<pad>", "</s>", "<unk>")  # of fairseq's dictionaries, which labels are kept in

LABEL = Kind("a label: a text, a whole number, true or false", lambda value: isinstance(value, bool | int)
             or text(LONGEST_LABEL).accepts(value) and value == value.strip() != "")
KINDS = {
    "name": NAME, "sentences": list_of(COLUMN, 1, 2), "label": COLUMN,
    "labels": Kind(f'"{FROM_TRAIN}", or a list of 2 to {MOST_LABELS} labels', lambda value: value == FROM_TRAIN
                   or list_of(LABEL, 2, MOST_LABELS).accepts(value)),
    "score_range": list_of(number(-1e9, 1e9), 2, 2), "metric": text(), "score": choice("first", "mean"),
    "positive": LABEL, "splits": OBJECT, "groups": OBJECT,
    "benchmark": NAME, "model_of": NAME, "folder": NAME, "hub": OBJECT,
} | DEFAULT_KINDS
OF_THE_PACKAGE = ("benchmark", "model_of", "folder", "hub")  # refused in an own task's file
REQUIRED = ("name", "sentences", "label", "metric", "splits")
GROUP_KINDS = {"column": COLUMN, "answer": choice(*OF_GROUPS), "candidate": COLUMN}
HUB_KINDS = {"sentences": list_of(text(200), 1, 2), "label": text(200)}


def definition_of(content: Mapping[str, Any]) -> TaskDefinition:
    """The task that ``content`` defines. Raises Fault at the first mistake."""
    check_table(content, KINDS, REQUIRED, unoffered=OF_THE_PACKAGE)
    groups = content.get("groups")
    if groups is not None:
        check_table(groups, GROUP_KINDS, ("column", "answer"), "groups")
        groups = Groups(**groups)
    hub = content.get("hub")
    if hub is not None:
        check_table(hub, HUB_KINDS, tuple(HUB_KINDS), "hub")
        hub = Hub(tuple(hub["sentences"]), hub["label"])
    defaults = {name: content[name] for name in DEFAULT_KINDS if name in content}
    labels = content.get("labels", FROM_TRAIN if "score_range" not in content else [])
    task = TaskDefinition(
        name=content["name"], sentences=tuple(content["sentences"]), label=content["label"],
        metrics=tuple(name.strip() for name in content["metric"].split(",")),
        splits=tuple(split_of(name, split, defaults) for name, split in content["splits"].items()),
        labels=None if labels == FROM_TRAIN else tuple(map(spelt, labels)),
        score_range=tuple(map(float, content["score_range"])) if "score_range" in content else None,
        score=content.get("score", "first"), positive=_optional(spelt, content.get("positive")), groups=groups,
        benchmark=content.get("benchmark"), model_of=content.get("model_of"),
        folder=content.get("folder"), hub=hub)
    for check in (_check_answers, _check_metrics, _check_splits, check_columns):
        check(task)
    check_defaults(defaults, task)
    return task


def check_effect(task: TaskDefinition) -> None:
    """Raises Fault for a setting without effect. Earlier versions have recorded some, which are read all the same."""
    if task.regression and task.positive is not None:
        raise Fault("positive", "positive is a label, and a regression has none: leave it out")
    for split in task.splits:
        if split.groups is not None and not task.groups:
            key = f"splits.{split.name}.groups"
            raise Fault(key, f"{key} is a count of groups, and there is no [groups]: leave it out")


def content_of(task: TaskDefinition) -> dict[str, Any]:
    """The plain content that ``definition_of`` turns into this task."""
    splits = {split.name: split.fraction if split.fraction is not None else source_content(split.source) | _given(
        {"rows": split.rows, "groups": split.groups, "labelled": None if split.labelled else False,
         "ragged": split.ragged or None})
        for split in task.splits}
    return _given({
        "name": task.name, "sentences": list(task.sentences), "label": task.label, "metric": ", ".join(task.metrics),
        "score": task.score, "labels": FROM_TRAIN if task.labels is None else list(task.labels) or None,
        "score_range": _optional(list, task.score_range), "positive": task.positive,
        "groups": _optional(lambda groups: _given(asdict(groups)), task.groups), "benchmark": task.benchmark,
        "model_of": task.model_of,
        "folder": task.folder, "hub": _optional(lambda hub: _given(asdict(hub)), task.hub), "splits": splits})


def difference(here: TaskDefinition, there: TaskDefinition) -> tuple[str, str] | None:
    """The first setting but ``splits`` that differs, as each of the two tasks has it; None where none differs.

    Labels may be in another order, and are not compared where ``here`` has still to collect them from train.
    """
    passed_over = {"splits"}
    if here.labels is None or set(here.labels) == set(there.labels):
        passed_over.add("labels")
    contents = content_of(here), content_of(there)
    for name in KINDS:
        values = [content.get(name) for content in contents]
        if name not in passed_over and values[0] != values[1]:
            return tuple(f"no {name}" if value is None else f"{name} = {value!r:.100}" for value in values)
    return None


def spelt(label: str | int | bool) -> str:
    """A label as text: true, false and whole numbers as JSON spells them."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
            if value is not None and value != ()}


def _optional(function, value):
    return None if value is None else function(value)


def _check_answers(task: TaskDefinition) -> None:
    if task.regression:
        if task.labels != ():
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
    if task.scores_texts and task.groups.candidate is None:
        raise Fault("groups.candidate", "groups.candidate is missing: exact_match and token_f1 compare the texts in "
                                        "that column")


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
