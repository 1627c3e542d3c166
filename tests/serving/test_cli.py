"""Tests of ``palbert predict``: formats, standard streams, complete files, and mistakes."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.inference.engine import decide
from fairseq_palbert.inference.window import Window
from fairseq_palbert.serving import PalbertPredictor, cli
from fairseq_palbert.serving import predictor as predictor_module
from fairseq_palbert.serving.cli import main

ROOT = Path(__file__).resolve().parents[2]
PREDICT = [sys.executable, "-m", "fairseq_palbert", "predict"]


def as_tsv(rows: list[dict]) -> str:
    return "".join("\t".join(map(str, values)) + "\n" for values in [rows[0], *(row.values() for row in rows)])


def as_json_lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


WRITE = {"tsv": as_tsv, "jsonl": as_json_lines}


@pytest.fixture
def inputs(tmp_path, texts, pairs):
    """inputs("SST-2", "tsv") writes the texts, or the pairs if the task has pairs, to a file and returns its path."""

    def write(task_name: str, form: str) -> Path:
        path = tmp_path / f"input.{form}"
        names = ["sentence"] if task_name == "SST-2" else ["sentence1", "sentence2"]
        given = [(text,) for text in texts] if task_name == "SST-2" else pairs
        path.write_text(WRITE[form]([dict(zip(names, one)) | {"key": f"k{place}"} for place, one in enumerate(given)]))
        return path

    return write


def expected(predictor, answers, form: str) -> list[dict]:
    rows = [{"label": round(one.label, 6), "exit_layer": one.exit_layer} if predictor.task.regression else
            {"label": one.label, "probability": round(one.probability, 6), "exit_layer": one.exit_layer}
            for one in answers]
    return [row | ({"truncated": one.truncated} if form == "jsonl" else {}) for row, one in zip(rows, answers)]


@pytest.mark.parametrize("form", ["tsv", "jsonl"])
@pytest.mark.parametrize("task_name", ["SST-2", "RTE", "STS-B"])
def test_answers_in_the_form_and_order_of_the_input(exported, inputs, texts, pairs, capsys, monkeypatch, form,
                                                    task_name):
    monkeypatch.setattr(cli, "CHUNK", 300)  # several chunks
    folder = exported(task_name)
    predictor = PalbertPredictor.from_pretrained(folder)
    # Both take one sentence at a time, since neighbours in a batch change how sums are rounded. --batch-size 1 would
    # also make each chunk one row.
    main([str(folder), str(inputs(task_name, form)), "--exit", "sampling:3", "--window-tokens", "1"])
    alone = replace(predictor, window=replace(predictor.window, tokens=1))
    answers = alone.predict(texts if task_name == "SST-2" else pairs, "sampling:3")
    rows = [{"index": place} | row for place, row in enumerate(expected(predictor, answers, form))]
    assert capsys.readouterr().out == WRITE[form](rows)


def test_sizes_reach_the_engine(exported, inputs, monkeypatch):
    windows = []

    def watched(network, rule, workload):
        windows.append(workload.window)
        return decide(network, rule, workload)

    monkeypatch.setattr(predictor_module, "decide", watched)
    arguments = [str(exported("SST-2")), str(inputs("SST-2", "tsv"))]
    main([*arguments, "--batch-size", "5", "--window-tokens", "40", "--step-tokens", "7"])
    main(arguments)
    fitting = PalbertPredictor.from_pretrained(arguments[0]).window
    assert windows == [*[Window(40, 5, 7)] * 12, fitting] and fitting.sentences is None


def test_ids_and_columns_by_name(exported, inputs, capsys):
    main([str(exported("SST-2")), str(inputs("RTE", "jsonl")), "--sentence", "sentence2", "--id", "key"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == [f"k{place}" for place in range(60)] and "index" not in rows[0]


def test_tasks_own_columns_come_first(exported, tmp_path, capsys):
    path = tmp_path / "input.tsv"
    path.write_text("sentence1\tsentence\ta\nx\tthe cat\ty\n")
    main([str(exported("SST-2")), str(path), "--exit", "fixed:1"])
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_out_is_complete_or_not_there(exported, inputs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli, "CHUNK", 100)
    path, out = inputs("SST-2", "tsv"), tmp_path / "answers.tsv"
    main([str(exported("SST-2")), str(path), "--out", str(out)])
    complete = out.read_text()
    assert len(complete.splitlines()) == 61 and capsys.readouterr().out == ""
    with open(path, "a") as file:
        file.write("one\tfield too\tmany\n")
    with pytest.raises(UserError, match="input.tsv, line 62: 3 fields instead of 2"):
        main([str(exported("SST-2")), str(path), "--out", str(out)])
    with pytest.raises(UserError, match="line 62"):
        main([str(exported("SST-2")), str(path), "--out", str(tmp_path / "new.tsv")])
    assert out.read_text() == complete and sorted(tmp_path.iterdir()) == [out, path]


@pytest.mark.parametrize("message, arguments", [
    ("nowhere.tsv: No such file or directory: give a file", ["nowhere.tsv"]),
    ("/: Is a directory: give a file", ["/"]),
    ("unknown exit rule", ["--exit", "never"]),
    ("the model has 5 layers", ["--exit", "fixed:9"]),
    ("--batch-size 0: at least 1", ["--batch-size", "0"]),
    ("--window-tokens 0: at least 1", ["--window-tokens", "0"]),
    ("--step-tokens -1: at least 1", ["--step-tokens", "-1"]),
    ("--sentence is given 2 times, and a row of SST-2 has 1", ["--sentence", "a", "--sentence", "b"]),
    ("--out /: is no regular file", ["--out", "/"]),
    ("/no/where: cannot be written (No such file", ["--out", "/no/where"]),
    ("standard input, line 1: the input is empty", []),
    ("answers.json: .json is not read: give TSV or JSON lines", ["answers.json"]),
    ("answers.jsonl.gz: .gz is not read", ["answers.jsonl.gz"]),
    ("a.b.CSV: .csv is not read", ["a.b.CSV"]),
    ("answers.gz: No such file", ["answers.gz", "--format", "tsv"]),
    ("device 'mps': this code runs on cpu and cuda alone", ["--device", "mps"]),
    ("device 'meta'", ["--device", "meta"]),
    ("device 'xpu:0'", ["--device", "xpu:0"]),
    ("device 'cuda:99': torch finds", ["--device", "cuda:99"]),
    ("device 'nothing': torch has no such device", ["--device", "nothing"]),
])
def test_mistakes_are_told_in_a_line(exported, monkeypatch, message, arguments, tmp_path):
    monkeypatch.chdir(tmp_path)
    with open(os.devnull) as nothing, pytest.raises(UserError) as error:
        monkeypatch.setattr(sys, "stdin", nothing)
        main([str(exported("SST-2")), *arguments])
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["input.jsonl", "input.JSONL", "input.ndjson", "a.b.Ndjson"])
def test_json_lines_by_the_name_of_the_file(exported, tmp_path, capsys, name):
    (tmp_path / name).write_text('{"sentence": "the cat"}\n{"sentence": "' + "the cat " * 50 + '"}\n')
    main([str(exported("SST-2")), str(tmp_path / name), "--exit", "fixed:1"])
    told = capsys.readouterr()
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert [(row["index"], row["exit_layer"], row["truncated"]) for row in rows] == [(0, 1, False), (1, 1, True)]
    assert told.err.splitlines()[-1] == "fairseq_palbert: rows cut to the model's 24 tokens: 1"


def test_files_named_as_temporary_ones_often_are_survive(exported, inputs, tmp_path):
    path = inputs("SST-2", "tsv")
    given = path.rename(tmp_path / "answers.part")
    others = [tmp_path / name for name in ("answers.tmp", "answers~", ".answers.lock", ".answers.partial")]
    for other in others:
        other.write_text("the user's own")
    content = given.read_text()
    main([str(exported("SST-2")), str(given), "--out", str(tmp_path / "answers")])
    assert given.read_text() == content and {other.read_text() for other in others} == {"the user's own"}
    assert len((tmp_path / "answers").read_text().splitlines()) == len(content.splitlines())


def test_the_input_is_not_replaced(exported, inputs, tmp_path, monkeypatch):
    path = inputs("SST-2", "tsv")
    content = path.read_text()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--out input.tsv: is the input, which would be lost"):
        main([str(exported("SST-2")), str(path), "--out", "input.tsv"])
    with open(path) as given, pytest.raises(UserError, match="--out input.tsv: is the input, which would be lost"):
        monkeypatch.setattr(sys, "stdin", given)
        main([str(exported("SST-2")), "--out", "input.tsv"])
    assert path.read_text() == content


def test_two_writers_of_one_file_leave_the_whole_answers_of_one(exported, tmp_path):
    """The first writer is still at work when the second begins and ends."""
    out, command = tmp_path / "answers", [*PREDICT, str(exported("SST-2")), "--out", str(tmp_path / "answers")]
    first = subprocess.Popen([*command, "--batch-size", "1"], cwd=ROOT, stdin=subprocess.PIPE)
    first.stdin.write(b"sentence\n" + b"the cat sat\n" * 7)
    first.stdin.flush()
    while not any(path.stat().st_size > 30 for path in tmp_path.glob(".*/answers")):
        assert first.poll() is None
        time.sleep(0.1)
    subprocess.run(command, cwd=ROOT, input=b"sentence\n" + b"the dog\n" * 3, timeout=300, check=True)
    assert len(out.read_text().splitlines()) == 4
    first.communicate(timeout=300)
    assert first.returncode == 0 and len(out.read_text().splitlines()) == 8 and list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_nothing_or_what_the_next_run_removes(exported, tmp_path, sent):
    command = [*PREDICT, str(exported("SST-2")), "--out", str(tmp_path / "answers")]
    process = subprocess.Popen([*command, "--batch-size", "1"], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL))  # a job ignores SIGINT
    process.stdin.write(b"sentence\n" + b"the cat sat\n" * 7)
    process.stdin.flush()
    while not any(path.stat().st_size > 30 for path in tmp_path.glob(".*/answers")):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(sent)
    process.wait(300)
    assert b"Traceback" not in process.stderr.read()
    assert process.returncode == (-9 if sent == signal.SIGKILL else 128 + sent)
    assert len(list(tmp_path.iterdir())) == (sent == signal.SIGKILL)
    (tmp_path / "input.tsv").write_text("sentence\nthe dog\n")
    main([str(exported("SST-2")), str(tmp_path / "input.tsv"), "--out", str(tmp_path / "answers")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers", "input.tsv"]


def test_a_batch_is_answered_before_the_next_comes(exported):
    process = subprocess.Popen([*PREDICT, str(exported("SST-2")), "--batch-size", "2"], cwd=ROOT,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for header, rows in ((b"sentence\n", range(2)), (b"", range(2, 4))):
        process.stdin.write(header + len(rows) * b"the cat sat on the mat\n")
        process.stdin.flush()
        assert not header or process.stdout.readline().startswith(b"index")
        assert [int(process.stdout.readline().split(b"\t")[0]) for _ in rows] == list(rows)
    assert process.communicate(b"the dog\n", timeout=60)[0].startswith(b"4\t") and process.returncode == 0


def test_a_broken_pipe_ends_the_command_quietly_and_standard_input_is_read_as_it_comes(exported):
    """The first chunk is answered while the input is still open; then the reader closes the output."""
    process = subprocess.Popen([*PREDICT, str(exported("SST-2")), "--exit", "fixed:1"], cwd=ROOT,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    chunk = b"the cat sat on the mat , and the dog isn't very naive\n" * 5000
    process.stdin.write(b"sentence\n" + chunk)
    process.stdin.flush()
    assert process.stdout.readline() == b"index\tlabel\tprobability\texit_layer\n"
    assert process.stdout.readline().startswith(b"0\t")
    process.stdout.close()
    with pytest.raises(BrokenPipeError):
        for _ in range(100):
            process.stdin.write(chunk)
            process.stdin.flush()
    process.stdin = None
    assert process.communicate(timeout=60)[1] == b"" and process.returncode != 0
