"""Two CPU workers log what one process with --update-freq 2 logs: losses and metrics of training and validation."""

import json
import re
from pathlib import Path

import pytest

from tests.fixtures.processes import Started

TASKS = {"CoLA": "matthews", "MRPC": "f1", "STS-B": "spearman", "SST-2": "accuracy"}
# 25 and 5 batches of 8: at the end the second worker has no batch, and the last batch is not full.
SIZES = {"train": 195, "valid": 35}
# SST-2 trains on 195 rows of another split, as a second phase does, and validates on 65.
GATE_SIZES = {"train": 300, "valid": 35}
GATE = ("--train-subset", "gate", "--valid-subset", "calibration", "--holdout-fraction", str(260 / 300))
EPOCHS = 2
# Times, and the size of a validation batch, which counts all workers together.
NOT_COMPARED = {"wps", "ups", "wall", "train_wall", "bsz", "wpb"}
# One process trains all tasks in turn.
TRAIN_ALL = """
import json, sys
from fairseq_cli.train import cli_main

for task, arguments in json.loads(sys.argv[1]).items():
    print("TASK", task, flush=True)
    sys.argv[1:] = arguments
    cli_main()
"""


@pytest.fixture(scope="module")
def logs(make_toy_data, tmp_path_factory):
    """logs["one" or "two"][task] is a list of (split, {name: value}) in the order in which they were logged."""
    folder = tmp_path_factory.mktemp("two_workers")
    for task in TASKS:
        make_toy_data(folder / task, task, GATE_SIZES if task == "SST-2" else SIZES)
    workers = [start(folder, ["--distributed-world-size", "2", "--distributed-rank", str(rank),
                              "--distributed-no-spawn", "--distributed-backend", "gloo",
                              "--distributed-init-method", f"file://{folder}/rendezvous"]) for rank in (0, 1)]
    master, _ = finish(workers)
    single, = finish([start(folder, ["--update-freq", "2"])])
    return {"one": read_logs(single), "two": read_logs(master)}


def start(folder: Path, extra: list[str]) -> Started:
    arguments = {task: [
        str(folder / task), "--user-dir", "fairseq_palbert", "--cpu", "--task", "glue", "--glue-task", task,
        "--arch", "palbert_roberta_tiny", "--criterion", "ponder_classification", "--dropout", "0",
        "--attention-dropout", "0", "--classifier-dropout", "0", "--optimizer", "ponder_adam", "--lr", "1e-3",
        "--lambda-lr", "5e-4", "--clip-norm", "1", "--batch-size", "8", "--max-epoch", str(EPOCHS), "--no-save",
        "--save-dir", str(folder),
        "--ddp-backend", "legacy_ddp", "--num-workers", "0", "--log-format", "json", "--log-interval", "1",
        *(GATE if task == "SST-2" else ()), *extra,
    ] for task in TASKS}
    return Started(["-c", TRAIN_ALL, json.dumps(arguments)])


def finish(processes: list[Started]) -> list[str]:
    done = [process.finish() for process in processes]
    assert not any(process.returncode for process in done), "\n".join(process.stderr[-3000:] for process in done)
    return [process.stdout for process in done]


def read_logs(output: str) -> dict[str, list[tuple[str, dict[str, float]]]]:
    output = output.replace("calibration", "valid")
    return {task: [(split, {name.removeprefix(f"{split}_"): float(value) for name, value in json.loads(values).items()})
                   for split, values in re.findall(r"\| (train_inner|train|valid) \| (\{.*\})", log)]
            for task, log in re.findall(r"^TASK (\S+)$(.*?)(?=^TASK|\Z)", output, re.MULTILINE | re.DOTALL)}


@pytest.mark.parametrize("task", TASKS)
def test_losses_and_metrics_are_those_of_one_process(logs, task):
    one, two = logs["one"][task], logs["two"][task]
    updates = -(-25 // 2) * EPOCHS
    splits = [split for split, _ in one]
    assert splits == [split for split, _ in two]
    counts = {split: splits.count(split) for split in splits}
    assert counts == {"train_inner": updates, "train": EPOCHS, "valid": EPOCHS}
    for (split, single), (_, double) in zip(one, two):
        assert single.keys() == double.keys()
        for name in single.keys() - NOT_COMPARED:
            assert double[name] == pytest.approx(single[name], rel=1e-5, abs=1e-5), f"{name} of {split}"


@pytest.mark.parametrize("task, metric", TASKS.items())
def test_the_metrics_that_agree_are_defined(logs, task, metric):
    for name in (metric, "score"):  # early in training a model may predict a constant, whose metric is 0
        assert any(abs(values[name]) > 0 for split, values in logs["two"][task] if split in ("train", "valid"))
    values = [values for split, values in logs["two"][task] if split == "valid"][-1]
    assert {"loss", "task_loss", "kl", "p_1", "p_6", "q_exit_depth"} <= values.keys()
