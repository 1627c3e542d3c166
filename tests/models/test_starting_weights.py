"""Tests of what a model takes over from a checkpoint and what it refuses, with ``load_state_dict``."""

import logging

import pytest
import torch

from fairseq_palbert.checkpoints.loading import load_model
from fairseq_palbert.errors import UserError
from fairseq_palbert.models.starting_weights import TRANSFERABLE_HEADS, StartingPoint

HEADS = ("pooler", "classifier", "lambda_module")


def copied(weights):
    return {name: tensor.clone() for name, tensor in weights.items()}


def part(weights, module):
    return {name: tensor for name, tensor in weights.items() if name.startswith(f"network.{module}.")}


def assert_equal(one, other):
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def stock(make_stock):
    return make_stock()


@pytest.mark.parametrize("old", [False, True])
def test_a_stock_encoder_is_taken_over_and_heads_stay_fresh(build, stock, save_stock, tmp_path, caplog, old):
    model = build()
    fresh = copied(model.state_dict())
    state = torch.load(save_stock(stock, tmp_path / "stock.pt", old), weights_only=False)
    with caplog.at_level(logging.INFO, "fairseq_palbert"):
        model.load_state_dict(state["model"], strict=True)
    theirs, ours = stock.encoder.sentence_encoder, model.network.encoder
    assert torch.equal(ours.embed_tokens.weight, theirs.embed_tokens.weight)
    assert torch.equal(ours.embed_positions.weight, theirs.embed_positions.weight)
    assert torch.equal(ours.embedding_norm.weight, theirs.layernorm_embedding.weight)
    for mine, their in zip(ours.layers, theirs.layers, strict=True):
        attention = their.self_attn
        counterparts = ((mine.out_proj, attention.out_proj), (mine.attention_norm, their.self_attn_layer_norm),
                        (mine.fc1, their.fc1), (mine.fc2, their.fc2), (mine.output_norm, their.final_layer_norm))
        for kind in ("weight", "bias"):
            projections = [getattr(part, kind) for part in (attention.q_proj, attention.k_proj, attention.v_proj)]
            assert torch.equal(getattr(mine.qkv_proj, kind), torch.cat(projections))
            assert all(torch.equal(getattr(our, kind), getattr(other, kind)) for our, other in counterparts)
    for head in HEADS:
        assert_equal(part(model.state_dict(), head), part(fresh, head))
    side = "decoder" if old else "encoder"
    fresh_heads = ", ".join(HEADS)
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("fairseq_palbert")]
    assert messages == [
        f"the checkpoint: loaded: encoder; dropped: {side}.lm_head; initialised afresh: {fresh_heads}"
    ]


def test_classification_heads_of_a_stock_checkpoint_are_dropped_by_name(build, stock, caplog):
    stock.register_classification_head("sentence_classification_head", num_classes=2)
    with caplog.at_level(logging.INFO, "fairseq_palbert"):
        build().load_state_dict(stock.state_dict())
    assert "dropped: encoder.lm_head, classification_heads.sentence_classification_head;" in caplog.text


@pytest.mark.parametrize("flags, tensor", [
    (("--encoder-embed-dim", 32), "network.encoder.embed_tokens.weight is 55 x 16 there and 55 x 32 in the model"),
    (("--encoder-max-positions", 600), "network.encoder.embed_positions.weight is 514 x 16 there and 602 x 16"),
    (("--encoder-ffn-embed-dim", 20), "network.encoder.layers.0.fc1.weight is 24 x 16 there and 20 x 16"),
    (("--encoder-layers", 4), "it has no network.encoder.layers.3.qkv_proj.weight"),
    (("--encoder-layers", 2), "has no network.encoder.layers.2."),
])
def test_a_stock_checkpoint_of_another_shape_is_refused_by_tensor(build, stock, flags, tensor):
    with pytest.raises(UserError, match=tensor):
        build(*flags).load_state_dict(stock.state_dict())


def test_another_vocabulary_is_refused(build, stock):
    weights, name = stock.state_dict(), "encoder.sentence_encoder.embed_tokens.weight"
    weights[name] = weights[name][:-1]
    with pytest.raises(UserError, match="embed_tokens.weight is 54 x 16 there and 55 x 16 in the model"):
        build().load_state_dict(weights)


def test_a_pre_norm_stock_encoder_is_refused(build, make_stock):
    weights = make_stock(encoder_normalize_before=True).state_dict()
    with pytest.raises(UserError, match="has no network.encoder.layer_norm.weight"):
        build().load_state_dict(weights)


def test_our_own_checkpoint_is_restored_whole(build):
    trained, model = build(), build()
    for parameter in trained.parameters():
        parameter.data += 1
    model.load_state_dict(trained.state_dict())
    assert_equal(model.state_dict(), trained.state_dict())


@pytest.mark.parametrize("flags, tensor", [
    (("--per-layer-classifier",), "has no network.classifier.copies.1.1.weight"),
    (("--lambda-module", "rnn"), "it has no network.lambda_module.readout.copies.0.1.weight .128 x 32."),
    (("--lambda-lookback", 2), "network.lambda_module.readout.copies.0.1.weight is 128 x 48 there and 128 x 32"),
])
def test_our_own_checkpoint_must_match_in_every_tensor(build, flags, tensor):
    with pytest.raises(UserError, match=tensor):
        build().load_state_dict(build(*flags).state_dict())


def test_anything_else_is_refused(build):
    with pytest.raises(UserError, match="neither a model of this plugin nor fairseq's RoBERTa: .* is bert.weight"):
        build().load_state_dict({"bert.weight": torch.zeros(1)})


def test_another_tasks_model_gives_all_but_its_classifier(build):
    trained, fresh = build().state_dict(), build().state_dict()
    trained = {name: tensor + 1 for name, tensor in trained.items()}
    starting = StartingPoint("other.pt", heads=TRANSFERABLE_HEADS).weights(trained, fresh)
    for module in ("encoder", "pooler", "lambda_module"):
        assert_equal(part(starting.weights, module), part(trained, module))
    assert_equal(part(starting.weights, "classifier"), part(fresh, "classifier"))
    report = "loaded: encoder, pooler, lambda_module; dropped: classifier; initialised afresh: classifier"
    assert str(starting) == report


def test_heads_of_another_shape_stay_fresh_when_transferred(build):
    fresh = build("--per-layer-pooler", "--lambda-layer-embedding").state_dict()
    starting = StartingPoint("other.pt", heads=TRANSFERABLE_HEADS).weights(build().state_dict(), fresh)
    assert starting.loaded == ["encoder", "lambda_module"]
    assert starting.initialised == ["pooler", "classifier", "layer_embedding"]


def test_a_checkpoint_from_before_a_setting_keeps_what_it_was_trained_with(toy, tmp_path):
    """PALBERT's width of the lambda module, and heads that read the first token, were the only ones once."""
    checkpoint, data = toy("RTE", "--encoder-embed-dim", "32", "--lambda-width", "64")
    state = torch.load(checkpoint, weights_only=True)
    for name in ("lambda_width", "pooling"):
        del state["cfg"]["model"][name]
    torch.save(state, tmp_path / "earlier.pt")
    heads = load_model(tmp_path / "earlier.pt", str(data), None).network.heads_shape
    assert (heads.lambda_width, heads.pooling) == (None, "first")
