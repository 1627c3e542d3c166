"""Tests of reading rows: TSV, JSON lines, and one line for a fault."""

import io
import json
from types import SimpleNamespace

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.serving.rows import Columns, chunks, read_rows

SENTENCES = Columns((("question", "sentence"), ("sentence1", "sentence2")))


def read(content: bytes, form: str, columns: Columns = SENTENCES) -> list:
    return list(read_rows(io.BytesIO(content), "FILE", form, columns))


def test_tsv():
    content = '\ufefflabel\tsentence2\tsentence1\r\n0\t"b\t a \r\n1\t\tnaïve'.encode()
    rows = read(content, "tsv")
    assert [(row.id, row.sentences) for row in rows] == [(0, (" a ", '"b')), (1, ("naïve", ""))]
    assert rows[-1].end == len(content)


def test_json_lines():
    lines = [{"sentence2": "b\t", "sentence1": "a", "key": 7}, {"key": "x", "sentence1": "", "sentence2": "\n"}]
    content = "\n".join(map(json.dumps, lines)).encode()
    assert [row.sentences for row in read(content, "jsonl")] == [("a", "b\t"), ("", "\n")]
    assert [row.id for row in read(content, "jsonl")] == [0, 1]
    assert [row.id for row in read(content, "jsonl", Columns(SENTENCES.choices, "key"))] == [7, "x"]


def test_json_lines_are_read_by_names_joined_with_dots_as_in_training():
    columns = Columns((("m.t",), ("sentence",)), "m.key")
    rows = read(b'{"m": {"t": "a", "key": 1}}\n{"m.t": "b", "m": {"t": "c", "key": 2}}', "jsonl", columns)
    assert [(row.id, row.sentences) for row in rows] == [(1, ("a",)), (2, ("b",))]
    with pytest.raises(UserError, match="line 2: there is no 'm.t': every row needs it"):
        read(b'{"m": {"t": "a", "key": 1}}\n{"m": {"key": 2}}', "jsonl", columns)
    with pytest.raises(UserError, match="line 1: there is no 'm.t', or 'sentence' among 'm': name the columns"):
        read(b'{"m": "a"}', "jsonl", Columns(columns.choices))


def test_the_first_choice_that_is_there_is_taken():
    header, row = "sentence1\tsentence2\tquestion\tsentence\tid\n", "a\tb\tc\td\te\n"
    content = (header + row).encode()
    assert read(content, "tsv")[0].sentences == ("c", "d")
    assert read(content, "tsv", Columns((("id", "no"), ("sentence2", "sentence1")), "id"))[0].sentences == ("b", "a")


def test_rows_come_before_the_next_is_read():
    lines = iter([b"sentence\n", b"a\n"])
    file = SimpleNamespace(readline=lambda size: next(lines))  # a third line would raise StopIteration
    rows = read_rows(file, "FILE", "tsv", Columns((("sentence",),)))
    assert next(rows).sentences == ("a",)


@pytest.mark.parametrize("form, content", [("tsv", b"sentence1\tsentence2\n"), ("jsonl", b"")])
def test_no_rows(form, content):
    assert read(content, form) == []


@pytest.mark.parametrize("message, form, content", [
    ("line 1: the input is empty: the first line must name the columns", "tsv", b""),
    ("line 1: there is no 'question' and 'sentence', or 'sentence1' and 'sentence2' among 'a', 'b': name the columns",
     "tsv",
     b"a\tb\n"),
    ("line 1: the header has 2 columns 'sentence1'", "tsv", b"sentence1\tsentence2\tsentence1\n"),
    ("line 3: a blank line instead of 2 fields: correct the row", "tsv", b"sentence1\tsentence2\na\tb\n\n"),
    ("line 2: 3 fields instead of 2 fields: correct the row", "tsv", b"sentence1\tsentence2\na\tb\tc\n"),
    ("line 2: byte 0xff at position 3 of the line is no UTF-8: save", "tsv", b"sentence1\tsentence2\na\t\xff\n"),
    ("line 1: not JSON (Expecting value", "jsonl", b"sentence1\tsentence2\n"),
    ("line 2: not JSON", "jsonl", b'{"sentence1": "a", "sentence2": "b"}\n\n'),
    ("line 1: not JSON (nested more than 100 levels", "jsonl", b"[" * 100_000),
    ("line 1: [1] is no JSON object: give one object a line", "jsonl", b"[1]"),
    ("line 1: not JSON (NaN is no JSON number)", "jsonl", b'{"sentence1": "a", "sentence2": "b", "id": NaN}'),
    ("line 1: not JSON (the number 1e999 is too large)", "jsonl",
     b'{"sentence1": "a", "sentence2": "b", "id": {"n": [1e999]}}'),
    ("line 1: not JSON (the key 'sentence1' occurs twice)", "jsonl",
     b'{"sentence1": "a", "sentence1": "b", "sentence2": "c"}'),
    ("line 1: not JSON (\\ud800 is half a surrogate pair)", "jsonl",
     rb'{"sentence1": "a", "sentence2": "b", "id": "\ud800"}'),
    ("line 2: more than 4,194,304 bytes: give one row a line", "tsv", b"sentence1\tsentence2\n" + b"a" * 60_000_000),
    ("line 1: more than 4,194,304 bytes: give one row a line", "jsonl", b'[{"sentence1": ' * 4_000_000),
    ("line 2: a text of more than 1,048,576 characters: cut it", "tsv",
     b"sentence1\tsentence2\n\t" + b"a" * (2**20 + 1)),
    ("line 1: there is no 'question' and 'sentence'", "jsonl", b'{"sentence1": "a"}'),
    ("line 2: there is no 'sentence2': every row needs it", "jsonl",
     b'{"sentence1": "a", "sentence2": "b"}\n{"sentence1": "a", "sentence": ""}'),
    ("line 1: 'sentence2' is None, and should be a text", "jsonl", b'{"sentence1": "a", "sentence2": null}'),
    ("line 1: not JSON (\\ud800 is half a surrogate pair)", "jsonl",
     rb'{"sentence1": "a", "sentence2": "b\ud800"}'),
])
def test_the_first_wrong_row_is_told_in_a_line(message, form, content):
    with pytest.raises(UserError) as error:
        read(content, form)
    assert f"FILE, {message}" in str(error.value) and "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("form, content", [
    ("tsv", b"sentence\na\n\n"), ("tsv", b"sentence\tkey\na\tb\n\n"), ("jsonl", b'{"sentence": "a"}\n\n'),
])
def test_a_blank_last_line_is_refused_in_every_format(form, content):
    with pytest.raises(UserError, match="FILE, line 3: .*blank|FILE, line 2: not JSON"):
        read(content, form, Columns((("sentence",),)))
    assert read(content[:-1], form, Columns((("sentence",),)))[0].sentences == ("a",)


def test_an_empty_text_of_a_table_of_one_column_is_a_blank_line_before_the_last_or_a_blank():
    rows = read(b"sentence\n\na\n \n", "tsv", Columns((("sentence",),)))
    assert [row.sentences[0].strip() for row in rows] == ["", "a", ""]


@pytest.mark.parametrize("form, content", [
    ("tsv", b"sentence1\tsentence2\na\tb\n"), ("jsonl", b'{"sentence1": "a", "sentence2": "b"}'),
    ("jsonl", b'{"sentence1": "a", "sentence2": "b", "key": 1}\n{"sentence1": "a", "sentence2": "b"}'),
])
def test_a_missing_id_is_told(form, content):
    with pytest.raises(UserError, match="there is no 'key'"):
        read(content, form, Columns(SENTENCES.choices, "key"))


def test_chunks_keep_the_order_and_are_bounded():
    content = "sentence\n" + "".join("x" * (place % 7) + "\n" for place in range(100)) + "y" * 500 + "\nz\n"
    rows = read(content.encode(), "tsv", Columns((("sentence",),)))
    cut = list(chunks(rows, 20))
    assert [row for chunk in cut for row in chunk] == rows
    assert all(sum(1 + len(row.sentences[0]) for row in chunk[:-1]) < 20 for chunk in cut)
    assert len(cut) > 15 and list(chunks([], 20)) == []
    assert [len(chunk) for chunk in chunks(rows[:7], 10**6, most=3)] == [3, 3, 1]
