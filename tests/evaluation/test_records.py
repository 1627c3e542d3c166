"""What is made of the full-depth record, against enumeration and pooled samples."""

import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from fairseq_palbert.evaluation.loading import Split
from fairseq_palbert.evaluation.records import LayerReport, expected_score, layer_report, posterior, predictions
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.exits.replay import replay
from fairseq_palbert.glue.metrics import GlueMetrics
from fairseq_palbert.glue.tasks import TASKS
from fairseq_palbert.inference.engine import Recording

LAYERS, EXAMPLES = 4, 30


def recorded(task_name: str):
    """A random record whose deeper layers know more of the target."""
    torch.manual_seed(0)
    task = TASKS[task_name]
    halting = torch.randn(LAYERS - 1, EXAMPLES)
    depth = torch.arange(1, LAYERS + 1)[:, None]
    if task.regression:
        targets = torch.rand(EXAMPLES, dtype=torch.float64).mul(5).round()  # with ties
        logits = (targets * depth / LAYERS + torch.randn(LAYERS, EXAMPLES)).unsqueeze(-1).float()
    else:
        targets = torch.randint(task.outputs, (EXAMPLES,))
        logits = torch.randn(LAYERS, EXAMPLES, task.outputs)
        logits[:, torch.arange(EXAMPLES), targets] += depth / LAYERS
    split = Split("valid", [torch.tensor([1])] * EXAMPLES, torch.arange(EXAMPLES), targets, EXAMPLES)
    return Recording(halting, logits), split, GlueMetrics(task)


def test_expected_accuracy_is_the_mean_chance_of_being_right():
    recording, split, metrics = recorded("MNLI")
    p = posterior(recording)
    right = sum(float(p[n, e]) for n in range(LAYERS) for e in range(EXAMPLES)
                if recording.logits[n, e].argmax() == split.targets[e])
    assert expected_score(recording, split, metrics) == pytest.approx(right / EXAMPLES)


@pytest.mark.parametrize("task", ["SST-2", "MRPC", "CoLA", "STS-B"])
def test_the_expected_score_is_the_score_of_many_samples_pooled(task):
    recording, split, metrics = recorded(task)
    samples = 400
    pooled = [replay(parse_rule(f"sampling:{seed}"), recording.halting_logits, recording.logits, split.ids).outputs
              for seed in range(samples)]
    answers, targets = predictions(torch.cat(pooled)), split.targets.repeat(samples)
    if metrics.task.regression:
        expected = (pearsonr(answers, targets).statistic + spearmanr(answers, targets).statistic) / 2
    else:
        expected = metrics(metrics.statistics(answers, targets, targets, 0))["score"]
    assert expected_score(recording, split, metrics) == pytest.approx(expected, abs=0.01)


def test_the_expected_correlation_is_the_plain_one_where_every_layer_agrees():
    recording, split, metrics = recorded("STS-B")
    recording = Recording(recording.halting_logits, recording.logits[-1:].expand(LAYERS, -1, -1))
    answers = recording.logits[-1].squeeze(-1)
    plain = (pearsonr(answers, split.targets).statistic + spearmanr(answers, split.targets).statistic) / 2
    assert expected_score(recording, split, metrics) == pytest.approx(plain, abs=1e-6)


def test_a_layer_s_score_is_that_of_the_fixed_exit():
    recording, split, metrics = recorded("SST-2")
    report = layer_report(recording, split, metrics, torch.tensor([0.4, 0.3, 0.2, 0.1]))
    for n, score in enumerate(report.scores, start=1):
        decided = replay(parse_rule(f"fixed:{n}"), recording.halting_logits, recording.logits, split.ids)
        assert score == pytest.approx((decided.outputs.argmax(1) == split.targets).double().mean().item())
    assert sum(report.posterior) == pytest.approx(1)


def test_the_score_at_a_depth_between_two_layers_is_on_the_line_between_them():
    report = LayerReport(3, None, None, [0.1, 0.5, 0.6])
    assert [report.score_at(depth) for depth in (1, 1.5, 2, 2.25, 3)] == pytest.approx([0.1, 0.3, 0.5, 0.525, 0.6])
