"""Tests of settings from variables: every value is data, and numbers are strict."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment.run import run
from fairseq_palbert.experiment.settings import Settings
from fairseq_palbert.experiment.variables import NO_VARIABLE, settings_of

NAMES = [item.name for item in fields(Settings) if item.name != NO_VARIABLE]
CODE = ['system("touch made")', "SEEDS[$(touch made)]", "`touch made`", "1; touch made", "../x'; touch made; '",
        "__import__('os').system('touch made')", "exec(open('made','w'))", "--lr=exec(open('made','w'))",
        "--lr (open)('made','w')", "${oc.env:HOME}", "\\${oc.env:HOME}", "+hydra.run.dir=made", "{a: [b, 'c\"}",
        "-e", "--out=made", "../made:x", "caf\udce9"]
NO_NUMBER = ["abc", "0_3", "+1", " 1", "1 ", "\uff11", "nan", "inf", "1e999", "0x1", "--", "1,2", "\u0663"]
NUMBERS = [item.name for item in fields(Settings) if item.type in (int, float, int | None, float | None)]


@pytest.fixture
def variables(settings, tmp_path):
    """Returns the variables that give the settings of the fixture ``settings``."""
    return {"TASK": "RTE", "GLUE_DIR": "glue", "VOCAB_DIR": "vocab", "NUM_GPUS": "0", "RUN_DIR": "run"}


@pytest.mark.parametrize("name", NAMES)
def test_a_value_is_never_code(stand_in, variables, tmp_path, name):
    """A refusal is one line, and no value makes a file ``made``."""
    for value in CODE:
        try:
            run(settings_of(variables | {name.upper(): value}))
        except UserError as error:
            assert len(str(error).splitlines()) == 1
        assert not list(tmp_path.rglob("made")), value


@given(st.sampled_from(["method", "pretrained", "run_dir", "exits", "first_train_flags"]), st.text(min_size=1))
def test_a_text_arrives_as_it_is(name, text):
    value = getattr(settings_of({name.upper(): text}), name)
    assert value == (text.split() if name in ("exits", "first_train_flags") else text)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_strict(name):
    for text in NO_NUMBER:
        with pytest.raises(UserError, match=f"^{name.upper()}: .* is no (whole )?number"):
            settings_of({name.upper(): text})
    assert getattr(settings_of({name.upper(): "7"}), name) == 7


def test_lists_and_switches():
    assert settings_of({"SEEDS": "1\n2 3\n", "EXTRA_TRAIN_FLAGS": "--prior\n  uniform"}) == Settings(
        seeds=[1, 2, 3], extra_train_flags=["--prior", "uniform"])
    assert settings_of({"DETOKENIZE": "1", "FRESH_HEADS": "No", "LR": ""}) == Settings(detokenize=True)
    with pytest.raises(UserError, match="DETOKENIZE: 'perhaps' is no switch: choose from 1, true"):
        settings_of({"DETOKENIZE": "perhaps"})
    with pytest.raises(UserError, match="SEEDS: 'two' is no whole number"):
        settings_of({"SEEDS": "1 two"})
    assert settings_of({"RUN_NAME": "of another program"}) == Settings()
