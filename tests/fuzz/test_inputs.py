"""Tests of damaged models, data, vocabularies and rows: right answers, or one line."""

import json
import math
import shutil
from itertools import chain
from pathlib import Path

import pytest
from fairseq.data.data_utils import load_indexed_dataset
from safetensors.torch import save_file

from fairseq_palbert.checkpoints.formats.encoder_source import EncoderSource
from fairseq_palbert.checkpoints.formats.hugging_face import read_hugging_face
from fairseq_palbert.checkpoints.loading import load_model
from fairseq_palbert.evaluation.split import load_split
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.inference.engine import Workload, decide
from fairseq_palbert.serving import cli as serving
from fairseq_palbert.tokenization import Vocabulary
from fairseq_palbert.tokenization.special_tokens import END
from preprocess import data as preprocess
from tests.checkpoints.test_hugging_face import CONFIGS, their_tensors

RULE = "q_exit:0.5"
TEXTS = [f"the cat {i} sat on mat {'very ' * (i % 5)}." for i in range(12)]

@pytest.fixture
def predicted(tmp_path):
    """predicted(model, input) returns the answers without their index."""

    def run(model: Path, path: Path) -> list:
        out = tmp_path / "answers"
        serving.main([str(model), str(path), "--exit", RULE, "--out", str(out)])
        lines = out.read_text().splitlines()
        if path.suffix == ".tsv":
            return [line.split("\t")[1:] for line in lines[1:]]
        return [{name: value for name, value in json.loads(line).items() if name != "index"} for line in lines]

    return run


def decided(checkpoint: Path, data: Path | None) -> tuple[list, list, list]:
    model = load_model(checkpoint, data and str(data), None)
    split = load_split(model.task, "valid")
    decisions = decide(model.network, parse_rule(RULE), Workload(split.sentences))
    return decisions.outputs.tolist(), decisions.exit_layers.tolist(), split.targets.tolist()


def lines_of(path: Path) -> list[str]:
    return path.read_bytes().decode().removesuffix("\n").split("\n") if path.stat().st_size else []


def equal_where_known(expected: dict, read: list[str], given: list) -> bool:
    """Whether every line that has an ``expected`` answer got it."""
    return len(read) == len(given) and all(answer == expected.get(line, answer) for line, answer in zip(read, given))


def test_model_folders(check, exported, predicted, tmp_path):
    path = tmp_path / "input.jsonl"
    path.write_text("".join(json.dumps({"sentence": text}) + "\n" for text in TEXTS))
    check(exported("SST-2"), lambda folder: predicted(folder, path))


@pytest.mark.parametrize("form", ["tsv", "jsonl"])
def test_rows_to_predict(check, exported, predicted, tmp_path, form):
    """Every undamaged line gets the answer of its sentence, in the order of the lines."""
    model, folder = exported("SST-2"), tmp_path / "input"
    folder.mkdir()
    rows = TEXTS if form == "tsv" else [json.dumps({"sentence": text}) for text in TEXTS]
    lines = (["sentence"] if form == "tsv" else []) + rows
    (folder / f"input.{form}").write_text("".join(line + "\n" for line in lines))

    def right(whole: list, given: list, copy: Path) -> bool:
        read = lines_of(copy / f"input.{form}")[len(lines) - len(rows):]
        return equal_where_known(dict(zip(rows, whole)), read, given)

    check(folder, lambda copy: predicted(model, copy / f"input.{form}"), right=right)


def test_checkpoints(check, toy, tmp_path):
    checkpoint, data = toy("RTE")
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    shutil.copy(checkpoint, folder)
    check(folder, lambda copy: decided(copy / checkpoint.name, data))


def test_checkpoints_of_parity(check, parity_checkpoint, tmp_path):
    checkpoint = parity_checkpoint("--arch", "ponder_rnn", "--rnn-width", "8", "--criterion", "ponder_classification")
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    shutil.copy(checkpoint, folder)
    check(folder, lambda copy: decided(copy / checkpoint.name, None))


def test_binarized_folders_of_ours(check, make_checkpoint, write_vocabulary, write_raw, tmp_path):
    """With glue.json, damage to any file is refused or changes no answer."""
    write_vocabulary("roberta", tmp_path / "vocabulary")
    write_raw("RTE", 9)
    preprocess.main(["--task", "RTE", "--raw", str(tmp_path / "raw"), "--vocab", str(tmp_path / "vocabulary"),
                     "--out", str(tmp_path / "data")])
    data = tmp_path / "data" / "RTE"
    make_checkpoint(tmp_path / "checkpoint.pt", data, "RTE")
    check(data, lambda copy: decided(tmp_path / "checkpoint.pt", copy))


def test_binarized_folders_of_others(check, toy):
    """Without glue.json, a changed sentence cannot be noticed, but a damaged structure can."""
    checkpoint, data = toy("RTE")

    def right(whole: tuple, given: tuple, copy: Path) -> bool:
        outputs, exit_layers, targets = given
        assert len(outputs) == len(exit_layers) == len(targets) > 0
        assert {len(row) for row in outputs} == {2} and all(map(math.isfinite, chain(*outputs)))
        return set(exit_layers) <= set(range(1, 5)) and set(targets) <= {0, 1}

    check(data, lambda copy: decided(checkpoint, copy), right=right)


def test_raw_files(check, write_vocabulary, write_raw, tmp_path):
    """Every undamaged row keeps its tokens."""
    write_vocabulary("roberta", tmp_path / "vocabulary")
    raw = write_raw("RTE", 9)

    def tokens(copy: Path) -> list:
        out = tmp_path / f"{copy.name}-data"
        preprocess.main(["--task", "RTE", "--split", "valid", "--raw", str(copy), "--vocab",
                         str(tmp_path / "vocabulary"), "--out", str(out)])
        sentences = [load_indexed_dataset(str(out / "RTE" / part / "valid")) for part in ("input0", "input1", "label")]
        return [[part.tolist() for part in row] for row in zip(*sentences, strict=True)]

    def right(whole: list, given: list, copy: Path) -> bool:
        read = lines_of(copy / "RTE" / "dev.tsv")[1:]
        return equal_where_known(dict(zip(lines_of(raw / "dev.tsv")[1:], whole)), read, given)

    check(raw.parent, tokens, only="RTE/dev.tsv", right=right)


@pytest.mark.parametrize("family", ["roberta", "bert", "albert", "mpnet"])
def test_vocabularies(check, write_vocabulary, tmp_path, family):
    """Without a record of the vocabulary, an exchanged piece cannot be noticed, but a damaged structure can."""
    write_vocabulary(family, tmp_path / "vocabulary")

    def encoded(copy: Path) -> tuple[list[int], int]:
        vocabulary = Vocabulary(copy)
        return vocabulary.encode(["the w1 cat w2"])[0].tolist(), len(vocabulary)

    def right(whole: tuple, given: tuple, copy: Path) -> bool:
        ids, size = given
        return ids[-1] == END and all(0 <= entry < size for entry in ids)

    check(tmp_path / "vocabulary", encoded, right=right)


@pytest.mark.parametrize("family", CONFIGS)
def test_hub_folders(check, tmp_path, family):
    """A plausible setting or number of a foreign folder is accepted; one that contradicts another is refused."""
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIGS[family]))
    save_file(their_tensors(family), folder / "model.safetensors")

    def right(whole: EncoderSource, given: EncoderSource, copy: Path) -> bool:
        assert given.settings.keys() == whole.settings.keys() and given.weights.keys() <= whole.weights.keys()
        numbers = [value for value in given.settings.values() if isinstance(value, int | float)]
        return all(map(math.isfinite, numbers)) and all(weight.isfinite().all() for weight in given.weights.values())

    check(folder, lambda copy: read_hugging_face(copy, "hub"), right=right)
