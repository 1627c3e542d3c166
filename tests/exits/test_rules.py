"""Tests of q_exit, sampling, expectation and fixed exits against their definitions.

The definitions are plain Python, layer by layer.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.exits.base import Recording
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.exits.replay import replay
from fairseq_palbert.exits.uniform import splitmix64
from fairseq_palbert.ponder.halting import cdf, exit_layer, log_posterior

LOGITS = st.floats(-100, 100, width=32)
HALTING = st.integers(1, 6).flatmap(
    lambda layers: st.lists(st.lists(LOGITS, min_size=layers, max_size=layers), min_size=1, max_size=5))


def replayed(spec: str, halting: list[list[float]], outputs: int = 2):
    """Replays the rule on sentences whose halting logits are the rows of ``halting``.

    The classifier logits tell sentence and layer: logits[n − 1, b] = (100 b + n, 0, ...).
    """
    halting_logits = torch.tensor(halting).T
    depth, examples = len(halting_logits) + 1, len(halting)
    logits = torch.zeros(depth, examples, outputs)
    logits[..., 0] = torch.arange(1, depth + 1)[:, None] + 100 * torch.arange(examples)
    return replay(parse_rule(spec), Recording(halting_logits, logits), torch.arange(examples))


def first_layer_past(threshold: float, row: list[float]) -> int:
    """Returns the exit layer by definition: survival is the product of 1 − λ_j, and CDF_N = 1."""
    survival = 1.0
    for n, halting_logit in enumerate(row, start=1):
        survival *= 1 / (1 + math.exp(halting_logit))
        if 1 - survival > threshold:
            return n
    return len(row) + 1


@given(HALTING, st.sampled_from([0.1, 0.5, 0.9]))
def test_q_exit_leaves_at_the_first_layer_whose_cdf_passes_q(halting, q):
    decided = replayed(f"q_exit:{q}", halting)
    closeness = (cdf(torch.tensor(halting, dtype=torch.float64).T) - q).abs().amin(0)
    for row, layer, margin in zip(halting, decided.exit_layers, closeness):
        assert margin < 1e-12 or layer == first_layer_past(q, row)


@given(HALTING)
def test_q_exit_0_leaves_at_layer_1_and_q_exit_1_at_the_last(halting):
    assert replayed("q_exit:0", halting).exit_layers.eq(1).all()
    assert replayed("q_exit:1", halting).exit_layers.eq(len(halting[0]) + 1).all()


@given(HALTING)
def test_a_larger_q_never_leaves_earlier(halting):
    exits = [replayed(f"q_exit:{q}", halting).exit_layers for q in (0, 0.2, 0.5, 0.8, 1)]
    assert all((later >= earlier).all() for earlier, later in zip(exits, exits[1:]))


@given(HALTING)
def test_the_rule_sees_the_cdf_of_the_whole_sequence_exactly(halting):
    """The CDF layer by layer in float64 equals, to the bit, ``cdf`` of all layers at once in float64."""
    whole = cdf(torch.tensor(halting).T.double())
    for q in whole[:-1].flatten().tolist()[:4]:  # the CDF's own values, so that a change of one bit shows
        assert replayed(f"q_exit:{q}", halting).exit_layers.equal(exit_layer(whole, q))


@given(HALTING, st.integers(0, 2**63 - 1))
def test_sampling_is_q_exit_at_a_threshold_of_each_sentence(halting, seed):
    rule = parse_rule(f"sampling:{seed}")
    thresholds = rule.thresholds(torch.arange(len(halting)))
    assert (0 <= thresholds).all() and (thresholds < 1).all()
    decided = replayed(rule.spec, halting)
    for b, u in enumerate(thresholds.tolist()):
        assert decided.exit_layers[b] == replayed(f"q_exit:{u}", [halting[b]]).exit_layers[0]


def test_splitmix64_gives_the_published_stream():
    """The first outputs for seed 1234567 are those of the reference implementation's test vectors."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
                16408922859458223821]
    assert [int(word) % 2**64 for word in splitmix64(1234567, torch.arange(5))] == expected


def test_sampling_leaves_each_layer_with_its_halting_probability():
    """Over 100,000 sentences each layer's share is within 5 standard errors of p_n.

    The thresholds of another seed are not correlated with these.
    """
    examples = 100_000
    ids, rule = torch.arange(examples), parse_rule("sampling:7")
    halting = torch.tensor([-1.0, 0.5, -2.0])[:, None]
    decided = replay(rule, Recording(halting.expand(-1, examples), torch.zeros(4, examples, 2)), ids)
    p = log_posterior(halting).exp()[:, 0]
    share = torch.bincount(decided.exit_layers - 1, minlength=4) / examples
    assert ((share - p).abs() < 5 * (p * (1 - p) / examples).sqrt()).all()
    others = parse_rule("sampling:8").thresholds(ids)
    correlation = torch.corrcoef(torch.stack([rule.thresholds(ids), others]))[0, 1]
    assert abs(correlation) < 5 / math.sqrt(examples)


@pytest.mark.parametrize("outputs", [1, 3])
def test_expectation_is_the_mean_over_the_posterior(outputs):
    torch.manual_seed(0)
    halting, logits = torch.randn(3, 5), torch.randn(4, 5, outputs)
    decided = replay(parse_rule("expectation"), Recording(halting, logits), torch.arange(5))
    for b in range(5):
        survival, expected = 1.0, torch.zeros(outputs, dtype=torch.float64)
        for n in range(4):
            halts = torch.sigmoid(halting[n, b].double()) if n < 3 else 1.0
            answer = logits[n, b].double()
            expected += survival * halts * (answer.softmax(0) if outputs > 1 else answer)
            survival *= 1 - halts
        torch.testing.assert_close(decided.outputs[b], expected, rtol=0, atol=1e-12)
    assert decided.exit_layers.eq(4).all()


@pytest.mark.parametrize("k", [1, 2, 4])
def test_fixed_leaves_at_its_layer(k):
    assert replayed(f"fixed:{k}", [[9.0, 9.0, 9.0], [-9.0, -9.0, -9.0]]).exit_layers.tolist() == [k, k]


@pytest.mark.parametrize("halting, layers", [
    ([[20.0, 20.0], [30.0, -5.0]], [1, 1]),  # always leaves at once
    ([[-20.0, -20.0], [-30.0, -9.0]], [3, 3]),  # never before the last layer
    ([[20.0, 0.0], [-20.0, 20.0], [-20.0, -20.0]], [1, 2, 3]),  # sometimes
])
def test_the_answer_is_that_of_the_exit_layer(halting, layers):
    decided = replayed("q_exit:0.5", halting)
    assert decided.exit_layers.tolist() == layers
    assert decided.outputs[:, 0].tolist() == [100 * b + n for b, n in enumerate(layers)]


def test_of_two_layers_the_second_is_the_last():
    assert replayed("q_exit:0.5", [[1.0], [-1.0]]).exit_layers.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_survival_is_kept_in_float64_whatever_the_model_gives(dtype):
    rule = parse_rule("q_exit:0.5")
    halting = torch.randn(5, 8).to(dtype)
    logits = torch.randn(6, 8, 2)
    assert rule.start(torch.arange(8)).dtype == torch.float64
    assert replay(rule, Recording(halting, logits), torch.arange(8)).exit_layers.equal(
        replay(rule, Recording(halting.double(), logits), torch.arange(8)).exit_layers)
