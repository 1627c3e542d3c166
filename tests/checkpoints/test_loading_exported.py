"""Tests of loading exported models: they score as their checkpoints do, with the same checks."""

import hashlib
import json
import shutil
from dataclasses import replace

import pytest
import torch

from fairseq_palbert.checkpoints.formats.model_folder import ModelCard, write_model
from fairseq_palbert.checkpoints.loading import load_model
from fairseq_palbert.errors import UserError

RECORD = {"name": "wordpiece", "separators": 1, "sha256": "0123456789"}
RULES = ["q_exit:0.5", "sampling:7", "expectation", "fixed:2"]
TIMES = ("seconds", "sentences_per_second")


@pytest.fixture(scope="module")
def exported(toy, tmp_path_factory):
    """exported("RTE", changes of the card...) exports that task's toy checkpoint and returns the folder."""

    def export(glue_task: str, /, **changes):
        checkpoint, data = toy(glue_task)
        model = load_model(checkpoint, str(data), None)
        card = ModelCard("roberta", glue_task, list(model.task.definition.labels), 512,
                         dictionary=model.task.state_dict()["dictionary"],
                         tokenizer=None, prior=model.prior.tolist(), updates=model.updates)
        folder = tmp_path_factory.mktemp("exported")
        write_model(folder, model.network, replace(card, **changes))
        return folder

    return export


@pytest.mark.parametrize("glue_task", ["RTE", "SST-2", "STS-B"])
def test_scores_and_predictions_are_those_of_the_checkpoint(toy, exported, evaluate, glue_task):
    checkpoint, data = toy(glue_task)
    found = []
    for model in (checkpoint, exported(glue_task)):
        out, scores = evaluate(model, data, *RULES)
        layers = json.loads((out / "evaluation.json").read_text())["layers"]
        rows = [{name: value for name, value in row.items() if name not in TIMES} for row in scores]
        found.append((rows, (out / "predictions.tsv").read_text(), layers))
        shutil.rmtree(out)
    assert found[0] == found[1]


def test_the_provenance_names_the_weights(exported, toy, evaluate):
    folder = exported("RTE")
    out, _ = evaluate(folder, toy("RTE")[1], "fixed:1")
    told = json.loads((out / "evaluation.json").read_text())["checkpoint"]
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert told == {"path": str((folder / "model.safetensors").resolve()), "sha256": digest}


def test_no_fairseq_checkpoint_is_read(exported, toy, evaluate, monkeypatch):
    folder = exported("RTE")
    monkeypatch.setattr(torch, "load", None)
    evaluate(folder, toy("RTE")[1], "fixed:1")


def test_another_order_of_the_labels_is_kept(exported, toy):
    model = load_model(exported("RTE", labels=["not_entailment", "entailment"]), str(toy("RTE")[1]), None)
    assert model.task.definition.labels == ("not_entailment", "entailment")


def test_what_else_the_card_says_reaches_the_task(exported, toy):
    model = load_model(exported("RTE", max_positions=20, holdout_fraction=0.1, train_examples=30, updates=9),
                       str(toy("RTE")[1]), None)
    assert (model.task.max_positions(), model.updates) == (20, 9)
    sizes = {split: len(model.task.load_dataset(split)) for split in ("holdout", "calibration", "train")}
    assert sizes == {"holdout": 20, "calibration": 5, "train": 30}


def test_a_model_of_one_task_scores_another_with_the_same_labels(exported, toy, evaluate):
    _, (row,) = evaluate(exported("RTE"), toy("QNLI")[1], "fixed:4", options=["--glue-task", "QNLI"])
    assert row["examples"] == 51


@pytest.mark.parametrize("message, options, changes", [
    ("check --glue-task", ["--glue-task", "MRPC"], {}),
    ("unknown task", ["--glue-task", "XYZ"], {}),
    ("the task 'XYZ' is none of the package", [], {"glue_task": "XYZ"}),
    ("has other symbols", [], {"dictionary": "0" * 64}),
])
def test_data_that_does_not_fit_is_refused(exported, toy, evaluate, message, options, changes):
    with pytest.raises(UserError, match=message):
        evaluate(exported("RTE", **changes), toy("RTE")[1], "fixed:1", options=options)


def test_data_of_another_tokenizer_or_size_of_dictionary_is_refused(exported, make_toy_data, toy, evaluate, tmp_path):
    data = make_toy_data(tmp_path / "data", "RTE", tokenizer={**RECORD, "sha256": "9876543210"})
    with pytest.raises(UserError, match="was trained on wordpiece"):
        evaluate(exported("RTE", tokenizer=RECORD), data, "fixed:1")
    larger = shutil.copytree(toy("RTE")[1], tmp_path / "larger")
    for part in ("input0", "input1"):
        with open(larger / part / "dict.txt", "a") as file:
            file.write("another 1\n")
    with pytest.raises(UserError, match="dictionary of 56 entries"):
        evaluate(exported("RTE"), larger, "fixed:1")
