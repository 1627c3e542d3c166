"""Tests of read_table: formats and encodings, bad rows, and bad files."""

import gzip
import json

import pytest

from fairseq_palbert import text_lines
from fairseq_palbert.definitions.definition import Source
from fairseq_palbert.errors import UserError
from fairseq_palbert.raw.layouts import LAYOUTS
from fairseq_palbert.raw.tables import read_table
from fairseq_palbert.tsv import Record

REMEDY = "correct the file"
ROWS = [{"text": "naïve, “quoted” cat", "label": "yes"}, {"text": 'one " quote', "label": "no"},
        {"text": "", "label": "yes"}]
VALUES = [tuple(row.values()) for row in ROWS]
COLUMNS = ("text", "label")


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


FILES = {  # ROWS in each format
    "a.tsv": "text\tlabel\n" + "".join(f"{row['text']}\t{row['label']}\n" for row in ROWS),
    "a.csv": "text,label\n" + "".join(f"{quoted(row['text'])},{row['label']}\n" for row in ROWS),
    "a.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
    "a.json": json.dumps(ROWS, indent=1),
    "a.lines": "".join(f"{row['label']}: {row['text']}\n" for row in ROWS),
}


@pytest.fixture
def table(tmp_path):
    """table(name, content, needed, **settings) writes that file and returns its rows."""

    def read(name: str, content: str | bytes, needed=COLUMNS, **settings) -> list[Record]:
        path = tmp_path / name
        content = content.encode(settings.get("encoding", "utf-8")) if isinstance(content, str) else content
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        if name.startswith("a.lines"):
            settings = {"format": "lines", "pattern": "(?P<label>[a-z]+): (?P<text>.*)"} | settings
        return list(read_table(path, Source(name, **settings), needed, REMEDY))

    return read


def values(records: list[Record]) -> list[tuple[str, ...]]:
    assert not [record.problem for record in records if record.problem]
    return [record.values for record in records]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("name", FILES)
def test_every_format_plain_and_in_gzip(table, name, ending):
    assert values(table(name + ending, FILES[name])) == VALUES
    assert values(table(name + ending, FILES[name].rstrip("\n"))) == VALUES  # without the last line end


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.json"])
def test_a_long_text_is_read_in_every_format(table, name):
    text = "a long text, " * 20_000
    content = FILES[name].replace(ROWS[0]["text"], text).replace(json.dumps(ROWS[0]["text"])[1:-1], text)
    assert values(table(name, content)) == [(text, "yes"), *VALUES[1:]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "gb18030", "utf-7"])
@pytest.mark.parametrize("name", FILES)
def test_every_encoding(table, name, encoding):
    assert values(table(name, FILES[name], encoding=encoding)) == VALUES


@pytest.mark.parametrize("encoding", ["cp1252", "cp1140"])  # the second is EBCDIC
def test_an_encoding_with_a_byte_a_letter(table, encoding):
    assert values(table("a.tsv", "text\tlabel\nnaïve\tyes\n", encoding=encoding)) == [("naïve", "yes")]


@pytest.mark.parametrize("name", FILES)
def test_a_byte_order_mark_is_no_text(table, name):
    assert values(table(name, b"\xef\xbb\xbf" + FILES[name].encode())) == VALUES


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_columns_by_number_of_a_file_without_a_header_line(table, name):
    rows = FILES[name].partition("\n")[2]
    assert values(table(name, rows, needed=(2, 1))) == [(label, text) for text, label in VALUES]
    with pytest.raises(UserError, match=f"{name}, line 1: there is no column 3 among 2: {REMEDY}"):
        table(name, rows, needed=(1, 3))


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_columns_named_in_the_task_file(table, name):
    assert values(table(name, FILES[name].partition("\n")[2], columns=("text", "label"))) == VALUES


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "§"])
def test_a_delimiter(table, delimiter):
    text = f"text{delimiter}label\n\"a{delimiter}b\"{delimiter}yes\n"
    assert values(table("a.csv", text, delimiter=delimiter)) == [(f"a{delimiter}b", "yes")]


def test_a_row_of_csv_may_have_line_ends_and_is_named_by_its_first_line(table):
    first, second, bad, last = table("a.csv", 'text,label\r\n"one\r\n\r\ntwo",yes\r\nb,no\r\n"c\nd"\r\ne,no\r\n')
    assert (first.line, first.values) == (2, ("one\n\ntwo", "yes"))
    assert (second.line, second.values) == (5, ("b", "no"))
    assert (bad.line, bad.problem, bad.text) == (6, "1 field instead of 2 fields", r'"c\nd"')
    assert (last.line, last.values) == (8, ("e", "no"))


def test_nested_values_have_dotted_names(table):
    row = {"a": {"b": "x", "c": {"d": 3}}, "e.f": "y"}
    needed = ("a.b", "a.c.d", "e.f")
    assert values(table("a.jsonl", json.dumps(row), needed)) == [("x", "3", "y")]
    assert values(table("a.json", json.dumps([row]), needed)) == [("x", "3", "y")]


@pytest.mark.parametrize("value, text", [
    (True, "true"), (False, "false"), (0, "0"), (-3, "-3"), (10**30, "1" + 30 * "0"), (2.5, "2.5"), (1e-7, "1e-07"),
    (5.0, "5.0"), ("", ""), ("null", "null"), ("a\nb", "a\nb"),
])
def test_values_of_json_as_text(table, value, text):
    assert values(table("a.jsonl", json.dumps({"text": value}), ("text",))) == [(text,)]
    assert values(table("a.json", json.dumps([{"text": value}]), ("text",))) == [(text,)]


@pytest.mark.parametrize("value, problem", [
    ({"text": None}, "column 'text' is null, and should be a text, a number, true or false"),
    ({"text": ["a"]}, "column 'text' is ['a'], and should be a text"),
    ({"text": {"a": 1}}, "column 'text' is {'a': 1}, and should be a text"),
    ({"other": "a"}, "there is no column 'text' among 'other'"), ({}, "there is no column 'text' among none"),
])
def test_what_json_has_in_place_of_a_text_is_named_with_its_row(table, value, problem):
    good = {"text": "a"}
    for name, content in (("a.jsonl", f"{json.dumps(good)}\n{json.dumps(value)}\n{json.dumps(good)}\n"),
                          ("a.json", json.dumps([good, value, good]))):
        first, bad, last = table(name, content, ("text",))
        assert (bad.line, bad.text) == (2, json.dumps(value)) and bad.problem.startswith(problem)
        assert first.values == last.values == ("a",) and last.line == 3


BAD_ROWS = {
    "tsv": ("a.tsv", "text\tlabel\na\tyes\n", "b\tno\n", {
        b"a": "1 field instead of 2", b"": "a blank line", b"a\tb\tc": "3 fields",
        b"\xff\tyes": "byte 0xff at position 1",
        b"a\0\tyes": "NUL", b"text\tlabel": "a header line among the rows"}),
    "csv": ("a.csv", "text,label\na,yes\n", "b,no\n", {
        b"a": "1 field instead of 2", b"": "a blank line", b"a,b,c": "3 fields", b"\xe9,yes": "byte 0xe9 at position 1",
        b"a\0,yes": "NUL", b'"a"b,yes': "no CSV (',' expected after '\"')", b"a\rb,yes": "no CSV (new-line character",
        b"text,label": "a header line among the rows"}),
    "jsonl": ("a.jsonl", '{"text": "a", "label": "yes"}\n', '{"text": "b", "label": "no"}\n', {
        b"": "a blank line", b"{": "not JSON (Expecting property name", b"[1]": "[1] is no JSON object",
        b'"a"': "no JSON object",
        b'{"text": NaN}': "NaN is no JSON number", b'{"text": "\xff"}': "byte 0xff at position 11", b"\0": "NUL",
        b'{"text": "a", "text": "b"}': "the key 'text' occurs twice", b'{"text": "\\ud800"}': "half a surrogate pair",
        b'{"text": "a"} {"text": "b"}': "not JSON (Extra data"}),
    "lines": ("a.lines", "yes: a\n", "no: b\n", {
        b"": "a blank line", b"yes a": "does not match the pattern", b" yes: a": "does not match",
        b"yes: \xff": "byte 0xff"}),
}


@pytest.mark.parametrize("form, row", [(form, row) for form, (*_, rows) in BAD_ROWS.items() for row in rows],
                         ids=lambda value: repr(value)[:30])
def test_a_bad_row_is_named_and_the_next_one_read(table, form, row):
    name, before, after, problems = BAD_ROWS[form]
    first, bad, last = table(name, before.encode() + row + b"\n" + after.encode())
    assert bad.line == before.count("\n") + 1 and problems[row] in bad.problem
    assert (first.values, last.values, last.line) == (("a", "yes"), ("b", "no"), bad.line + 1)
    assert "\n" not in bad.text


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.lines"])
def test_blank_lines_at_the_end_are_none(table, name):
    assert values(table(name, FILES[name] + "\n\n")) == VALUES


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.lines"])
def test_each_blank_line_between_rows_is_named(table, name):
    lines = FILES[name].splitlines(keepends=True)
    records = table(name, "".join([*lines[:-1], "\n\r\n", lines[-1]]))
    assert [record.line for record in records if record.problem] == [len(lines), len(lines) + 1]
    assert records[-1].values == VALUES[-1]


QUOTE = 'text,label\na,yes\n"b,no\n'
BAD_FILES = {
    "missing column of csv": ("a.csv", "text,id\na,1\n",
                              "line 1: the header has no column 'label', but names 'text', 'id'"),
    "a column twice": ("a.csv", "text,label,text\na,b,c\n", "line 1: the header has 2 columns 'text'"),
    "another delimiter": ("a.csv", "text;label\na;b\n",
                          "line 1: the header has no column 'text', but names 'text;label'"),
    "empty": ("a.csv", "", "a.csv is empty"), "empty tsv": ("a.tsv", "", "a.tsv is empty"),
    "empty json": ("a.json", "", "a.json: not JSON (Expecting value"),
    "a quote that stays open": ("a.csv", QUOTE + "c,yes\n",
                                "line 3: no CSV (unexpected end of data) in or before line 4"),
    "a quote that closes late": ("a.csv", QUOTE + '"c",yes\n',
                                 "line 3: no CSV (',' expected after '\"') in or before line 4"),
    "a quote of all that follows": ("a.csv", QUOTE + "c,yes\n" * (text_lines.LONGEST // 5),
                                    "line 3: no CSV (field larger than field limit (4194304))"),
    "a header in damaged quotes": ("a.csv", '"a"b,label\n', "line 1: no CSV (',' expected after"),
    "old line ends": ("a.csv", "text,label\ra,yes\r", "line 1: no CSV (new-line character seen in unquoted field)"),
    "utf-16": ("a.tsv", "text\tlabel\n".encode("utf-16"), "line 1: byte 0xff at position 1 of the line is no UTF-8"),
    "NUL in the header": ("a.csv", "text\0,label\n", "line 1: the line has the character NUL"),
    "json lines as json": ("a.json", FILES["a.jsonl"],
                           'not JSON (Extra data: line 2 column 1 (char 63)): give a list of objects'),
    "an object with a list": ("a.json", '{"data": []}', "{'data': []} is no JSON list: give a list of objects, or one"),
    "json that ends": ("a.json", FILES["a.json"][:-3], "a.json: not JSON (Expecting"),
    "a byte of json": ("a.json", b'[{"text":\n "\xe9"}]',
                       "a.json, line 2: byte 0xe9 at position 3 of the line is no UTF-8"),
    "no gzip": ("b.csv.gz", b"text,label\n",
                "damaged, or no gzip (Not a gzipped file (b'te')): fetch or make it again"),
    "gzip that ends": ("b.csv.gz", gzip.compress(FILES["a.csv"].encode() * 9)[:-9],
                       "damaged, or no gzip (Compressed file"),
    "gzip with another sum": ("b.csv.gz", gzip.compress(b"text,label\n")[:-8] + b"12345678",
                              "damaged, or no gzip (CRC check"),
    "gzip with another block": ("b.csv.gz", gzip.compress(b"text,label\n")[:10] + b"\xff" * 20,
                                "damaged, or no gzip (Error -3"),
    "a long line": ("a.tsv", "text\tlabel\n" + "a" * (2**22 + 1),
                    "line 2: more than 4,194,304 characters: give one row a line"),
}


@pytest.mark.parametrize("name, content, words", BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_cannot_be_used_is_one_line(table, tmp_path, name, content, words):
    with pytest.raises(UserError) as error:
        if name.startswith("b"):  # written as they are, without gzip
            (tmp_path / name).write_bytes(content)
            list(read_table(tmp_path / name, Source(name), COLUMNS, REMEDY))
        table(name, content)
    assert str(tmp_path / name) in str(error.value) and words in str(error.value)


def test_utf_16_without_its_mark_is_one_line(table):
    with pytest.raises(UserError, match="a.tsv is no UTF-16 .*: name its encoding"):
        table("a.tsv", "text\tlabel\n".encode("utf-16-le"), encoding="utf-16")


@pytest.mark.parametrize("name", FILES)
def test_a_small_file_that_unpacks_to_a_large_one_is_refused(table, name, monkeypatch):
    monkeypatch.setattr(text_lines, "UNPACKED", 2**20)
    monkeypatch.setattr(text_lines, "UNPACKED_RATIO", 2)
    with pytest.raises(UserError, match=r"unpacks to more than 1,05\d,\d\d\d bytes"):
        table(f"{name}.gz", FILES[name] + (" " * 2**16 + "\n") * 40)


def test_a_large_json_list_is_refused(table, monkeypatch):
    monkeypatch.setattr("fairseq_palbert.raw.objects.LARGEST_LIST", 20)
    with pytest.raises(UserError, match="a.json: has more than 20 bytes: give a list of objects, or one object a line"):
        table("a.json", FILES["a.json"])


def test_a_layout_makes_rows_of_an_object(table, monkeypatch):
    def numbers(value: dict) -> list[dict]:
        if "n" not in value:
            raise ValueError("has no n")
        return [{"text": str(place)} for place in range(value["n"])]

    monkeypatch.setitem(LAYOUTS, "numbers", numbers)
    for name, content in (("a.jsonl", '{"n": 2}\n{}\n{"n": 1}\n'), ("a.json", '[{"n": 2}, {}, {"n": 1}]')):
        records = table(name, content, ("text",), layout="numbers")
        assert [(record.line, record.values or record.problem) for record in records] == [
            (1, ("0",)), (1, ("1",)), (2, "has no n"), (3, ("0",))]
