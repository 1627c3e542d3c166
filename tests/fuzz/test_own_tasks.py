"""Tests of damaged task files and data files of every format.

``palbert data`` writes the folder that they describe, or refuses in one line and writes nothing.
"""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from fairseq_palbert.errors import UserError
from preprocess.data import main
from tests.fixtures.own_task import TASK_FILE

ROWS = [{"text": f"the cat {number} sat, “{'very ' * (number % 5)}”",
         "category": ("card", "lost card", "fees")[number % 3]}
        for number in range(24)]


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def write(folder: Path, ending: str) -> None:
    form = ending.removesuffix(".gz")
    if form == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), folder / "train.parquet", compression="snappy",
                            row_group_size=9)
    else:
        (folder / f"train.{form}").write_text({
            "tsv": "".join("\t".join(row) + "\n" for row in (ROWS[0], *(row.values() for row in ROWS))),
            "csv": "".join(",".join(map(quoted, row)) + "\n" for row in (ROWS[0], *(row.values() for row in ROWS))),
            "jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS),
            "json": json.dumps(ROWS),
            "lines": "".join(f"{row['category']}: {row['text']}\n" for row in ROWS),
        }[form], encoding="utf-8")
    if ending != form:
        (folder / f"train.{ending}").write_bytes(gzip.compress((folder / f"train.{form}").read_bytes()))
        (folder / f"train.{form}").unlink()
    settings = 'labels = ["fees", "card", "lost card"]\n'
    if form == "lines":
        settings += 'format = "lines"\npattern = "(?P<category>[a-z ]+): (?P<text>.*)"\n'
    (folder / "tickets.toml").write_text(TASK_FILE.replace("train.csv", f"train.{ending}").replace(
        '"valid.csv"', "0.25").replace("[splits]", f"{settings}[splits]"))


@pytest.fixture
def binarized(tmp_path, small_vocabulary, monkeypatch):
    """binarized(folder) returns the bytes of the arrays in the binarized folder."""
    monkeypatch.setattr(os, "environ", os.environ.copy())  # the command sets the tokenizer's variables

    def run(folder: Path) -> list:
        out = tmp_path / f"{folder.name}-out"
        try:
            main([str(folder / "tickets.toml"), "--vocab", str(small_vocabulary), "--out", str(out), "--workers", "1"])
        except UserError:
            assert not list(out.rglob("*")), "half an output"
            raise
        return [np.fromfile(path, np.uint8).tolist() for path in sorted(out.rglob("*.bin"))]

    return run


@pytest.mark.parametrize("ending",
                         ["tsv", "csv", "jsonl", "json", "lines", "parquet", "csv.gz", "jsonl.gz", "parquet.gz"])
def test_data_files(check, binarized, tmp_path, ending):
    """Damage that leaves a text readable cannot be noticed, so only the number of arrays must be right."""
    (tmp_path / "task").mkdir()
    write(tmp_path / "task", ending)
    check(tmp_path / "task", binarized, only="train.*", right=lambda whole, given, copy: len(given) == len(whole))


def test_task_files(check, binarized, tmp_path):
    """A plausible setting is accepted."""
    (tmp_path / "task").mkdir()
    write(tmp_path / "task", "csv")
    check(tmp_path / "task", binarized, only="*.toml", right=lambda whole, given, copy: bool(given))
