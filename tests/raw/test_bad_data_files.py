"""Tests of faulty data files: each fault gives one line of error.

The error names file, line and remedy, and nothing is written.
"""

import gzip
import io
import json

import pyarrow
import pytest
from pyarrow import parquet

from tests.fixtures.own_task import ROWS

KEEP_GOING = ". Correct it; palbert data --keep-going"
CORRECT = ": correct the file, or the task file that names it"
JSON_ROWS = [{"text": "the cat", "category": "card"}, {"text": "a dog", "category": "fees"}]
SCORES = ROWS.replace("card", "0.5").replace("fees", "5")


def with_row(row: str | bytes) -> bytes:
    """Returns ROWS with ``row`` inserted as line 3."""
    lines = ROWS.encode().split(b"\n")
    return b"\n".join([*lines[:2], row.encode() if isinstance(row, str) else row, *lines[2:]])


def in_parquet(*categories) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": ["a"] * len(categories), "category": categories}), buffer)
    return buffer.getvalue()


def json_lines(*rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


BAD = {  # a file of train or valid, its content (None: it is missing), and words of the error
    "empty": ("train.csv", "", "train.csv is empty" + CORRECT),
    "header alone": ("train.csv", "text,category\n", "train.csv has no row" + CORRECT),
    "valid of a header alone": ("valid.csv", "text,category\n",
                                "valid.csv has no usable row (0 rejected): give the whole"),
    "no row is good": ("train.csv", "text,category\na\nb\n",
                       "line 2: 1 field instead of 2 fields" + CORRECT),
    "missing column": ("train.csv", "text,id\na,b\n",
                       "line 1: the header has no column 'category', but names 'text', 'id'"),
    "missing column of valid": ("valid.csv", "text\na\n", "valid.csv, line 1: the header has no column 'category'"),
    "a column twice": ("train.csv", "text,category,text\n", "line 1: the header has 2 columns 'text'"),
    "no header line": ("train.csv", "the cat,card\na dog,fees\n",
                       "line 1: the header has no column 'text', but names 'the"),
    "header twice": ("train.csv", with_row("text,category"),
                     "train.csv, line 3: a header line among the rows" + KEEP_GOING),
    "too few fields": ("train.csv", with_row("a"), "train.csv, line 3: 1 field instead of 2 fields" + KEEP_GOING),
    "too many fields": ("train.csv", with_row("a,b,c"), "train.csv, line 3: 3 fields instead of 2 fields" + KEEP_GOING),
    "blank line": ("train.csv", with_row(""), "train.csv, line 3: a blank line between the rows" + KEEP_GOING),
    "quote in a quoted field": ("train.csv", with_row('"a "b" c",card'),
                                "line 3: no CSV (',' expected after '\"')" + KEEP_GOING),
    "open quote": ("train.csv", with_row('"a,card'),
                   "line 3: no CSV (unexpected end of data) in or before line 6: write a"),
    "NUL": ("train.csv", with_row("a\0,card"), "train.csv, line 3: the line has the character NUL" + KEEP_GOING),
    "another encoding": ("train.csv", with_row("é,card".encode("latin-1")),
                         "train.csv, line 3: byte 0xe9 at position 1 of the line is no UTF-8" + KEEP_GOING),
    "UTF-16": ("train.csv", ROWS.encode("utf-16"),
               "train.csv, line 1: byte 0xff at position 1 of the line is no UTF-8"),
    "empty label": ("train.csv", with_row("a,"), "train.csv, line 3: the label is empty" + KEEP_GOING),
    "blank label": ("train.csv", with_row("a, "), "train.csv, line 3: the label is empty" + KEEP_GOING),
    "label with blanks": ("train.csv", with_row("a, card"),
                          "line 3: the label ' card' has blanks around it, or more than"),
    "label with a line end": ("train.csv", with_row('a,"ca\nrd"'),
                              r"line 3: the label 'ca\nrd' has blanks around it, or"),
    "long label": ("train.csv", with_row("a," + "x" * 101), "line 3: the label 'xxxxxx"),
    "reserved label": ("train.csv", with_row("a,<pad>"),
                       "line 3: the label '<pad>' is one that fairseq keeps for itself"),
    "one class beside a row that is none": ("train.csv", 'text,category\na,card\n"b,fees\n',
                                            "line 3: no CSV (unexpected end of data)" + CORRECT),
    "one class": ("train.csv", "text,category\na,card\nb,card\n", "column 'category' has only the label 'card', and a"),
    "over 1,000 classes": ("train.csv", "text,category\n" + "".join(f"a,{i}\n" for i in range(1001)),
                           "train.csv: column 'category' has 1,001 different labels, and a classification has 2 to "
                           "1,000: check label in the task file, or give score_range for a regression"),
    "a label that train lacks": ("valid.csv", with_row("a,loans"),
                                 "valid.csv, line 3: label 'loans' is none of card, fees"),
    "a folder": ("train.csv/x", "", "train.csv is no regular file: correct splits.train of the task file"),
    "missing": ("train.csv", None, "train.csv is missing: correct splits.train of the task file"),
    "missing valid": ("valid.csv", None, "valid.csv is missing: correct splits.valid of the task file"),
    "no gzip": ("train.csv.gz", ROWS,
                "train.csv.gz: damaged, or no gzip (Not a gzipped file (b'te')): fetch or make it"),
    "damaged gzip": ("train.csv.gz", gzip.compress(ROWS.encode())[:-10],
                     "train.csv.gz: damaged, or no gzip (Compressed"),
    "damage in JSON": ("train.jsonl", json_lines(*JSON_ROWS) + "{\n",
                       "train.jsonl, line 3: not JSON (Expecting property"),
    "missing key": ("train.jsonl", json_lines(*JSON_ROWS, {"text": "a"}),
                    "line 3: there is no column 'category' among 'text'"),
    "null": ("train.jsonl", json_lines(*JSON_ROWS, {"text": None, "category": "card"}),
             "line 3: column 'text' is null, and"),
    "a list": ("train.jsonl", json_lines(*JSON_ROWS, {"text": ["a"], "category": "card"}),
               "column 'text' is ['a'], and"),
    "a JSON list as lines": ("train.jsonl", json.dumps(JSON_ROWS), "line 1: [{'"),
    "JSON lines as a list": ("train.json", json_lines(*JSON_ROWS),
                             'or one object a line with format = "jsonl"' + CORRECT),
    "an object with a list": ("train.json", json.dumps({"data": JSON_ROWS}), "is no JSON list: give a list of objects"),
    "a number in a list": ("train.json", json.dumps([*JSON_ROWS, 3]), "train.json, line 3: 3 is no JSON object"),
    "no Parquet": ("train.parquet", ROWS, "train.parquet: damaged after row 0, or no Parquet"),
    "Parquet cut short": ("train.parquet", in_parquet("a", "b")[:-9],
                          "train.parquet: damaged after row 0, or no Parquet"),
    "null in Parquet": ("train.parquet", in_parquet("a", "b", None),
                        "train.parquet, line 3: column 'category' is null"),
}


@pytest.mark.parametrize("name, content, words", BAD.values(), ids=BAD)
def test_a_fault_is_one_line(own_task, name, content, words):
    if not name.startswith("valid"):
        (own_task.folder / "train.csv").unlink()
        own_task.edit("train.csv", name.removesuffix("/x"))
    if content is None:
        (own_task.folder / name).unlink(missing_ok=True)
    else:
        (own_task.folder / name).parent.mkdir(exist_ok=True)
        own_task.write(name, content)
    line = own_task.refusal()
    assert line.startswith(name.removesuffix("/x")) and words in line


@pytest.mark.parametrize("score, words", [
    ("5.5", "score 5.5 is not at least 0 and at most 5"), ("-1", "score -1 is not at least 0"),
    ("nan", "score 'nan' is no"),
    ("inf", "score 'inf' is no number"), ("", "score '' is no number"), ("high", "score 'high' is no number"),
    ("1_0", "score '1_0' is no number"), ("٣", "score '٣' is no number"),
])
def test_a_score_that_is_none_is_one_line(own_task, score, words):
    own_task.edit('"accuracy"', '"pearson"\nscore_range = [0, 5]')
    own_task.write("valid.csv", SCORES)
    own_task.write("train.csv", SCORES + f"a,{score}\n")
    line = own_task.refusal()
    assert line.startswith(f"train.csv, line 6: {words}") and KEEP_GOING in line


def test_a_line_that_does_not_match_is_one_line(own_task):
    own_task.edit('"accuracy"', '''"accuracy"\nformat = "lines"\npattern = '(?P<category>\\w+): (?P<text>.*)\'''')
    own_task.write("train.csv", "card: a\nfees: b\nfees c\n")
    assert own_task.refusal().startswith("train.csv, line 3: the line does not match the pattern" + KEEP_GOING)


@pytest.mark.parametrize("setting, words", [
    ('metric = "f1"\npositive = "yes"',
     "train.csv has the labels card, fees: positive is 'yes', which is none of the labels"),
    ('metric = "accuracy"\npositive = "card"\n[groups]\ncolumn = "text"\nanswer = "best"',
     "rows of groups have 2 labels, not 3"),
])
def test_labels_of_train_that_do_not_fit_the_task_are_one_line(own_task, setting, words):
    own_task.edit('metric = "accuracy"', setting)
    if "groups" in setting:
        own_task.write("train.csv", ROWS + "a,loans\n")
    assert words in own_task.refusal()


@pytest.mark.parametrize("group", ["", " "])
def test_a_row_without_a_group_is_one_line(own_task, group):
    own_task.edit('metric = "accuracy"', 'metric = "accuracy"\npositive = "card"\n[groups]\ncolumn = "case"\n'
                                         'answer = "best"')
    own_task.write("train.csv", f"text,category,case\na,card,1\nb,fees,{group}\n")
    assert own_task.refusal().startswith("train.csv, line 3: the group is empty")


def test_a_header_line_of_a_file_whose_columns_are_named_is_one_line(own_task):
    own_task.edit('metric = "accuracy"', 'metric = "accuracy"\ncolumns = ["text", "category"]')
    own_task.write("train.csv", "text,category\na,card\nb,fees\n")
    assert own_task.refusal().startswith("train.csv, line 1: a header line among the rows" + KEEP_GOING)


@pytest.mark.parametrize("labels", [["card", "fees"] * 2, range(30)])
def test_a_train_that_is_too_small_for_its_parts_is_one_line(own_task, labels):
    """A tenth of 4 rows is no row, and the only row of a label stays in train."""
    own_task.edit('"valid.csv"', "0.1")
    own_task.write("train.csv", "text,category\n" + "".join(f"a,{label}\n" for label in labels))
    assert own_task.refusal() == ("train.csv has too few rows for splits.valid = 0.1: give more rows a label, a larger "
                                  "part, or a file")


def test_a_list_of_labels_that_lacks_one_of_train_is_one_line(own_task):
    own_task.edit('"accuracy"', '"accuracy"\nlabels = ["fees", "loans"]')
    assert own_task.refusal().startswith("train.csv, line 2: label 'card' is none of fees, loans" + KEEP_GOING)


def test_keep_going_leaves_the_row_out_and_lists_it_in_one_line(own_task):
    own_task.write("train.csv", with_row('"two\nlines"') + b"b,card\n")
    folder = own_task.binarize("--keep-going")
    header, row = (folder / "rejected.tsv").read_text().splitlines()
    assert row == f"train\t{own_task.folder / 'train.csv'}\t3\t1 field instead of 2 fields\t\"two\\nlines\""
    assert own_task.labels("train") == ["card", "fees", "card", "fees", "card"]
