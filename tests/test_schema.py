"""Tests of ``schema``: a kind accepts its own values, and refuses others with the field's name."""

import pytest

from fairseq_palbert.schema import BOOLEAN, check_fields, choice, integer, list_of, number, object_of, optional, text


@pytest.mark.parametrize("kind, accepted, refused", [
    (integer(1, 9), [1, 9], [0, 10, 1.0, True, "1", None, [1], 10**400]),
    (number(-1, 0.5), [-1, 0, 0.5, -0.25], [-1.1, 0.6, True, "0", None, float("nan"), float("inf"), 10**400]),
    (text(3), ["", "aïc"], ["abcd", "a\tb", "a\n", "\ud800", 1, None, ["a"]]),
    (BOOLEAN, [True, False], [0, 1, "true", None]),
    (choice("mlp", 0), ["mlp", 0], ["rnn", False, 0.0, None, ["mlp"], {}]),
    (optional(integer(1, 9)), [None, 1], [0, "1"]),
    (list_of(text(1), 1, 2), [["a"], ["a", "b"]], [[], ["a", "b", "c"], ["ab"], [["a"]], "a", None, {"a": 1}]),
    (object_of({"b": BOOLEAN, "c": BOOLEAN}, absent=1), [{"b": True}, {"b": True, "c": False}], [{}, {"c": True}]),
    (object_of({"b": BOOLEAN}), [{"b": True}], [{}, {"b": 1}, {"b": True, "c": True}, [], "b", None]),
])
def test_kinds(kind, accepted, refused):
    for value in accepted:
        check_fields({"a": value}, {"a": kind})
    for value in refused:
        with pytest.raises(ValueError, match=r"in\.a is .*, and should be ") as error:
            check_fields({"a": value}, {"a": kind}, "in.")
        assert len(str(error.value)) < 300


def test_fields_are_exact_or_not():
    kinds = {"a": integer(0, 1), "b": BOOLEAN}
    check_fields({"a": 0, "b": True}, kinds)
    check_fields({"c": 0, "a": 1}, kinds, exact=False)
    for values, message in [({"a": 0}, "has no b"), ({"a": 0, "b": True, "c": 1}, "has c, which this code does not"),
                            ([], "the content is [], and should be an object"), (None, "is None")]:
        with pytest.raises(ValueError) as error:
            check_fields(values, kinds)
        assert message in str(error.value)
