"""Tests of batches: padded and packed ones agree, on the CPU's path through attention and on a GPU's.

A batch of the sentences that are kept equals a batch of these sentences alone.
"""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import varlen
from torch.nn.utils.rnn import pad_sequence

from fairseq_palbert.modules.batch import PackedBatch, PaddedBatch
from fairseq_palbert.modules.encoder import Encoder
from tests.fixtures.networks import SHAPE

SENTENCES = [torch.tensor(ids) for ids in ([0, 5, 2, 6, 7, 2], [0, 5, 2], [0, 9, 2], [4], [0, 8, 2, 3, 2])]


@pytest.fixture(params=[{}, {"segments": 2, "first_position": 2},
                        {"embedding": 4, "groups": 1, "segments": 2, "inner_layers": 2},
                        {"relative_buckets": 8}])
def encoder(request):
    torch.manual_seed(0)
    encoder = Encoder(replace(SHAPE, **request.param)).eval()
    for parameter in encoder.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return encoder


@torch.no_grad()
def run(encoder, batch):
    hidden = encoder.embed(batch)
    for n in range(1, encoder.depth + 1):
        hidden = encoder.step(n, hidden, batch)
    return hidden


def padded(sentences):
    return PaddedBatch(pad_sequence(sentences, True, SHAPE.padding_id), SHAPE.padding_id)


def test_a_packed_batch_equals_a_padded_one(encoder):
    packed, batch = PackedBatch.of(SENTENCES), padded(SENTENCES)
    for item in ("tokens", "positions", "sentence", "first"):
        assert torch.equal(getattr(packed, item), getattr(batch, item)), item
    torch.testing.assert_close(run(encoder, packed), run(encoder, batch))


def with_padding_left_in(sentences):
    """Returns a padded batch as on a device where the padding is not taken out."""
    tokens = pad_sequence(sentences, True, SHAPE.padding_id)
    left_in = PaddedBatch(tokens, SHAPE.padding_id)
    left_in.rows, sizes = None, tokens.shape
    left_in.tokens = tokens.flatten()
    real = tokens.ne(SHAPE.padding_id)
    left_in.positions = (real.cumsum(1) * real - 1).clamp(min=0).flatten()
    left_in.sentence = torch.arange(sizes[0]).repeat_interleave(sizes[1])
    left_in.first = torch.arange(sizes[0]) * sizes[1]
    return left_in


def test_padding_that_stays_in_changes_nothing(encoder):
    batch, left_in = padded(SENTENCES), with_padding_left_in(SENTENCES)
    real = pad_sequence(SENTENCES, True, SHAPE.padding_id).ne(SHAPE.padding_id)
    expected = batch.pad(run(encoder, batch))
    torch.testing.assert_close(left_in.pad(run(encoder, left_in))[real], expected[real])


BATCHES = {"padded": padded, "packed": PackedBatch.of, "padding left in": with_padding_left_in}


@pytest.mark.parametrize("make", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("sentences", [SENTENCES, SENTENCES[:1], SENTENCES[1:3], SENTENCES[3:4]],
                         ids=["mixed", "one", "equal lengths", "one token"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_mean_is_over_a_sentences_own_tokens(make, sentences, dtype):
    batch = make(sentences)
    hidden = torch.randn(len(batch.tokens), 8).to(dtype)
    hidden[batch.tokens.eq(SHAPE.padding_id)] = torch.nan  # padding must not reach the mean
    expected = []
    for i, sentence in enumerate(sentences):
        rows = [row for row in range(len(hidden)) if batch.sentence[row] == i and batch.tokens[row] != SHAPE.padding_id]
        assert len(rows) == len(sentence)
        expected.append(sum(hidden[row].float() for row in rows) / len(rows))
    torch.testing.assert_close(batch.mean(hidden), torch.stack(expected).to(dtype))


def test_the_mean_has_a_gradient_for_every_token_of_its_sentence():
    batch = PackedBatch.of(SENTENCES)
    hidden = torch.randn(len(batch.tokens), 8, requires_grad=True)
    batch.mean(hidden)[1].sum().backward()
    assert hidden.grad[:, 0].tolist() == pytest.approx([0] * 6 + [1 / 3] * 3 + [0] * 9)


def test_a_gpus_way_through_attention_is_the_same():
    packed, projected = PackedBatch.of(SENTENCES), torch.randn(18, 24)
    torch.testing.assert_close(packed._attend_padded(projected, 2, 0.0, None), packed.attend(projected, 2))


def test_the_kernel_is_given_every_sentences_rows(monkeypatch):
    """The kernel runs on a GPU alone: in its place is a loop over the sentences, with the same arguments."""
    def in_loops(query, key, value, ends, key_ends, longest, key_longest):
        assert torch.equal(ends, key_ends) and ends.dtype == torch.int32 and longest == key_longest == 6
        parts = [[part[start:end].transpose(0, 1) for part in (query, key, value)] for start, end in pairwise(ends)]
        return torch.cat([F.scaled_dot_product_attention(*part).transpose(0, 1) for part in parts])

    monkeypatch.setattr(varlen, "varlen_attn", in_loops)
    packed, projected = PackedBatch.of(SENTENCES), torch.randn(18, 24)
    torch.testing.assert_close(packed._attend_by_kernel(projected, 2), packed.attend(projected, 2))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_kernel_attends_as_the_cpu_does(dtype):
    sentences, projected = [tokens.cuda() for tokens in SENTENCES], torch.randn(18, 2 * 3 * 32).to(dtype)
    found = PackedBatch.of(sentences).attend(projected.cuda(), 2)
    assert found.dtype == dtype
    expected = PackedBatch.of(SENTENCES).attend(projected.float(), 2)
    torch.testing.assert_close(found.float().cpu(), expected, rtol=0.02, atol=0.02)


def test_what_is_kept_is_as_if_it_were_alone():
    rows, kept = PackedBatch.of(SENTENCES).keep(torch.tensor([False, True, False, True, True]))
    alone = PackedBatch.of([SENTENCES[i] for i in (1, 3, 4)])
    assert kept.lengths == alone.lengths and torch.equal(kept.tokens, alone.tokens)
    assert torch.equal(torch.cat(SENTENCES)[rows], alone.tokens)


def test_one_batch_follows_another():
    joined = PackedBatch.of(SENTENCES[:2]).followed_by(PackedBatch.of(SENTENCES[2:]))
    assert joined.lengths == [6, 3, 3, 1, 5] and torch.equal(joined.tokens, torch.cat(SENTENCES))


@pytest.mark.parametrize("most, expected", [(100, [18]), (18, [18]), (9, [9, 9]), (8, [6, 6, 6]), (1, [6, 3, 3, 1, 5])])
def test_parts_are_cut_between_sentences(most, expected):
    batch = PackedBatch.of(SENTENCES)
    parts = list(batch.parts(most))
    assert [len(part.tokens) for _, part in parts] == expected
    assert torch.equal(torch.cat([part.tokens for _, part in parts]), batch.tokens)
    assert all(torch.equal(batch.tokens[rows], part.tokens) for rows, part in parts)
    assert sum((part.lengths for _, part in parts), []) == batch.lengths
