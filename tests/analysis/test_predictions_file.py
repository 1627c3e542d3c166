"""Tests of reading predictions.tsv: sound files, and one line for each fault."""

import pytest

from fairseq_palbert.analysis.predictions_file import RuleAnswers, read_predictions, scored_rules
from fairseq_palbert.errors import UserError
from tests.fixtures.recorded_runs import write_scores

HEADER = "index\tlabel\tfixed:2.prediction\tfixed:2.exit_layer\tq_exit:0.5.prediction\tq_exit:0.5.exit_layer\n"
ROWS = ["2\tyes\tno\t2\tyes\t1\n", "0\t\tno\t2\tno\t6\n", "1\tno\tno\t2\tnö\t3\n"]


@pytest.fixture
def written(tmp_path):
    """written(content) writes predictions.tsv and returns its path; the scores.jsonl beside it fits HEADER and ROWS."""

    def write(content: str, encoding: str = "utf-8"):
        write_scores(tmp_path, {"fixed:2": [2, 2, 2], "q_exit:0.5": [1, 3, 6]}, 6)
        (tmp_path / "predictions.tsv").write_text(content, encoding=encoding)
        return tmp_path / "predictions.tsv"

    return write


def test_one_rule_in_the_order_of_the_ids(written):
    path = written(HEADER + "".join(ROWS))
    assert scored_rules(path) == ["fixed:2", "q_exit:0.5"]
    expected = RuleAnswers([0, 1, 2], ["", "no", "yes"], ["no", "nö", "yes"], [6, 3, 1])
    assert read_predictions(path, "q_exit:0.5") == read_predictions(path, "q_exit:0.5", rows=3) == expected


def test_a_part_of_the_split_is_read_where_its_rows_are_not_told(written):
    path = written(HEADER + "".join(f"{i}\tyes\tno\t2\tyes\t1\n" for i in (7, 2, 9)))
    assert read_predictions(path, "fixed:2").ids == [2, 7, 9]
    with pytest.raises(UserError, match="has 3 rows, not one for each of the 8 of its split"):
        read_predictions(path, "fixed:2", rows=8)


@pytest.mark.parametrize("message, content, rows", [
    ("is empty", "", None),
    ("has no exit rule 'q_exit:0.5': choose from fixed:2, or score", HEADER.split("\tq_exit")[0] + "\n", None),
    ("line 1: the header has no column 'label'", HEADER.replace("label", "target"), None),
    ("line 1: the header has 2 columns 'index'", HEADER.replace("label", "index"), None),
    ("line 3: 2 fields instead of 6 fields", HEADER + "0\ta\tb\t1\tb\t1\n1\ta", None),
    ("has 0 rows, and scores.jsonl beside it 3 examples", HEADER, None),
    ("has 2 rows, and scores.jsonl beside it 3 examples", HEADER + ROWS[0] + ROWS[2], None),
    ("has 4 rows, and scores.jsonl beside it 3 examples", HEADER + "".join(ROWS) + "5\ta\tb\t1\tb\t1\n", None),
    ("or they exit at other layers", HEADER + ROWS[0] + ROWS[1] + ROWS[2].replace("\t3", "\t5"), None),
    ("has the index 0 twice", HEADER + 2 * "0\ta\tb\t1\tb\t1\n", 2),
    ("has the index 'x' with the exit layer '1': 'x' is no whole number", HEADER + "x\ta\tb\t1\tb\t1\n", None),
    ("has the index '0' with the exit layer '1.5': '1.5' is no whole number", HEADER + "0\ta\tb\t1\tb\t1.5\n", None),
    ("with the exit layer '7': 7 is not at least 1 and at most 6", HEADER + "0\ta\tb\t1\tb\t7\n", None),
    ("has 3 rows, not one for each of the 4 of its split", HEADER + "".join(ROWS), 4),
])
def test_what_is_wrong_is_told_in_a_line(written, message, content, rows):
    with pytest.raises(UserError) as error:
        read_predictions(written(content), "q_exit:0.5", rows)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_other_encodings_are_told_by_line(written):
    with pytest.raises(UserError, match="line 2: byte 0xe4 at position 5 of the line is no UTF-8"):
        read_predictions(written(HEADER + "0\tja\xe4\tb\t1\tb\t1\n", "latin-1"), "fixed:2")
