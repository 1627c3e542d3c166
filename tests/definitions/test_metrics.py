"""Tests of the metrics against scikit-learn and scipy: whole, in batches and weighted."""

from dataclasses import replace

import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    matthews_corrcoef,
    mean_absolute_error,
    mean_squared_error,
    top_k_accuracy_score,
)

from fairseq_palbert.definitions.content import CLASSIFICATION, REGRESSION
from fairseq_palbert.definitions.metrics import References, TaskMetrics
from fairseq_palbert.definitions.packaged import packaged_task

INDEPENDENT = {
    "accuracy": lambda y, answers, outputs: accuracy_score(y, answers),
    "f1": lambda y, answers, outputs: f1_score(y, answers, labels=[1], average="macro", zero_division=0),
    "macro_f1": lambda y, answers, outputs: f1_score(y, answers, average="macro", zero_division=0),
    "micro_f1": lambda y, answers, outputs: f1_score(y, answers, average="micro"),
    "matthews": lambda y, answers, outputs: matthews_corrcoef(y, answers),
    "top5_accuracy": lambda y, answers, outputs: top_k_accuracy_score(y, outputs, k=5,
                                                                      labels=range(outputs.shape[1])),
    "pearson": lambda y, answers, outputs: pearsonr(answers.double(), y).statistic,
    "spearman": lambda y, answers, outputs: spearmanr(answers, y).statistic,
    "mse": lambda y, answers, outputs: mean_squared_error(y, answers.double()),
    "mae": lambda y, answers, outputs: mean_absolute_error(y, answers.double()),
}


def metrics_of(classes: int, names=CLASSIFICATION, score: str = "first") -> TaskMetrics:
    """Returns metrics of a task with ``classes`` classes, "1" the positive one; 1 class means a regression to 0..5."""
    task = packaged_task("STS-B") if classes == 1 else replace(
        packaged_task("SST-2"), labels=tuple(map(str, range(classes))), positive="1")
    return TaskMetrics(replace(task, metrics=tuple(names), score=score))


def usable(classes: int) -> tuple[str, ...]:
    return REGRESSION if classes == 1 else tuple(
        name for name in CLASSIFICATION if classes > 5 or name != "top5_accuracy")


def drawn(classes: int, examples: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns random outputs and targets. Most of many classes are absent; regression targets have ties as in STS-B."""
    torch.manual_seed(seed)
    if classes == 1:
        targets = torch.randint(0, 26, (examples,)).double() / 5
        return (targets + torch.randn(examples)).float()[:, None], targets
    targets = torch.randint(0, classes, (examples,))
    return torch.randn(examples, classes) + 2 * torch.nn.functional.one_hot(targets, classes), targets


def answers_of(outputs: torch.Tensor) -> torch.Tensor:
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs.argmax(1)


def in_batches(metrics: TaskMetrics, outputs: torch.Tensor, targets: torch.Tensor, size: int = 7) -> dict:
    """Returns the metrics of a split from the sum over shuffled batches."""
    order = torch.randperm(len(targets))
    return metrics(sum(metrics.statistics(outputs[ids], References(targets[ids]), ids, len(targets))
                       for ids in order.split(size)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [1, 2, 3, 6, 77, 1000])
def test_metrics_equal_an_independent_computation(classes, seed):
    outputs, targets = drawn(classes, 200, seed)
    metrics = metrics_of(classes, usable(classes))
    expected = {name: INDEPENDENT[name](targets, answers_of(outputs), outputs) for name in usable(classes)}
    whole = metrics.of_units(metrics.units(outputs, References(targets)))
    for values in (whole, in_batches(metrics, outputs, targets)):
        assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 77])
def test_metrics_of_constant_answers(classes):
    _, targets = drawn(classes, 50)
    outputs = torch.zeros(50, classes)
    outputs[:, 1] = 1
    values = in_batches(metrics_of(classes, usable(classes)), outputs, targets)
    for name in set(usable(classes)) - {"top5_accuracy"}:
        assert values[name] == pytest.approx(INDEPENDENT[name](targets, outputs.argmax(1), outputs), abs=1e-12), name


def test_of_equal_outputs_the_first_class_is_first():
    """Equal outputs keep the order of the classes, as in argmax: classes 0 to 4 are the top 5."""
    outputs = torch.zeros(7, 7)
    metrics = metrics_of(7, ["top5_accuracy"])
    assert metrics.of_units(metrics.units(outputs, References(torch.arange(7))))["top5_accuracy"] == 5 / 7


def test_counts_do_not_grow_with_the_square_of_the_classes():
    outputs, targets = drawn(1000, 20)
    statistics = metrics_of(1000).statistics(outputs, References(targets), torch.arange(20), 20)
    assert statistics.shape == (4, 1000)


def test_official_scores():
    outputs, targets = torch.eye(2)[[1, 1, 0, 1]], torch.tensor([1, 0, 0, 1])
    scores = {name: in_batches(TaskMetrics(packaged_task(name)), outputs, targets)
              for name in ("CoLA", "MRPC", "SST-2")}
    assert scores["SST-2"]["score"] == scores["SST-2"]["accuracy"] == 0.75
    assert scores["MRPC"]["score"] == pytest.approx((0.75 + 0.8) / 2)
    assert scores["CoLA"]["score"] == scores["CoLA"]["matthews"]
    assert scores["CoLA"]["score"] == pytest.approx(matthews_corrcoef(targets, outputs.argmax(1)))


@pytest.mark.parametrize("of_one_class", ["answers", "targets", "answers but for next to nothing"])
def test_matthews_of_one_class_is_0_under_any_weights(of_one_class):
    """Weights are a posterior's, and their sums are rounded."""
    metrics, random = TaskMetrics(packaged_task("CoLA")), torch.Generator().manual_seed(0)
    outputs, targets = torch.eye(2)[torch.randint(0, 2, (500,), generator=random)], torch.ones(500, dtype=torch.long)
    if of_one_class != "targets":
        outputs, targets = torch.eye(2)[targets], outputs.argmax(1)
    weights = torch.rand(200, 500, generator=random, dtype=torch.float64)
    if "but" in of_one_class:
        outputs[0] = outputs[0].flip(0)
        weights[:, 0] = 1e-18
    found = metrics.weighted(metrics.units(outputs, References(targets)), weights)
    assert found.abs().max() < 1e-6 if "but" in of_one_class else found.eq(0).all()


def test_an_error_counts_as_its_negative():
    outputs, targets = torch.tensor([[1.0], [4.0]]), torch.tensor([0.0, 2.0])
    assert in_batches(metrics_of(1, ["mse"]), outputs, targets) == {"mse": 2.5, "score": -2.5}
    mean = in_batches(metrics_of(1, ["pearson", "mae"], "mean"), outputs, targets)
    assert mean == pytest.approx({"pearson": 1, "mae": 1.5, "score": -0.25})


def test_f1_follows_the_positive_label_through_another_label_order():
    outputs, targets = torch.eye(2)[[1, 1, 0, 1]], torch.tensor([1, 0, 0, 1])
    task = packaged_task("MRPC")
    usual = in_batches(TaskMetrics(task), outputs, targets)
    swapped = in_batches(TaskMetrics(replace(task, labels=task.labels[::-1])), outputs.flip(1), 1 - targets)
    assert swapped == usual


def test_regression_metrics_skip_examples_that_were_not_seen_and_count_those_seen_twice_once():
    metrics = metrics_of(1, REGRESSION)
    outputs, targets, ids = torch.tensor([[1.5], [1], [4]]), torch.tensor([1.0, 2, 3]), torch.tensor([9, 0, 4])
    sums = metrics.statistics(outputs, References(targets), ids, 10)
    again = metrics.statistics(outputs[:1], References(targets[:1]), ids[:1], 10)
    expected = pytest.approx(in_batches(metrics, outputs, targets), abs=1e-12)
    assert metrics(sums) == metrics(sums + again) == expected


@pytest.mark.parametrize("name", ["CoLA", "STS-B"])
def test_undefined_correlations_are_zero(name):
    task = packaged_task(name)
    values = in_batches(TaskMetrics(task), torch.ones(6, task.outputs), torch.tensor([0, 1, 0, 1, 1, 0]))
    assert values["score"] == 0


@pytest.mark.parametrize("classes", [1, 2, 6, 77])
def test_a_weighted_score_is_that_of_repeated_answers(classes):
    """Each metric under each row of weights equals scikit-learn's or scipy's on repeated rows."""
    outputs, targets = drawn(classes, 41)
    outputs = outputs.round(decimals=1) if classes == 1 else outputs
    weights = torch.randint(0, 4, (6, 41)).double()
    for name in usable(classes):
        metrics = metrics_of(classes, [name])
        found = metrics.weighted(metrics.units(outputs, References(targets)), weights)
        for row, value in zip(weights.long(), found.tolist(), strict=True):
            repeated = outputs.repeat_interleave(row, 0)
            expected = INDEPENDENT[name](targets.repeat_interleave(row), answers_of(repeated), repeated)
            assert value == pytest.approx(-expected if name in ("mse", "mae") else expected, abs=1e-12), name


@pytest.mark.parametrize("name", ["CoLA", "STS-B"])
def test_a_weighted_score_is_zero_where_the_answers_that_count_are_equal(name):
    metrics = TaskMetrics(packaged_task(name))
    outputs, targets = torch.eye(2)[[1, 1, 0]], torch.tensor([0, 1, 1])
    if name == "STS-B":
        outputs = outputs[:, 1:] * 0.1 + 0.7
    units = metrics.units(outputs, References(targets))
    found = metrics.weighted(units, torch.tensor([[3.0, 4, 0], [1, 1, 1]], dtype=torch.float64))
    assert found[0] == 0 and found[1] == pytest.approx(-0.5)


@pytest.mark.parametrize("name,score,follows", [
    ("accuracy, matthews", "mean", True), ("accuracy, top5_accuracy", "first", True),
    ("accuracy, top5_accuracy", "mean", False), ("top5_accuracy", "first", False)])
def test_a_score_follows_from_classes_unless_it_counts_the_top_5(name, score, follows):
    assert metrics_of(6, name.split(", "), score).follow_from_classes is follows
