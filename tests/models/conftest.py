"""Fixtures: models as fairseq's command line builds them, and stock RoBERTa checkpoints."""

import warnings
from argparse import Namespace
from collections import OrderedDict
from copy import deepcopy
from functools import cache

import pytest
import torch
from omegaconf import OmegaConf

STOCK = {"encoder_layers": 3, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 24, "encoder_attention_heads": 2}
ARCH = ("--arch", "palbert_roberta_tiny", *(f"--{name.replace('_', '-')}={value}" for name, value in STOCK.items()))


@pytest.fixture(scope="session")
def data(make_toy_data, tmp_path_factory):
    return make_toy_data(tmp_path_factory.mktemp("models") / "RTE", "RTE")


@pytest.fixture(scope="session")
def configure(data):
    """configure(*flags) returns the configuration that ``fairseq-train`` makes of the flags, on the CPU."""
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    import fairseq_palbert.plugin  # noqa: F401  registers the plugin

    @cache  # Hydra takes more than a second
    def composed(*flags):
        args = options.parse_args_and_arch(options.get_training_parser(), [
            str(data), "--task", "glue", "--glue-task", "RTE", "--criterion", "ponder_classification", "--cpu",
            "--batch-size", "8", "--save-dir", str(data / "never-written"), *flags,
        ])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fairseq calls Hydra in an old way
            return convert_namespace_to_omegaconf(args)

    return lambda *flags, arch=ARCH: deepcopy(composed(*arch, *map(str, flags)))


@pytest.fixture(scope="session")
def build(configure):
    """build(*flags) returns the model that ``fairseq-train`` builds, in evaluation mode, always from one seed."""
    from fairseq import tasks

    def build(*flags, **options):
        cfg = configure(*flags, **options)
        torch.manual_seed(0)
        return tasks.setup_task(cfg.task).build_model(cfg.model).eval()

    return build


@pytest.fixture
def save_own(configure, build):
    """save_own(path, *flags) writes a checkpoint of the plugin and returns its path.

    It holds only what the start of a run reads.
    """

    def save(path, *flags):
        cfg = OmegaConf.to_container(configure(*flags), resolve=True, enum_to_str=True)
        torch.save({"cfg": cfg, "model": build(*flags).state_dict()}, path)
        return path

    return save


@pytest.fixture(scope="session")
def make_stock(data):
    """make_stock(**settings) returns fairseq's own RoBERTa over the same dictionary, in evaluation mode.

    Its weights are not near zero.
    """
    from fairseq.data import Dictionary
    from fairseq.models.roberta import RobertaModel

    dictionary = Dictionary.load(str(data / "input0" / "dict.txt"))
    dictionary.add_symbol("<mask>")

    def make(**settings):
        args = Namespace(arch="roberta", task="masked_lm", criterion="masked_lm", data="data", max_positions=512,
                         **{**STOCK, **settings})
        torch.manual_seed(1)
        model = RobertaModel.build_model(args, Namespace(source_dictionary=dictionary)).eval()
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        return model

    return make


@pytest.fixture(scope="session")
def save_stock():
    """save_stock(model, path, old=False) writes a checkpoint and returns its path.

    It has today's form or, if ``old``, the form of RoBERTa's public archives.
    """

    def save(model, path, old=False):
        weights, args = model.state_dict(), model.args
        history = {"criterion_name": "MaskedLmLoss", "optimizer_name": "FairseqAdam", "lr_scheduler_state": {},
                   "num_updates": 9}
        state = {
            "args": args if old else None,
            "cfg": None if old else {"model": args},
            "model": in_old_form(weights) if old else weights,
            "optimizer_history": [history],
            "extra_state": {"train_iterator": {"epoch": 7, "iterations_in_epoch": 3}, "val_loss": 1.0},
            "last_optimizer_state": {"state": {}, "param_groups": []},
        }
        torch.save(state, path, _use_new_zipfile_serialization=not old)
        return path

    return save


def in_old_form(weights):
    old = OrderedDict()
    for name, tensor in weights.items():
        if ".k_proj." in name or ".v_proj." in name:
            continue
        if ".q_proj." in name:
            tensor = torch.cat([weights[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"])
            name = name.replace(".q_proj.", ".in_proj_")
        name = name.replace("layernorm_embedding", "emb_layer_norm")
        old["decoder" + name.removeprefix("encoder")] = tensor
    return old
