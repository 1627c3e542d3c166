"""Data of another tokenizer than the checkpoint's is refused in one line."""

import shutil
import sys
import warnings

import pytest
import torch

from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation.cli import main as evaluate

WORDPIECE = {"name": "wordpiece", "separators": 1, "sha256": "91bc" * 16}
SENTENCEPIECE = {"name": "sentencepiece", "separators": 1, "sha256": "3f2a" * 16}
OTHER_WORDPIECE = {**WORDPIECE, "sha256": "77aa" * 16}
SIZES = {"train": 20, "valid": 10}
HELD = {"sentencepiece": "sentencepiece (3f2a3f2a…, separators: 1)",
        "other wordpiece": "wordpiece (77aa77aa…, separators: 1)"}
REFUSAL = ("was trained on wordpiece (91bc91bc…, separators: 1), but {data} holds {held}: preprocess the data with the "
           "tokenizer of the checkpoint")


def train(data, save_dir, *flags):
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq_cli.train import main

    arguments = options.parse_args_and_arch(options.get_training_parser(), [
        str(data), "--cpu", "--task", "glue", "--glue-task", "RTE", "--arch", "palbert_roberta_tiny",
        "--encoder-layers", "2",
        "--criterion", "ponder_classification", "--optimizer", "adam", "--lr", "0.001", "--batch-size", "20",
        "--num-workers", "0", "--max-update", "1", "--disable-validation", "--save-dir", str(save_dir),
        *map(str, flags),
    ])
    with warnings.catch_warnings(action="ignore"):  # Hydra warns of fairseq's schemas
        main(convert_namespace_to_omegaconf(arguments))


@pytest.fixture(scope="module")
def folders(make_toy_data, tmp_path_factory):
    base = tmp_path_factory.mktemp("tokenizers")
    records = {"wordpiece": WORDPIECE, "sentencepiece": SENTENCEPIECE, "other wordpiece": OTHER_WORDPIECE,
               "unknown": None}
    data = {name: make_toy_data(base / name.replace(" ", "_"), "RTE", SIZES, tokenizer=record)
            for name, record in records.items()}
    return data | {"detokenized": make_toy_data(base / "detokenized", "RTE", SIZES, tokenizer=WORDPIECE,
                                                detokenized=True)}


@pytest.fixture(scope="module")
def checkpoint(folders, tmp_path_factory):
    """Trains on WordPiece data and returns the path of the checkpoint."""
    save_dir = tmp_path_factory.mktemp("trained")
    train(folders["wordpiece"], save_dir)
    return save_dir / "checkpoint_last.pt"


@pytest.fixture
def other_dictionary(make_toy_data, tmp_path):
    """Returns a data folder of an unknown tokenizer, whose dictionary has the same symbols in another order."""
    data = make_toy_data(tmp_path / "data", "RTE", SIZES)
    for part in ("input0", "input1"):
        path = data / part / "dict.txt"
        path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    return data


def refusal(action, *arguments) -> str:
    with pytest.raises(UserError) as error:
        action(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def score(checkpoint, data, out):
    evaluate([str(checkpoint), "--data", str(data), "--exit", "fixed:2", "--out", str(out)])


def validate(monkeypatch, checkpoint, data):
    from fairseq_cli.validate import cli_main

    monkeypatch.setattr(sys, "argv",
                        ["fairseq-validate", str(data), "--cpu", "--path", str(checkpoint), "--task", "glue",
                                      "--glue-task", "RTE", "--batch-size", "20"])
    with warnings.catch_warnings(action="ignore"):
        cli_main()


def test_a_checkpoint_says_what_it_was_trained_on(checkpoint):
    kept = torch.load(checkpoint, weights_only=True)["task_state"]
    assert kept["tokenizer"] == WORDPIECE and len(kept["dictionary"]) == 64 and kept["detokenized"] is False


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("flag", ["--finetune-from-model", "--restore-file"])
def test_training_does_not_start_from_another_tokenizer(folders, checkpoint, tmp_path, flag, held):
    line = refusal(train, folders[held], tmp_path / "new", flag, checkpoint)
    assert REFUSAL.format(data=folders[held], held=HELD[held]) in line and f"{flag} {checkpoint}" in line
    assert not (tmp_path / "new" / "checkpoint_last.pt").exists()


def test_training_does_not_resume_on_another_tokenizer(folders, checkpoint, tmp_path):
    last = shutil.copy(checkpoint, tmp_path)
    line = refusal(train, folders["sentencepiece"], tmp_path, "--max-update", 2)
    assert f"{last} {REFUSAL.format(data=folders['sentencepiece'], held=HELD['sentencepiece'])}" in line


@pytest.mark.parametrize("held", HELD)
def test_another_tokenizer_is_not_scored(folders, checkpoint, tmp_path, held):
    line = refusal(score, checkpoint, folders[held], tmp_path / "out")
    assert f"{checkpoint} {REFUSAL.format(data=folders[held], held=HELD[held])}" in line
    assert not (tmp_path / "out").exists()


def test_data_that_was_detokenized_is_not_scored_trained_on_or_validated(folders, checkpoint, tmp_path, monkeypatch):
    """Detokenization of the text is part of the identity of a tokenizer."""
    reason = ("was trained on text that was not detokenized, but that of {} was detokenized: preprocess the data with "
              "the tokenizer of the checkpoint, with --detokenize or without, as before").format(folders["detokenized"])
    assert f"{checkpoint} {reason}" in refusal(score, checkpoint, folders["detokenized"], tmp_path / "out")
    assert reason in refusal(train, folders["detokenized"], tmp_path / "new", "--finetune-from-model", checkpoint)
    assert reason in refusal(validate, monkeypatch, checkpoint, folders["detokenized"])


def test_a_model_of_detokenized_data_scores_such_data_alone(folders, checkpoint, tmp_path):
    state = torch.load(checkpoint, weights_only=True)
    for name, known in (("detokenized", True), ("unknown", None)):
        state["task_state"]["detokenized"] = known
        torch.save(state, tmp_path / f"{name}.pt")
        score(tmp_path / f"{name}.pt", folders["detokenized"], tmp_path / name)
    assert "was trained on text that was detokenized, but that of" in refusal(
        score, tmp_path / "detokenized.pt", folders["wordpiece"], tmp_path / "out")
    score(tmp_path / "unknown.pt", folders["wordpiece"], tmp_path / "out")


def test_another_tokenizer_is_not_validated(folders, checkpoint, monkeypatch):
    line = refusal(validate, monkeypatch, checkpoint, folders["sentencepiece"])
    assert f"the checkpoint {REFUSAL.format(data=folders['sentencepiece'], held=HELD['sentencepiece'])}" in line


def test_another_dictionary_of_the_same_size_is_refused_where_the_tokenizer_is_unknown(checkpoint, other_dictionary,
                                                                                       tmp_path):
    reason = f"other symbols, or the same in another order, than the dictionary that {checkpoint} was trained with"
    assert reason in refusal(score, checkpoint, other_dictionary, tmp_path / "out")
    assert "than the dictionary" in refusal(train, other_dictionary, tmp_path / "new", "--finetune-from-model",
                                            checkpoint)


@pytest.mark.parametrize("held", ["wordpiece", "unknown"])
def test_the_same_tokenizer_and_an_unknown_one_with_the_same_dictionary_are_accepted(folders, checkpoint, tmp_path,
                                                                                     held):
    train(folders[held], tmp_path / "new", "--finetune-from-model", checkpoint)
    score(checkpoint, folders[held], tmp_path / "out")
    assert (tmp_path / "out" / "scores.jsonl").exists()


def test_a_checkpoint_of_unknown_origin_is_held_to_the_dictionarys_size(checkpoint, folders, make_toy_data, tmp_path):
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "task_state": {}}, tmp_path / "unknown.pt")
    score(tmp_path / "unknown.pt", folders["sentencepiece"], tmp_path / "out")
    larger = make_toy_data(tmp_path / "larger", "RTE", SIZES)
    for part in ("input0", "input1"):
        with open(larger / part / "dict.txt", "a") as file:
            file.write("another 1\n")
    line = refusal(score, tmp_path / "unknown.pt", larger, tmp_path / "never")
    assert "makes a dictionary of 56 entries" in line and "was trained with 55" in line
