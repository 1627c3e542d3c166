"""Tests of the packaged task definitions: sizes, labels, splits and names."""

import pytest

from fairseq_palbert.definitions.packaged import benchmark_tasks, packaged, packaged_task
from fairseq_palbert.errors import UserError

GLUE = benchmark_tasks("GLUE")

# rows of train, dev and test in GLUE's own files
OFFICIAL_ROWS = {
    "CoLA": (8551, 1043, 1063), "SST-2": (67349, 872, 1821), "MRPC": (3668, 408, 1725), "STS-B": (5749, 1500, 1379),
    "QQP": (363846, 40430, 390965), "MNLI": (392702, 9815, 9832, 9796, 9847), "QNLI": (104743, 5463, 5463),
    "RTE": (2490, 277, 3000), "WNLI": (635, 71, 146), "AX": (1104,),
}


@pytest.mark.parametrize("name", OFFICIAL_ROWS)
def test_official_sizes(name):
    assert tuple(split.rows for split in packaged_task(name).splits) == OFFICIAL_ROWS[name]


@pytest.mark.parametrize("task", GLUE.values(), ids=GLUE)
def test_test_splits_alone_have_no_labels(task):
    assert all(split.labelled != split.name.startswith("test") for split in task.splits)


@pytest.mark.parametrize("task", packaged().values(), ids=packaged())
def test_a_task_has_labels_or_a_score_range(task):
    assert bool(task.labels) != task.regression == (task.score_range is not None)
    assert task.outputs == (1 if task.regression else len(task.labels))
    assert len(set(task.labels)) == len(task.labels)


def test_shapes_of_the_tasks():
    assert {name for name, task in GLUE.items() if task.regression} == {"STS-B"}
    assert {name for name, task in GLUE.items() if len(task.labels) == 3} == {"MNLI", "AX"}
    assert {name for name, task in GLUE.items() if len(task.sentences) == 1} == {"CoLA", "SST-2"}


def test_validation_splits_have_the_one_to_select_on_first():
    assert packaged_task("MNLI").valid_splits == ("valid", "valid1")
    assert packaged_task("RTE").valid_splits == ("valid",)
    assert packaged_task("AX").valid_splits == ()


def test_ax_is_scored_with_the_labels_of_mnli():
    assert packaged_task("AX").labels == packaged_task("MNLI").labels


def test_a_split_is_found_by_its_name():
    assert packaged_task("MNLI").split("valid1").source.file == "dev_mismatched.tsv"
    with pytest.raises(UserError, match="RTE has no split 'dev': choose from train, valid, test"):
        packaged_task("RTE").split("dev")


@pytest.mark.parametrize("name", ["rte", "MNLI-mm", ""])
def test_an_unknown_task_is_refused_with_the_choices(name):
    with pytest.raises(UserError, match="unknown task .*choose from AX, CoLA, MNLI"):
        packaged_task(name)


def test_the_table_cannot_be_changed_by_accident():
    with pytest.raises(AttributeError):
        packaged_task("RTE").labels = ("a", "b")
