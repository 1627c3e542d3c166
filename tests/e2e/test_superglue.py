"""SuperGLUE's tasks run from raw files to scores, with 50 updates of training."""

import json

import pytest

from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.evaluation import cli
from fairseq_palbert.tsv import read_rows
from preprocess import data
from tests.fixtures.raw_superglue import write_jsonl

PASSAGES = 64
RULE = "q_exit:0.5"
FLAGS = ("--max-update", "50", "--lr", "0.005", "--beta", "0.01", "--dropout", "0", "--max-positions", "64",
         "--encoder-embed-dim", "64", "--encoder-ffn-embed-dim", "64", "--disable-validation")


@pytest.fixture
def scored(superglue_dir, small_vocabulary, train_in_process, tmp_path):
    """scored(task) trains on real train rows, scores real valid rows, and returns (metrics, labels, answers)."""

    def run(name: str) -> tuple[dict, list[str], list[str]]:
        task = packaged_task(name)
        raw = tmp_path / "raw" / task.folder
        for split in ("train", "val"):
            lines = (superglue_dir(task.folder) / f"{split}.jsonl").read_text(encoding="utf-8").split("\n")
            lines = [json.loads(line) for line in lines if line]
            write_jsonl(raw / f"{split}.jsonl", lines[:PASSAGES] if name == "MultiRC" else lines)
        data.main([name, "--raw", str(raw.parent), "--vocab", str(small_vocabulary), "--out", str(tmp_path / "data"),
                   "--split", "train", "--split", "valid"])
        train_in_process(tmp_path / "data" / name, *FLAGS, "--save-dir", tmp_path / "model")
        cli.main([str(tmp_path / "model" / "checkpoint_last.pt"), "--data", str(tmp_path / "data" / name), "--exit",
                  RULE, "--out", str(tmp_path / "scores")])
        row, = map(json.loads, (tmp_path / "scores" / "scores.jsonl").read_text().splitlines())
        answers = read_rows(tmp_path / "scores" / "predictions.tsv", ("label", f"{RULE}.prediction"), "")
        return (row["metrics"], *zip(*answers))

    return run


@pytest.mark.parametrize("name, rows", [("SuperGLUE-RTE", 277), ("WiC", 638), ("WSC", 104)])
def test_accuracy(name, rows, scored):
    metrics, labels, answers = scored(name)
    assert len(labels) == rows
    accuracy = sum(map(str.__eq__, labels, answers)) / rows
    assert metrics == pytest.approx({"accuracy": accuracy, "score": accuracy})


def f1(labels, answers, positive: str) -> float:
    right = sum(label == answer == positive for label, answer in zip(labels, answers))
    return 2 * right / max(1, labels.count(positive) + answers.count(positive))


def test_cb_is_the_mean_of_accuracy_and_macro_f1(scored):
    metrics, labels, answers = scored("CB")
    assert len(labels) == 56
    accuracy = sum(map(str.__eq__, labels, answers)) / 56
    macro_f1 = sum(f1(labels, answers, label) for label in packaged_task("CB").labels) / 3
    assert metrics == pytest.approx({"accuracy": accuracy, "macro_f1": macro_f1, "score": (accuracy + macro_f1) / 2})


def test_multirc_is_the_mean_of_f1_over_answers_and_exact_match_over_questions(scored, tmp_path):
    metrics, labels, answers = scored("MultiRC")
    assert len(labels) == sum(len(question["answers"]) for question in questions(tmp_path))
    rows = iter(zip(labels, answers))
    exact = [all([label == answer for _, (label, answer) in zip(question["answers"], rows)])
             for question in questions(tmp_path)]
    assert {"f1": f1(labels, answers, "1"), "exact_match": sum(exact) / len(exact)} == pytest.approx(
        {name: metrics[name] for name in ("f1", "exact_match")})
    assert metrics["score"] == pytest.approx((metrics["f1"] + metrics["exact_match"]) / 2)


def test_copa_is_the_share_of_right_choices(scored):
    metrics, labels, answers = scored("COPA")
    assert len(labels) == 200
    assert all(answers[place:place + 2].count("true") == 1 for place in range(0, 200, 2))
    accuracy = sum(map(str.__eq__, labels[::2], answers[::2])) / 100
    assert metrics == pytest.approx({"accuracy": accuracy, "score": accuracy})


def questions(folder):
    lines = (folder / "raw" / "MultiRC" / "val.jsonl").read_text(encoding="utf-8").splitlines()
    return [question for line in lines for question in json.loads(line)["passage"]["questions"]]
