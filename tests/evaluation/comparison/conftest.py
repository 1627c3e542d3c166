"""Recorded runs without models: random answers that get better with depth."""

import itertools
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from fairseq_palbert.evaluation.comparison.runs import read_runs
from fairseq_palbert.evaluation.comparison.task import Task
from fairseq_palbert.evaluation.recorded_split import RecordedSplit, read_record, write_record
from fairseq_palbert.evaluation.scoring import describe
from fairseq_palbert.evaluation.sweep import decisions
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.glue.tasks import TASKS
from fairseq_palbert.modules.encoder import EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape

EXAMPLES, DEPTH = 60, 4
ORIGIN = {
    "command": ["python", "-m", "fairseq_palbert.evaluation", "$RUN_DIR/checkpoint.pt", "--record"],
    "time": "2026-01-02T03:04:05+00:00", "checkpoint": {"path": "$RUN_DIR/checkpoint.pt", "sha256": "0" * 64},
    "git": {"commit": "c0ffee" * 6 + "c0ff", "dirty": False}, "versions": {"torch": "2.13.0"},
    "device": {"type": "cpu", "name": "x86_64", "threads": 1},
}
COMMAND = ("fairseq-train $RUN_DIR/data --valid-subset holdout,valid --best-checkpoint-metric score --train-examples 16000 "
           "--criterion ponder_classification --user-dir /home/someone/fairseq_palbert")
SECONDS_A_LAYER = 0.5


def random_record(task: str, seed: int, halts: bool, split: str = "valid") -> RecordedSplit:
    noise = torch.Generator().manual_seed(seed + 100 * (split == "calibration"))
    regression = TASKS[task].regression
    targets = torch.arange(EXAMPLES) % 6 if regression else torch.arange(EXAMPLES) % 2
    right = (targets / 5).unsqueeze(-1) if regression else torch.nn.functional.one_hot(targets, 2)
    skill = torch.linspace(0.3, 2, DEPTH)[:, None, None]
    logits = skill * right + torch.randn(DEPTH, *right.shape, generator=noise) * 0.6
    halting = torch.randn(DEPTH - 1, EXAMPLES, generator=noise) - 0.5
    return RecordedSplit(
        split=split, glue_task=task, labels=list(TASKS[task].labels), rows=EXAMPLES,
        encoder=EncoderShape(50, 1, 2, 64, DEPTH, 16, 32, 2),
        heads=HeadsShape(right.shape[-1], lambda_module="linear" if halts else "none"),
        prior=[0.1, 0.2, 0.3, 0.4] if halts else None, origin=ORIGIN, ids=torch.arange(EXAMPLES),
        lengths=torch.arange(EXAMPLES) % 30 + 3, targets=targets.double() if regression else targets,
        recording=Recording(halting if halts else None, logits))


def write_run(runs: Path, method: str, task: str, *rules: str, seeds=(1, 2), halts: bool = False,
              calibrated: bool = False) -> Path:
    for seed, split in itertools.product(seeds, ["valid", "calibration"] if calibrated else ["valid"]):
        recorded = random_record(task, seed, halts, split)
        folder = runs / method / task / f"seed{seed}" / "scores" / split
        folder.mkdir(parents=True)
        write_record(folder / "record.safetensors", recorded)
        (folder.parents[1] / "command").write_text(COMMAND)
        rows = [describe(recorded, rule, decisions(recorded, rule)) for rule in map(parse_rule, rules)]
        timed = [{**row, "seconds": row["mean_exit"] * SECONDS_A_LAYER, "batch_size": 8, "device": "cpu", "dtype": "float32"}
                 for row in rows]
        (folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in timed))
    return runs / method / task


@pytest.fixture
def make_run(tmp_path):
    """make_run("palbert", "SST-2", rules...) -> its folder METHOD/TASK, of two seeds by default."""
    return partial(write_run, tmp_path / "runs")


@pytest.fixture
def make_task(make_run):
    """make_task("SST-2", {method: rules}) -> the task; PALBERT halts."""

    def make(task: str, methods: dict[str, list[str]], **how) -> Task:
        folders = [make_run(method, task, *rules, halts=method.startswith("palbert"), **how) for method, rules in methods.items()]
        return Task(task, read_runs(folders, "valid")[task])

    return make


@pytest.fixture
def damage():
    """damage(record, **changes) writes the record again, changed."""

    def change(path, **changes):
        write_record(path, replace(read_record(path), **changes))

    return change
