"""Train the runs by fairseq-train, several at once, and read their curves from the logs."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import launch
from fairseq_palbert.experiment.log import log
from fairseq_palbert.files import make_folder, replacing, write_json
from fairseq_palbert.json_files import read_json
from fairseq_palbert.run_info import git_state, machine, now, versions

from .plan import Run, Size, flags_of

ABOUT, CURVES, LOG = "run.json", "curves.json", "train.log"
STEPS = {"PonderNet": "q_exit_depth", "ACT": "steps"}  # what is logged; the steps of a fixed network are all N
RESULT = re.compile(r"\| (valid|test|train) \| (\{.*\})$")


def train_all(runs: list[Run], size: Size, folder: Path, jobs: int) -> None:
    """Trains the runs that have not ended yet. Raises UserError for a run that fails or has other settings."""
    todo = [run for run in runs if not (_checked(run, size, folder) / CURVES).is_file()]
    log(f"{len(runs) - len(todo)} of {len(runs)} runs are done")
    with ThreadPoolExecutor(jobs) as pool:
        for number, run in enumerate(pool.map(lambda run: _train(run, size, folder), todo), len(runs) - len(todo) + 1):
            log(f"run {number} of {len(runs)}: {run.folder}")


def _checked(run: Run, size: Size, folder: Path) -> Path:
    """The run's folder. Raises UserError where it holds a run with other flags."""
    about = folder / run.folder / ABOUT
    if about.is_file() and read_json(about, "remove it").get("flags") != flags_of(run, size):
        raise UserError(f"{about} is of a run with other flags: choose another RUN_DIR")
    return about.parent


def _train(run: Run, size: Size, folder: Path) -> Run:
    """Trains a run, or goes on where it ended, and writes its curves."""
    folder = make_folder(folder / run.folder)
    flags = flags_of(run, size)
    with replacing(folder / ABOUT) as part:
        write_json(part, {"flags": flags, "git": git_state(), "versions": versions(), "machine": machine(),
                          "time": now()})
    launch.train([*flags, "--user-dir", str(launch.PACKAGE), "--save-dir", str(folder / "checkpoints"),
                  "--tensorboard-logdir", str(folder / "tensorboard")], folder / LOG, launch.Devices())
    with replacing(folder / CURVES) as part:
        write_json(part, asdict(run) | curves(folder / LOG, run, size))
    return run


def curves(path: Path, run: Run, size: Size) -> dict[str, Any]:
    """Accuracy (0 to 1) and mean steps by update: ``updates``, and for valid and test ``accuracy`` and ``steps``.

    ``rate``: the median over epochs of updates a second. A run that went on after an interruption has logged some
    updates twice, and the last counts.
    """
    found = {"valid": {}, "test": {}, "train": {}}
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := RESULT.search(line):
            split, numbers = match[1], json.loads(match[2])
            found[split][int(numbers[f"{split}_num_updates"])] = numbers
    rates = sorted(float(numbers["train_ups"]) for numbers in found["train"].values())
    by_split = {split: {"accuracy": [float(numbers[f"{split}_accuracy"]) for numbers in found[split].values()],
                        "steps": [_steps(run, size, split, numbers) for numbers in found[split].values()]}
                for split in ("valid", "test")}
    return {"updates": list(found["valid"]), **by_split, "rate": rates[len(rates) // 2]}


def _steps(run: Run, size: Size, split: str, numbers: dict[str, str]) -> float:
    return float(numbers[f"{split}_{STEPS[run.method]}"]) if run.method in STEPS else float(size.steps)
