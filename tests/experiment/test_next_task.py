"""Tests of starting RTE, MRPC and STS-B from a model fine-tuned on MNLI.

The flags are those that an experiment derives from the checkpoint.
"""

import warnings

import pytest
import torch

from fairseq_palbert.experiment import pretrained

SMALL = ("--arch", "palbert_bert", "--encoder-layers", "2", "--encoder-embed-dim", "8", "--encoder-ffn-embed-dim", "12",
         "--encoder-attention-heads", "2")


@pytest.fixture(scope="module")
def make_trainer(make_toy_data, tmp_path_factory):
    """make_trainer(task, *flags) returns the trainer that ``fairseq-train`` starts, with the checkpoint loaded."""
    from fairseq import checkpoint_utils, options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq.logging import metrics
    from fairseq.trainer import Trainer

    import fairseq_palbert.plugin  # noqa: F401  registers the plugin

    def make(name: str, *flags: str):
        metrics.reset()
        folder = tmp_path_factory.mktemp(name)
        valid = "valid,valid1" if name == "MNLI" else "valid"
        args = options.parse_args_and_arch(options.get_training_parser(), [
            str(make_toy_data(folder / "data", name)), "--task", "glue", "--glue-task", name, "--valid-subset", valid,
            "--criterion", "ponder_classification", "--optimizer", "ponder_adam", "--lr", "0.1", "--cpu",
            "--batch-size", "8",
            "--save-dir", str(folder / "checkpoints"), "--max-update", "9", "--seed", str(len(name)), *flags,
        ])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fairseq calls Hydra in an old way
            cfg = convert_namespace_to_omegaconf(args)
        task = tasks.setup_task(cfg.task)
        task.load_dataset("train")
        torch.manual_seed(cfg.common.seed)
        trainer = Trainer(cfg, task, task.build_model(cfg.model), task.build_criterion(cfg.criterion))
        checkpoint_utils.load_checkpoint(cfg.checkpoint, trainer)
        return trainer

    return make


@pytest.fixture(scope="module")
def mnli(make_trainer, tmp_path_factory):
    """Returns the weights of an MNLI model after one update, and the path of its checkpoint."""
    trainer = make_trainer("MNLI", *SMALL)
    trainer.train_step([next(trainer.get_train_iterator(1).next_epoch_itr())])
    path = tmp_path_factory.mktemp("mnli") / "checkpoint_best.pt"
    trainer.consolidate_optimizer()
    trainer.save_checkpoint(str(path), {})
    return trainer.model.state_dict(), path


def moved(before: dict, after: dict) -> set[str]:
    """Returns the parts of the network with a tensor that is new or differs."""
    return {name.split(".")[1] for name in after if name not in before or not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("task, flags, fresh", [
    ("RTE", (), {"classifier"}), ("MRPC", (), {"classifier"}), ("STS-B", (), {"classifier"}),
    ("STS-B", ("--fresh-heads",), {"classifier", "pooler", "lambda_module"}),
])
def test_encoder_is_kept_and_heads_by_option(make_trainer, mnli, task, flags, fresh):
    weights, path = mnli
    found = pretrained.describe(path)
    start = ("--finetune-from-model", str(found.checkpoint))
    trainer = make_trainer(task, "--arch", found.arch, *found.flags, *flags, *start)
    assert moved(weights, trainer.model.state_dict()) == fresh
    trainer.train_step([next(trainer.get_train_iterator(1).next_epoch_itr())])
    assert trainer.get_num_updates() == 1
