"""Tests of a user's mistakes in ``palbert evaluate``: each is refused in one line."""

import shutil
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
import torch

from fairseq_palbert.definitions.content import content_of
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation.cli import main
from fairseq_palbert.tasks.provenance import write_provenance

TOKENIZER = {"name": "wordpiece", "separators": 1, "sha256": "91bc" * 16}


@pytest.fixture
def refused(toy, tmp_path):
    """refused(part of the message, arguments to change...): the changed command is refused in one line."""

    def run(message: str, checkpoint=None, data=None, rules=("q_exit:0.5",), out=None, options=()):
        sound_checkpoint, sound_data = toy("RTE")
        out = out or tmp_path / "out"
        with pytest.raises(UserError) as error:
            main([str(checkpoint or sound_checkpoint), "--data", str(data or sound_data), "--out", str(out),
                  *(f"--exit={rule}" for rule in rules), *options])
        line = str(error.value)
        assert message in line and "\n" not in line, line
        assert not (tmp_path / "out").exists()

    return run


@pytest.fixture
def altered(toy, tmp_path):
    """altered(change) saves a sound checkpoint after change(its content), which may return other content."""

    def save(change):
        state = torch.load(toy("RTE")[0], weights_only=True)
        path = tmp_path / "altered.pt"
        torch.save(change(state) or state, path)
        return path

    return save


@pytest.mark.parametrize("rules, message", [
    ((), "no exit rule given"),
    (("q_exit:2",), "exit rule 'q_exit:2'"),
    (("nope",), "unknown exit rule 'nope'"),
    (("fixed:x",), "exit rule 'fixed:x'"),
    (("fixed:99",), "fixed:99: the model has 4 layers"),
    (("q_exit:0.5", "q_exit:.5"), "given twice"),
])
def test_bad_rules(refused, rules, message):
    refused(message, rules=rules)


def test_a_missing_checkpoint(refused, tmp_path):
    refused("No such file or directory: give a checkpoint", checkpoint=tmp_path / "missing.pt")


def test_a_folder_for_a_checkpoint(refused, tmp_path):
    refused("config.json: No such file or directory: no exported model", checkpoint=tmp_path)


@pytest.mark.parametrize("kept", [0, 100, 0.5])
def test_a_truncated_checkpoint(refused, toy, tmp_path, kept):
    whole = toy("RTE")[0].read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[:int(kept * len(whole)) if kept < 1 else kept])
    refused("cannot be read as a checkpoint: truncated", checkpoint=tmp_path / "half.pt")


def test_a_file_that_is_no_checkpoint(refused, tmp_path):
    (tmp_path / "notes.txt").write_text("Dear diary")
    refused("cannot be read as a checkpoint", checkpoint=tmp_path / "notes.txt")


def test_a_checkpoint_that_holds_code(refused, altered):
    refused("cannot be read as a checkpoint", checkpoint=altered(lambda state: {**state, "args": PurePosixPath("a")}))


def test_tensors_that_are_no_fairseq_checkpoint(refused, altered):
    refused("is not a fairseq checkpoint", checkpoint=altered(lambda state: state["model"]))


def test_a_checkpoint_of_another_task(refused, altered):
    checkpoint = altered(lambda state: state["cfg"]["task"].update(_name="sentence_prediction"))
    refused("--task sentence_prediction", checkpoint=checkpoint)


def test_a_checkpoint_whose_tensors_do_not_fit(refused, altered):
    refused("does not fit the model", checkpoint=altered(lambda state: state["cfg"]["model"].update(encoder_layers=5)))


def test_a_checkpoint_without_tensors(refused, altered):
    refused("is an encoder without a classifier", checkpoint=altered(lambda state: state.update(model={})))


def test_a_missing_data_folder(refused, tmp_path):
    refused("no such data folder", data=tmp_path / "missing")


def test_data_of_another_task(refused, make_toy_data, tmp_path):
    refused("holds QNLI, not RTE", data=make_toy_data(tmp_path / "data", "QNLI", tokenizer=TOKENIZER))


def test_single_sentences_for_a_model_of_pairs(refused, toy):
    refused("input1", data=toy("SST-2")[1])


def test_pairs_for_a_model_of_single_sentences(refused, toy):
    refused("sentence pairs", checkpoint=toy("SST-2")[0])


@pytest.mark.parametrize("trained_on, held, message", [
    (["text"], ["text", "more"], "holds 2 sentences an example, and the model of own reads 1"),
    (["text", "more"], ["text"], "holds 1 sentence an example, and the model of own reads 2"),
])
def test_another_number_of_sentences_in_a_task_of_the_same_name(refused, toy, altered, tmp_path, trained_on, held,
                                                                message):
    """As of two task files with the same labels."""
    made_of = {"task": "own", "labels": list(packaged_task("RTE").labels)}
    task = replace(packaged_task("RTE"), name="own", benchmark=None, folder=None, hub=None)
    definitions = [content_of(replace(task, sentences=tuple(columns))) for columns in (trained_on, held)]
    data = shutil.copytree(toy("RTE")[1], tmp_path / "data")
    if len(held) == 1:
        shutil.rmtree(data / "input1")
    write_provenance(data, made_of | {"tokenizer": TOKENIZER, "detokenized": False, "definition": definitions[1]})
    checkpoint = altered(lambda state: state["task_state"].update(made_of, definition=definitions[0]))
    refused(f"data: {message}", data=data, checkpoint=checkpoint)


def test_a_dictionary_of_another_size(refused, toy, tmp_path):
    data = shutil.copytree(toy("RTE")[1], tmp_path / "data")
    for part in ("input0", "input1"):
        with open(data / part / "dict.txt", "a") as file:
            file.write("another 1\n")
    refused("dictionary of 56 entries", data=data)


def test_a_missing_split(refused):
    refused("no such split", options=["--split", "valid7"])


def test_a_split_that_was_not_held_out(refused):
    refused("--holdout-fraction", options=["--split", "holdout"])


def test_a_task_with_other_labels(refused):
    refused("check --glue-task", options=["--glue-task", "MRPC"])


def test_a_task_of_regression(refused, toy):
    refused("check --glue-task", data=toy("STS-B")[1], options=["--glue-task", "STS-B"])


def test_an_unknown_task(refused):
    refused("unknown task 'XYZ'", options=["--glue-task", "XYZ"])


@pytest.mark.parametrize("size", ["0", "-3"])
def test_a_batch_of_nothing(refused, size):
    refused("--batch-size", options=["--batch-size", size])


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_a_device_that_is_not_there(refused):
    refused("finds 0 CUDA devices", options=["--device", "cuda"])


@pytest.mark.parametrize("inside", ["", "folder/below"])
def test_an_output_folder_that_is_a_file(refused, tmp_path, inside):
    (tmp_path / "file").write_text("")
    refused("cannot be written", out=tmp_path / "file" / inside)


def test_a_tensorboard_folder_that_is_a_file(refused, tmp_path):
    (tmp_path / "file").write_text("")
    refused("file/score_valid: cannot be written", options=["--tensorboard-logdir", str(tmp_path / "file")])


def test_an_option_that_is_no_choice_is_argparse_s_error(toy, tmp_path, capsys):
    checkpoint, data = toy("RTE")
    with pytest.raises(SystemExit) as error:
        main([str(checkpoint), "--data", str(data), "--out", str(tmp_path / "out"), "--dtype", "int4"])
    assert error.value.code == 2
    assert "invalid choice: 'int4'" in capsys.readouterr().err
