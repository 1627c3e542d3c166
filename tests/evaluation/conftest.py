"""Checkpoints as fairseq's trainer saves them, of networks whose sentences leave at different layers."""

import json
import logging
import warnings

import pytest
import torch
from torch import nn

from fairseq_palbert.evaluation.cli import main

FLAGS = ["--cpu", "--arch", "palbert_roberta_tiny", "--encoder-layers", "4", "--optimizer", "ponder_adam", "--lr", "0.001",
         "--batch-size", "16", "--task", "glue", "--no-save-optimizer-state"]
PONDERING = ["--criterion", "ponder_classification", "--prior-lambda", "0.3"]


def save_checkpoint(path, data, glue_task: str, *flags: str) -> None:
    from fairseq import options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq.trainer import Trainer

    criterion = [] if "--criterion" in flags else PONDERING
    given = [str(data), *FLAGS, *criterion, "--glue-task", glue_task, *flags]
    arguments = options.parse_args_and_arch(options.get_training_parser(), given)
    with warnings.catch_warnings(action="ignore"):  # Hydra's, of fairseq's schemas
        cfg = convert_namespace_to_omegaconf(arguments)
    task = tasks.setup_task(cfg.task)
    torch.manual_seed(0)
    model = task.build_model(cfg.model)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:  # far wider than for training, so that exits and answers depend on the sentence
            nn.init.normal_(parameter, std=(2 if "lambda_module" in name else 1) * parameter.shape[1] ** -0.5)
    if model.network.halts:
        nn.init.constant_(model.network.lambda_module.readout.copies[0][-1].bias, -1.5)
    Trainer(cfg, task, model, task.build_criterion(cfg.criterion)).save_checkpoint(str(path), {"epoch": 1})


@pytest.fixture
def make_checkpoint():
    return save_checkpoint


@pytest.fixture(autouse=True)
def quiet_libraries():
    """Importing fairseq lets every library's debug lines through."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.WARNING)
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture(scope="session")
def toy(make_toy_data, tmp_path_factory):
    """toy("RTE", flags...) -> (checkpoint, data folder) of that task, made once."""
    made = {}

    def get(glue_task: str, *flags: str):
        if (glue_task, flags) not in made:
            folder = tmp_path_factory.mktemp(glue_task)
            data = make_toy_data(folder / "data", glue_task)
            save_checkpoint(folder / "checkpoint.pt", data, glue_task, *flags)
            made[glue_task, flags] = folder / "checkpoint.pt", data
        return made[glue_task, flags]

    return get


@pytest.fixture
def evaluate(tmp_path):
    """evaluate(checkpoint, data, *rules, options...) runs the command -> (out folder, objects of scores.jsonl)."""

    def run(checkpoint, data, *rules: str, options=()):
        out = tmp_path / "out"
        rules = [f"--exit={rule}" for rule in rules]
        main([str(checkpoint), "--data", str(data), *rules, "--out", str(out), *map(str, options)])
        return out, [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]

    return run
