"""Only ASCII decimal numbers, finite and within bounds, are read from text."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.numbers_from_text import finite_float, fractions, integer

# Python's int and float read these, but none of NO_NUMBER.
TAKEN_BY_PYTHON = ["0_3", " 2", "2 ", "2\r", "2\n", "\t2", "+2", "３", "٣", "2\u2028"]
NO_NUMBER = ["", "-", "abc", "0x2", "1,5", "--1", "1e", "."]


@pytest.mark.parametrize("text", [*TAKEN_BY_PYTHON, *NO_NUMBER, "1.0", "1e2", "9" * 5000])
def test_no_integer(text):
    with pytest.raises(ValueError, match="is no whole number"):
        integer(text)


@pytest.mark.parametrize("text", [*TAKEN_BY_PYTHON, *NO_NUMBER, "nan", "inf", "-Infinity", "1e999", "9" * 400])
def test_no_float(text):
    with pytest.raises(ValueError, match="is no number"):
        finite_float(text)


@pytest.mark.parametrize("text", ["9" * 10**7, "x" * 10**7])
def test_the_message_does_not_repeat_a_long_text(text):
    for read in (integer, finite_float):
        with pytest.raises(ValueError) as error:
            read(text)
        assert len(str(error.value)) < 100


@given(st.integers(-10**50, 10**50))
def test_every_integer_is_read(number):
    assert integer(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_is_read(number):
    assert finite_float(repr(number)) == number


@given(st.text())
def test_any_text_is_read_as_python_reads_it_or_refused(text):
    for read, python in ((integer, int), (finite_float, float)):
        try:
            value = read(text)
        except ValueError:
            continue
        assert value == python(text) and math.isfinite(value) and text.isascii()


@pytest.mark.parametrize("text", [".5", "5.", "1e-4", "1E5", "-0.25", "007"])
def test_other_spellings(text):
    assert finite_float(text) == float(text)


@pytest.mark.parametrize("text, bounds, message", [
    ("-1", {"low": 0}, "-1 is not at least 0"), ("6", {"low": 0, "high": 5}, "6 is not at least 0 and at most 5"),
    ("0", {"above": 0}, "0 is not above 0"), ("1", {"low": 0, "below": 1}, "1 is not at least 0 and below 1"),
    ("2000000", {"high": 10**6}, "2000000 is not at most 1000000"),
])
def test_bounds(text, bounds, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        finite_float(text, **bounds)
    if not bounds.keys() & {"above", "below"}:
        with pytest.raises(ValueError, match=f"^{message}$"):
            integer(text, **bounds)


def test_the_bounds_themselves():
    assert integer("0", 0, 5) == 0 and finite_float("5", 0, 5) == 5 and finite_float("0.5", above=0, below=1) == 0.5


@pytest.mark.parametrize("text", ["(0.9, 0.98)", "[0.9,0.98]", "0.9, 0.98"])
def test_fractions(text):
    assert fractions(text, 2) == [0.9, 0.98]


@pytest.mark.parametrize("text", ["(0.9)", "(0.9, 0.98, 0)", "(0.9, 1)", "(0.9, -0)1", "(0.9, 0.98", "()", "(0.9, x)"])
def test_no_fractions(text):
    with pytest.raises(ValueError, match="is no number|is not at least 0 and below 1|numbers instead of 2"):
        fractions(text, 2)
