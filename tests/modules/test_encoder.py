"""Tests of the encoder's shape: segments, positions, shared layers, factorised embeddings."""

from dataclasses import replace

import pytest
import torch

from fairseq_palbert.modules.batch import PaddedBatch
from fairseq_palbert.modules.encoder import Encoder, EncoderShape

SHAPE = EncoderShape(vocabulary=17, padding_id=1, separator_id=2, max_positions=9, layers=6, hidden=8, ffn_hidden=12,
                     heads=2)
PAIR = torch.tensor([[0, 5, 2, 6, 7, 2], [0, 5, 2, 1, 1, 1]])  # [CLS] a [SEP] b c [SEP], and a single sentence


def make(**settings) -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(replace(SHAPE, **settings)).eval()
    for parameter in encoder.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return encoder


def batch_of(*rows):
    return PaddedBatch(torch.tensor(rows), SHAPE.padding_id)


def run(encoder, tokens):
    """Returns the last layer. Shape: [B, T] -> [B, T, C]."""
    batch = PaddedBatch(tokens, SHAPE.padding_id)
    hidden = encoder.embed(batch)
    for n in range(1, encoder.depth + 1):
        hidden = encoder.step(n, hidden, batch)
    return batch.pad(hidden)


@pytest.mark.parametrize("tokens, expected", [
    ([0, 5, 2, 6, 7, 2], [0, 0, 0, 1, 1, 1]),
    ([0, 5, 2], [0, 0, 0]),
    ([2, 2, 2, 2, 2, 2], [0, 1, 1, 1, 1, 1]),
])
def test_the_second_segment_begins_after_the_first_separator(tokens, expected):
    encoder = make(segments=2)
    torch.nn.init.zeros_(encoder.embed_segments.weight)
    plain = encoder.embed(batch_of(tokens))
    encoder.embed_segments.weight.data[1] = 5 * torch.randn(8)
    moved = (encoder.embed(batch_of(tokens)) - plain).abs().amax(-1) > 1e-3
    assert moved.long().tolist() == expected


def test_one_segment_is_everywhere_the_same():
    encoder = make(segments=1)
    row = encoder.embed_segments.weight[0].detach().clone()
    expected = make(segments=0)
    expected.load_state_dict({name: p for name, p in encoder.state_dict().items() if "segments" not in name})
    expected.embed_tokens.weight.data += row
    torch.testing.assert_close(encoder.embed(batch_of(*PAIR.tolist())), expected.embed(batch_of(*PAIR.tolist())))


@pytest.mark.parametrize("settings", [
    {}, {"segments": 2, "first_position": 2}, {"embedding": 4, "groups": 1, "segments": 2},
    {"groups": 2, "inner_layers": 2},
    {"relative_buckets": 4},
])
def test_padding_changes_nothing(settings):
    encoder = make(**settings)
    padded = run(encoder, PAIR)
    assert padded.shape == (2, 6, 8)
    torch.testing.assert_close(padded[1:, :3], run(encoder, PAIR[1:, :3]))


@pytest.mark.parametrize("tokens, rows", [(PAIR, 9), (PAIR[1:], 3), (PAIR[:1], 6)])
def test_nothing_but_attention_computes_with_padding(tokens, rows):
    encoder, seen = make(), []
    for layer in encoder.layers:
        for linear in (layer.qkv_proj, layer.out_proj, layer.fc1, layer.fc2):
            linear.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].numel() // inputs[0].shape[-1]))
    run(encoder, tokens)
    assert seen == [rows] * 4 * encoder.depth


def test_the_first_token_takes_the_first_position():
    encoder = make(first_position=2, max_positions=6)
    assert len(encoder.embed_positions.weight) == 8
    batch = batch_of(PAIR[0].tolist())
    before = encoder.embed(batch)
    encoder.embed_positions.weight.data[:2] += 1
    torch.testing.assert_close(encoder.embed(batch), before)
    encoder.embed_positions.weight.data[2] += torch.randn(8)
    changed = (encoder.embed(batch) - before).abs().amax(-1) > 1e-3
    assert changed.tolist() == [True] + 5 * [False]


@pytest.mark.parametrize("groups, groups_of_layers", [
    (None, [0, 1, 2, 3, 4, 5]), (1, 6 * [0]), (2, [0, 0, 0, 1, 1, 1]), (4, [0, 0, 1, 2, 2, 3]),
])
def test_layers_share_groups_evenly(groups, groups_of_layers):
    shape = replace(SHAPE, groups=groups, inner_layers=2)
    assert [shape.group(n) for n in range(1, 7)] == groups_of_layers
    encoder = make(groups=groups, inner_layers=2)
    assert len(encoder.layers) == 2 * (max(groups_of_layers) + 1)
    for index in range(len(encoder.layers)):
        deepest = 6 - groups_of_layers[::-1].index(index // 2)
        assert shape.deepest(index) == deepest
    batch, hidden = PaddedBatch(PAIR, SHAPE.padding_id), torch.randn(9, 8)
    first = 2 * groups_of_layers[3]
    expected = encoder.layers[first + 1](encoder.layers[first](hidden, batch), batch)
    assert torch.equal(encoder.step(4, hidden, batch), expected)


def test_an_encoder_of_shared_layers_equals_one_with_copies():
    shared, copied = make(groups=2, embedding=4), make(embedding=4)
    for n in range(1, 7):
        copied.layers[n - 1].load_state_dict(shared.layers[shared.shape.group(n)].state_dict())
    rest = {name: p for name, p in shared.state_dict().items() if not name.startswith("layers.")}
    copied.load_state_dict({**copied.state_dict(), **rest})
    assert torch.equal(run(shared, PAIR), run(copied, PAIR))
