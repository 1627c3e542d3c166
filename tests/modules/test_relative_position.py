"""Tests of relative position bias: buckets and attention.

Buckets equal a computation in whole numbers, and every path through attention equals one in loops.
"""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from fairseq_palbert.modules.batch import PackedBatch, PaddedBatch
from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.relative_position import bucket, relative_position_bias

SHAPE = EncoderShape(vocabulary=31, padding_id=1, separator_id=2, max_positions=300, layers=3, hidden=12, ffn_hidden=20,
                     heads=3, first_position=2, relative_buckets=32)
LENGTHS = (7, 1, 150, 7, 2, 33, 290)  # some longer than 128, the distance where the buckets end, and some equal


@cache
def slow_bucket(distance: int, buckets: int) -> int:
    """Returns the bucket of T5 (arXiv 1910.10683, section 2.1), computed in whole numbers alone.

    It is the last bucket of its sign whose lower bound exact (128 / exact)^(k / (half − exact)) is not above the
    distance.
    """
    half = buckets // 2
    exact, far = half // 2, abs(distance)
    wide = half - exact
    if far >= exact:
        k = max(k for k in range(wide) if far**wide * exact**k >= exact**wide * 128**k)
        far = exact + k
    return far + (half if distance > 0 else 0)


@pytest.mark.parametrize("buckets", [4, 8, 32, 36, 64])
def test_buckets_are_those_by_whole_numbers(buckets):
    distances = torch.arange(-600, 601)
    found = bucket(distances, buckets)
    assert found.tolist() == [slow_bucket(distance, buckets) for distance in distances.tolist()]
    assert found.min() == 0 and found.max() == buckets - 1


def test_buckets_by_hand():
    """With 32 buckets, 0 to 7 tokens back have one each (0..7), and so have 1 to 7 tokens ahead (17..23).

    The other buckets are wider, up to a distance of 128. Bucket 16 is empty, since no token is ahead by 0.
    """
    distances = [0, -1, -7, -8, -11, -12, -16, -127, -128, -500, 1, 7, 8, 16, 128, 500]
    expected = [0, 1, 7, 8, 8, 9, 10, 15, 15, 15, 17, 23, 24, 26, 31, 31]
    assert bucket(torch.tensor(distances), 32).tolist() == expected


@pytest.mark.parametrize("length", [1, 2, 9, 140])
def test_the_bias_of_a_pair_of_tokens_is_its_buckets(length):
    table = torch.randn(32, 3)
    found = relative_position_bias(table, length)
    assert found.shape == (3, length, length)
    for i in range(0, length, 7):
        for j in range(0, length, 5):
            assert torch.equal(found[:, i, j], table[slow_bucket(j - i, 32)])
    assert torch.equal(found[:, :1, :1], relative_position_bias(table, 1))


@pytest.mark.parametrize("buckets", [1, 2, 3, 7, 512, -4])
def test_a_number_of_buckets_that_cannot_be_divided_is_refused(buckets):
    with pytest.raises(ValueError, match="relative_buckets"):
        Encoder(replace(SHAPE, relative_buckets=buckets))


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    encoder = Encoder(SHAPE).eval()
    for parameter in encoder.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    encoder.relative_bias.weight.data = torch.randn(32, 3)
    return encoder


@pytest.fixture(scope="module")
def sentences():
    torch.manual_seed(1)
    return [torch.randint(3, 31, (length,)) for length in LENGTHS]


def slow_layers(encoder, tokens):
    """Returns every layer of one sentence, with attention in loops: softmax(q k / √d + b[bucket(j − i)]) v.

    Shape: [T] -> N + 1 [T, C].
    """
    shape, size = encoder.shape, len(tokens)
    width = shape.hidden // shape.heads
    layers = [encoder.embed(PackedBatch.of([tokens]))]
    buckets = torch.tensor([[slow_bucket(j - i, shape.relative_buckets) for j in range(size)] for i in range(size)])
    for layer in encoder.layers:
        hidden = layers[-1]
        query, key, value = layer.qkv_proj(hidden).chunk(3, dim=1)
        context = torch.zeros_like(hidden)
        for head in range(shape.heads):
            part = slice(head * width, (head + 1) * width)
            scores = query[:, part] @ key[:, part].T / width**0.5 + encoder.relative_bias.weight[buckets, head]
            context[:, part] = scores.softmax(1) @ value[:, part]
        hidden = layer.attention_norm(hidden + layer.out_proj(context))
        layers.append(layer.output_norm(hidden + layer.fc2(layer.activation(layer.fc1(hidden)))))
    return layers


def layers_of(encoder, batch):
    layers = [encoder.embed(batch)]
    for n in range(1, encoder.depth + 1):
        layers.append(encoder.step(n, layers[-1], batch))
    return layers


@pytest.fixture(scope="module")
def expected(encoder, sentences):
    """Returns the slow layers of all sentences, one sentence after the other. Shape: [N + 1, R, C]."""
    with torch.no_grad():
        return torch.stack([torch.cat(layer) for layer in zip(*(slow_layers(encoder, tokens) for tokens in sentences))])


def padded(sentences):
    return PaddedBatch(pad_sequence(sentences, True, 1), 1)


def left_in(sentences):
    """Returns a padded batch as on a device where the padding is not taken out."""
    batch = padded(sentences)
    tokens = pad_sequence(sentences, True, 1)
    real = tokens.ne(1)
    batch.rows, batch.tokens = None, tokens.flatten()
    batch.positions = (real.cumsum(1) * real - 1).clamp(min=0).flatten()
    return batch


def agree(found, expected):
    return (found - expected).abs().max() <= 1e-5


@torch.no_grad()
def test_padded_packed_and_alone_are_as_in_loops(encoder, sentences, expected):
    assert agree(torch.stack(layers_of(encoder, padded(sentences))), expected)
    assert agree(torch.stack(layers_of(encoder, PackedBatch.of(sentences))), expected)
    real = pad_sequence(sentences, True, 1).ne(1).flatten()
    assert agree(torch.stack(layers_of(encoder, left_in(sentences)))[:, real], expected)
    row = 0
    for tokens in sentences:
        for batch in (PackedBatch.of([tokens]), padded([tokens])):
            assert agree(torch.stack(layers_of(encoder, batch)), expected[:, row:row + len(tokens)])
        row += len(tokens)


@torch.no_grad()
def test_a_gpus_way_through_attention_is_the_same(encoder, sentences, expected):
    batch, projected = PackedBatch.of(sentences), encoder.layers[0].qkv_proj(expected[0])
    for longest in (max(LENGTHS), 300):
        bias = relative_position_bias(encoder.relative_bias.weight, longest)
        in_lengths = batch.attend(projected, 3, bias=bias)
        assert agree(batch._attend_padded(projected, 3, 0.0, bias), in_lengths)
    assert not agree(batch._attend_padded(projected, 3, 0.0, None), in_lengths)


@pytest.mark.parametrize("dtype, way", [(torch.float32, "_attend_padded"), (torch.bfloat16, "_attend_by_kernel")])
def test_the_kernel_that_takes_no_bias_gets_none(sentences, monkeypatch, dtype, way):
    """The tensors are on a device other than the CPU."""
    called = []
    for name in ("_attend_padded", "_attend_by_kernel"):
        monkeypatch.setattr(PackedBatch, name, lambda *_, name=name: called.append(name))
    projected = torch.empty(sum(LENGTHS), 36, device="meta", dtype=dtype)
    PackedBatch.of(sentences).attend(projected, 3)
    PackedBatch.of(sentences).attend(projected, 3, bias=torch.empty(3, 290, 290, device="meta", dtype=dtype))
    assert called == [way, "_attend_padded"]


@torch.no_grad()
@pytest.mark.parametrize("change", [lambda table: table * 0, lambda table: table.roll(1, 0),
                                    lambda table: table.roll(1, 1),
                                    lambda table: table.roll(16, 0)])
def test_a_bias_left_out_moved_or_of_the_other_direction_is_seen(encoder, sentences, expected, change):
    """The comparison above can fail: none of the changed tables agrees."""
    other = Encoder(SHAPE).eval()
    other.load_state_dict(encoder.state_dict())
    other.relative_bias.weight.data = change(encoder.relative_bias.weight.data)
    for batch in (padded(sentences), PackedBatch.of(sentences)):
        found = torch.stack(layers_of(other, batch))
        assert not agree(found[1], expected[1]) and agree(found[0], expected[0])


@torch.no_grad()
def test_what_is_kept_cut_and_joined_is_as_if_it_were_alone(encoder, sentences, expected):
    """As in the engine, a batch is cut into parts, some sentences exit, and a longer one joins."""
    batch = PackedBatch.of(sentences[:5])
    hidden = encoder.embed(batch)
    for rows, part in batch.parts(20):
        hidden[rows] = encoder.step(1, hidden[rows], part)
    rows, batch = batch.keep(torch.tensor([True, False, True, False, True]))
    hidden = encoder.step(2, hidden[rows], batch)
    of_sentence = expected.split(LENGTHS, dim=1)
    assert agree(hidden, torch.cat([of_sentence[i][2] for i in (0, 2, 4)]))
    joined = batch.followed_by(PackedBatch.of(sentences[6:]))
    hidden = encoder.step(3, torch.cat([hidden, of_sentence[6][2]]), joined)
    assert agree(hidden, torch.cat([of_sentence[i][3] for i in (0, 2, 4, 6)]))


@torch.no_grad()
@pytest.mark.parametrize("of", [padded, PackedBatch.of])
def test_the_bias_is_made_once_for_all_layers_and_parts(encoder, sentences, monkeypatch, of):
    made = []
    monkeypatch.setattr("fairseq_palbert.modules.encoder.relative_position_bias",
                        lambda table, length: made.append(length) or relative_position_bias(table, length))
    batch = of(sorted(sentences, key=len, reverse=True))
    hidden = layers_of(encoder, batch)[-1]
    if of is not padded:
        for rows, part in batch.keep(torch.ones(len(sentences), dtype=torch.bool))[1].parts(100):
            encoder.step(3, hidden[rows], part)
    assert made == [290]


def test_a_gradient_reaches_every_bucket_and_is_that_of_the_definition(sentences):
    torch.manual_seed(2)
    encoder = Encoder(SHAPE).double()
    for parameter in encoder.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    few = [sentences[i] for i in (0, 1, 2, 5)]
    weights = [torch.randn(len(tokens), 12).double() for tokens in few]
    table = encoder.relative_bias.weight
    sum((slow_layers(encoder, tokens)[-1] * weight).sum() for tokens, weight in zip(few, weights)).backward()
    by_definition, table.grad = table.grad, None
    (layers_of(encoder, padded(few))[-1] * torch.cat(weights)).sum().backward()
    torch.testing.assert_close(table.grad, by_definition)
    assert table.grad.ne(0).any(1).tolist() == [k != 16 for k in range(32)]  # no token is ahead by 0


def test_an_encoder_without_buckets_has_no_table_and_computes_as_before(encoder, sentences):
    bare = Encoder(replace(SHAPE, relative_buckets=0)).eval()
    assert bare.relative_bias is None and "relative_bias.weight" not in bare.state_dict()
    bare.load_state_dict({name: tensor for name,
                          tensor in encoder.state_dict().items() if name != "relative_bias.weight"})
    zero = Encoder(SHAPE).eval()
    zero.load_state_dict(encoder.state_dict())
    torch.nn.init.zeros_(zero.relative_bias.weight)
    with torch.no_grad():
        for batch in (padded, PackedBatch.of):
            assert agree(torch.stack(layers_of(bare, batch(sentences))), torch.stack(layers_of(zero, batch(sentences))))
