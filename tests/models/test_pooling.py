"""Tests of ``--pooling``: by default it follows the checkpoint.

A model trained with one pooling is not read with the other.
"""

import pytest
import torch
from omegaconf import OmegaConf

from fairseq_palbert.errors import UserError


@pytest.fixture
def encoder_that_says(save_own, tmp_path):
    """encoder_that_says(pooling) writes a converted encoder without heads and returns its path.

    Its settings name that pooling; with None they name no pooling.
    """

    def save(pooling):
        path = save_own(tmp_path / f"{pooling}.pt")
        state = torch.load(path, weights_only=False)
        state["model"] = {name: tensor for name, tensor in state["model"].items() if "encoder" in name}
        state["cfg"]["model"].pop("pooling")
        if pooling:
            state["cfg"]["model"]["pooling"] = pooling
        torch.save(state, path)
        return path

    return save


def pooling_of(build, *flags):
    return build(*flags).network.heads_shape.pooling


def test_from_scratch_it_is_the_first_token(build):
    assert pooling_of(build) == "first"
    assert pooling_of(build, "--pooling", "mean") == "mean"


@pytest.mark.parametrize("said, flags, expected", [
    ("mean", (), "mean"), ("first", (), "first"), (None, (), "first"),
    ("mean", ("--pooling", "first"), "first"), (None, ("--pooling", "mean"), "mean"),
])
def test_it_follows_an_encoder_unless_told_otherwise(build, encoder_that_says, tmp_path, said, flags, expected):
    path = encoder_that_says(said)
    assert pooling_of(build, "--finetune-from-model", path, "--save-dir", tmp_path / "new", *flags) == expected


def test_the_checkpoint_says_what_it_followed(configure, encoder_that_says, tmp_path):
    """Training writes the configuration that the task has seen into every checkpoint."""
    from fairseq import tasks

    cfg = configure("--finetune-from-model", encoder_that_says("mean"), "--save-dir", tmp_path / "new")
    assert cfg.model.pooling is None
    tasks.setup_task(cfg.task).build_model(cfg.model)
    assert OmegaConf.to_container(cfg.model)["pooling"] == "mean"


def test_a_trained_model_goes_on_with_its_own(build, save_own, tmp_path):
    path = save_own(tmp_path / "mean.pt", "--pooling", "mean")
    flags = ("--finetune-from-model", path, "--save-dir", tmp_path / "new")
    assert pooling_of(build, *flags) == "mean"
    with pytest.raises(UserError, match="was made with --pooling mean, which this run sets to first"):
        build(*flags, "--pooling", "first")
    assert pooling_of(build, *flags, "--pooling", "first", "--fresh-heads") == "first"


def test_a_model_of_before_there_was_a_choice_reads_the_first_token(build, configure, save_own, tmp_path):
    from fairseq import tasks

    path = save_own(tmp_path / "old.pt")
    state = torch.load(path, weights_only=False)
    state["cfg"]["model"].pop("pooling")
    torch.save(state, path)
    with pytest.raises(UserError, match="was made with --pooling first, which this run sets to mean"):
        build("--finetune-from-model", path, "--save-dir", tmp_path / "new", "--pooling", "mean")
    cfg = configure()
    old = OmegaConf.create({"model": state["cfg"]["model"]}).model
    model = tasks.setup_task(cfg.task).build_model(old, from_checkpoint=True)
    assert model.network.heads_shape.pooling == "first"


def test_an_unknown_one_is_refused(build):
    with pytest.raises(UserError, match="--pooling max: choose from first, mean"):
        build("--pooling", "max")
