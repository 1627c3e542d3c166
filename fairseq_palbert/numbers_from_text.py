"""Numbers from text: ASCII decimal digits, finite and within bounds."""

import math
import operator
import re
import reprlib

from .errors import UserError

INTEGER = re.compile(r"-?[0-9]{1,100}")
FLOAT = re.compile(r"-?([0-9]{1,100}\.?[0-9]{0,100}|\.[0-9]{1,100})([eE][+-]?[0-9]{1,9})?")
LARGEST_SEED = 2**63 - 1


def integer(text: str, low: int | None = None, high: int | None = None) -> int:
    """The whole number in ``text``, with ``low`` <= number <= ``high``.

    Raises ValueError, whose message is a phrase, for a number outside the bounds and for any other text. Blanks, a
    plus sign, underscores and the digits of other scripts, which ``int`` takes, are such text.
    """
    if not INTEGER.fullmatch(text):
        raise ValueError(f"{reprlib.repr(text)} is no whole number")
    return _within(int(text), text, low, high)


def finite_float(text: str, low: float | None = None, high: float | None = None, above: float | None = None,
                 below: float | None = None) -> float:
    """The number in ``text``, with ``low`` <= number <= ``high`` and ``above`` < number < ``below``.

    An exponent, as in 1e-4, is read. Raises ValueError as ``integer`` does, and for nan and infinity.
    """
    if not FLOAT.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"{reprlib.repr(text)} is no number")
    return _within(float(text), text, low, high, above, below)


def fractions(text: str, count: int) -> list[float]:
    """The ``count`` numbers in ``text``, separated by commas and in brackets or not, with 0 <= number < 1.

    Raises ValueError as ``finite_float`` does.
    """
    words = text[1:-1] if (text[:1], text[-1:]) in (("(", ")"), ("[", "]")) else text
    numbers = [finite_float(word.strip(" "), low=0, below=1) for word in words.split(",")]
    if len(numbers) != count:
        raise ValueError(f"{reprlib.repr(text)} has {len(numbers)} numbers instead of {count}")
    return numbers


def check_range(flag: str, value: float, low: int, high: int) -> None:
    """Raises UserError where the value of a flag is not from ``low`` to ``high``."""
    if not low <= value <= high:
        raise UserError(f"{flag} {value}: at least {low} and at most {high}")


def _within(number, text: str, low, high, above=None, below=None):
    bounds = [(operator.ge, "at least", low), (operator.gt, "above", above),
              (operator.le, "at most", high), (operator.lt, "below", below)]
    bounds = [bound for bound in bounds if bound[2] is not None]
    if all(holds(number, limit) for holds, _, limit in bounds):
        return number
    wanted = " and ".join(f"{words} {limit:.15g}" for _, words, limit in bounds)
    raise ValueError(f"{text} is not {wanted}")
