"""Tests of reading JSON: valid content comes back, and a fault is one line naming the file."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.errors import UserError
from fairseq_palbert.json_files import parse_object, read_json, read_json_lines

REMEDY = "make it again"
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                      | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(st.dictionaries(st.text(), VALUES), st.booleans())
def test_what_json_writes_comes_back(value, ascii):
    assert parse_object(json.dumps(value, ensure_ascii=ascii)) == value


FAULTS = [
    ("not JSON (Expecting value", b""),
    ("not JSON (NaN is no JSON number)", b'{"a": NaN}'),
    ("not JSON (-Infinity is no JSON number)", b'{"a": [-Infinity]}'),
    ("not JSON (the number 1e999 is too large)", b'{"a": 1e999}'),
    ("not JSON (Exceeds the limit (4300 digits)", b'{"a": ' + b"1" * 5000 + b"}"),
    ("not JSON (the key 'a' occurs twice)", b'{"b": {"a": 1, "a": 1}}'),
    ("not JSON (\\udc00 is half a surrogate pair)", rb'{"a": ["\uD83D\uDE00", "\uDC00"]}'),
    ("not JSON (nested more than 100 levels deep)", b'{"a": ' + 100 * b"[" + 100 * b"]" + b"}"),
    ("not JSON (nested more than 100 levels deep)", 100_000 * b'{"a":'),
    ("not JSON (Extra data", b"{} {}"),
    ("[1, 2] is no JSON object", b"[1, 2]"),
    ("byte 0xff at position 7 is no UTF-8", b'{"a": \xff}'),
]


@pytest.mark.parametrize("message, content", FAULTS)
def test_a_fault_is_one_line_with_file_and_remedy(tmp_path, message, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    for read in (read_json, read_json_lines):
        with pytest.raises(UserError) as error:
            read(path, REMEDY)
        assert str(error.value).startswith(str(path)) and message in str(error.value)
        assert str(error.value).endswith(f": {REMEDY}") and len(str(error.value)) < 500


def test_the_last_depth_that_is_allowed(tmp_path):
    content = '{"a": ' + 99 * "[" + 99 * "]" + "}"
    assert json.dumps(parse_object(content)) == content


def test_lines(tmp_path):
    path = tmp_path / "scores.jsonl"
    path.write_text('\ufeff{"a": "\u2028"}\r\n{"a": 2}\n', encoding="utf-8")
    assert read_json_lines(path, REMEDY) == [{"a": "\u2028"}, {"a": 2}]
    path.write_text('{"a": 1}\n\n{"a": 2}\n')
    with pytest.raises(UserError, match="scores.jsonl, line 2: not JSON"):
        read_json_lines(path, REMEDY)


def test_a_file_of_any_size_or_kind_is_refused_before_it_is_read_whole(tmp_path):
    large, pipe = tmp_path / "large", tmp_path / "pipe"
    large.touch()
    os.truncate(large, 2**40)
    os.mkfifo(pipe)
    for path, message in [(large, "has more than 16,777,216 bytes"), (pipe, "is no regular file"),
                          (tmp_path / "missing", "No such file"), (tmp_path, "is no regular file")]:
        with pytest.raises(UserError, match=f"{path}: {message}.*: {REMEDY}"):
            read_json(path, REMEDY)
