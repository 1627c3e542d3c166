"""Tests of the PALBERT model: architectures, presets, refusals and half precision."""

import pytest
import torch
from fairseq import models, tasks
from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY
from omegaconf import OmegaConf

from fairseq_palbert.errors import UserError
from fairseq_palbert.families import FAMILIES
from fairseq_palbert.models.palbert import PalbertConfig, PalbertModel
from fairseq_palbert.models.training_start import StartConfig

BARE = ("--arch", "palbert_roberta")
SHAPE = ("encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "encoder_attention_heads")
SHAPES = {"tiny": (6, 64, 256, 4), "base": (12, 768, 3072, 12), "large": (24, 1024, 4096, 16)}


def shape(model_cfg):
    return tuple(getattr(model_cfg, name) for name in SHAPE)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_name_leads_to_the_familys_class(family):
    model = MODEL_REGISTRY[f"palbert_{family.name}"]
    assert issubclass(model, PalbertModel) and model.family is family
    for arch in (f"palbert_{family.name}", *(f"palbert_{family.name}_{preset}" for preset in family.presets)):
        assert ARCH_MODEL_REGISTRY[arch] is model


def test_every_flag_has_help():
    own = set(PalbertConfig.__dataclass_fields__) - set(StartConfig.__dataclass_fields__)
    assert all(PalbertConfig.__dataclass_fields__[name].metadata["help"] for name in own)


@pytest.mark.parametrize("size, expected", SHAPES.items())
def test_presets_set_the_shape_and_flags_win(configure, size, expected):
    arch = ("--arch", f"palbert_roberta_{size}")
    assert shape(configure(arch=arch).model) == expected
    assert shape(configure("--encoder-layers", 3, arch=arch).model) == (3, *expected[1:])


def test_the_bare_name_is_the_base_preset(configure):
    bare, base = configure(arch=BARE).model, configure(arch=("--arch", "palbert_roberta_base")).model
    assert {**bare, "_name": None} == {**base, "_name": None}


def test_presets_act_where_only_the_name_is_configured(configure):
    """As under Hydra, fairseq fills in the dataclass's defaults before it asks the preset."""
    task = tasks.setup_task(configure().task)
    cfg = OmegaConf.merge(OmegaConf.structured(PalbertConfig()), {"_name": "palbert_roberta_tiny"})
    model = models.build_model(cfg, task)
    assert shape(cfg) == SHAPES["tiny"] and model.network.depth == 6


def test_the_settings_of_an_earlier_version_build_the_same_model(configure):
    cfg = configure()
    task, now = tasks.setup_task(cfg.task), cfg.model
    later = ("encoder_embedding_dim", "encoder_groups", "encoder_inner_layers", "encoder_segments", "encoder_norm_eps",
             "fresh_heads")
    then = OmegaConf.create({name: value for name, value in OmegaConf.to_container(now).items() if name not in later})
    OmegaConf.set_struct(then, True)
    assert models.build_model(then, task).network.encoder.shape == models.build_model(now, task).network.encoder.shape


@pytest.mark.parametrize("arch", ["palbert_roberta", "palbert_roberta_tiny"])
def test_bf16_is_not_taken_for_a_tpu(configure, arch):
    common = configure("--bf16", arch=("--arch", arch)).common
    assert common.bf16 and not common.tpu


@pytest.mark.parametrize("flags, expected", [
    (("--encoder-embed-dim", 18, "--encoder-attention-heads", 4), "--encoder-embed-dim 18 is not divisible .*-heads 4"),
    (("--activation-fn", "swish"), "--activation-fn swish: choose from gelu, gelu_tanh, relu, silu, tanh"),
    (("--lambda-module", "lstm"), "--lambda-module lstm: choose from linear, mlp, rnn, none"),
    *((("--lambda-module", "none", flag), f"{flag} changes a lambda module, and --lambda-module none has none")
      for flag in ("--per-layer-lambda", "--lambda-layer-embedding", "--lambda-detach")),
    (("--lambda-input", "sum"), "--lambda-input sum: choose from concat, diff, both"),
    (("--lambda-lookback", 0), "--lambda-lookback 0: at least 1"),
    (("--lambda-depth", 0), "--lambda-depth 0: at least 1"),
    (("--encoder-layers", 1), "--encoder-layers 1: at least 2"),
    (("--dropout", 1.5), "--dropout 1.5: choose a value from 0"),
    (("--classifier-dropout", -0.1), "--classifier-dropout -0.1: choose a value from 0"),
    (("--encoder-max-positions", 64), "--max-positions 512"),
])
def test_contradictions_are_refused_at_the_start(build, flags, expected):
    with pytest.raises(UserError, match=expected):
        build(*flags)


def test_the_released_objective_and_a_lambda_module_a_layer_are_refused_together(build):
    tokens = torch.tensor([[0, 5, 6, 2]])
    assert len(build()(tokens, halt_at_last=True).halting_logits) == 3
    with pytest.raises(UserError, match="--posterior-remainder none .*--per-layer-lambda"):
        build("--per-layer-lambda")(tokens, halt_at_last=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_on_the_cpu_is_what_it_says(build, dtype):
    """As under --bf16 and --fp16, the whole model and its outputs have that type; halting maths widens it."""
    tokens = torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1]])
    model = build()
    exact = model(tokens)
    half = model.to(dtype)(tokens)
    assert half.logits.dtype == half.halting_logits.dtype == dtype
    torch.testing.assert_close(half.logits.float(), exact.logits, atol=0.02, rtol=0.05)
