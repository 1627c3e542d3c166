"""A task from a user's own file goes through every command.

The commands are data, train, evaluate, sweep, thresholds, report, compare, export and predict.
"""

import gzip
import json
import random

import pytest

from fairseq_palbert.analysis import choose_threshold, sweep
from fairseq_palbert.checkpoints import export
from fairseq_palbert.evaluation import cli as evaluate
from fairseq_palbert.report import cli as report
from fairseq_palbert.report import compare
from fairseq_palbert.serving import PalbertPredictor
from fairseq_palbert.serving import cli as predict
from preprocess import data

TASK = """
name = "weather"
sentences = ["what.they said"]
label = "Stimmung"
labels = "from train"
metric = "macro_f1, accuracy"
format = "jsonl"
[splits]
train = "train.jsonl.gz"
valid = 0.2
test = { file = "test.jsonl", labelled = false }
"""
LABELS = ["sehr schlecht", "gut, oder?", "1"]
WORDS = {"sehr schlecht": "dog mat", "gut, oder?": "cat sat", "1": "the the"}
FLAGS = ("--max-update", "40", "--lr", "0.02", "--beta", "0.01", "--dropout", "0", "--holdout-fraction", "0.2",
         "--max-positions", "32", "--lambda-width", "32")  # 2C of these models, 16 units wide


def rows(count: int, seed: int) -> list[dict]:
    draw = random.Random(seed)
    labels = [draw.choice(LABELS) for _ in range(count)]
    return [{"what": {"they said": f"{WORDS[label]} {draw.choice(['cat', 'dog', 'mat'])}"}, "Stimmung": label}
            for label in labels]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    (folder / "weather.toml").write_text(TASK, encoding="utf-8")
    lines = {name: "".join(json.dumps(row) + "\n" for row in rows(*size)) for name, size in
             {"train.jsonl.gz": (300, 1), "test.jsonl": (30, 2)}.items()}
    (folder / "train.jsonl.gz").write_bytes(gzip.compress(lines["train.jsonl.gz"].encode()))
    (folder / "test.jsonl").write_text(lines["test.jsonl"], encoding="utf-8")
    return folder


def test_an_own_task_goes_through_every_command(raw, small_vocabulary, train_in_process, tmp_path, capsys):
    data.main([str(raw / "weather.toml"), "--vocab", str(small_vocabulary), "--out", str(tmp_path / "data")])
    folder = tmp_path / "data" / "weather"
    for seed in (1, 2):
        run = tmp_path / "runs" / "palbert" / "weather" / f"seed{seed}"
        train_in_process(folder, *FLAGS, "--seed", seed, "--valid-subset", "holdout,valid", "--save-dir",
                         run / "checkpoints")
        for split in ("valid", "calibration", "test"):
            evaluate.main([str(run / "checkpoints" / "checkpoint_best.pt"), "--data", str(folder), "--split", split,
                           "--exit", "q_exit:0.5", "--exit", "fixed:2", "--record", "--out",
                           str(run / "scores" / split)])
    checkpoint, scores = run / "checkpoints" / "checkpoint_best.pt", run / "scores"
    row = json.loads((scores / "valid" / "scores.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert row["task"] == "weather" and row["metrics"]["score"] == row["metrics"]["macro_f1"] > 0.9
    record = str(scores / "valid" / "record.safetensors")
    sweep.main([record, "--out", str(tmp_path / "sweep")])
    choose_threshold.main([record, "--calibrate-on", str(scores / "calibration" / "record.safetensors"), "--budget",
                           "1.5", "--out", str(tmp_path / "thresholds")])
    report.main([str(run.parent), "--resamples", "20", "--out", str(tmp_path / "report")])
    assert "weather" in (tmp_path / "report" / "README.md").read_text(encoding="utf-8")
    compare.main(["q_exit:0.5", "fixed:2", "--resamples", "20", "--runs", str(raw / "weather.toml"), str(run.parent),
                  str(run.parent)])
    export.main([str(checkpoint), "--to", "safetensors", "--vocab", str(small_vocabulary), "--out",
                 str(tmp_path / "model")])
    predictor = PalbertPredictor.from_pretrained(tmp_path / "model")
    assert predictor.labels == tuple(sorted(LABELS)) and predictor.task.metrics == ("macro_f1", "accuracy")
    texts = [text["what"]["they said"] for text in rows(30, 2)]
    answers = [prediction.label for prediction in predictor.predict(texts)]
    (tmp_path / "texts.tsv").write_text("\n".join(["what.they said", *texts]) + "\n", encoding="utf-8")
    predict.main([str(tmp_path / "model"), str(tmp_path / "texts.tsv"), "--out", str(tmp_path / "answers.tsv")])
    served = (tmp_path / "answers.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert [line.split("\t")[1] for line in served] == answers
    stored = (scores / "test" / "predictions.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert [line.split("\t")[2] for line in stored] == answers
    assert sum(map(str.__eq__, answers, (row["Stimmung"] for row in rows(30, 2)))) > 25
