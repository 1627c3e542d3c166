"""Tests of multiruns by Hydra's launchers: in turn, as submitit's local jobs, and as Slurm's."""

import getpass
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = ["task=SST-2", "pretrained=none", "max_update=40", "batch=32", "seeds=[1,2]", "num_gpus=0"]
RUNS = [f"lr={rate}/seed{seed}" for rate in ("0.001", "0.002") for seed in (1, 2)]
LOCAL = ["hydra/launcher=submitit_local"]
PATIENCE = 1800  # seconds: a run starts 20 processes, and on a busy machine each takes half a minute to start
SLURM = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
SLURM_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES State=UP
"""


@pytest.fixture(scope="module")
def begin(make_toy_data, tmp_path_factory):
    """begin(run directory, words...) starts a multirun, and returns (run directory, process, mark of its processes)."""
    folder = tmp_path_factory.mktemp("multirun")
    tokenizer = {"name": "wordpiece", "separators": 1, "sha256": "0" * 64}
    data = make_toy_data(folder / "SST-2", "SST-2", tokenizer=tokenizer)

    def start(name: str, *words: str):
        mark = f"MULTIRUN_TEST={folder / name}"
        environment = dict([mark.split("="), *os.environ.items(), ("OMP_NUM_THREADS", "1"), ("PYTHONPATH", str(ROOT))])
        command = [sys.executable, "-m", "fairseq_palbert.experiment", *SETTINGS, f"data={data}", f"run_dir={name}",
                   "--multirun", "lr=1e-3,2e-3", *words]
        return folder / name, subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE,
                                               stderr=subprocess.STDOUT), mark

    return start


def processes(mark: str) -> list[int]:
    """Returns the ids of the processes whose environment has the mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            pass  # the process has ended, or is another user's
    return found


def wait_for(condition, process) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)


def scores(run_dir: Path) -> dict[str, list[dict]]:
    """Returns the scores of each run, without the measured times."""
    found = {}
    for run in RUNS:
        lines = (run_dir / run / "scores" / "valid" / "scores.jsonl").read_text().splitlines()
        found[run] = [json.loads(line) | {"seconds": None, "sentences_per_second": None} for line in lines]
    return found


def finished(started) -> tuple[Path, str]:
    run_dir, process, _ = started
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output[-3000:]
    return run_dir, output


@pytest.fixture(scope="module")
def unbroken(begin):
    return scores(finished(begin("unbroken"))[0])


@pytest.fixture
def slurm(tmp_path_factory, monkeypatch):
    """Starts a Slurm of this machine alone, with its own keys and files. Skips where Slurm or munge is missing."""
    if missing := [command for command in SLURM if not shutil.which(command)]:
        pytest.skip(f"{', '.join(missing)} not installed (Debian: slurm-wlm, munge): Slurm's launcher is not tested")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = platform.node().split(".")[0]
    (folder / "slurm.conf").write_text(SLURM_CONF.format(host=host, user=getpass.getuser(), folder=folder))
    (folder / "key").write_bytes(os.urandom(1024))
    (folder / "key").chmod(0o600)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    munge = [f"--{name}={folder}/munge.{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
    for command in (["munged", "--force", f"--key-file={folder}/key", *munge], ["slurmctld", "-i"], ["slurmd"]):
        subprocess.run(command, check=True, timeout=60)
    yield
    for name in ("slurmd.pid", "slurmctld.pid", "munge.pid-file"):
        os.kill(int((folder / name).read_text()), signal.SIGTERM)


@pytest.mark.slow
def test_jobs_of_slurm_end_with_the_scores_of_runs_in_turn(slurm, begin, unbroken):
    run_dir, _ = finished(begin("slurm", "hydra/launcher=submitit_slurm"))
    assert scores(run_dir) == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], LOCAL], ids=["in turn", "submitit's jobs"])
def test_killed_and_run_again_it_ends_with_the_scores_of_an_unbroken_one(begin, unbroken, words):
    name = "jobs" if words else "turns"
    run_dir, process, mark = begin(name, *words)
    wait_for((run_dir / "lr=0.001" / "seed1" / "checkpoints" / "checkpoint_last.pt").exists, process)
    process.kill()  # its children end with it
    process.wait()
    deadline = time.monotonic() + 30
    while running := processes(mark):
        assert time.monotonic() < deadline
        for pid in running if words else []:  # repeatedly, since a job may start others meanwhile
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    assert not (run_dir / "lr=0.002" / "results.tsv").exists()
    finished(begin(name, *words))
    assert scores(run_dir) == unbroken
    assert len({json.dumps(rows) for rows in unbroken.values()}) > 1, "rates and seeds make a difference"


def test_jobs_of_submitit_get_a_run_directory_each(begin):
    run_dir, output = finished(begin("preprocessed", *LOCAL, "stop_stage=2"))
    assert sorted(path.parents[1].name for path in run_dir.rglob("preprocess.done")) == ["lr=0.001", "lr=0.002"]
    assert not (run_dir / "stages").exists()


def test_a_mistake_in_one_run_leaves_the_others_and_is_told(begin):
    run_dir, process, _ = begin("mistake", "stop_stage=2", "method=palbert,static99")
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 1 and "Traceback" not in output
    assert output.splitlines()[-1] == "fairseq_palbert: error: method=static99, but palbert_roberta_tiny has 6 layers"
    assert sorted(str(path.parents[1].relative_to(run_dir)) for path in run_dir.rglob("preprocess.done")) == [
        "lr=0.001/method=palbert", "lr=0.002/method=palbert"]
