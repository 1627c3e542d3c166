"""recipes/hydra: the configurations compose, agree with the table of hyperparameters, and train."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "recipes" / "hydra"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def table_row(arch: str, task: str) -> dict[str, str]:
    """That of the architecture, else of its family."""
    lines = [line for line in (ROOT / "recipes" / "hyperparameters.tsv").read_text().splitlines() if not line.startswith("#")]
    rows = {row["arch"]: row for row in csv.DictReader(lines, delimiter="\t") if row["task"] == task}
    return rows.get(arch) or rows[arch.rsplit("_", 1)[0]]


@pytest.mark.parametrize("name", NAMES)
def test_composes_with_the_settings_of_the_table(name):
    from fairseq.dataclass.initialize import hydra_init
    from hydra import compose, initialize_config_dir

    hydra_init(name)  # as fairseq-hydra-train does: the configuration is then checked against fairseq's own
    with initialize_config_dir(version_base="1.1", config_dir=str(FOLDER)):
        config = compose(name)
    row = table_row(name, "SST-2")
    updates = int(row["length"].removesuffix(" updates"))
    assert config.model._name == name
    assert config.dataset.batch_size == int(row["batch"])
    assert list(config.optimization.lr) == [float(row["lr"])]
    assert config.optimizer.lambda_lr == float(row["lambda_lr"])
    assert config.criterion.beta == float(row["beta"])
    assert config.criterion.get("prior_lambda") == (None if row["prior_lambda"] == "-" else float(row["prior_lambda"]))
    assert config.optimization.max_update == config.lr_scheduler.total_num_update == updates
    assert config.lr_scheduler.warmup_updates == int(float(row["warmup"]) * updates)
    assert str(config.optimizer.adam_betas) == row["adam_betas"] and config.optimizer.adam_eps == float(row["adam_eps"])
    assert config.optimizer.weight_decay == float(row["weight_decay"])
    assert config.model.dropout == config.model.attention_dropout == float(row["dropout"])
    assert config.optimization.clip_norm == float(row["clip_norm"])
    assert config.task.max_positions == int(row["max_positions"])
    assert config.task.get("length_pool", 1) == int(row["length_pool"])


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
