"""Tests of result commands under an ASCII locale, with names beyond ASCII."""

import os
import subprocess
import sys

from tests.fixtures.recorded_runs import write_run

COMMANDS = """
import sys
from pathlib import Path
from fairseq_palbert.analysis import choose_threshold, sweep
from fairseq_palbert.command import run
from fairseq_palbert.experiment import results
from fairseq_palbert.report import cli, compare

folder = Path(sys.argv[1])
method, = (folder / "runs").iterdir()
task, record = str(method / "SST-2"), str(method / "SST-2/seed1/scores/valid/record.safetensors")
for main, arguments in (
    (cli.main, [task, "--out", str(folder / "report"), "--resamples", "2", "--remarks", str(folder / "remarks.md")]),
    (results.main, [task, "--out", str(folder / "results.tsv")]), (results.main, [task, "--markdown"]),
    (compare.main, ["q_exit:0.5", "fixed:4", "--runs", "SST-2", task, task, "--resamples", "2"]),
    (choose_threshold.main, [record, "--budget", "2", "--rule", "q_exit", "--out", str(folder / "thresholds")]),
    (sweep.main, [record, "--points", "2", "--out", str(folder / "sweep")]),
):
    try:
        run(lambda: main(arguments))
    except SystemExit as end:
        assert end.code == 0, (main, end.code)
"""
ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def test_names_and_remarks_that_are_not_ascii(tmp_path):
    write_run(tmp_path / "runs", "méthode", "SST-2", "q_exit:0.5", "fixed:4", halts=True, seeds=[1])
    (tmp_path / "remarks.md").write_text("## Zusätze ±\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", COMMANDS, str(tmp_path)], capture_output=True,
                          env={**os.environ, **ASCII})
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr.decode()
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Zusätze ±" in page
    assert "fixed:4" in (tmp_path / "results.tsv").read_text(encoding="utf-8")
