"""Tests of splits that are parts of train: what they cost."""

import tracemalloc

import pytest

from fairseq_palbert.definitions.task_file import read_task_file
from fairseq_palbert.raw.parts import parts
from tests.fixtures.own_task import TASK_FILE

ROWS = 400


@pytest.mark.parametrize("grouped", [False, True])
def test_a_long_name_takes_room_once(tmp_path, grouped):
    path = tmp_path / "tickets.toml"
    path.write_text(TASK_FILE.replace('"valid.csv"', "0.25"))
    names = [f"{number % 40:03}" for number in range(ROWS)]
    long = ["039" * 30_000 if name == "039" else name for name in names]
    strata = ["card"] * ROWS
    task = read_task_file(path)
    usual = parts(task, strata, names) if grouped else parts(task, names)
    tracemalloc.start()
    found = parts(task, strata, long) if grouped else parts(task, long)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == usual and peak < 2**20
