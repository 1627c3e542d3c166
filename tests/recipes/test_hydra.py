"""Tests of recipes/hydra: configurations compose, match the hyperparameters, and train."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fairseq_palbert.experiment.hyperparameters import hyperparameters

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "recipes" / "hydra"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_composes_with_the_hyperparameters(name):
    from fairseq.dataclass.initialize import hydra_init
    from hydra import compose, initialize_config_dir

    hydra_init(name)  # as fairseq-hydra-train does: the configuration is then checked against fairseq's own
    with initialize_config_dir(version_base="1.1", config_dir=str(FOLDER)):
        config = compose(name)
    row = hyperparameters(name, "SST-2")
    updates = row["max_update"]
    assert config.model._name == name
    assert config.dataset.batch_size == row["batch"]
    assert list(config.optimization.lr) == [row["lr"]]
    assert config.optimizer.lambda_lr == row["lambda_lr"]
    assert config.criterion.beta == row["beta"]
    assert config.criterion.get("prior_lambda") == row.get("prior_lambda")
    assert config.optimization.max_update == config.lr_scheduler.total_num_update == updates
    assert config.lr_scheduler.warmup_updates == int(row["warmup"] * updates)
    assert str(config.optimizer.adam_betas) == row["adam_betas"] and config.optimizer.adam_eps == row["adam_eps"]
    assert config.optimizer.weight_decay == row["weight_decay"]
    assert config.model.dropout == config.model.attention_dropout == row["dropout"]
    assert config.optimization.clip_norm == row["clip_norm"]
    assert config.task.max_positions == row["max_positions"]
    assert config.task.get("length_pool", 1) == row["length_pool"]


def test_trains(make_toy_data, tmp_path):
    data = make_toy_data(tmp_path / "RTE", "RTE")
    command = [
        str(Path(sys.executable).parent / "fairseq-hydra-train"), "--config-dir", str(FOLDER),
        "--config-name", "palbert_roberta_tiny", f"hydra.run.dir={tmp_path / 'run'}",
        f"common.user_dir={ROOT / 'fairseq_palbert'}", f"task.data={data}", "task.glue_task=RTE",
        "optimization.max_update=3", "lr_scheduler.warmup_updates=1", "+model.lambda_module=rnn",
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    state = torch.load(tmp_path / "run" / "checkpoints" / "checkpoint_best.pt", weights_only=True)
    assert state["optimizer_history"][-1]["num_updates"] == 3
    assert state["cfg"]["model"]["encoder_layers"] == 6 and state["cfg"]["model"]["lambda_module"] == "rnn"
    assert list((tmp_path / "run" / "tensorboard" / "valid").iterdir())
