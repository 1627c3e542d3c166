"""Tests of exit rules that read classifier outputs, learned exits and random exits.

Slow loops that follow the papers' texts give the expected exit layers of patience, entropy and confidence.
"""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.exits.replay import replay
from fairseq_palbert.exits.rules.confidence import Confidence

FEW = st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])  # so that ties and repetitions are common


def answers(outputs):
    """Generates logits [sentence][layer][output] of 1 to 4 sentences and 1 to 6 layers."""
    row = st.lists(FEW, min_size=outputs, max_size=outputs)
    return st.integers(1, 6).flatmap(
        lambda layers: st.lists(st.lists(row, min_size=layers, max_size=layers), min_size=1, max_size=4))


def exits(spec, sentences) -> list[int]:
    logits = torch.tensor(sentences).transpose(0, 1)
    decided = replay(parse_rule(spec), Recording(None, logits), torch.arange(len(sentences)))
    layers = decided.exit_layers.tolist()
    assert decided.outputs.tolist() == [sentence[layer - 1] for sentence, layer in zip(sentences, layers)]
    return layers


def patience_by_the_paper(sentence, patience, same) -> int:
    """Returns the exit layer of PABEE, section 3.2.

    "cnt_i = cnt_{i-1} + 1" where the prediction "remains consistent", else 0; the exit is at cnt = patience.
    """
    count = 0
    for n, answer in enumerate(sentence, start=1):
        count = count + 1 if n > 1 and same(sentence[n - 2], answer) else 0
        if count == patience:
            return n
    return len(sentence)


def probabilities(row):
    weights = [math.exp(value) for value in row]
    return [weight / sum(weights) for weight in weights]


@given(answers(3), st.integers(0, 6))
def test_patience_counts_equal_classes_in_a_row(sentences, patience):
    def same(a, b):
        return a.index(max(a)) == b.index(max(b))  # the first class among equal logits

    expected = [patience_by_the_paper(sentence, patience, same) for sentence in sentences]
    assert exits(f"patience:{patience}", sentences) == expected


@given(answers(1), st.integers(0, 6), st.sampled_from([0.5, 0.6, 1.0, 9.0]))
def test_patience_of_a_regression_counts_answers_closer_than_the_tolerance(sentences, patience, tolerance):
    def same(a, b):
        return abs(a[0] - b[0]) < tolerance

    expected = [patience_by_the_paper(sentence, patience, same) for sentence in sentences]
    assert exits(f"patience:{patience}:{tolerance}", sentences) == expected


@given(answers(3), st.sampled_from([0.2, 0.5, 0.8]))
def test_entropy_leaves_below_its_part_of_the_largest_entropy(sentences, threshold):
    def first(sentence):
        for n, row in enumerate(sentence, start=1):
            if -sum(p * math.log(p) for p in probabilities(row)) / math.log(3) < threshold:
                return n
        return len(sentence)

    assert exits(f"entropy:{threshold}", sentences) == [first(sentence) for sentence in sentences]


@given(answers(3), st.sampled_from([0.4, 0.6, 0.9]))
def test_confidence_leaves_above_its_probability(sentences, threshold):
    def first(sentence):
        return next((n for n, row in enumerate(sentence, start=1) if max(probabilities(row)) > threshold),
                    len(sentence))

    assert exits(f"confidence:{threshold}", sentences) == [first(sentence) for sentence in sentences]


@given(answers(3), st.sampled_from([0.4, 0.6, 0.9]),
       st.lists(st.sampled_from([0.3, 1.0, 1.7, 6.0]), min_size=5, max_size=5))
def test_confidence_divides_the_logits_of_each_layer_by_its_temperature(sentences, threshold, temperatures):
    def first(sentence, temperatures):
        return next((n for n, (row, t) in enumerate(zip(sentence, temperatures), start=1)
                     if max(probabilities([value / t for value in row])) > threshold), len(sentence))

    by_layer = temperatures[:max(len(sentences[0]) - 1, 1)]
    spec = f"confidence:{threshold}:{','.join(map(str, by_layer))}"
    assert exits(spec, sentences) == [first(sentence, by_layer) for sentence in sentences]
    assert exits(f"confidence:{threshold}:1.7", sentences) == [first(sentence, [1.7] * 5) for sentence in sentences]


@given(answers(2), st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_both_ends_of_confidence_hold_at_any_temperature(sentences, temperature):
    assert exits(f"confidence:0:{temperature}", sentences) == [1] * len(sentences)
    assert exits(f"confidence:1:{temperature}", sentences) == [len(sentences[0])] * len(sentences)


def test_temperatures_are_spelt_as_they_were_typed_and_1_is_none():
    for spec in ("confidence:0.9:1.3", "confidence:0.9:1.3,0.5", "confidence:0.9:1.0,1.0"):
        assert parse_rule(spec).spec == spec
    assert parse_rule("confidence:0.9:1").spec == "confidence:0.9"
    for spec in ("confidence:0.9:", "confidence:0.9:0", "confidence:0.9:-1", "confidence:0.9:nan", "confidence:0.9:inf",
                 "confidence:0.9:1,", "confidence:0.9:1:2", "confidence::2", "confidence:2:1"):
        with pytest.raises(UserError, match=f"exit rule '{spec}'"):
            parse_rule(spec)


def test_a_sweep_at_temperatures_has_their_confidences_as_thresholds():
    logits = torch.tensor([[[2.0, 0.0]], [[6.0, 0.0]], [[9.0, 0.0]]])  # layers 1 to 3 of one sentence
    rules = Confidence.sweep(Recording(None, logits), 4, (4.0, 2.0))
    expected = [0, max(probabilities([0.5, 0])), max(probabilities([3, 0])), 1]
    assert [rule.parameter for rule in rules] == pytest.approx(expected)
    assert {rule.temperatures for rule in rules} == {(4.0, 2.0)}


def test_temperatures_are_one_or_one_a_layer_before_the_last():
    model = SimpleNamespace(depth=4, outputs=2, halts=False, learns_exit=False)
    for spec in ("confidence:0.9", "confidence:0.9:2", "confidence:0.9:2,1,3"):
        parse_rule(spec).check(model)
    with pytest.raises(UserError, match="2 temperatures for a model of 4 layers: give one, or 3"):
        parse_rule("confidence:0.9:2,1").check(model)


@given(answers(2))
def test_both_ends_of_every_range(sentences):
    depth = len(sentences[0])
    first, last = [1] * len(sentences), [depth] * len(sentences)
    assert exits("patience:0", sentences) == exits("confidence:0", sentences) == exits("random:1", sentences) == first
    for never in (f"patience:{depth}", "confidence:1", "entropy:0", f"random:{depth}"):
        assert exits(never, sentences) == last
    uniform = [next((n for n, row in enumerate(sentence, 1) if row[0] != row[1]), depth) for sentence in sentences]
    assert exits("entropy:1", sentences) == uniform


@pytest.mark.parametrize("spec", ["patience:1", "entropy:0.5", "confidence:0.9", "random:1"])
def test_one_layer_and_one_class_seen(spec):
    assert exits(spec, [[[5.0, -5.0]]]) == [1]
    same = [[[5.0, -5.0]] * 4] * 3
    assert exits(spec, same) == [2 if spec == "patience:1" else 1] * 3


def test_answers_of_any_size_are_decided():
    rows = [[[1e4, -1e4]] * 2, [[-(2.0 ** 100), 2.0 ** 100]] * 2]
    assert exits("entropy:0.5", rows) == exits("confidence:0.9", rows) == [1, 1]


@pytest.mark.parametrize("threshold, expected", [(0, [3, 3, 3]), (0.5, [1, 2, 3]), (0.9, [1, 1, 2]), (1, [1, 1, 1])])
def test_a_learned_exit_leaves_below_the_expected_error(threshold, expected):
    error_logits = torch.tensor([[-1.0, 1.0, 3.0], [2.0, -1.0, 0.0]])  # σ(0) = 0.5 is not below it
    recording = Recording(None, torch.zeros(3, 3, 2), error_logits)
    assert replay(parse_rule(f"learned:{threshold}"), recording, torch.arange(3)).exit_layers.tolist() == expected


@pytest.mark.parametrize("depth", [1.0, 2.3, 3.75, 5.0])
def test_random_has_its_mean_depth_and_no_other_layers(depth):
    examples = 100_000
    decided = replay(parse_rule(f"random:{depth}"), Recording(None, torch.zeros(5, examples, 2)),
                     torch.arange(examples))
    layers = decided.exit_layers.double()
    part = depth - int(depth)
    assert abs(layers.mean() - depth) <= 5 * math.sqrt(part * (1 - part) / examples)
    assert set(layers.tolist()) == {int(depth)} | ({int(depth) + 1} if part else set())
