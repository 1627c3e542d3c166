"""Tests of ``palbert evaluate``: its files are complete, consistent with each other, and correct."""

import csv
import hashlib
import json

import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from fairseq_palbert.analysis.recorded_split import read_record
from fairseq_palbert.checkpoints.loading import load_model
from fairseq_palbert.evaluation import cli
from fairseq_palbert.evaluation.split import load_split
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.inference.reference import decide_alone
from tests.fixtures.processes import run_python

RULES = ["q_exit:0.5", "sampling:7", "expectation", "fixed:4"]
KEYS = ["task", "split", "exit", "rule", "threshold", "metrics", "gained", "lost", "examples", "mean_exit",
        "median_exit", "p95_exit", "sd_exit", "exit_histogram", "mean_flops", "layer_speedup",
        "seconds", "sentences_per_second", "batch_size", "device", "dtype"]
FILES = {"scores.jsonl", "predictions.tsv", "evaluation.json", "exit_histogram.png", "posterior.png"}
LABELS = {"MRPC": ["0", "1"], "RTE": ["entailment", "not_entailment"]}


def table(out):
    with open(out / "predictions.tsv", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def column(rows, name, convert=str):
    return [convert(row[name]) for row in rows]


def test_scores_and_predictions_tell_the_same(toy, evaluate, capsys):
    out, scores = evaluate(*toy("MRPC"), *RULES)
    assert {path.name for path in out.iterdir()} == FILES
    assert column(scores, "rule") == ["q_exit", "sampling", "expectation", "fixed"]
    assert [row["threshold"] for row in scores] == [0.5, 7, None, 4]
    rows = table(out)
    assert column(rows, "index", int) == list(range(51))
    labels = column(rows, "label")
    for rule, score in zip(RULES, scores):
        assert list(score) == KEYS
        predicted, layers = column(rows, f"{rule}.prediction"), column(rows, f"{rule}.exit_layer", int)
        accuracy, f1 = accuracy_score(labels, predicted), f1_score(labels, predicted, pos_label="1")
        assert score["metrics"]["accuracy"] == pytest.approx(accuracy)
        assert score["metrics"]["f1"] == pytest.approx(f1)
        assert score["metrics"]["score"] == pytest.approx((accuracy + f1) / 2)
        assert score["exit_histogram"] == [layers.count(n) for n in range(1, 5)]
        assert score["examples"] == 51
        assert score["mean_exit"] == pytest.approx(sum(layers) / 51)
        assert score["median_exit"] == sorted(layers)[25]
        assert score["p95_exit"] == min(n for n in range(1, 5) if sum(layer <= n for layer in layers) >= 0.95 * 51)
        assert score["sd_exit"] == pytest.approx(torch.tensor(layers).double().std(correction=0).item())
        assert score["layer_speedup"] == pytest.approx(4 * 51 / sum(layers))
        assert score["sentences_per_second"] == pytest.approx(51 / score["seconds"])
    assert scores[0]["sd_exit"] >= 0.5, "the toy network is to let sentences leave at different layers"
    assert 0 <= scores[1]["metrics"]["expected_score"] <= 1
    printed = capsys.readouterr().out
    assert all(rule in printed for rule in RULES) and f"{scores[0]['metrics']['score']:.4f}" in printed


def test_every_decision_is_that_of_the_sentence_alone(toy, evaluate):
    checkpoint, data = toy("RTE")
    out, _ = evaluate(checkpoint, data, *RULES, options=["--batch-size", 5])
    rows = table(out)
    model = load_model(checkpoint, str(data), None)
    split = load_split(model.task, "valid")
    assert column(rows, "label") == [LABELS["RTE"][target] for target in split.targets]
    for rule in RULES:
        for sentence, i, row in zip(split.sentences, split.ids.tolist(), rows):
            alone = decide_alone(model.network, parse_rule(rule), sentence, i)
            assert row[f"{rule}.exit_layer"] == str(alone.exit_layers.item())
            assert row[f"{rule}.prediction"] == LABELS["RTE"][alone.outputs.argmax()]


def test_the_score_of_q_exit_is_the_one_that_training_logs(toy, evaluate):
    checkpoint, data = toy("MRPC")
    _, (row,) = evaluate(checkpoint, data, "q_exit:0.5")
    from fairseq import checkpoint_utils

    (model,), cfg, task = checkpoint_utils.load_model_ensemble_and_task([str(checkpoint)], {"data": str(data)})
    dataset = task.load_dataset("valid")
    with torch.no_grad():
        batch = dataset.collater([dataset[i] for i in range(len(dataset))])
        _, _, log = task.build_criterion(cfg.criterion)(model.eval(), batch)
    assert task.metrics(log["statistics"]) == pytest.approx(row["metrics"])
    assert log["q_exit_depth"].item() / 51 == pytest.approx(row["mean_exit"])


def test_a_split_without_labels_is_predicted_and_says_that_it_has_no_metrics(toy, evaluate, capsys):
    out, scores = evaluate(*toy("RTE"), *RULES, options=["--split", "test"])
    assert {path.name for path in out.iterdir()} == FILES
    assert [row["metrics"] for row in scores] == [{}] * 4
    rows = table(out)
    assert len(rows) == 20 and column(rows, "label") == [""] * 20
    assert set(column(rows, "q_exit:0.5.prediction")) <= set(LABELS["RTE"])
    assert "no labels" in capsys.readouterr().out


def test_regression_predicts_scores(toy, evaluate):
    out, scores = evaluate(*toy("STS-B"), *RULES)
    rows = table(out)
    targets = torch.tensor(column(rows, "label", float))
    for rule, row in zip(RULES, scores):
        predicted = torch.tensor(column(rows, f"{rule}.prediction", float))
        pearson = torch.corrcoef(torch.stack([predicted, targets]))[0, 1].item()
        assert row["metrics"]["pearson"] == pytest.approx(pearson, abs=1e-5)
        assert row["metrics"]["score"] == pytest.approx((row["metrics"]["pearson"] + row["metrics"]["spearman"]) / 2)


def test_a_held_out_part_of_train_keeps_the_rows_of_the_file(make_toy_data, make_checkpoint, evaluate, tmp_path):
    data = make_toy_data(tmp_path / "data", "RTE")
    make_checkpoint(tmp_path / "checkpoint.pt", data, "RTE", "--holdout-fraction", "0.1", "--valid-subset", "holdout")
    out, _ = evaluate(tmp_path / "checkpoint.pt", data, "sampling:3", options=["--split", "holdout"])
    held = table(out)
    out, _ = evaluate(tmp_path / "checkpoint.pt", data, "sampling:3", options=["--split", "train"])
    rest = table(out)
    assert len(held) == 20
    assert sorted(column(held, "index", int) + column(rest, "index", int)) == list(range(203))
    out, (row,) = evaluate(tmp_path / "checkpoint.pt", data, "sampling:3", options=["--split", "calibration"])
    assert row["examples"] == 5 and set(column(table(out), "index", int)) < set(column(held, "index", int))


def test_a_model_of_one_task_scores_another_with_the_same_labels(toy, evaluate):
    checkpoint, _ = toy("RTE")
    _, data = toy("QNLI")
    _, (row,) = evaluate(checkpoint, data, "fixed:4", options=["--glue-task", "QNLI"])
    assert row["examples"] == 51


@pytest.mark.parametrize("dtype, least, most", [
    ("bfloat16", 0.005, 0.05), ("float16", 0.0005, 0.005), ("int8", 0.05, 0.2)])
def test_other_precisions(toy, evaluate, dtype, least, most):
    """The logits, of up to 1.4, are as far from float32's as the precision rounds: 0.02, 0.002 and 0.1."""
    logits = {}
    for name in ("float32", dtype):
        out, rows = evaluate(*toy("RTE"), "q_exit:0.5", "expectation", options=["--dtype", name, "--record"])
        assert {row["dtype"] for row in rows} == {name}
        logits[name] = read_record(out / "record.safetensors").recording.logits.float()
    assert least < (logits[dtype] - logits["float32"]).abs().max() < most


def test_the_provenance_says_how_to_run_it_again(toy, evaluate):
    checkpoint, data = toy("RTE")
    out, _ = evaluate(checkpoint, data, "fixed:1")
    told = json.loads((out / "evaluation.json").read_text())
    assert told["command"][:4] == ["python", "-m", "fairseq_palbert.evaluation", str(checkpoint)]
    assert told["checkpoint"]["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert told["versions"]["torch"] == torch.__version__
    assert sum(told["layers"]["posterior"]) == pytest.approx(1)
    assert told["layers"]["prior"] == pytest.approx([0.3, 0.21, 0.147, 0.343])
    assert len(told["layers"]["scores"]) == 4


def test_a_run_that_fails_leaves_the_old_results_alone(toy, evaluate, monkeypatch):
    out, _ = evaluate(*toy("RTE"), "fixed:1")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with monkeypatch.context() as broken:
        broken.setattr(cli, "write_tsv", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluate(*toy("RTE"), "fixed:2")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    _, (row,) = evaluate(*toy("RTE"), "fixed:2")
    assert row["threshold"] == 2


def test_a_record_of_an_earlier_call_is_removed(toy, evaluate):
    out, _ = evaluate(*toy("RTE"), "fixed:1", options=["--record"])
    assert (out / "record.safetensors").exists()
    evaluate(*toy("RTE"), "fixed:2")
    assert not (out / "record.safetensors").exists()


def test_a_first_run_that_fails_leaves_no_folder(toy, evaluate, monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "plot_posterior", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(*toy("RTE"), "fixed:2")
    assert not (tmp_path / "out").exists()


def test_as_a_process_a_mistake_is_one_line_and_status_1(toy, tmp_path):
    checkpoint, data = toy("RTE")
    done = run_python(["-m", "fairseq_palbert.evaluation", checkpoint, "--data", data, "--exit", "nope", "--out",
                       tmp_path / "out"])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("fairseq_palbert: error: unknown exit rule 'nope'")
    assert "Traceback" not in done.stderr
