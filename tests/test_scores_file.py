"""Tests of the values of metrics that ``scores.jsonl`` may have."""

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.scores_file import read_scores
from tests.fixtures.recorded_runs import write_scores


def written(folder, **metrics):
    write_scores(folder, {"fixed:2": [2]}, 3, metrics=metrics)
    return folder / "scores.jsonl"


@pytest.mark.parametrize("metrics", [
    {"accuracy": 1.0, "score": -1.0}, {"mse": 30.5, "mae": 4.0, "score": -30.5, "expected_score": -31.0}])
def test_errors_are_unbounded_and_count_as_their_negatives(tmp_path, metrics):
    assert read_scores(written(tmp_path, **metrics))[0]["metrics"] == metrics


@pytest.mark.parametrize("metrics", [
    {"accuracy": 1.5}, {"pearson": -1.5}, {"mse": -0.5}, {"mae": 1e200}, {"score": 1.5}, {"expected_score": "a"}])
def test_other_values_are_refused(tmp_path, metrics):
    with pytest.raises(UserError, match="metrics is .*, and should be an object of numbers from -1 to 1, errors of at"):
        read_scores(written(tmp_path, **metrics))
