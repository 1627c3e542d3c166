"""Child processes that end with this process, and together when one fails."""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from ..errors import UserError
from .settings import Settings

PACKAGE = Path(__file__).parents[1]
STDERR = 2
NO_SPACE = 2**24  # bytes; a file system with fewer is full
GPU_ID = re.compile("[0-9]+|(GPU|MIG)-.+")  # of CUDA_VISIBLE_DEVICES
PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None)
# Without it fairseq broadcasts the checkpoint in a form that torch 2.6 and later refuses to load.
LOAD_EVERYWHERE = "--load-checkpoint-on-all-dp-ranks"


@dataclass(frozen=True)
class Devices:
    """``gpus``: ids for CUDA_VISIBLE_DEVICES. ``processes``: training processes on each of ``nodes``."""

    gpus: tuple[str, ...] = ()
    processes: int = 1
    nodes: int = 1

    @property
    def workers(self) -> int:
        return self.nodes * max(len(self.gpus), self.processes)

    @property
    def flags(self) -> list[str]:
        """On the CPU batches are loaded by the trainer, since a loader's process comes to hold a copy of its memory."""
        return [] if self.gpus else ["--cpu", "--num-workers", "0"]

    @property
    def environment(self) -> dict[str, str]:
        if self.gpus:
            return {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)}
        if self.processes == 1:
            return {}
        share = -(-len(os.sched_getaffinity(0)) // self.processes)
        return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(share))}


def choose_devices(settings: Settings) -> Devices:
    """The devices to train on.

    Raises UserError where the machine has fewer GPUs than asked for, or both GPUs and CPU workers are asked for.
    """
    gpus = _visible_gpus()
    wanted = settings.num_gpus
    if wanted is None:
        wanted = int(bool(gpus) and settings.cpu_workers == 0)
    if wanted and settings.cpu_workers:
        raise UserError(f"num_gpus={wanted} and cpu_workers={settings.cpu_workers}: choose one of them")
    if wanted > len(gpus):
        raise UserError(f"num_gpus={wanted}, but this machine shows {len(gpus)}: lower it, or train with num_gpus=0")
    nodes = int(os.environ.get("SLURM_JOB_NUM_NODES", 1)) if wanted else 1  # fairseq trains on the CPU of one node
    return Devices(tuple(gpus[:wanted]), max(settings.cpu_workers, 1), nodes)


def _visible_gpus() -> list[str]:
    """The ids of GPUs; CUDA ignores those from the first on that is none, such as -1."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return list(takewhile(GPU_ID.fullmatch, map(str.strip, visible.split(","))))
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, encoding="utf-8").stdout.split()


def python(module: str, *arguments: str | Path) -> list[str]:
    """The command that runs a module.

    With -P, no file of the working directory takes the place of another module.
    """
    return [sys.executable, "-P", "-m", module, *map(str, arguments)]


def run(command: list[str], environment: Mapping[str, str] = {}, stdout: int | IO | None = None) -> None:
    """Run a command, and pass on its stderr.

    If it fails, its last line on stderr says why, and is raised as a UserError.
    """
    process = _start(command, environment, stdout=stdout, stderr=subprocess.PIPE)
    with _ended([process]):
        last = _pass_on(process.stderr, sys.stderr)
        status = process.wait()
    if status == 0:
        print(last, end="", file=sys.stderr)
    elif status < 0:
        raise UserError(f"{_module(command)} was ended by signal {-status}")
    else:
        raise UserError(_reason(last) or f"{_module(command)} failed with status {status}")


def output_of(command: list[str]) -> str:
    """The stdout of a command, which runs as by ``run``."""
    with TemporaryFile("w+", encoding="utf-8") as file:
        run(command, stdout=file)
        file.seek(0)
        return file.read()


def train(flags: list[str], log: Path, devices: Devices) -> None:
    """Run fairseq-train in one process on all its GPUs, in several over gloo, or on the nodes of a Slurm job.

    Output is appended to ``log``; processes after the first have LOG.1, LOG.2 and so on. Raises UserError where a
    process fails, once all of them have ended; a full disk is its reason then, since the log may lack its own.
    """
    command = [str(Path(sys.executable).with_name("fairseq-train")), *flags, LOAD_EVERYWHERE]
    commands = [command]
    if devices.nodes > 1:
        commands = [_on_nodes(command, devices)]
    elif devices.processes > 1:
        group = ["--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp", "--distributed-world-size",
                 str(devices.processes), "--distributed-no-spawn",
                 "--distributed-init-method", f"tcp://127.0.0.1:{_free_port()}"]
        commands = [[*command, *group, "--distributed-rank", str(rank)] for rank in range(devices.processes)]
    logs = [log.with_name(f"{log.name}.{rank}" if rank else log.name) for rank in range(len(commands))]
    processes = []
    with _ended(processes):
        for command, path in zip(commands, logs, strict=True):
            with open(path, "a", encoding="utf-8") as file:
                processes.append(_start(command, devices.environment, stdout=file, stderr=subprocess.STDOUT))
        while (statuses := [process.poll() for process in processes]) and None in statuses and not any(statuses):
            time.sleep(0.1)
    for status, path in zip(statuses, logs, strict=True):
        if status and status < 0:
            raise UserError(f"training was ended by signal {-status} (its log: {path})")
        if status and shutil.disk_usage(path.parent).free < NO_SPACE:
            raise UserError(f"{path.parent}: no space left on device: make room there (the whole log: {path})")
        if status:
            raise UserError(f"training failed: {_reason(_last_line(path))} (the whole log: {path})")


def _on_nodes(command: list[str], devices: Devices) -> list[str]:
    """A step of this Slurm job, with one process for each worker; fairseq reads ranks from Slurm's variables."""
    step = ["srun", "--overlap", "--overcommit", "--kill-on-bad-exit=1", "--nodes", str(devices.nodes),
            "--ntasks", str(devices.workers), "--ntasks-per-node", str(devices.workers // devices.nodes)]
    port = 10000 + int(os.environ["SLURM_JOB_ID"]) % 50000
    return [*step, *command, "--distributed-world-size", str(devices.workers), "--distributed-port", str(port)]


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def _start(command: list[str], environment: Mapping[str, str], **streams) -> subprocess.Popen:
    """Start a child that is killed as soon as this process ends, for whatever reason."""
    parent = os.getpid()

    def end_with_parent() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before prctl
            os._exit(1)

    path = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))))
    # PYTHONSAFEPATH is -P, also for fairseq-train and the workers that it spawns; text is UTF-8 in any locale
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1",
                   "PYTHONIOENCODING": "utf-8", **environment}
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, preexec_fn=end_with_parent, **streams)


class _ended:
    """Ends the processes that still run when the block is left."""

    def __init__(self, processes: list[subprocess.Popen]):
        self.processes = processes

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _pass_on(stream: IO[bytes], to: IO[str]) -> str:
    """Copy lines as they come, except the last, which is returned."""
    last = ""
    for line in stream:
        print(last, end="", file=to, flush=True)
        last = line.decode(errors="replace")
    return last


def _last_line(log: Path) -> str:
    """The last line that is not blank; none that is within a traceback, which tells no reason."""
    lines = log.read_text(errors="replace", encoding="utf-8").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "it printed nothing")
    return "it ended within a traceback" if last.startswith((" ", "Traceback (most recent call last)")) else last


def _reason(line: str) -> str:
    """An error line without the name of the program that printed it."""
    return line.split("error: ", 1)[-1]


def _module(command: list[str]) -> str:
    return command[command.index("-m") + 1]
