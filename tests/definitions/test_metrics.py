import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from fairseq_palbert.definitions.metrics import TaskMetrics
from fairseq_palbert.definitions.packaged import packaged_task


def in_batches(metrics, predictions, targets, size=7):
    """The statistics of a split that comes in shuffled batches, added up."""
    order = torch.randperm(len(targets))
    parts = [metrics.statistics(predictions[ids], targets[ids], ids, len(targets)) for ids in order.split(size)]
    return metrics(sum(parts))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["CoLA", "MRPC", "RTE", "MNLI"])
def test_classification_metrics_equal_scikit_learn(name, seed):
    torch.manual_seed(seed)
    metrics = TaskMetrics(packaged_task(name))
    classes = len(metrics.labels)
    targets = torch.randint(classes, (100,))
    predictions = torch.where(torch.rand(100) < 0.6, targets, torch.randint(classes, (100,)))
    values = in_batches(metrics, predictions, targets)
    expected = {"accuracy": accuracy_score(targets, predictions), "matthews": matthews_corrcoef(targets, predictions)}
    if name == "MRPC":
        expected["f1"] = f1_score(targets, predictions)
    for metric in metrics.names:
        assert values[metric] == pytest.approx(expected[metric], abs=1e-12)


def test_official_scores():
    predictions, targets = torch.tensor([1, 1, 0, 1]), torch.tensor([1, 0, 0, 1])
    scores = {name: in_batches(TaskMetrics(packaged_task(name)), predictions, targets)
              for name in ("CoLA", "MRPC", "SST-2")}
    assert scores["SST-2"]["score"] == scores["SST-2"]["accuracy"] == 0.75
    assert scores["MRPC"]["score"] == pytest.approx((0.75 + 0.8) / 2)
    assert scores["CoLA"]["score"] == scores["CoLA"]["matthews"]
    assert scores["CoLA"]["score"] == pytest.approx(matthews_corrcoef(targets, predictions))


def test_f1_follows_the_positive_label_through_another_label_order():
    predictions, targets = torch.tensor([1, 1, 0, 1]), torch.tensor([1, 0, 0, 1])
    usual = in_batches(TaskMetrics(packaged_task("MRPC")), predictions, targets)
    swapped = in_batches(TaskMetrics(packaged_task("MRPC"), ("1", "0")), 1 - predictions, 1 - targets)
    assert swapped == usual


@pytest.mark.parametrize("seed", range(5))
def test_regression_metrics_equal_scipy(seed):
    torch.manual_seed(seed)
    targets = torch.randint(0, 26, (83,)).double() / 5  # ties, as in STS-B
    predictions = (targets + torch.randn(83)).float()
    values = in_batches(TaskMetrics(packaged_task("STS-B")), predictions, targets)
    assert values["pearson"] == pytest.approx(pearsonr(predictions.double(), targets).statistic, abs=1e-12)
    assert values["spearman"] == pytest.approx(spearmanr(predictions, targets).statistic, abs=1e-12)
    assert values["score"] == (values["pearson"] + values["spearman"]) / 2


def test_regression_metrics_skip_examples_that_were_not_seen():
    metrics = TaskMetrics(packaged_task("STS-B"))
    targets, predictions, ids = torch.tensor([1.0, 2, 3]), torch.tensor([1.5, 1, 4]), torch.tensor([9, 0, 4])
    values = metrics(metrics.statistics(predictions, targets, ids, 10))
    assert values == pytest.approx(in_batches(metrics, predictions, targets), abs=1e-12)


@pytest.mark.parametrize("name", ["CoLA", "STS-B"])
def test_undefined_correlations_are_zero(name):
    values = in_batches(TaskMetrics(packaged_task(name)), torch.ones(6), torch.tensor([0, 1, 0, 1, 1, 0]))
    assert values["score"] == 0


@pytest.mark.parametrize("name", ["CoLA", "MRPC", "MNLI", "STS-B"])
def test_a_weighted_score_is_that_of_repeated_answers(name):
    """Each row of weights against scikit-learn or scipy on the answers repeated."""
    torch.manual_seed(3)
    metrics = TaskMetrics(packaged_task(name))
    targets = torch.randint(0, 26, (41,)).double() / 5 if name == "STS-B" else torch.randint(len(metrics.labels), (41,))
    predictions = (targets + torch.randn(41).round(decimals=1)) if name == "STS-B" else torch.where(
        torch.rand(41) < 0.6, targets, torch.randint(len(metrics.labels), (41,)))
    weights = torch.randint(0, 4, (6, 41)).double()
    found = metrics.weighted(predictions, targets, weights)
    expected = {"CoLA": matthews_corrcoef, "MNLI": accuracy_score,
                "MRPC": lambda y, x: (accuracy_score(y, x) + f1_score(y, x)) / 2,
                "STS-B": lambda y, x: (pearsonr(x, y).statistic + spearmanr(x, y).statistic) / 2}
    for row, value in zip(weights.long(), found.tolist(), strict=True):
        x, y = predictions.repeat_interleave(row), targets.repeat_interleave(row)
        assert value == pytest.approx(expected[name](y, x), abs=1e-12)


@pytest.mark.parametrize("name", ["CoLA", "STS-B"])
def test_a_weighted_score_is_zero_where_the_answers_that_count_are_equal(name):
    metrics = TaskMetrics(packaged_task(name))
    predictions, targets = torch.tensor([1, 1, 0]), torch.tensor([0, 1, 1])
    if name == "STS-B":
        predictions = predictions * 0.1 + 0.7
    found = metrics.weighted(predictions, targets, torch.tensor([[3.0, 4, 0], [1, 1, 1]], dtype=torch.float64))
    assert found[0] == 0 and found[1] == pytest.approx(-0.5)
