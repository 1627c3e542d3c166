"""Tests of Parquet files: rows read back, types, compression, batches and damage."""

import gzip
import io
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from fairseq_palbert.definitions.definition import Source
from fairseq_palbert.errors import UserError
from fairseq_palbert.raw.parquet import BATCH
from fairseq_palbert.raw.tables import read_table
from fairseq_palbert.tsv import Record

REMEDY = "correct the file"


@pytest.fixture
def table(tmp_path):
    """table(columns, needed, **settings) writes a Parquet file of these columns and returns its rows."""

    def read(columns: dict, needed=("text",), name: str = "a.parquet", **settings) -> list[Record]:
        buffer = io.BytesIO()
        parquet.write_table(pyarrow.table(columns), buffer, **settings)
        content = buffer.getvalue()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return list(read_table(tmp_path / name, Source(name), needed, REMEDY))

    return read


@pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
def test_rows_of_several_batches_and_row_groups(table, name, compression):
    rows = [f"the cat {number}\n“b”" for number in range(2 * BATCH + 5)]
    records = table({"id": range(len(rows)), "text": rows}, ("text", "id"), name, compression=compression,
                    row_group_size=700)
    assert [record.values for record in records] == [(text, str(number)) for number, text in enumerate(rows)]
    assert [record.line for record in records] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("values, texts", [
    (pyarrow.array([1, -1], pyarrow.int64()), ["1", "-1"]), (pyarrow.array([1, 255], pyarrow.uint8()), ["1", "255"]),
    (pyarrow.array([True, False]), ["true", "false"]), (pyarrow.array([3.8, 5.0]), ["3.8", "5.0"]),
    (pyarrow.array([3.8, 5.0], pyarrow.float32()), ["3.8", "5.0"]),  # not 3.799999952316284
    (pyarrow.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
    (pyarrow.array(["a", ""], pyarrow.large_string()), ["a", ""]),
])
def test_values_as_text(table, values, texts):
    assert [record.values for record in table({"text": values})] == [(text,) for text in texts]


def test_nested_columns_have_dotted_names(table):
    columns = {"a": [{"b": "x", "c": {"d": 1}}], "e.f": ["y"]}
    record, = table(columns, ("a.b", "a.c.d", "e.f"))
    assert record.values == ("x", "1", "y")


@pytest.mark.parametrize("value, found", [
    (pyarrow.array(["a", None]), "null"), (pyarrow.array([1.0, float("nan")]), "NaN"),
    (pyarrow.array([["a"], ["b"]]), "['b']"), (pyarrow.array([b"a", b"b"]), "b'b'"),
    (pyarrow.array([{"a": 1}, {"a": 2}]), "{'a': 2}"), (pyarrow.array([0, 1], pyarrow.date32()), "datetime"),
])
def test_what_is_no_text_is_named_with_its_row(table, value, found):
    record = table({"text": value, "id": [0, 1]}, ("id", "text"))[1]
    assert record.line == 2 and record.problem.startswith(f"column 'text' is {found}")
    assert record.problem.endswith("and should be a text, a number, true or false") and '"id": 1' in record.text


def test_no_row_gives_none(table):
    assert table({"text": pyarrow.array([], pyarrow.string())}) == []


def test_a_missing_column_is_one_line(table):
    with pytest.raises(UserError,
                       match="a.parquet: there should be one column 'label' among 'text', 'a.b': correct the"):
        table({"text": ["x"], "a": [{"b": 1}]}, ("text", "label"))


def test_a_column_twice_is_one_line(tmp_path):
    twice = pyarrow.Table.from_arrays([pyarrow.array(["x"])] * 2, ["text", "text"])
    parquet.write_table(twice, tmp_path / "a.parquet")
    with pytest.raises(UserError, match="there should be one column 'text' among 'text', 'text'"):
        list(read_table(tmp_path / "a.parquet", Source("a.parquet"), ("text",), REMEDY))


def test_without_pyarrow_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError,
                       match=r"a.parquet: Parquet needs pyarrow: pip install 'fairseq-palbert\[parquet\]', or"):
        list(read_table(Path("a.parquet"), Source("a.parquet"), ("text",), REMEDY))


def invalid_text() -> bytes:
    """Returns a Parquet file with one text, which is no UTF-8."""
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": ["abcdefgh"]}), buffer, compression="none", use_dictionary=False,
                        write_statistics=False)
    return buffer.getvalue().replace(b"abcdefgh", b"abc\xffefgh")


def whole() -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": [str(number) for number in range(2000)]}), buffer, row_group_size=500,
                        use_dictionary=False, write_page_checksum=True)
    return buffer.getvalue()


@pytest.mark.parametrize("content, words", [
    (b"", "damaged after row 0, or no Parquet"), (b"text\na\n" * 9, "damaged after row 0, or no Parquet"),
    (whole()[:-100], "damaged after row 0"), (whole()[100:], "damaged after row 0"),
    (invalid_text(), "damaged after row 0"),
    (whole()[:2500] + bytes(20) + whole()[2520:], "CRC checksum verification failed"),
], ids=["empty", "text", "no end", "no beginning", "no UTF-8", "zeros"])
def test_a_damaged_file_is_one_line(tmp_path, content, words):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(UserError) as error:
        list(read_table(tmp_path / "a.parquet", Source("a.parquet"), ("text",), REMEDY))
    assert words in str(error.value) and str(error.value).endswith(REMEDY)
