"""Tests of ``METHOD=palbert_staged recipes/glue_task.sh``, which trains both phases.

The command is killed in the second phase and run again.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from fairseq_palbert.checkpoints.formats.checkpoint_file import read_checkpoint

ROOT = Path(__file__).parents[2]
SETTINGS = {"METHOD": "palbert_staged", "PRETRAINED": "none", "MAX_UPDATE": "4", "BATCH": "32", "GATE_UPDATES": "12",
            "GATE_BATCH": "8", "HOLDOUT_FRACTION": "0.3", "EXITS": "q_exit:0.5 fixed:N", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def begin(make_toy_data, tmp_path_factory):
    """begin(run directory, arguments) starts the recipe in its own process group, and returns (run directory, process).

    All have the same first phase.
    """
    folder = tmp_path_factory.mktemp("staged")
    data = make_toy_data(folder / "SST-2", "SST-2",
                         tokenizer={"name": "wordpiece", "separators": 1, "sha256": "0" * 64})

    def start(run, *arguments):
        environment = {**os.environ, **SETTINGS, "DATA": str(data), "RUN_DIR": str(folder / run),
                       "FIRST_RUN": str(folder / "first")}
        return folder / run, subprocess.Popen([ROOT / "recipes" / "glue_task.sh", "SST-2", *arguments], text=True,
                                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                              start_new_session=True)

    return start


def finished(begin, *arguments):
    folder, process = begin(*arguments)
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output[-3000:]
    return folder, output


def trained(folder):
    checkpoints = folder / "seed1" / "checkpoints"
    return [read_checkpoint(checkpoints / f"checkpoint_{name}.pt")["model"] for name in ("last", "best")]


def test_one_command_trains_both_phases_and_a_kill_changes_nothing(begin):
    unbroken, output = finished(begin, "unbroken")
    assert "method=palbert, the first phase of palbert_staged" in output
    for split in ("calibration", "valid"):
        assert (unbroken / "seed1" / "scores" / split / "scores.jsonl").read_text().count("\n") == 2
    broken, process = begin("broken")
    checkpoint = broken / "seed1" / "checkpoints" / "checkpoint_last.pt"
    deadline = time.monotonic() + 300
    while not checkpoint.exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (broken / "stages" / "train-seed1.done").exists()
    _, output = finished(begin, "broken", "--stop-stage", "4")
    updates = int(re.search(r"training from update (\d+) to 12;", output)[1])
    assert updates > 0 and re.search(rf"Loaded checkpoint \S+/checkpoint_last.pt \(epoch \d+ @ {updates} updates",
                                     (broken / "seed1" / "train.log").read_text())
    torch.testing.assert_close(trained(broken), trained(unbroken), rtol=0, atol=0)


def test_other_settings_of_the_first_phase_are_refused(begin, monkeypatch):
    monkeypatch.setitem(SETTINGS, "LR", "0.3")
    _, process = begin("other")
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 1 and "was begun with other settings" in output
