"""Tests of odd values of variables: the setting is that value, or one line refuses it."""

import random
from dataclasses import fields
from functools import partial
from typing import Any

from fairseq_palbert.experiment.settings import Settings, check
from fairseq_palbert.experiment.variables import NO_VARIABLE, settings_of
from tests.fuzz.conftest import SEEDS
from tests.fuzz.outcomes import outcome_of

NAMES = [item.name for item in fields(Settings) if item.name not in (NO_VARIABLE, "task")]
TEXTS = ["0", "1", "3", "-1", "0.5", "1.0", "nan", "inf", "1e999", "1e400", "0_3", " 3", "+3", "٣", "３", "0x10", "1,2",
         "1 2", "1 1", "1\n2", "[1]", "(0.9, 0.999)", "abc", "static99", "palbert", "${oc.env:HOME}", "$(touch X)",
         "`touch X`", "a=b", "a:b", "-x", "--user-dir", "x\ty", "x\x00", "é", "\udc80", "x" * 10**5,
         "9" * 30, "{}", "None", "true"]


def test_settings():
    for seed in range(10 * SEEDS.start, 10 * SEEDS.stop):
        rng = random.Random(seed)
        name, text = rng.choice(NAMES), rng.choice(TEXTS)
        outcome = outcome_of(partial(checked, {"TASK": "RTE", name.upper(): text}))
        if outcome.line is None:
            assert spelt(getattr(outcome.answer, name)) == spelt_text(text, getattr(outcome.answer, name)), (name, text)
            assert {other: value for other, value in vars(outcome.answer).items() if other != name} == {
                other: value for other, value in vars(Settings(task="RTE")).items() if other != name}


def checked(variables: dict[str, str]) -> Settings:
    settings = settings_of(variables)
    check(settings)
    return settings


def spelt(value: Any) -> list[str]:
    return [str(item) for item in (value if isinstance(value, list) else [value])]


def spelt_text(text: str, value: Any) -> list[str]:
    """Returns the words of the text, each spelt as the type of its item in ``value`` spells it."""
    if isinstance(value, list):
        return [str(type(item)(word)) for word, item in zip(text.split(), value, strict=True)]
    return [str({"1": True, "true": True, "0": False}[text] if isinstance(value, bool) else type(value)(text))]
