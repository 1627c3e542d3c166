"""Sampling < Q-exit <= expectation: what is said of records whose answer is known."""

from dataclasses import replace

import pytest
import torch

from fairseq_palbert.evaluation.bootstrap import Difference
from fairseq_palbert.evaluation.comparison.ordering import Ordering, ordering, sentence
from fairseq_palbert.evaluation.records import expected_score
from fairseq_palbert.exits.base import Recording

from .conftest import random_record


def with_numbers(logits, halting):
    """Of 4 examples of class 1, 0, 1, 0."""
    recorded = random_record("SST-2", 0, halts=True)
    logits = torch.nn.functional.one_hot(torch.tensor(logits), 2).float()
    return replace(recorded, encoder=replace(recorded.encoder, layers=len(logits)), rows=4, ids=torch.arange(4),
                   lengths=recorded.lengths[:4], targets=torch.tensor([1, 0, 1, 0]),
                   recording=Recording(torch.full((len(logits) - 1, 4), halting), logits))


def test_where_depth_alone_is_right_the_ordering_holds():
    """Two layers, the first always wrong, left with probability 0.4: sampling has 0.6, Q-exit and expectation 1."""
    found = ordering([with_numbers([[0, 1, 0, 1], [1, 0, 1, 0]], -0.405465)], 20)
    assert (found.sampling, found.q_exit, found.expectation) == pytest.approx((0.6, 1, 1))
    assert found.holds and found.first.certain and not found.second.certain
    said = sentence("SST-2", "palbert", 1, found)
    assert "Q-exit 0.5 is above sampling by +40.00 (+40.00 to +40.00), and expectation is level with Q-exit" in said
    assert "ordering sampling < Q-exit ≤ expectation holds. The interval of the second difference includes 0." in said


def test_where_depth_is_wrong_it_does_not():
    """The first layer alone is right, and Q-exit passes it by."""
    found = ordering([with_numbers([[1, 0, 1, 0], [0, 1, 0, 1]], -0.405465)], 20)
    assert (found.sampling, found.q_exit, found.expectation) == pytest.approx((0.4, 0, 0))
    said = sentence("SST-2", "palbert", 2, found)
    assert "(2 seeds): Q-exit 0.5 is below sampling by -40.00" in said and "does not hold" in said


@pytest.mark.parametrize("scores, holds", [((0.6, 0.7, 0.7), True), ((0.6, 0.6, 0.7), False), ((0.6, 0.8, 0.7), False)])
def test_sampling_is_below_and_q_exit_not_above(scores, holds):
    none = Difference(0, 0, 0)
    assert Ordering(*scores, none, none).holds == holds


@pytest.mark.parametrize("task", ["SST-2", "STS-B"])
def test_sampling_is_its_exact_expectation_over_all_seeds(task):
    seeds = [random_record(task, seed, halts=True) for seed in (1, 2)]
    found = ordering(seeds, 30)
    assert found.sampling == pytest.approx(sum(map(expected_score, seeds)) / 2)
    assert found.first.low < found.first.value < found.first.high
