"""Fixtures: experiments without training, where a stand-in for ``launch`` runs no child process.

The stand-in's checkpoints are texts, "updates learning-rate". Its preprocessing records 3668 rows of train, and its
scoring writes the scores of one rule.
"""

import json
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import launch
from fairseq_palbert.experiment.cli import settings_of
from fairseq_palbert.experiment.run import run
from fairseq_palbert.experiment.settings import Settings

SCORE = {"exit": "q_exit:0.5", "metrics": {"score": 0.5}, "mean_exit": 3, "layer_speedup": 2,
         "examples": 1, "exit_histogram": [0, 0, 1, 0, 0, 0], "seconds": 1, "batch_size": None, "device": "cpu",
         "dtype": "float32"}


def value_of(flag: str, words: list[str]) -> str:
    return words[words.index(flag) + 1]


class StandIn:
    """Records the commands of an experiment and writes the files that they would leave.

    ``calls`` are the commands without the interpreter, ``environments`` their environments. A command that contains
    ``fail_at`` fails. ``arch`` is the architecture that conversions record.
    """

    def __init__(self):
        self.calls, self.environments = [], []
        self.fail_at, self.arch = None, "palbert_bert_base"

    def find(self, word: str) -> list[str]:
        return [call for call in map(" ".join, self.calls) if word in call]

    @property
    def trained(self) -> dict[str, str]:
        """Returns the flags of the last training."""
        words = self.find("fairseq-train")[-1].split(" --")[1:]
        return dict((word.split(" ", 1) + [""])[:2] for word in words)

    def note(self, words: list[str], environment: dict | None) -> None:
        self.calls.append(words)
        self.environments.append(environment or {})
        if self.fail_at and self.fail_at in " ".join(words):
            raise UserError("out of luck")

    def run(self, command, environment=None, stdout=None) -> None:
        _, _, _, module, *words = command
        self.note([module, *words], environment)
        if module == "fairseq_palbert.train_flags":
            return
        out = Path(value_of("--out", words))
        if "--url" in words:
            out, name = out.parent, out.name
        out.mkdir(parents=True, exist_ok=True)
        if "--url" in words:
            (out / name).write_text("archive")
        elif module == "preprocess.data":
            (out / value_of("--task", words)).mkdir(exist_ok=True)
            (out / value_of("--task", words) / "glue.json").write_text('{"splits": {"train": {"rows": 3668}}}')
        elif module == "fairseq_palbert.checkpoints.convert":
            (out / "conversion.json").write_text(json.dumps({"arch": self.arch, "flags": ["--encoder-layers", "7"]}))
        elif module == "fairseq_palbert.evaluation":
            (out / "scores.jsonl").write_text(json.dumps(SCORE))

    def output_of(self, command) -> str:
        what, path = command[-2], Path(command[-1])
        self.note([*command[3:-1], str(path)], {})
        if what == "resume":
            last = path / "checkpoint_last.pt"
            return last.read_text().split()[0] if last.exists() else "0"
        updates, rate = path.read_text().split()
        return rate if what == "best" else f"lr: {rate}\nmodel:\n  encoder_layers: 7\n"

    def train(self, flags, log, devices) -> None:
        self.note(["fairseq-train", *flags], devices.environment)
        folder = Path(value_of("--save-dir", flags))
        folder.mkdir(parents=True)
        for name in ("checkpoint_last.pt", "checkpoint_best.pt"):
            (folder / name).write_text(f"{value_of('--max-update', flags)} {value_of('--lr', flags)}")


@pytest.fixture
def stand_in(monkeypatch):
    found = StandIn()
    for name in ("run", "output_of", "train"):
        monkeypatch.setattr(launch, name, getattr(found, name))
    return found


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """settings(name=value, ...) returns the settings of RTE from scratch, with ``tmp_path`` as the current folder."""
    monkeypatch.chdir(tmp_path)
    for variable in ("GLUE_DIR", "VOCAB_DIR", "CUDA_VISIBLE_DEVICES", "SLURM_JOB_NUM_NODES"):
        monkeypatch.delenv(variable, raising=False)
    for task in ("RTE", "CoLA", "MRPC", "SST-2", "STS-B", "MNLI", "AX", "Cues"):
        (tmp_path / "glue" / task).mkdir(parents=True)
    (tmp_path / "vocab").mkdir()
    usual = {"task": "RTE", "glue_dir": "glue", "vocab_dir": "vocab", "num_gpus": 0, "run_dir": "run"}

    def make(**values) -> Settings:
        return settings_of(OmegaConf.create(usual | values))

    return make


@pytest.fixture
def experiment(settings, stand_in, tmp_path):
    """experiment(name=value, ...) runs an experiment and returns its run directory."""

    def start(**values) -> Path:
        run(settings(**values))
        return tmp_path / (values.get("run_dir") or "run")

    return start


@pytest.fixture
def first_run(tmp_path):
    """Returns a run directory of METHOD=vanilla that holds only the markers of finished training, seeds 1 and 2."""
    stages = tmp_path / "vanilla" / "stages"
    stages.mkdir(parents=True)
    for seed in (1, 2):
        (stages / f"train-seed{seed}.done").touch()
    yield stages.parent
    shutil.rmtree(stages.parent)
