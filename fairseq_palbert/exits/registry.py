"""All exit rules, by their names on the command line."""

from ..errors import UserError
from .base import Rule
from .rules.confidence import Confidence
from .rules.entropy import Entropy
from .rules.expectation import Expectation
from .rules.fixed import Fixed
from .rules.learned import Learned
from .rules.patience import Patience
from .rules.q_exit import QExit
from .rules.random import Random
from .rules.sampling import Sampling

RULES = {rule.name: rule
         for rule in (QExit, Sampling, Expectation, Patience, Entropy, Confidence, Learned, Fixed, Random)}


def parse_rule(spec: str) -> Rule:
    """The rule that ``NAME`` or ``NAME:PARAMETER`` names. Raises UserError with the choices for anything else."""
    name, colon, parameter = spec.partition(":")
    choices = "; ".join(rule.form for rule in RULES.values())
    if name not in RULES:
        raise UserError(f"unknown exit rule {spec!r}: choose from {choices}")
    try:
        return RULES[name].parse(parameter if colon else None)
    except ValueError as error:
        raise UserError(f"exit rule {spec!r}: {error}; choose from {choices}") from error


def parse_rules(specs: list[str]) -> list[Rule]:
    """At least one rule, in the order given. Raises UserError for an invalid rule and for two equal rules."""
    if not specs:
        raise UserError(f"no exit rule given: choose from {'; '.join(rule.form for rule in RULES.values())}")
    rules = [parse_rule(spec) for spec in specs]
    for i, rule in enumerate(rules):
        if rule in rules[:i]:
            raise UserError(f"exit rule {rule.spec} is given twice: name each rule once")
    return rules
