"""Tests of parts: every parameter of the pondering classifier belongs to one."""

from dataclasses import replace

import pytest
from torch import nn

from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier
from fairseq_palbert.optim.parts import tag_parameters


def network(**heads) -> PonderingClassifier:
    shape = EncoderShape(vocabulary=11, padding_id=1, separator_id=2, max_positions=8, layers=3, hidden=4,
                         ffn_hidden=8, heads=2)
    return PonderingClassifier(Encoder(shape), HeadsShape(outputs=2, **heads))


@pytest.mark.parametrize("heads", [
    {},
    {"lambda_layer_embedding": True, "per_layer_pooler": True, "per_layer_classifier": True, "per_layer_lambda": True},
    {"lambda_module": "rnn", "per_layer_lambda": True},
])
def test_every_parameter_is_tagged_with_its_part(heads):
    model = network(**heads)
    tag_parameters(model)
    for module, part in (("pooler", "classifier"), ("classifier", "classifier"), ("lambda_module", "lambda"),
                         ("layer_embedding", "lambda")):
        for parameter in getattr(model, module).parameters() if getattr(model, module) is not None else ():
            assert (parameter.param_group, parameter.optim_overrides) == (part, {"part": part, "layers_above": 0})
    for depth, modules in enumerate([
        [model.encoder.embed_tokens, model.encoder.embed_positions, model.encoder.embedding_norm],
        *([layer] for layer in model.encoder.layers),
    ]):
        for parameter in (p for module in modules for p in module.parameters()):
            assert parameter.param_group == f"encoder_{depth}"
            assert parameter.optim_overrides == {"part": "encoder", "layers_above": 3 - depth}
    assert all(hasattr(parameter, "param_group") for parameter in model.parameters())


def test_the_table_of_relative_positions_is_of_the_last_layer_that_uses_it():
    model = network()
    model.encoder = Encoder(replace(model.encoder.shape, relative_buckets=32))
    tag_parameters(model)
    table = model.encoder.relative_bias.weight
    assert (table.param_group, table.optim_overrides) == ("encoder_3", {"part": "encoder", "layers_above": 0})


@pytest.mark.parametrize("owner", ["", "encoder"])
def test_a_parameter_of_no_part_raises(owner):
    model = network()
    model.get_submodule(owner).add_module("lm_head", nn.Linear(4, 4))
    with pytest.raises(ValueError, match="lm_head.weight"):
        tag_parameters(model)
