"""Tests of what holds for every registered rule, at thresholds over its range."""

from types import SimpleNamespace

import pytest
import torch

from fairseq_palbert.exits.base import AllDepthsRule, Recording
from fairseq_palbert.exits.registry import RULES, parse_rule
from fairseq_palbert.exits.replay import replay

EXAMPLES = 40
ADAPTIVE = ("q_exit", "patience", "entropy", "confidence", "learned", "fixed", "random")


def recording(layers, outputs, scale=3.0):
    generator = torch.Generator().manual_seed(layers + outputs)

    def numbers(*shape):
        return scale * torch.randn(*shape, generator=generator)

    return Recording(numbers(layers - 1, EXAMPLES) / scale - 1, numbers(layers, EXAMPLES, outputs),
                     numbers(layers - 1, EXAMPLES))


def rules(recorded, points=9):
    layers, _, outputs = recorded.logits.shape
    model = SimpleNamespace(depth=layers, outputs=outputs, halts=True, learns_exit=True)
    fitting = [rule for kind in RULES.values() if not kind.misfit(model) for rule in kind.sweep(recorded, points)]
    for rule in fitting:
        rule.check(model)
    return fitting


def test_the_rules_of_the_tests_are_all_rules():
    assert set(ADAPTIVE) | {"sampling", "expectation"} == set(RULES)


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_one_layer_is_where_everybody_leaves(outputs):
    recorded = recording(1, outputs)
    for rule in rules(recorded):
        assert replay(rule, recorded, torch.arange(EXAMPLES)).exit_layers.eq(1).all(), rule.spec


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("layers", [2, 6])
def test_an_example_alone_decides_as_among_others(layers, outputs):
    recorded = recording(layers, outputs)
    for rule in rules(recorded):
        together = replay(rule, recorded, torch.arange(EXAMPLES))
        for i in range(0, EXAMPLES, 7):
            one = Recording(recorded.halting_logits[:, i:i + 1], recorded.logits[:, i:i + 1],
                            recorded.error_logits[:, i:i + 1])
            alone = replay(rule, one, torch.tensor([i]))
            assert alone.exit_layers[0] == together.exit_layers[i], rule.spec
            assert alone.outputs[0].equal(together.outputs[i]), rule.spec


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_ends_of_the_range_are_at_once_and_never_and_between_them_some_leave(name, outputs):
    recorded = recording(6, outputs)
    found = [replay(rule, recorded, torch.arange(EXAMPLES)).exit_layers for rule in rules(recorded)
             if rule.name == name]
    if outputs == 1 and name in ("entropy", "confidence"):
        assert not found
        return
    means = [float(layers.double().mean()) for layers in found]
    assert min(means) == 1 and max(means) == 6
    assert any(1 < mean < 6 for mean in means)


def test_one_class_seen_everywhere():
    recorded = recording(6, 2)
    recorded = Recording(recorded.halting_logits, recorded.logits.sort(-1).values,
                         recorded.error_logits)  # always class 1
    for rule in rules(recorded):
        decided = replay(rule, recorded, torch.arange(EXAMPLES))
        assert decided.outputs.argmax(-1).eq(1).all(), rule.spec
    assert replay(parse_rule("patience:2"), recorded, torch.arange(EXAMPLES)).exit_layers.eq(3).all()


def test_equal_answers_in_every_layer_leave_at_the_first_or_the_last():
    """A rule that reads answers cannot tell layers with equal answers apart."""
    recorded = Recording(None, recording(1, 3).logits.expand(6, -1, -1))
    for rule in (rule for rule in rules(recorded_with_heads(recorded)) if rule.name in ("entropy", "confidence")):
        assert set(replay(rule, recorded, torch.arange(EXAMPLES)).exit_layers.tolist()) <= {1, 6}, rule.spec


def recorded_with_heads(recorded):
    heads = recording(len(recorded.logits), 3)
    return Recording(heads.halting_logits, recorded.logits, heads.error_logits)


def test_all_depths_rules_never_leave_early():
    recorded = recording(6, 3)
    for rule in (rule for rule in rules(recorded) if isinstance(rule, AllDepthsRule)):
        assert replay(rule, recorded, torch.arange(EXAMPLES)).exit_layers.eq(6).all()
