"""predictions.tsv, read as scoring writes it, and a line for each way in which it is wrong."""

import pytest

from fairseq_palbert.analysis.predictions_file import RuleAnswers, read_predictions, scored_rules
from fairseq_palbert.errors import UserError

HEADER = "index\tlabel\tfixed:2.prediction\tfixed:2.exit_layer\tq_exit:0.5.prediction\tq_exit:0.5.exit_layer\n"


@pytest.fixture
def written(tmp_path):
    def write(content: str, encoding: str = "utf-8"):
        (tmp_path / "predictions.tsv").write_text(content, encoding=encoding)
        return tmp_path / "predictions.tsv"

    return write


def test_one_rule_in_the_order_of_the_ids(written):
    path = written(HEADER + "2\tyes\tno\t2\tyes\t1\n0\t\tno\t2\tno\t6\n1\tno\tno\t2\tnö\t3\n")
    assert scored_rules(path) == ["fixed:2", "q_exit:0.5"]
    expected = RuleAnswers([0, 1, 2], ["", "no", "yes"], ["no", "nö", "yes"], [6, 3, 1])
    assert read_predictions(path, "q_exit:0.5") == read_predictions(path, "q_exit:0.5", rows=3) == expected


def test_a_part_of_the_split_is_read_where_its_rows_are_not_told(written):
    path = written(HEADER + "7\tyes\tno\t2\tyes\t1\n")
    assert read_predictions(path, "fixed:2").ids == [7]
    with pytest.raises(UserError, match="has 1 rows, not one for each of the 8 of its split"):
        read_predictions(path, "fixed:2", rows=8)


@pytest.mark.parametrize("message, content, rows", [
    ("is empty", "", None),
    ("has no exit rule 'q_exit:0.5': choose from fixed:2, or score", HEADER.split("\tq_exit")[0] + "\n", None),
    ("line 1: the header has no column 'label'", HEADER.replace("label", "target"), None),
    ("line 1: the header has 2 columns 'index'", HEADER.replace("label", "index"), None),
    ("line 3: 2 fields instead of 6 fields", HEADER + "0\ta\tb\t1\tb\t1\n1\ta", None),
    ("has 0 rows, not one for each of the examples", HEADER, None),
    ("has the index 0 twice", HEADER + 2 * "0\ta\tb\t1\tb\t1\n", 2),
    ("has the index 'x' with the exit layer '1', which should be numbers", HEADER + "x\ta\tb\t1\tb\t1\n", None),
    ("has the index '0' with the exit layer '1.5', which", HEADER + "0\ta\tb\t1\tb\t1.5\n", None),
    ("has 1 rows, not one for each of the 2 of its split", HEADER + "0\ta\tb\t1\tb\t1\n", 2),
])
def test_what_is_wrong_is_told_in_a_line(written, message, content, rows):
    with pytest.raises(UserError) as error:
        read_predictions(written(content), "q_exit:0.5", rows)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_other_encodings_are_told_by_line(written):
    with pytest.raises(UserError, match="line 2: byte 0xe4 at position 5 of the line is no UTF-8"):
        read_predictions(written(HEADER + "0\tja\xe4\tb\t1\tb\t1\n", "latin-1"), "fixed:2")
