"""Tests of ``--patience``: a resumed training continues the count."""

import pytest
import torch

# The learning rate is too small to change a score: only the first validation, after 2 updates, is an improvement.
FLAGS = ("--glue-task", "SST-2", "--lr", "1e-12", "--save-interval-updates", "2", "--keep-interval-updates", "1")


@pytest.fixture(scope="module")
def data(make_toy_data, tmp_path_factory):
    return make_toy_data(tmp_path_factory.mktemp("patience") / "data", "SST-2")


def updates(folder) -> int:
    return torch.load(folder / "checkpoint_last.pt", weights_only=True)["optimizer_history"][-1]["num_updates"]


def test_a_resumed_training_stops_where_an_unbroken_one_does(train_in_process, data, tmp_path):
    train_in_process(data, *FLAGS, "--patience", "3", "--max-update", "40", "--save-dir", tmp_path / "unbroken")
    last = updates(tmp_path / "unbroken")
    for stop in (2, 4, last, 40):
        train_in_process(data, *FLAGS, "--patience", "3", "--max-update", stop, "--save-dir", tmp_path / "resumed")
        assert updates(tmp_path / "resumed") == min(stop, last)


def test_a_training_that_patience_has_ended_stays_ended(train_in_process, data, tmp_path):
    train_in_process(data, *FLAGS, "--patience", "2", "--max-update", "40", "--save-dir", tmp_path)
    before = (tmp_path / "checkpoint_last.pt").read_bytes()
    train_in_process(data, *FLAGS, "--patience", "2", "--max-update", "40", "--save-dir", tmp_path)
    assert (tmp_path / "checkpoint_last.pt").read_bytes() == before
