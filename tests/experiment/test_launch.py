"""Tests of child processes: none outlives its parent, and all end when one fails."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import launch
from fairseq_palbert.experiment.launch import Devices, choose_devices

TRAINER = """#!/usr/bin/env bash
echo "$*" >>"$LOGGED"
rank="$(grep -oP -- '--distributed-rank \\K.*' <<<"$*" || echo 0)"
"""
PARENT = """
import sys
from fairseq_palbert.experiment import launch
launch.run([sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"])
"""


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    """trainer(body) writes a fairseq-train of that bash; trainer.calls() returns the arguments of its calls, sorted."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    monkeypatch.setattr(sys, "executable", str(binaries / "python"))
    monkeypatch.setenv("LOGGED", str(tmp_path / "logged"))

    def make(body: str = "") -> None:
        path = binaries / "fairseq-train"
        path.write_text(TRAINER + body)
        path.chmod(0o755)

    make.calls = lambda: sorted((tmp_path / "logged").read_text().splitlines())
    return make


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent(sent):
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=launch.PACKAGE.parent, stdout=subprocess.PIPE,
                              text=True)
    child = int(parent.stdout.readline())
    assert running(child)
    parent.send_signal(sent)
    parent.wait(10)
    deadline = time.monotonic() + 10
    while running(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_workers_over_gloo_get_ranks_and_an_address(trainer, tmp_path):
    trainer()
    launch.train(["DATA", "--cpu"], tmp_path / "train.log", Devices(processes=2))
    group = (r"DATA --cpu --load-checkpoint-on-all-dp-ranks --distributed-backend gloo --ddp-backend legacy_ddp "
             r"--distributed-world-size 2 --distributed-no-spawn --distributed-init-method tcp://127.0.0.1:PORT "
             r"--distributed-rank ")
    first, second = trainer.calls()
    port = first.split("127.0.0.1:")[1].split()[0]
    assert [first, second] == [group.replace("PORT", port) + rank for rank in "01"]


def test_a_dead_worker_ends_the_others(trainer, tmp_path):
    """The first worker would otherwise sleep for a minute."""
    trainer('[[ "$rank" = 1 ]] || exec sleep 60\necho "rank 1 is lost"; exit 1\n')
    start = time.monotonic()
    with pytest.raises(UserError, match=r"training failed: rank 1 is lost \(the whole log: .*train.log.1\)"):
        launch.train([], tmp_path / "train.log", Devices(processes=2))
    assert time.monotonic() - start < 30


def test_the_error_line_of_training_is_told(trainer, tmp_path):
    trainer("echo training; echo 'fairseq_palbert: error: training diverged: at update 7'; exit 1\n")
    with pytest.raises(UserError, match=r"^training failed: training diverged: at update 7 \(the whole log: "):
        launch.train([], tmp_path / "train.log", Devices())


@pytest.mark.parametrize("last", ["    return func(*arg", "RuntimeErr", "error: out of luck"])
def test_a_full_disk_is_told(trainer, tmp_path, monkeypatch, last):
    """The last line of the log is cut where the space ended."""
    trainer(f"printf 'Traceback (most recent call last):\n{last}'; exit 1\n")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", {tmp_path: usage._replace(free=4096)}.get)
    with pytest.raises(UserError, match=f"^{tmp_path}: no space left on device: make room there .the whole log"):
        launch.train([], tmp_path / "train.log", Devices())


@pytest.mark.parametrize("piece", ["    return func(*arg", '  File "x.py", line 1, in <module>', "    ^^^^^\n\n",
                                   "Traceback (most recent call last):\n"])
def test_a_piece_of_a_traceback_is_no_reason(trainer, tmp_path, piece):
    trainer(f"printf 'training\n{piece}'; exit 1\n")
    with pytest.raises(UserError, match=r"^training failed: it ended within a traceback \(the whole log: .*train.log"):
        launch.train([], tmp_path / "train.log", Devices())


def test_training_that_is_killed_is_told_in_one_line(trainer, tmp_path):
    trainer("kill -9 $$\n")
    with pytest.raises(UserError, match=r"training was ended by signal 9 \(its log: "):
        launch.train([], tmp_path / "train.log", Devices())


def test_a_failing_command_tells_why_once(capfd):
    with pytest.raises(UserError, match="^there is no such file$"):
        program = "import sys; print('working', file=sys.stderr); sys.exit('prog: error: there is no such file')"
        launch.run([sys.executable, "-c", program])
    assert capfd.readouterr().err == "working\n"


def test_workers_of_several_nodes_are_a_step_of_the_slurm_job(settings, monkeypatch):
    """fairseq reads the ranks and the address of the first node from Slurm's variables."""
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    monkeypatch.setenv("SLURM_JOB_ID", "123")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    devices = choose_devices(settings(num_gpus=4))
    assert devices.workers == 8
    command = launch._on_nodes(["fairseq-train", "DATA"], devices)
    assert " ".join(command) == (
        "srun --overlap --overcommit --kill-on-bad-exit=1 --nodes 2 --ntasks 8 --ntasks-per-node 4 fairseq-train DATA "
        "--distributed-world-size 8 --distributed-port 10123")
    assert choose_devices(settings(num_gpus=0, cpu_workers=2)).workers == 2


def test_gpus(settings, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,7")
    devices = choose_devices(settings(num_gpus=2))
    assert devices.environment == {"CUDA_VISIBLE_DEVICES": "3,5"} and devices.workers == 2 and devices.flags == []
    assert choose_devices(settings(num_gpus=None)).gpus == ("3",)


@pytest.mark.parametrize("visible, gpus", [
    ("", ()), ("-1", ()), (" -1 ", ()), ("-1,0", ()), ("0,-1,1", ("0",)), ("2, 1,,0", ("2", "1")), ("NoDevFiles", ()),
    ("GPU-8932f937,MIG-1", ("GPU-8932f937", "MIG-1")),
])
def test_gpus_after_an_id_that_is_none_are_not_visible(settings, monkeypatch, visible, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    devices = choose_devices(settings(num_gpus=len(gpus)))
    assert devices.gpus == gpus and choose_devices(settings(num_gpus=None)).gpus == gpus[:1]
    with pytest.raises(UserError, match=f"this machine shows {len(gpus)}: lower it"):
        choose_devices(settings(num_gpus=len(gpus) + 1))
