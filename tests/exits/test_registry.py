"""How rules are named on the command line."""

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.registry import RULES, parse_rule, parse_rules


@pytest.mark.parametrize("spec", ["q_exit:0.5", "q_exit:0.0", "q_exit:1.0", "sampling:7", "expectation", "fixed:12"])
def test_a_rule_is_spelt_as_it_was_typed(spec):
    assert parse_rule(spec).spec == spec


def test_the_file_of_a_rule_bears_its_name():
    for name, rule in RULES.items():
        assert rule.__module__ == f"fairseq_palbert.exits.{name}"


BAD_SPECS = ["q_exit:2", "q_exit:-0.1", "q_exit:nan", "q_exit:x", "q_exit:", "q_exit", "fixed:x", "fixed:0", "fixed:-1",
             "fixed:1.5", "fixed", "sampling", "sampling:-1", "sampling:0.5", f"sampling:{2**63}", "expectation:1",
             "expectation:", "nope", ""]
TWICE = [["q_exit:0.5", "q_exit:0.50"], ["expectation", "fixed:1", "expectation"], ["q_exit:-0", "q_exit:0"]]


@pytest.mark.parametrize("spec", BAD_SPECS)
def test_a_bad_spec_is_one_line_that_names_it_and_the_choices(spec):
    with pytest.raises(UserError) as error:
        parse_rule(spec)
    message = str(error.value.code)
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
    parse_rule("fixed:6").check(6, halts=True)
    with pytest.raises(UserError, match="fixed:7: the model has 6 layers"):
        parse_rule("fixed:7").check(6, halts=True)
