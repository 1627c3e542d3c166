"""Tests of stages: one process per run directory, with the lock of the recipe in bash."""

import fcntl

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment.stages import claimed, same_settings


def test_a_run_directory_in_use_is_refused(tmp_path):
    refused = pytest.raises(UserError, match=f"another process is at work in {tmp_path}")
    with claimed(tmp_path, 1, 6), refused, claimed(tmp_path, 1, 6):
        pass
    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is at work"), claimed(tmp_path, 1, 6):
            pass
    with claimed(tmp_path, 1, 6):
        pass


def test_a_run_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to run_dir="), claimed(tmp_path / "file", 1, 6):
        pass


def test_nothing_is_done_where_work_fails(tmp_path):
    def fail():
        raise UserError("no")

    with claimed(tmp_path, 1, 6) as stages:
        for _ in range(2):
            with pytest.raises(UserError, match="no"):
                stages.run(4, "train", ["a"], fail)
        with pytest.raises(UserError, match="train.settings: a, now b"):
            stages.run(4, "train", ["b"], fail)
    assert not (tmp_path / "stages" / "train.done").exists()


@pytest.mark.parametrize("before, now, same", [
    ("--lr 1e-5 --x", "--lr 1e-05 --x", True), ("--lr 1e-5", "--lr 1e-6", False), ("a b", "a", False),
    ("nan", "nan", True),
])
def test_numbers_are_the_same_however_they_are_written(before, now, same):
    assert same_settings(before.split(), now.split()) == same
