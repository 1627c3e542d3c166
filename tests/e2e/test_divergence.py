"""A training that diverges ends with one line, and its last good checkpoint stays."""

import pytest
import torch

from fairseq_palbert.errors import UserError


@pytest.fixture(scope="module")
def data(make_toy_data, tmp_path_factory):
    return make_toy_data(tmp_path_factory.mktemp("divergence") / "data", "STS-B")


def updates(folder) -> int:
    state = torch.load(folder / "checkpoint_last.pt", weights_only=True)
    assert all(tensor.isfinite().all() for tensor in state["model"].values())
    return state["optimizer_history"][-1]["num_updates"]


@pytest.mark.parametrize("criterion", [(), ("--criterion", "multi_exit_classification", "--lambda-module", "none")])
def test_a_gradient_that_is_not_finite(train_in_process, data, tmp_path, criterion):
    """The learning rate is 1e30 from the second epoch on: the squared error overflows after the first 7 updates."""
    with pytest.raises(UserError, match=r"training diverged: at update (8|9|1\d) the loss is (inf|nan|\d.*) and the "
                                        r"gradient is not finite: lower the learning rates") as error:
        train_in_process(data, "--glue-task", "STS-B", "--save-dir", tmp_path, "--max-epoch", "3", *criterion,
                         "--lr-scheduler", "fixed", "--lr", "[1e-3,1e30,1e30]")
    assert updates(tmp_path) == 7
    assert len(str(error.value).splitlines()) == 1


def test_a_validation_loss_that_is_not_finite(train_in_process, data, tmp_path):
    """The last update before the second validation leaves weights that overflow."""
    with pytest.raises(UserError, match="training diverged: the loss of validation after update 8 is (inf|nan)"):
        train_in_process(data, "--glue-task", "STS-B", "--save-dir", tmp_path, "--max-update", "8",
                         "--lr-scheduler", "fixed", "--lr", "[1e-3,1e30]")
    assert updates(tmp_path) == 7


def test_a_data_folder_that_fairseq_would_take_for_two(train_in_process, data, tmp_path):
    (tmp_path / "12:30").symlink_to(data)
    with pytest.raises(UserError, match="12:30: fairseq separates data folders by ':': choose a path without one"):
        train_in_process(tmp_path / "12:30", "--glue-task", "STS-B", "--save-dir", tmp_path)
