"""Tests of a report's curves over thresholds."""

import pytest

from fairseq_palbert.analysis.records import predictions
from fairseq_palbert.analysis.sweep import decisions
from fairseq_palbert.report.curves import curve, on_grid


@pytest.fixture
def run(make_task):
    return make_task("SST-2", {"palbert": ["q_exit:0.5", "fixed:4"]}).runs[0]


def test_patience_for_regression_has_one_parameter(make_task):
    task = make_task("STS-B", {"palbert": ["patience:2:0.3", "fixed:4"], "pabee": ["patience:1:0.3"]})
    for run, patience in zip(task.runs, (2, 1)):
        rules = [point.rule for points in task.curves[run.method]["patience"].seeds for point in points]
        assert {rule.parameter for rule in rules} == {patience} and len({rule.tolerance for rule in rules}) > 30


def test_seeds_meet_on_one_grid(run):
    points = curve(run, "fixed").seeds
    grid, scores = on_grid(points, lambda point: point.row["mean_exit"], lambda point: point.row["metrics"]["score"])
    assert grid[0] == 1 and grid[-1] == 4 and scores.shape == (2, len(grid))
    assert scores[:, -1].tolist() == [seed[-1].row["metrics"]["score"] for seed in points]
    assert predictions(decisions(run.recorded, points[0][0].rule).outputs).shape == (60,)
