"""Tests of methods that fairseq trains with the flags of an experiment."""

import json
import re

import pytest
import torch

from fairseq_palbert.experiment.flags import method_flags
from fairseq_palbert.experiment.methods import method_of
from fairseq_palbert.experiment.pretrained import Start
from fairseq_palbert.experiment.run import complete
from fairseq_palbert.experiment.settings import Settings

DEPTH = 6


def flags_of(method):
    settings = complete(Settings("SST-2", method, lambda_lr=0.001, beta=0.1), Start("palbert_roberta_tiny"))
    return method_flags(method_of(method), settings)


@pytest.fixture(scope="module")
def train(fairseq, make_toy_data, tmp_path_factory):
    """train(method, flags...) trains for at most an epoch and returns (weights, last training log, checkpoint)."""
    folder = tmp_path_factory.mktemp("methods")
    data = make_toy_data(folder / "data", "SST-2")

    def run(method, *flags):
        output = fairseq(
            "train", data, "--user-dir", "fairseq_palbert", "--task", "glue", "--glue-task", "SST-2", "--cpu",
            "--arch", "palbert_roberta_tiny", "--optimizer", "ponder_adam", "--lr", "0.01", "--weight-decay", "0.1",
            "--batch-size", "32", "--max-epoch", "1", "--save-dir", folder / method, "--log-format", "json",
            *flags_of(method), *flags)
        checkpoint = folder / method / "checkpoint_last.pt"
        logged = json.loads(re.findall(r"\| train \| (\{.*\})", output)[-1])
        return torch.load(checkpoint, weights_only=True)["model"], logged, checkpoint

    return run


@pytest.fixture(scope="module")
def vanilla(train):
    return train("vanilla")


def test_the_second_phase_leaves_the_backbone_as_it_is(train, vanilla):
    before, _, checkpoint = vanilla
    after, logged, _ = train("fastbert", "--finetune-from-model", checkpoint)
    assert float(logged["train_loss"]) > 0
    for name, tensor in after.items():
        first_phase = before[re.sub(r"copies\.\d+", "copies.0", name)]
        frozen = "encoder" in name or f"copies.{DEPTH - 1}." in name
        assert torch.equal(tensor, first_phase) == frozen, name


def test_the_gate_alone_learns_on_what_the_first_phase_held_out(train):
    holdout = ("--holdout-fraction", "0.3")
    before, _, checkpoint = train("palbert", *holdout, "--valid-subset", "holdout")
    after, logged, second = train("palbert_staged", *holdout, "--valid-subset", "calibration", "--max-update", "2",
                                  "--finetune-from-model", checkpoint)
    assert float(logged["train_num_updates"]) == 2, "46 rows of the gate's split"
    layers = {name for name in before if "lambda_module" not in name}
    assert layers == {name for name in after if "lambda_module" not in name}
    assert all(torch.equal(after[name], before[name]) for name in layers)
    gate = {name: tensor for name, tensor in after.items() if "lambda_module" in name}
    assert gate["network.lambda_module.readout.copies.0.1.weight"].shape == (128, 2 * (64 + 2 + 2 + 6))
    kept = torch.load(second, weights_only=True)["cfg"]
    assert (kept["model"]["train_only"], kept["task"]["holdout_fraction"]) == ("lambda", 0.3)


def test_joint_training_with_a_learned_exit_and_adversarial_noise(train):
    weights, logged, _ = train("berxit", "--freelb-steps", "2")
    assert 0 < float(logged["train_exit_loss"]) < 1
    assert weights["network.learned_exit.bias"].abs() > 0


def test_a_static_model_starts_from_the_first_layers(train, vanilla):
    weights, _, _ = train("static2", "--finetune-from-model", vanilla[2])
    assert {name.split(".")[3] for name in weights if name.startswith("network.encoder.layers.")} == {"0", "1"}
