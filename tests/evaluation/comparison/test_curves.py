"""Curves over thresholds, and what they score at a cost."""

import numpy as np
import pytest
import torch

from fairseq_palbert.evaluation.bootstrap import score_at
from fairseq_palbert.evaluation.comparison.curves import at_cost, curve, on_grid
from fairseq_palbert.evaluation.records import predictions
from fairseq_palbert.evaluation.sweep import decisions


@pytest.fixture
def run(make_task):
    return make_task("SST-2", {"palbert": ["q_exit:0.5", "fixed:4"]}).runs[0]


def test_at_the_cost_of_a_point_a_curve_has_its_score(run):
    of_seed = curve(run, "fixed").seeds[0]
    for point in of_seed:
        assert at_cost(curve(run, "fixed"), point.row["mean_flops"]).scores[0] == point.row["metrics"]["score"]


def test_between_two_points_a_coin_decides(run):
    static = curve(run, "fixed")
    rows = [points[1:3] for points in static.seeds]
    middle = sum(point.row["mean_flops"] for point in rows[0]) / 2
    found = at_cost(static, middle)
    assert found.scores == pytest.approx([sum(point.row["metrics"]["score"] for point in pair) / 2 for pair in rows])
    assert [[weight for weight, _ in mixture] for mixture in found.mixtures] == [[pytest.approx(0.5)] * 2] * 2


def test_beyond_its_ends_a_curve_has_its_last_score_or_none(run):
    static = curve(run, "fixed")
    first, last = (static.seeds[0][place].row for place in (0, -1))
    assert at_cost(static, 0.99 * first["mean_flops"]) is None
    assert at_cost(static, 2 * last["mean_flops"]).scores[0] == last["metrics"]["score"]


def test_draws_are_those_of_the_mixture_scored_again(run):
    found = at_cost(curve(run, "q_exit"), 0.6 * curve(run, "fixed").seeds[0][-1].row["mean_flops"])
    recorded = run.recorded
    everything = torch.arange(len(recorded.ids))
    again = [sum(weight * score_at(recorded.metrics, answers, recorded.targets, everything) for weight, answers in mixture)
             for mixture in found.mixtures]
    assert again == pytest.approx(found.scores)
    drawn = found.resampled(200)
    assert drawn.mean() == pytest.approx(found.score, abs=0.02) and np.array_equal(drawn, found.resampled(200))


def test_patience_for_regression_has_one_parameter(make_task):
    task = make_task("STS-B", {"palbert": ["patience:2:0.3", "fixed:4"], "pabee": ["fixed:4"]})
    for run, patience in zip(task.runs, (2, 1)):
        rules = [point.rule for points in task.curves[run.method]["patience"].seeds for point in points]
        assert {rule.parameter for rule in rules} == {patience} and len({rule.tolerance for rule in rules}) > 30


def test_seeds_meet_on_one_grid(run):
    points = curve(run, "fixed").seeds
    grid, scores = on_grid(points, lambda point: point.row["mean_exit"], lambda point: point.row["metrics"]["score"])
    assert grid[0] == 1 and grid[-1] == 4 and scores.shape == (2, len(grid))
    assert scores[:, -1].tolist() == [seed[-1].row["metrics"]["score"] for seed in points]
    assert predictions(decisions(run.recorded, points[0][0].rule).outputs).shape == (60,)
