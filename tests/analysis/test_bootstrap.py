"""Tests of the paired bootstrap. The tests of ``report.compare`` compare its interval with a formula."""

import numpy as np
import pytest
import torch

from fairseq_palbert.analysis import bootstrap
from fairseq_palbert.analysis.bootstrap import Difference, interval, resampled


def mean_of(values):
    return lambda weights: weights @ values.double() / len(values)


def test_two_scores_are_taken_on_the_same_draws():
    right = torch.arange(50) % 3 == 0
    a = resampled(mean_of(right), 50, 30, 7)
    b = resampled(lambda weights: mean_of(right)(weights) + 0.25, 50, 30, 7)
    assert a.shape == (31,) and a[0] == pytest.approx(17 / 50)
    assert b - a == pytest.approx(0.25) and len(set(a.tolist())) > 5
    assert not np.array_equal(a, resampled(mean_of(right), 50, 30, 8))
    assert not np.array_equal(a, resampled(mean_of(right), 50, 30, [7, *b"MRPC"]))


@pytest.mark.parametrize("at_once", [1, 20, 10**6])
def test_draws_are_those_of_a_loop_however_many_are_in_memory(monkeypatch, at_once):
    monkeypatch.setattr(bootstrap, "AT_ONCE", at_once)
    values, rng = np.arange(7.0) ** 2, np.random.default_rng(3)
    expected = [values.mean(), *(values[rng.integers(7, size=7)].mean() for _ in range(5))]
    assert resampled(mean_of(torch.from_numpy(values)), 7, 5, 3) == pytest.approx(np.array(expected))
    both = resampled(lambda weights: torch.stack([weights[:, 0], weights[:, 1]]), 7, 5, 3)
    assert both.shape == (2, 6) and both[:, 0].tolist() == [1, 1]


@pytest.mark.parametrize("drawn, points", [
    ([0.01, 0.02, 0.03], "+2.00 (+1.05 to +2.95)"),
    ([-0.01, 0.02, 0.03], "+2.00 (-0.85 to +2.95)"),
    ([-0.00001, 0.0, 0.0], "+2.00 (+0.00 to +0.00)"),
])
def test_a_difference_in_points(drawn, points):
    found = Difference.of(np.array([0.02, *drawn]))
    assert (found.low, found.high) == interval(np.array(drawn))
    assert found.points == points
