"""Fixtures that run fairseq's commands as a user does."""

import sys
from pathlib import Path

import pytest

from tests.fixtures.processes import run_python

ROOT = Path(__file__).parents[2]
TWO_LAYERS = ("--user-dir", str(ROOT / "fairseq_palbert"), "--cpu", "--task", "glue", "--arch", "palbert_roberta_tiny",
              "--encoder-layers", "2", "--encoder-embed-dim", "16", "--encoder-ffn-embed-dim", "24",
              "--encoder-attention-heads", "2", "--optimizer", "ponder_adam", "--batch-size", "32",
              "--criterion", "ponder_classification", "--best-checkpoint-metric", "score",
              "--maximize-best-checkpoint-metric", "--no-epoch-checkpoints", "--num-workers", "0")


@pytest.fixture(scope="session")
def fairseq():
    """fairseq("train", ARGUMENTS...) runs fairseq-train on one thread and returns all that it prints."""

    def run(command, *arguments):
        done = run_python([Path(sys.executable).with_name(f"fairseq-{command}"), *arguments])
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    return run


@pytest.fixture
def train_in_process(monkeypatch):
    """train_in_process(DATA, ARGUMENTS...) runs fairseq-train on a model of two layers, without the state of an
    earlier run."""
    from fairseq import checkpoint_utils, metrics
    from fairseq_cli import train

    def run(data: Path, *arguments: object) -> None:
        metrics.reset()
        for function in (train.should_stop_early, checkpoint_utils.save_checkpoint):
            vars(function).clear()
        monkeypatch.setattr(sys, "argv", ["fairseq-train", *map(str, (data, *TWO_LAYERS, *arguments))])
        try:
            train.cli_main()
        except SystemExit as end:
            assert not end.code

    return run
