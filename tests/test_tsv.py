"""Tests of ``tsv``: columns, line ends, encoding and malformed rows."""

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.tsv import Record, read_records, read_rows

REMEDY = "give the right file"


@pytest.fixture
def tsv(tmp_path):
    def write(content: bytes):
        (tmp_path / "data.tsv").write_bytes(content)
        return tmp_path / "data.tsv"

    return write


def test_columns_are_found_by_name_whatever_their_order(tsv):
    path = tsv(b"b\tindex\ta\nB1\t0\tA1\nB2\t1\tA2\n")
    assert [record.values for record in read_records(path, ("a", "b"), REMEDY)] == [("A1", "B1"), ("A2", "B2")]


def test_a_file_without_a_header_has_its_columns_named(tsv):
    assert [record.values for record in read_records(tsv(b"A\tB"), ("b",), REMEDY, columns=("a", "b"))] == [("B",)]
    header, row = read_records(tsv(b"a\tb\nA\tB"), ("b",), REMEDY, columns=("a", "b"))
    assert header.problem == "a header line among the rows" and row.values == ("B",)


def test_byte_order_mark_crlf_and_a_missing_last_line_end(tsv):
    path = tsv(b"\xef\xbb\xbfa\tb\r\nA1\tB1\r\nA2\tB2")
    assert [record.values for record in read_records(path, ("a", "b"), REMEDY)] == [("A1", "B1"), ("A2", "B2")]
    path = tsv(b"\xef\xbb\xbfA1\tB1\r\n")
    assert [record.values for record in read_records(path, ("a", "b"), REMEDY, columns=("a", "b"))] == [("A1", "B1")]


@pytest.mark.parametrize("sentence", [
    'one " quote', '"quoted"', "'it's'", "a\rb", "a\x0bb\x0cc", "a\x1cb\x85c\u2028d", "\ufeff", " x ",
])
def test_nothing_but_tab_and_line_feed_means_anything(tsv, sentence):
    path = tsv(f"a\tb\n{sentence}\tB\n".encode())
    assert [record.values for record in read_records(path, ("a",), REMEDY)] == [(sentence,)]


@pytest.mark.parametrize("row, problem, width_differs", [
    (b"A", "1 field instead of 2 fields", True),
    (b"A\tB\tC", "3 fields instead of 2 fields", True),
    (b"", "a blank line instead of 2 fields", True),
    (b"A\tB\xff", "byte 0xff at position 4 of the line is no UTF-8", False),
    (b"A\xe2\x82\tB", "byte 0xe2 at position 2 of the line is no UTF-8", False),
])
def test_a_malformed_row_is_named_with_its_line_and_the_next_is_read(tsv, row, problem, width_differs):
    first, bad, last = read_records(tsv(b"a\tb\nA1\tB1\n" + row + b"\nA3\tB3\n"), ("a",), REMEDY)
    assert (bad.line, bad.problem, bad.width_differs) == (3, problem, width_differs)
    assert (first.values, last) == (("A1",), Record(4, "A3\tB3", ("A3",)))


@pytest.mark.parametrize("content, words", [
    (b"", "is empty"),
    (b"a\tc\n", "line 1: the header has no column 'b', but names 'a', 'c'"),
    (b"a\tb\tb\n", "line 1: the header has 2 columns 'b'"),
    (b"\xff\xfea\x00", "line 1: byte 0xff at position 1 of the line is no UTF-8"),
])
def test_a_file_that_cannot_be_used_is_refused(tsv, content, words):
    with pytest.raises(UserError, match=words):
        list(read_records(tsv(content), ("a", "b"), REMEDY))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="data.tsv is missing: put it there"):
        list(read_records(tmp_path / "data.tsv", ("a",), REMEDY))
    with pytest.raises(UserError, match="cannot read .*Is a directory"):
        list(read_records(tmp_path, ("a",), REMEDY))


def test_the_strict_reader_ends_with_the_first_bad_row(tsv):
    path = tsv(b"a\tb\nA1\tB1\nA2\nA3\tB3\n")
    rows = read_rows(path, ("b", "a"), REMEDY)
    assert next(rows) == ("B1", "A1")
    with pytest.raises(UserError, match="data.tsv, line 3: 1 field instead of 2 fields: give the right file"):
        next(rows)
