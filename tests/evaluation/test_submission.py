"""Tests of ``palbert submission``: which model answers which file, and refusals.

A stand-in for the evaluator writes the predictions at once.
"""

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation import submission
from fairseq_palbert.evaluation.cli import parser
from fairseq_palbert.submissions.glue import GLUE
from fairseq_palbert.submissions.superglue import SUPERGLUE
from fairseq_palbert.tasks.group_file import group_file, group_line
from tests.fixtures.recorded_runs import write_scores

TASKS = ["AX", "CoLA", "MNLI", "MRPC", "QNLI", "QQP", "RTE", "SST-2", "STS-B", "WNLI"]
ANSWERS = {file: "7.5" if sheet.task.regression else sheet.task.labels[-1]
           for file, sheet in (GLUE.sheets | SUPERGLUE.sheets).items()}


@pytest.fixture(autouse=True)
def shorter(monkeypatch):
    """Shortens QQP from 390,965 rows to 100, to save time."""
    qqp = GLUE.sheets["QQP.tsv"]
    monkeypatch.setitem(GLUE.sheets, "QQP.tsv", replace(qqp, split=replace(qqp.split, rows=100)))


@pytest.fixture
def make_runs(tmp_path):
    """make_runs("RTE", ...) returns run folders of these tasks, each with a model of seed 1 except AX tasks."""

    def make(*tasks: str) -> list[str]:
        for task in tasks:
            (tmp_path / task / "data" / task).mkdir(parents=True)
            (tmp_path / task / "data" / "raw").mkdir()
            if not task.startswith("AX"):
                checkpoint = tmp_path / task / "seed1" / "checkpoints" / "checkpoint_best.pt"
                checkpoint.parent.mkdir(parents=True)
                checkpoint.write_text(f"model of {task}")
        return [str(tmp_path / task) for task in tasks]

    return make


def answer(out, sheet, rule: str, checkpoint, rows: int | None = None) -> None:
    """Writes the files that the evaluator would write."""
    rows = sheet.rows if rows is None else rows
    out.mkdir(parents=True, exist_ok=True)
    lines = [f"index\tlabel\t{rule}.prediction\t{rule}.exit_layer",
             *(f"{i}\t\t{ANSWERS[sheet.file]}\t3" for i in range(rows))]
    (out / "predictions.tsv").write_text("\n".join(lines) + "\n")
    write_scores(out, {rule: [3] * rows}, 6, task=sheet.task.name)
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    (out / "evaluation.json").write_text(json.dumps({"checkpoint": {"sha256": digest}}))


@pytest.fixture
def sheets():
    """Returns the sheets that the stand-in answers, by file name."""
    return dict(GLUE.sheets)


@pytest.fixture
def evaluated(monkeypatch, sheets):
    """Replaces the evaluator by a stand-in, and returns the list of its calls, parsed by the evaluator's parser."""
    calls = []

    def stand_in(arguments):
        options = parser().parse_args(arguments)
        calls.append(options)
        sheet, = (sheet for sheet in sheets.values()
                  if (sheet.task.name, sheet.split.name) == (options.glue_task, options.split))
        answer(options.out, sheet, *options.rules, options.checkpoint)

    monkeypatch.setattr(submission.cli, "main", stand_in)
    return calls


@pytest.fixture
def submit(tmp_path):
    """submit(runs, arguments...) runs the command and returns the lines of each file in the zip, without headers."""

    def run(runs: list[str], *arguments: str) -> dict[str, list[str]]:
        out = tmp_path / "glue.zip"
        submission.main([*runs, "--out", str(out), *(arguments or ["--exit", "q_exit:0.5"])])
        with zipfile.ZipFile(out) as archive:
            return {name: archive.read(name).decode().splitlines()[1:] for name in archive.namelist()}

    return run


def test_every_test_split_is_answered_by_its_own_model(make_runs, evaluated, submit, tmp_path, capsys):
    contents = submit(make_runs(*TASKS))
    assert list(contents) == list(GLUE.sheets)
    for file, lines in contents.items():
        expected = "5.000" if file == "STS-B.tsv" else ANSWERS[file]
        assert lines == [f"{i}\t{expected}" for i in range(GLUE.sheets[file].split.rows)]
    assert [(call.glue_task, call.split) for call in evaluated] == [
        (task, split) for task in TASKS for split in (["test", "test1"] if task == "MNLI" else ["test"])]
    for call in evaluated:
        model = "MNLI" if call.glue_task == "AX" else call.glue_task
        assert call.checkpoint == tmp_path / model / "seed1" / "checkpoints" / "checkpoint_best.pt"
        assert call.data == str(tmp_path / call.glue_task / "data" / call.glue_task)
        assert call.rules == ["q_exit:0.5"]
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == ["AX.tsv", "1104", "rows", f"{evaluated[0].checkpoint}", "under", "q_exit:0.5"]
    assert len(told) == 12 and told[-1] == f"Written to {tmp_path / 'glue.zip'}"


def test_fitting_predictions_are_taken_as_they_are(make_runs, evaluated, submit, tmp_path):
    runs = make_runs("WNLI")
    flags = ["--fill-missing", "--exit"]
    first = submit(runs, *flags, "q_exit:.5")
    assert submit(runs, *flags, "q_exit:0.5") == first and len(evaluated) == 1
    submit(runs, *flags, "fixed:2")
    assert len(evaluated) == 2, "another rule"
    (tmp_path / "WNLI" / "seed1" / "checkpoints" / "checkpoint_best.pt").write_text("trained on")
    submit(runs, *flags, "fixed:2")
    assert len(evaluated) == 3, "another model"


def test_predictions_of_the_task_recipe_are_taken(make_runs, evaluated, submit, tmp_path):
    runs = make_runs("MNLI", "AX")
    mnli = tmp_path / "MNLI" / "seed1" / "checkpoints" / "checkpoint_best.pt"
    answer(tmp_path / "AX" / "seed1" / "scores" / "test", GLUE.sheets["AX.tsv"], "fixed:6", mnli)
    submit(runs, "--exit", "fixed:6", "--fill-missing")
    assert [call.glue_task for call in evaluated] == ["MNLI", "MNLI"]


@pytest.mark.parametrize("first", ["RTE", "another"])
def test_a_second_phase_answers_the_data_of_the_first(make_runs, evaluated, submit, tmp_path, first):
    data, gate = tmp_path / first / "data" / "binarized", Path(*make_runs("RTE"))
    (gate / "data" / "RTE").rmdir()
    (gate / "seed1" / "command").write_text(f"fairseq-train '{data}' --task glue --glue-task RTE")
    submit([str(gate)], "--fill-missing", "--exit", "fixed:6")
    assert [(call.data, call.glue_task) for call in evaluated] == [(str(data), "RTE")]


def test_missing_tasks_are_refused_by_name_before_anything_is_scored(make_runs, evaluated, submit, tmp_path):
    with pytest.raises(UserError, match="no run of AX, CoLA, MRPC, QNLI, QQP, SST-2, STS-B, WNLI: give .* "
                                        "--fill-missing"):
        submit(make_runs("MNLI", "RTE"))
    assert not evaluated and not (tmp_path / "glue.zip").exists()


def test_missing_tasks_are_filled_on_request_and_named(make_runs, evaluated, submit, capsys):
    contents = submit(make_runs("RTE"), "--exit", "expectation", "--fill-missing")
    assert set(contents["RTE.tsv"]) == {f"{i}\tnot_entailment" for i in range(3000)}
    assert contents["STS-B.tsv"] == [f"{i}\t2.500" for i in range(1379)]
    told = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[:11]}
    assert [file for file, line in told.items() if "filled with" not in line] == ["RTE.tsv"]
    assert told["CoLA.tsv"].endswith("1063 rows  no run: filled with 0")


def test_part_of_a_split_is_refused(make_runs, evaluated, submit, tmp_path):
    runs = make_runs("RTE")
    answer(tmp_path / "RTE" / "seed1" / "scores" / "test", GLUE.sheets["RTE.tsv"], "fixed:6",
           tmp_path / "RTE" / "seed1" / "checkpoints" / "checkpoint_best.pt", rows=277)
    with pytest.raises(UserError, match="predictions.tsv has 277 rows, not one for each of the 3000 of its split"):
        submit(runs, "--exit", "fixed:6", "--fill-missing")
    assert not (tmp_path / "glue.zip").exists()


def make_untrained(runs: list[str]) -> list[str]:
    for run in runs:
        Path(run, "seed1", "checkpoints", "checkpoint_best.pt").unlink()
    return runs


WRONG = {
    "has no task of GLUE in its folder data, and seed 1 was not trained on one": lambda make: ["nowhere"],
    "MNLI/seed1/checkpoints/checkpoint_best.pt is missing: train that run first":
        lambda make: make_untrained(make("MNLI")),
    "has CoLA and RTE in its folder data": lambda make: (make("RTE"), make("RTE/data/CoLA"))[0],
    "are both of RTE: give one": lambda make: make("RTE") * 2,
    "is of AX, whose answers are those of MNLI's model: give the run of MNLI too": lambda make: make("AX", "RTE"),
    "checkpoint_best.pt is missing: choose --seed from 1": lambda make: [*make("RTE"), "--seed", "3"],
    "unknown exit rule 'q': choose from q_exit:Q": lambda make: [*make("RTE"), "--exit", "q"],
    "--out .*/nowhere/glue.zip: give the name of a file": lambda make: [*make("RTE"), "--out", "/nowhere/glue.zip"],
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_mistake_gives_one_line(make_runs, evaluated, tmp_path, reason):
    with pytest.raises(UserError, match=reason) as stop:
        submission.main(["--exit", "fixed:6", "--out", str(tmp_path / "glue.zip"), "--fill-missing",
                         *WRONG[reason](make_runs)])
    assert "\n" not in str(stop.value) and not evaluated


@pytest.mark.parametrize("arguments", [[], ["RTE"], ["RTE", "--exit", "fixed:6"], ["RTE", "--out", "a.zip"],
                                       ["--check", "a.zip", "--out", "a.zip"]])
def test_half_a_command_is_refused(arguments):
    with pytest.raises(SystemExit, match="2"):
        submission.main(arguments)


def test_check_tells_sound_from_damaged(make_runs, evaluated, submit, tmp_path, capsys):
    submit(make_runs("RTE"), "--exit", "fixed:6", "--fill-missing")
    path = tmp_path / "glue.zip"
    submission.main(["--check", str(path)])
    assert capsys.readouterr().out.splitlines()[-1] == f"{path} is sound: 11 files, {35344 + 100} rows"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SystemExit, match=f"{path}: is no zip"):
        submission.main(["--check", str(path)])


@pytest.fixture
def official(write_official, tmp_path, sheets):
    """Returns a folder of SuperGLUE's raw test files with the official counts; the stand-in answers them."""
    raw = write_official(tmp_path / "raw")
    sheets |= SUPERGLUE.read(raw).sheets
    return raw


@pytest.fixture
def copa(make_runs, sheets, official):
    """copa(rows) returns a run folder of COPA whose data has these rows of the raw test file's groups."""

    def make(rows: slice = slice(None)) -> str:
        run, = make_runs("COPA")
        path = group_file(Path(run, "data", "COPA"), "test")
        path.parent.mkdir()
        path.write_text("".join(group_line(*row) for row in sheets["COPA.jsonl"].groups[rows]))
        return run

    return make


def test_superglue_is_answered_with_the_idx_of_its_raw_files(official, copa, make_runs, evaluated, tmp_path, capsys):
    path = tmp_path / "superglue.zip"
    runs = [copa(), *make_runs("SuperGLUE-RTE", "AX-b")]
    submission.main([*runs, "--benchmark", "superglue", "--raw", str(official), "--out", str(path), "--exit", "fixed:6",
                     "--fill-missing"])
    assert [(call.glue_task, call.checkpoint.parents[2].name) for call in evaluated] == [
        ("AX-b", "SuperGLUE-RTE"), ("COPA", "COPA"), ("SuperGLUE-RTE", "SuperGLUE-RTE")]
    with zipfile.ZipFile(path) as archive:
        first = {name: json.loads(archive.read(name).split(b"\n")[0]) for name in archive.namelist()}
    assert len(first) == 10
    assert first["AX-b.jsonl"] == {"idx": "0", "label": "not_entailment"}  # an answer
    assert first["BoolQ.jsonl"] == {"idx": 0, "label": "false"}  # the filler
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["COPA.jsonl", "1000", "rows", f"{evaluated[1].checkpoint}", "under", "fixed:6"] in told
    submission.main(["--benchmark", "superglue", "--check", str(path)])
    assert capsys.readouterr().out == f"{path} is sound: 10 files, 20167 rows\n"
    with pytest.raises(SystemExit, match="AX.tsv: is missing"):
        submission.main(["--check", str(path)])


def test_rows_that_are_not_those_of_the_raw_file_are_refused(official, make_runs, evaluated, tmp_path):
    runs = make_runs("CB")
    answer(tmp_path / "CB" / "seed1" / "scores" / "test", SUPERGLUE.sheets["CB.jsonl"], "fixed:6",
           tmp_path / "CB" / "seed1" / "checkpoints" / "checkpoint_best.pt", rows=249)
    with pytest.raises(UserError, match="predictions.tsv has 249 rows, not one for each of the 250 of its split"):
        submission.main([*runs, "--benchmark", "superglue", "--raw", str(official), "--out", str(tmp_path / "a.zip"),
                         "--exit", "fixed:6", "--fill-missing"])
    assert not (tmp_path / "a.zip").exists()


def test_groups_that_are_not_those_of_the_raw_file_are_refused(official, copa, evaluated, tmp_path):
    run = copa(slice(None, None, -1))
    with pytest.raises(UserError, match="data/COPA/group/test.jsonl: its rows are not those of the raw test file"):
        submission.main([run, "--benchmark", "superglue", "--raw", str(official), "--out", str(tmp_path / "a.zip"),
                         "--exit", "fixed:6", "--fill-missing"])
    assert not evaluated


def test_superglue_needs_its_raw_files(make_runs, tmp_path, monkeypatch):
    monkeypatch.delenv("SUPERGLUE_DIR", raising=False)
    with pytest.raises(UserError, match=r"no raw data named: give --raw or \$SUPERGLUE_DIR"):
        submission.main([*make_runs("CB"), "--benchmark", "superglue", "--out", str(tmp_path / "a.zip"), "--exit",
                         "fixed:6", "--fill-missing"])
