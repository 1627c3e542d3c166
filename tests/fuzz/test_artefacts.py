"""Tests of damaged artefacts: a command gives the undamaged results or refuses in one line.

The artefacts are records, scores, predictions, kept files and submissions.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fairseq_palbert.analysis import choose_threshold, sweep
from fairseq_palbert.analysis.recorded_split import read_record, write_record
from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation import submission
from fairseq_palbert.experiment import results
from fairseq_palbert.files import file_sha256
from fairseq_palbert.report import compare, keep
from fairseq_palbert.report.runs import read_runs
from fairseq_palbert.submissions.glue import GLUE
from tests.fixtures.recorded_runs import write_run

RULE, RUN, SEED, KEPT = "q_exit:0.5", "runs/palbert/SST-2", "runs/palbert/SST-2/seed1", "kept/small/palbert.safetensors"
VALID, CALIBRATION = f"{SEED}/scores/valid", f"{SEED}/scores/calibration"
WRITTEN = ("scores.jsonl", "predictions.tsv")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Returns a folder with every artefact of one run."""
    folder = tmp_path_factory.mktemp("sound")
    write_run(folder / "runs", "palbert", "SST-2", RULE, "fixed:4", seeds=[1], halts=True, calibrated=True)
    for scores in (folder / VALID, folder / CALIBRATION):
        (scores / "evaluation.json").write_text(json.dumps(
            {"files": {name: file_sha256(scores / name) for name in WRITTEN}}))
    (folder / SEED / "command").write_text("fairseq-train data --glue-task SST-2 --seed 1")
    (folder / RUN / "invocations.jsonl").write_text('{"variables": {"METHOD": "palbert"}}\n')
    for scores in (folder / VALID, folder / CALIBRATION):
        record = scores / "record.safetensors"
        recorded = read_record(record)
        origin = {**recorded.origin, "command": [*recorded.origin["command"], "--data", "data/SST-2"]}
        write_record(record, replace(recorded, origin=origin))
    keep.main([str(folder / RUN), "small", "--out", str(folder / "kept")])
    GLUE.write(folder / "glue.zip", {file: [sheet.filler] * sheet.split.rows for file, sheet in GLUE.sheets.items()})
    return folder


@pytest.fixture(scope="module", autouse=True)
def shorter():
    """Cuts the test splits of GLUE to 20 rows."""
    whole = dict(GLUE.sheets)
    for file, sheet in whole.items():
        GLUE.sheets[file] = replace(sheet, split=replace(sheet.split, rows=20))
    yield
    GLUE.sheets.update(whole)


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run_sweep(folder, out):
    sweep.main([str(folder / VALID / "record.safetensors"), "--points", "3", "--rule", "q_exit", "--out", str(out)])


def run_thresholds(folder, out):
    choose_threshold.main([str(folder / VALID / "record.safetensors"), "--budget", "2", "--rule", "q_exit", "--out",
                           str(out), "--calibrate-on", str(folder / CALIBRATION / "record.safetensors")])


def run_compare(folder, out):
    compare.main([RULE, "fixed:4", "--runs", "SST-2", *[str(folder / RUN)] * 2, "--resamples", "3"])


def run_compare_kept(folder, out):
    compare.main([RULE, "fixed:4", "--runs", "SST-2", *[str(folder / KEPT)] * 2, "--resamples", "3"])


def run_report(folder, out):
    run, = read_runs([folder / RUN], "valid")["SST-2"]
    print([point.row for point in run.seeds[0].scored])


def run_report_kept(folder, out):
    run, = read_runs([folder / KEPT], "valid")["SST-2"]
    print([point.row for point in run.seeds[0].scored])


def run_results(folder, out):
    results.main([str(folder / RUN)])


def run_keep(folder, out):
    keep.main([str(folder / RUN), "small", "--out", str(out)])


def run_check(folder, out):
    submission.main(["--check", str(folder / "glue.zip")])


READERS = {
    f"{VALID}/record.safetensors": [run_sweep, run_thresholds, run_report, run_keep],
    f"{CALIBRATION}/record.safetensors": [run_thresholds, run_report, run_keep],
    f"{VALID}/scores.jsonl": [run_results, run_compare, run_report, run_keep],
    f"{VALID}/predictions.tsv": [run_compare],
    f"{VALID}/evaluation.json": [run_compare, run_results],
    f"{SEED}/command": [run_report],
    KEPT: [run_compare_kept, run_report_kept],
    "glue.zip": [run_check],
}


@pytest.mark.parametrize("name, command", [(name, command) for name, commands in READERS.items()
                                           for command in commands])
def test_artefacts(check, sound, tmp_path, capsys, name, command):
    def results(copy: Path) -> tuple[str, dict[str, bytes]]:
        out = tmp_path / f"{copy.name}-out"
        try:
            command(copy, out)
        except (UserError, SystemExit):
            assert not out.exists(), "half an output"
            raise
        finally:
            printed = capsys.readouterr().out.replace(str(out), "").replace(str(copy), "")
        return printed, written(out)

    check(sound, results, only=name, right=lambda whole, given, copy: given == whole or is_not_scored(copy / name))


def is_not_scored(path: Path) -> bool:
    """Whether a file of a split is missing; commands leave out such a split."""
    return "scores" in path.parts and not path.exists()
