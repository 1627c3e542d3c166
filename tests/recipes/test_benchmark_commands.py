"""Tests of benchmarks that run commands: peak memory, comparisons, and mistakes."""

import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_palbert.errors import UserError
from recipes import benchmark_memory, benchmark_preprocess, command_line

ROOT = Path(__file__).resolve().parents[2]


PEAKS = """
import sys
from recipes.benchmark_memory import peak_kib
run = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'bytes(range(256)) * 2**20'])"
print(peak_kib([sys.executable, "-c", run], {}), peak_kib([sys.executable, "-c", ""], {}))
"""


def test_the_peak_is_that_of_the_largest_process_of_one_command():
    """Measure in a new process, since a child starts with the memory of its parent."""
    printed = subprocess.run([sys.executable, "-c", PEAKS], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    large, small = map(int, printed.split())
    assert large > 256 * 1024 > small


def test_a_command_that_fails_ends_a_benchmark():
    with pytest.raises(UserError, match="exit.3.* ended with status 3, see above"):
        benchmark_memory.peak_kib([sys.executable, "-c", "exit(3)"], {})


@pytest.fixture
def sides(tmp_path):
    """Returns two folders of the same data: ours and fairseq's."""
    for side in ("ours", "theirs"):
        folder = tmp_path / side / "input0"
        folder.mkdir(parents=True)
        for name in ("train.bin", "train.idx", "dict.txt"):
            (folder / name).write_text(name)
    return tmp_path / "ours", tmp_path / "theirs"


def test_the_same_sentences_are_the_same_files(sides):
    ours, theirs = sides
    (ours / "input0" / "dict.txt").write_text("in another order")
    benchmark_preprocess.compare(ours, theirs)


@pytest.mark.parametrize("change, named", [
    (lambda ours, theirs: (theirs / "input0" / "train.bin").write_text("train.bIn"), "input0/train.bin"),
    (lambda ours, theirs: (theirs / "input0" / "train.idx").unlink(), "input0/train.idx"),
    (lambda ours, theirs: (ours / "input0").rename(ours / "label"), "no files"),
])
def test_other_sentences_are_told(sides, change, named):
    change(*sides)
    with pytest.raises(UserError, match=f"do not make the same data of ours: {named}"):
        benchmark_preprocess.compare(*sides)


@pytest.mark.parametrize("value, number", [("7", 7), ("", 3), (None, 3)])
def test_a_number_in_a_variable(monkeypatch, value, number):
    monkeypatch.delenv("REPEATS", raising=False)
    if value is not None:
        monkeypatch.setenv("REPEATS", value)
    assert command_line.whole_number("REPEATS", 3) == number


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_no_number_in_a_variable(monkeypatch, value):
    monkeypatch.setenv("REPEATS", value)
    with pytest.raises(UserError, match=f"REPEATS={value}: give 1 or more"):
        command_line.whole_number("REPEATS", 3)


def test_folders_are_told_apart_before_anything_runs(monkeypatch, tmp_path):
    (tmp_path / "RTE").mkdir()
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    assert command_line.glue_folder("RTE") == tmp_path
    for main, argument in ((benchmark_preprocess.main, "RTE"), (benchmark_memory.main, "palbert_bert_base")):
        monkeypatch.setenv("GLUE_DIR", str(tmp_path / "none"))
        with pytest.raises(UserError, match="no RTE.* in GLUE_DIR=.*none: set it to the folder of GLUE's task folders"):
            main([argument])
    with pytest.raises(UserError, match="arch=palbert_gpt: choose from"):
        benchmark_memory.main(["palbert_gpt"])
