"""Training that is killed and resumed ends where an unbroken run ends, to the bit."""

import signal
from pathlib import Path

import pytest
import torch

from tests.fixtures.processes import run_python

# 203 examples make 26 batches of 8, and 13 updates with --update-freq 2. The process dies in the middle of the
# second epoch, 3 updates after its last checkpoint.
MAX_UPDATE, KILL_AT, LAST_SAVED = 30, 23, 20
TRAIN = """
import os, signal, sys
from fairseq.trainer import Trainer
from fairseq_cli.train import cli_main

kill_at = int(sys.argv.pop(1))
train_step = Trainer.train_step

def train_or_die(self, samples, raise_oom=False):
    if self.get_num_updates() == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return train_step(self, samples, raise_oom)

Trainer.train_step = train_or_die
cli_main()
"""
NEVER = -1


@pytest.fixture(scope="module")
def data(make_toy_data, tmp_path_factory):
    return make_toy_data(tmp_path_factory.mktemp("resume") / "data", "MRPC")


def train(data: Path, save_dir: Path, kill_at: int = NEVER) -> None:
    """Runs fairseq-train with all options on whose state a checkpoint could fail to keep."""
    run = run_python([
        "-c", TRAIN, str(kill_at), str(data), "--user-dir", "fairseq_palbert", "--cpu", "--seed", "3",
        "--task", "glue", "--glue-task", "MRPC", "--arch", "palbert_roberta_tiny",
        "--criterion", "ponder_classification",
        "--dropout", "0.2", "--attention-dropout", "0.2", "--classifier-dropout", "0.2", "--lambda-dropout", "0.2",
        "--lambda-layer-embedding", "--optimizer", "ponder_adam", "--lr", "1e-3", "--encoder-lr", "5e-4",
        "--lambda-lr", "2e-3", "--layer-lr-decay", "0.8", "--weight-decay", "0.01", "--adam-betas", "(0.9, 0.98)",
        "--clip-norm", "1", "--lr-scheduler", "polynomial_decay", "--warmup-updates", "4",
        "--total-num-update", str(MAX_UPDATE), "--max-update", str(MAX_UPDATE), "--batch-size", "8",
        "--update-freq", "2", "--save-interval-updates", "5", "--keep-interval-updates", "2",
        "--best-checkpoint-metric", "score", "--maximize-best-checkpoint-metric", "--save-dir", str(save_dir),
    ])
    assert run.returncode == (0 if kill_at == NEVER else -signal.SIGKILL), run.stderr[-3000:]


def checkpoint(save_dir: Path) -> dict:
    return torch.load(save_dir / "checkpoint_last.pt", weights_only=True)


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    save_dir = tmp_path_factory.mktemp("unbroken")
    train(data, save_dir)
    return checkpoint(save_dir)


@pytest.fixture(scope="module")
def resumed(data, tmp_path_factory):
    save_dir = tmp_path_factory.mktemp("resumed")
    train(data, save_dir, KILL_AT)
    assert checkpoint(save_dir)["optimizer_history"][-1]["num_updates"] == LAST_SAVED
    train(data, save_dir)
    return checkpoint(save_dir)


def test_parameters_are_the_same_to_the_bit(unbroken, resumed):
    assert unbroken["model"].keys() == resumed["model"].keys()
    assert all(torch.equal(unbroken["model"][name], resumed["model"][name]) for name in unbroken["model"])


def test_the_optimizer_is_the_same_to_the_bit(unbroken, resumed):
    first, second = unbroken["last_optimizer_state"], resumed["last_optimizer_state"]
    assert first["param_groups"] == second["param_groups"]
    assert [group["name"] for group in first["param_groups"]] == [*(f"encoder_{n}" for n in range(7)), "classifier",
                                                                  "lambda", "base"]
    assert first["state"].keys() == second["state"].keys()
    for index, state in first["state"].items():
        assert state["step"] == second["state"][index]["step"] == MAX_UPDATE
        assert all(torch.equal(state[name], second["state"][index][name]) for name in ("exp_avg", "exp_avg_sq"))


def test_both_count_score_and_select_alike(unbroken, resumed):
    assert unbroken["optimizer_history"][-1] == resumed["optimizer_history"][-1]
    for name in ("best", "val_loss", "train_iterator"):
        assert unbroken["extra_state"][name] == resumed["extra_state"][name]


def test_a_damaged_state_of_training_ends_in_one_line(data, unbroken, tmp_path):
    torch.save({**unbroken, "extra_state": unbroken["extra_state"] | {"best": "x"}}, tmp_path / "checkpoint_last.pt")
    with pytest.raises(AssertionError) as error:
        train(data, tmp_path)
    assert "fairseq_palbert: error:" in str(error.value) and "extra_state.best is 'x'" in str(error.value)
    assert "Traceback" not in str(error.value)
