"""The paired bootstrap; recipes/compare.py's test holds its interval to a formula."""

import numpy as np
import pytest
import torch

from fairseq_palbert.evaluation.bootstrap import Difference, interval, resampled, score_at
from fairseq_palbert.glue.metrics import GlueMetrics
from fairseq_palbert.glue.tasks import TASKS


def test_two_scores_are_taken_on_the_same_draws():
    right = torch.arange(50) % 3 == 0
    a = resampled(lambda places: float(right[places].double().mean()), 50, 30, 7)
    b = resampled(lambda places: float(right[places].double().mean()) + 0.25, 50, 30, 7)
    assert b - a == pytest.approx(0.25) and len(set(a.tolist())) > 5
    other = resampled(lambda places: float(right[places].double().mean()), 50, 30, 8)
    assert not np.array_equal(a, other)


def test_an_example_that_is_drawn_twice_counts_twice():
    metrics = GlueMetrics(TASKS["SST-2"])
    places = torch.tensor([0, 0, 0, 1])
    assert score_at(metrics, torch.tensor([1, 1]), torch.tensor([1, 0]), places) == 0.75


@pytest.mark.parametrize("drawn, certain, points", [
    ([0.01, 0.02, 0.03], True, "+2.00 (+1.05 to +2.95)"),
    ([-0.01, 0.02, 0.03], False, "+2.00 (-0.85 to +2.95)"),
    ([-0.00001, 0.0, 0.0], False, "+2.00 (+0.00 to +0.00)"),
])
def test_a_difference_in_points(drawn, certain, points):
    found = Difference.of(0.02, np.array(drawn))
    assert (found.low, found.high) == interval(np.array(drawn))
    assert found.certain == certain and found.points == points
