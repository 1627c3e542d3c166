"""Tests of recipes/benchmark_dtypes.sh: which results count as equal, and the table."""

import pytest
import torch

from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import Decisions
from recipes.benchmark_dtypes import agreement, main


@pytest.mark.parametrize("outputs, others, equal", [
    ([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0], [1.0, 0.0]], [[0.0, 9.0], [1.0, 2.0], [0.0, 3.0], [1.0, 0.0]], "75.0"),
    ([[1.0], [2.0], [3.0], [4.0]], [[1.09], [2.2], [2.5], [4.0]], "50.0"),
])
def test_what_is_equal(outputs, others, equal):
    reference = Decisions(torch.tensor(outputs), torch.tensor([1, 2, 3, 4]))
    decided = Decisions(torch.tensor(others), torch.tensor([1, 3, 1, 4]))
    assert agreement(reference, decided) == [equal, "50.0", "75.0"]


@pytest.mark.parametrize("task_name", ["RTE", "STS-B"])
def test_a_row_for_every_precision(toy, capsys, task_name):
    checkpoint, data = toy(task_name)
    main([str(checkpoint), "--data", str(data), "--exit", "q_exit:0.5", "--exit", "fixed:2", "--rounds", "1", "--dtype",
          "int8"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()
            if line.startswith(("| float32", "| int8"))]
    assert [row[0] for row in rows] == 2 * ["| float32", "| int8"]
    assert all(row[2:6] == ["1.00", "100.0", "100.0", "100.0"] and row[7] == "+0.00 |" for row in rows[::2])


def test_mistakes_are_told_in_a_line(toy):
    checkpoint, data = toy("RTE")
    for flags, said in ((["--exit", "fixed:1", "--rounds", "0"], "--rounds 0: at least 1"), ([], "no exit rule given"),
                        (["--exit", "fixed:1", "--split", "test"], "test has no labels")):
        with pytest.raises(UserError, match=said):
            main([str(checkpoint), "--data", str(data), *flags])
