"""Tests of scores from a full-depth record, against enumeration and pooled samples."""

from dataclasses import replace

import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from fairseq_palbert.analysis.recorded_split import RecordedSplit
from fairseq_palbert.analysis.records import LayerReport, expected_score, layer_report, posterior, predictions
from fairseq_palbert.definitions.metrics import References
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.exits.replay import replay
from fairseq_palbert.modules.encoder import EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape

LAYERS, EXAMPLES = 4, 30


def record_of(task_name: str) -> RecordedSplit:
    """Returns a random record whose deeper layers predict the target better."""
    torch.manual_seed(0)
    task = packaged_task(task_name)
    halting = torch.randn(LAYERS - 1, EXAMPLES)
    depth = torch.arange(1, LAYERS + 1)[:, None]
    if task.regression:
        targets = torch.rand(EXAMPLES, dtype=torch.float64).mul(5).round()  # with ties
        logits = (targets * depth / LAYERS + torch.randn(LAYERS, EXAMPLES)).unsqueeze(-1).float()
    else:
        targets = torch.randint(task.outputs, (EXAMPLES,))
        logits = torch.randn(LAYERS, EXAMPLES, task.outputs)
        logits[:, torch.arange(EXAMPLES), targets] += depth / LAYERS
    return RecordedSplit(
        split="valid", task=packaged_task(task_name), rows=EXAMPLES,
        encoder=EncoderShape(9, 1, 2, 16, LAYERS, 4, 8, 1), heads=HeadsShape(task.outputs), prior=[0.4, 0.3, 0.2, 0.1],
        origin={"checkpoint": {"sha256": "0"}}, ids=torch.arange(EXAMPLES), lengths=torch.full((EXAMPLES,), 5),
        targets=targets, recording=Recording(halting, logits))


def replayed(recorded, spec):
    recording = recorded.recording
    return replay(parse_rule(spec), recording, recorded.ids)


def test_expected_accuracy_is_the_mean_chance_of_being_right():
    recorded = record_of("MNLI")
    p = posterior(recorded)
    right = sum(float(p[n, e]) for n in range(LAYERS) for e in range(EXAMPLES)
                if recorded.recording.logits[n, e].argmax() == recorded.targets[e])
    assert expected_score(recorded) == pytest.approx(right / EXAMPLES)


@pytest.mark.parametrize("task", ["SST-2", "MRPC", "CoLA", "STS-B"])
def test_the_expected_score_is_the_score_of_many_samples_pooled(task):
    recorded = record_of(task)
    samples = 400
    pooled = [replayed(recorded, f"sampling:{seed}").outputs for seed in range(samples)]
    outputs, targets = torch.cat(pooled), recorded.targets.repeat(samples)
    if recorded.metrics.task.regression:
        answers = predictions(outputs)
        expected = (pearsonr(answers, targets).statistic + spearmanr(answers, targets).statistic) / 2
    else:
        expected = recorded.metrics.of_units(recorded.metrics.units(outputs, References(targets)))["score"]
    assert expected_score(recorded) == pytest.approx(expected, abs=0.01)


def test_the_expected_correlation_is_the_plain_one_where_every_layer_agrees():
    recorded = record_of("STS-B")
    last = recorded.recording.logits[-1]
    recorded = replace(recorded, recording=Recording(recorded.recording.halting_logits, last.expand(LAYERS, -1, -1)))
    answers = last.squeeze(-1)
    plain = (pearsonr(answers, recorded.targets).statistic + spearmanr(answers, recorded.targets).statistic) / 2
    assert expected_score(recorded) == pytest.approx(plain, abs=1e-6)


def test_a_layer_s_score_is_that_of_the_fixed_exit():
    recorded = record_of("SST-2")
    report = layer_report(recorded)
    for n, score in enumerate(report.scores, start=1):
        decided = replayed(recorded, f"fixed:{n}")
        assert score == pytest.approx((decided.outputs.argmax(1) == recorded.targets).double().mean().item())
    assert sum(report.posterior) == pytest.approx(1)


def test_the_score_at_a_depth_between_two_layers_is_on_the_line_between_them():
    report = LayerReport(3, None, None, [0.1, 0.5, 0.6])
    assert [report.score_at(depth) for depth in (1, 1.5, 2, 2.25, 3)] == pytest.approx([0.1, 0.3, 0.5, 0.525, 0.6])
