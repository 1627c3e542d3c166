"""A training with ``--patience`` that is killed at any moment ends as an unbroken one, to the bit."""

import os
import random
import signal
import time
import traceback
from pathlib import Path

import pytest
import torch

from fairseq_palbert.checkpoints.training_state import resume

KILLS, PATIENCE, MOST_UPDATES = 20, 4, 400
FLAGS = ("--glue-task", "STS-B", "--lr", "1e-3", "--batch-size", "16", "--dropout", "0.2", "--seed", "5",
         "--patience", PATIENCE, "--max-update", MOST_UPDATES, "--save-interval-updates", "5",
         "--keep-interval-updates", "1", "--num-workers", "0")


@pytest.fixture
def begin(train_in_process, make_toy_data, tmp_path):
    """begin(name) trains in a child process from the newest checkpoint that loads, and returns the process id."""
    data = make_toy_data(tmp_path / "data", "STS-B")

    def start(name: str) -> int:
        if child := os.fork():
            return child
        status = 1
        try:
            resume(tmp_path / name)
            train_in_process(data, *FLAGS, "--save-dir", tmp_path / name)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    return start


def wait(child: int) -> int:
    """Waits for a child and returns its exit status, which is negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def checkpoint(folder: Path, name: str) -> dict:
    return torch.load(folder / name, weights_only=True)


@pytest.mark.slow
def test_killed_at_random_moments(begin, tmp_path):
    start = time.monotonic()
    assert wait(begin("unbroken")) == 0
    seconds = time.monotonic() - start
    unbroken = {name: checkpoint(tmp_path / "unbroken", name) for name in ("checkpoint_last.pt", "checkpoint_best.pt")}
    counted = unbroken["checkpoint_last.pt"]["extra_state"]["SentenceTask"]["patience"]
    updates = unbroken["checkpoint_last.pt"]["optimizer_history"][-1]["num_updates"]
    assert counted["num_runs"] == PATIENCE and updates < MOST_UPDATES, "patience ends the training"
    moments, killed_after = random.Random(1), []
    for kill in range(KILLS):
        child = begin(f"kill{kill}")
        time.sleep(moments.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        wait(child)
        killed_after.append(resume(tmp_path / f"kill{kill}"))
        assert wait(begin(f"kill{kill}")) == 0
        for name, expected in unbroken.items():
            state = checkpoint(tmp_path / f"kill{kill}", name)
            assert state["optimizer_history"][-1] == expected["optimizer_history"][-1]
            assert state["extra_state"]["SentenceTask"] == expected["extra_state"]["SentenceTask"]
            assert all(torch.equal(state["model"][key], tensor) for key, tensor in expected["model"].items())
    assert len(set(killed_after)) > KILLS // 4, killed_after
