"""Tests of how exit rules are named on the command line."""

from types import SimpleNamespace

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.registry import RULES, parse_rule, parse_rules


def model(**traits):
    return SimpleNamespace(**{"depth": 6, "outputs": 2, "halts": True, **traits})


@pytest.mark.parametrize("spec", ["q_exit:0.5", "q_exit:0.0", "q_exit:1.0", "sampling:7", "expectation", "patience:3",
                                  "patience:2:0.25", "entropy:0.1", "confidence:0.9", "fixed:12", "random:2.5"])
def test_a_rule_is_spelt_as_it_was_typed(spec):
    assert parse_rule(spec).spec == spec


def test_the_file_of_a_rule_bears_its_name():
    for name, rule in RULES.items():
        assert rule.__module__ == f"fairseq_palbert.exits.rules.{name}"


BAD_SPECS = ["q_exit:2", "q_exit:-0.1", "q_exit:nan", "q_exit:x", "q_exit:", "q_exit", "fixed:x", "fixed:0", "fixed:-1",
             "fixed:1.5", "fixed", "sampling", "sampling:-1", "sampling:0.5", f"sampling:{2**63}", "expectation:1",
             "expectation:", "patience", "patience:-1", "patience:1.5", "patience:2:", "patience:2:0", "patience:2:-1",
             "patience:2:nan", "patience:2:inf", "patience:2:1:1", "entropy", "entropy:1.1", "entropy:-0.1",
             "entropy:nan",
             "confidence:", "confidence:2", "random", "random:0.9", "random:nan", "random:inf", "nope", ""]
TWICE = [["q_exit:0.5", "q_exit:0.50"], ["expectation", "fixed:1", "expectation"], ["q_exit:-0", "q_exit:0"]]


@pytest.mark.parametrize("spec", BAD_SPECS)
def test_a_bad_spec_is_one_line_that_names_it_and_the_choices(spec):
    with pytest.raises(UserError) as error:
        parse_rule(spec)
    message = str(error.value)
    assert repr(spec) in message and "\n" not in message
    assert all(rule.form in message for rule in RULES.values())


@pytest.mark.parametrize("specs", TWICE)
def test_a_rule_given_twice_is_refused(specs):
    with pytest.raises(UserError, match="twice"):
        parse_rules(specs)


def test_rules_come_in_the_order_given_and_may_share_a_name():
    specs = ["q_exit:0.9", "fixed:2", "q_exit:0.1"]
    assert [rule.spec for rule in parse_rules(specs)] == specs


def test_no_rule_is_refused():
    with pytest.raises(UserError, match="no exit rule"):
        parse_rules([])


def test_a_fixed_exit_beyond_the_last_layer_is_refused():
    parse_rule("fixed:6").check(model())
    with pytest.raises(UserError, match="fixed:7: the model has 6 layers, choose fixed:1 to fixed:6"):
        parse_rule("fixed:7").check(model())


@pytest.mark.parametrize("spec, traits, reason", [
    ("random:6.5", {}, "the model has 6 layers, choose random:1 to random:6"),
    ("q_exit:0.5", {"halts": False}, "it reads halting logits"),
    ("entropy:0.5", {"outputs": 1}, "reads the probabilities of classes, and a regression has none"),
    ("confidence:0.5", {"outputs": 1}, "reads the probabilities of classes, and a regression has none"),
    ("patience:2", {"outputs": 1}, "give patience:2:TOLERANCE"),
    ("patience:2:0.5", {}, "give patience:2, without a tolerance"),
])
def test_a_rule_that_does_not_fit_the_model_is_refused(spec, traits, reason):
    with pytest.raises(UserError, match=f"exit rule {spec}: .*{reason}"):
        parse_rule(spec).check(model(**traits))
