"""Tests of the measures against small examples counted by hand, and against brute force."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from fairseq_palbert.analysis.measures import (
    against_the_last_layer,
    calibration_error,
    curve_area,
    exit_calibration,
    failure_auroc,
    oracle,
    overthinking,
    posterior_entropy,
    static_advantage,
)
from fairseq_palbert.analysis.recorded_split import RecordedSplit
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.modules.encoder import EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape


def record_of(answers, targets, task="SST-2", halting=None) -> RecordedSplit:
    """Returns a record of ``answers`` [N][E]: values, or class ids. An answered class has probability 0.73."""
    answers, regression = torch.tensor(answers), packaged_task(task).regression
    logits = answers.unsqueeze(-1).float() if regression else torch.nn.functional.one_hot(answers, 2).float()
    depth, examples = answers.shape
    return RecordedSplit(
        split="valid", task=packaged_task(task), rows=examples,
        encoder=EncoderShape(9, 1, 2, 16, depth, 4, 8, 1),
        heads=HeadsShape(logits.shape[-1], lambda_module="none" if halting is None else "linear"), prior=None,
        origin={},
        ids=torch.arange(examples), lengths=torch.full((examples,), 5),
        targets=torch.tensor(targets, dtype=torch.float64 if regression else torch.long),
        recording=Recording(None if halting is None else torch.tensor(halting), logits))


CLASSES = record_of([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 1]], [1, 1, 1, 0])
VALUES = record_of([[0.0, 4.0, 2.0], [1.0, 3.0, 2.0]], [1.0, 4.5, 2.0], "STS-B")


def test_the_oracle_leaves_where_it_first_errs_least():
    found = oracle(CLASSES)  # exits at layers 1, 2, 1 (never right) and 1
    assert found.score == 0.75 and found.mean_exit == 1.25
    found = oracle(VALUES)  # exits at layers 2, 1 and 1 (a tie)
    assert found.mean_exit == pytest.approx(4 / 3) and found.score == pytest.approx(0.993, abs=0.01)


def test_no_choice_of_exits_beats_the_oracle():
    answers = CLASSES.recording.logits.argmax(-1)
    best = max((sum(bool(answers[n, e] == CLASSES.targets[e]) for e, n in enumerate(layers)) / 4, -sum(layers) / 4)
               for layers in itertools.product(range(3), repeat=4))
    found = oracle(CLASSES)
    assert (found.score, -(found.mean_exit - 1)) == best


def test_overthinking_and_its_reverse_are_counted():
    assert overthinking(CLASSES) == {"overthinking": 0.5, "underthinking": 0.25}
    assert overthinking(VALUES) == pytest.approx({"overthinking": 1 / 3, "underthinking": 1 / 3})


def test_what_leaving_early_gains_and_loses():
    assert against_the_last_layer(CLASSES, torch.tensor([1, 0, 0, 1])) == {"gained": 0.25, "lost": 0.25}
    assert against_the_last_layer(CLASSES, torch.tensor([0, 1, 0, 1])) == {"gained": 0, "lost": 0}
    assert against_the_last_layer(VALUES, torch.tensor([1.0, 1.0, 2.5])) == pytest.approx({"gained": 0, "lost": 2 / 3})
    assert against_the_last_layer(replace(CLASSES, targets=None), torch.tensor([0, 1, 0, 1])) == {}


def test_calibration_error_by_bins():
    sure, right = torch.tensor([0.55, 0.55, 0.95, 1.0]), torch.tensor([1, 0, 1, 0])
    assert calibration_error(sure, right, bins=10) == pytest.approx((0.1 + 0.95) / 4, abs=1e-6)
    assert calibration_error(torch.ones(5), torch.ones(5)) == 0
    assert calibration_error(torch.zeros(2), torch.zeros(2)) == 0


def test_failure_prediction():
    assert failure_auroc(torch.tensor([0.9, 0.8, 0.6]), torch.tensor([1, 1, 0])) == 1
    assert failure_auroc(torch.tensor([0.7, 0.7]), torch.tensor([1, 0])) == 0.5
    assert failure_auroc(torch.tensor([0.7, 0.6]), torch.tensor([1, 1])) is None


def test_calibration_of_every_exit():
    sure = torch.tensor(1.0).sigmoid().item()  # logits 1 and 0
    by_layer = exit_calibration(CLASSES)
    for layer, accuracy in zip(by_layer, (0.5, 0.75, 0.25)):
        assert layer == pytest.approx({"ece": abs(accuracy - sure), "auroc": 0.5})
    assert exit_calibration(VALUES) is None


def test_posterior_entropy_in_nats():
    assert posterior_entropy(CLASSES) is None
    even = record_of([[0], [0], [0]], [0], halting=[[-0.6931472], [0.0]])  # 1/3 each
    assert posterior_entropy(even) == pytest.approx(1.0986123, abs=1e-6)
    certain = record_of([[0], [0]], [0], halting=[[-200.0]])
    assert posterior_entropy(certain) == pytest.approx(0, abs=1e-9)


def test_the_area_is_the_mean_score_on_straight_lines():
    assert curve_area([1, 2, 3], [0.5, 0.8, 0.7], 1, 3) == pytest.approx((0.65 + 0.75) / 2)
    assert curve_area([3, 1, 2], [0.7, 0.5, 0.8], 1, 3) == pytest.approx(0.7)  # in any order
    assert curve_area([2], [0.6], 1, 3) == pytest.approx(0.6)
    assert curve_area([1, 3], [0.4, 0.8], 2, 3) == pytest.approx(0.7)  # a part of a line
    assert curve_area([2], [0.6], 2, 2) == curve_area([2, 2], [0.6, 0.6], 2, 2) == 0.6  # of one layer
    assert curve_area([1, 3], [0.4, 0.8], 2, 2) == pytest.approx(0.6)
    assert curve_area([3, 1], [0.8, 0.4], 4, 4) == pytest.approx(0.8)
    assert curve_area([[1, 3], [4, 5]], [[0.4, 0.8], [0.5, 0.9]], 2, 2) == pytest.approx([0.6, 0.5])
    assert curve_area([2, 2, 3], [0.1, 0.5, 0.7], 1, 3) == pytest.approx((0.1 + 0.6) / 2)  # constant before the first


def test_areas_of_many_curves_equal_a_fine_sum():
    rng = np.random.default_rng(2)
    costs, scores = np.sort(rng.uniform(1, 6, (5, 9)), -1), rng.uniform(0, 1, (5, 9))
    costs[:, 4] = costs[:, 3]
    grid = (np.arange(200_000) + 0.5) / 200_000 * 2 + 2  # the midpoints of 200,000 parts of 2..4
    expected = [np.interp(grid, of_cost, of_score).mean() for of_cost, of_score in zip(costs, scores)]
    assert curve_area(costs, scores, 2, 4) == pytest.approx(np.array(expected), abs=1e-4)


def test_the_advantage_over_static_exits_at_the_same_cost():
    static = [1, 2, 3], [0.5, 0.7, 0.8]
    assert static_advantage(*static, *static) == 0
    assert static_advantage([1.5, 2.5], [0.65, 0.7], *static) == pytest.approx((0.05 - 0.05) / 2)
