"""Tests of binarized data: fairseq reads it, and makes the same."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from fairseq_palbert.definitions.definition import TaskDefinition
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.files import file_sha256
from fairseq_palbert.raw.examples import Example, read_examples
from fairseq_palbert.tasks.binarized import BinarizedFolder
from fairseq_palbert.tokenization import Vocabulary
from preprocess.binarize import binarize

EOS, SPECIAL = 2, 4


def make(task: TaskDefinition, raw: Path, vocabulary: Path, target: Path) -> Path:
    target.mkdir()
    binarize(task, task.splits, raw, Vocabulary(vocabulary), target)
    return target


def stock_dataset(data: Path, task: TaskDefinition, split: str):
    """Returns the split as fairseq's task ``sentence_prediction`` reads it, with the marks of fairseq's GLUE recipe."""
    from fairseq.tasks.sentence_prediction import SentencePredictionTask

    stock = SentencePredictionTask.setup_task(Namespace(
        data=str(data), num_classes=task.outputs, init_token=0, separator_token=2, regression_target=task.regression,
        no_shuffle=True, shorten_method="none", shorten_data_split_list="", max_positions=512, seed=1, d2v2_multi=False,
        add_prev_output_tokens=False))
    return stock.load_dataset(split)


@pytest.mark.parametrize("name", ["SST-2", "RTE", "STS-B"])
def test_stock_sentence_prediction_reads_tokens_and_labels(name, write_raw, small_vocabulary, fairseq_ids, tmp_path):
    task = packaged_task(name)
    raw = write_raw(name, rows=5).parent
    data = make(task, raw, small_vocabulary, tmp_path / name)
    ids = fairseq_ids(small_vocabulary)
    for split in task.splits:
        dataset = stock_dataset(data, task, split.name)
        examples = list(read_examples(task, split, raw))
        assert len(dataset) == len(examples) == 5
        for i, example in enumerate(examples):
            first, *second = map(ids, example.sentences)
            expected = [0, *first] + [token for sentence in second for token in (EOS, *sentence)]
            assert dataset[i]["net_input.src_tokens"].tolist() == expected
            if not split.labelled:
                assert "target" not in dataset[i]
            elif task.regression:
                assert dataset[i]["target"] == [float(example.label)]
            else:
                assert dataset[i]["target"].tolist() == [task.labels.index(example.label)]


def test_labels_follow_the_table_and_not_their_frequency(write_raw, small_vocabulary, tmp_path):
    folder = write_raw("RTE")
    (folder / "train.tsv").write_text("index\tsentence1\tsentence2\tlabel\n" + "0\ta\tb\tnot_entailment\n" * 3)
    data = make(packaged_task("RTE"), folder.parent, small_vocabulary, tmp_path / "RTE")
    assert (data / "label" / "dict.txt").read_text() == "entailment 0\nnot_entailment 3\n"
    assert [row["target"].item() for row in stock_dataset(data, packaged_task("RTE"), "train")] == [1, 1, 1]


def test_scores_keep_glues_own_scale(write_raw, small_vocabulary, tmp_path):
    data = make(packaged_task("STS-B"), write_raw("STS-B", rows=6).parent, small_vocabulary, tmp_path / "STS-B")
    assert (data / "label" / "train.label").read_text() == "0.25\n1.25\n2.25\n3.25\n4.25\n5.0\n"
    assert not (data / "label" / "test.label").exists()


def test_provenance_says_what_the_data_was_made_from(write_raw, small_vocabulary, tmp_path):
    data = make(packaged_task("STS-B"), write_raw("STS-B").parent, small_vocabulary, tmp_path / "STS-B")
    provenance = json.loads((data / "glue.json").read_text())
    assert provenance["splits"]["train"] == {"rows": 3, "official_rows": 5749, "rejected": 0, "tokens": 90,
                                              "unknown": 0}
    assert provenance.pop("splits").keys() == {"train", "valid", "test"}
    files = {path.relative_to(data).as_posix(): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
             for path in data.rglob("*.*") if path.name != "glue.json"}
    assert provenance.pop("files") == files and len(files) == 3 * 2 * 2 + 2 + 2 and len(provenance.pop("sha256")) == 64
    assert provenance == {"task": "STS-B", "labels": [], "score_range": [0, 5],
                          "tokenizer": Vocabulary(small_vocabulary).record, "detokenized": False}


def test_mnli_has_two_validation_and_two_test_splits(write_raw, small_vocabulary, tmp_path):
    data = make(packaged_task("MNLI"), write_raw("MNLI").parent, small_vocabulary, tmp_path / "MNLI")
    splits = {"train", "valid", "valid1", "test", "test1"}
    assert {path.stem for path in (data / "input1").glob("*.bin")} == splits
    assert {path.stem for path in (data / "label").glob("*.bin")} == splits - {"test", "test1"}


def test_many_batches_equal_one(write_raw, small_vocabulary, tmp_path, monkeypatch):
    raw = write_raw("RTE", rows=7).parent
    whole = make(packaged_task("RTE"), raw, small_vocabulary, tmp_path / "whole")
    monkeypatch.setattr("preprocess.binarize.BATCH", 3)
    parts = make(packaged_task("RTE"), raw, small_vocabulary, tmp_path / "parts")
    assert contents(whole) == contents(parts)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


def sample(released: Path, task: TaskDefinition, folder: Path, rows: int = 150) -> Path:
    """Writes the first rows of every split of a real task and returns their folder."""
    folder.mkdir(parents=True)
    for split in task.splits:
        lines = (released / split.source.file).read_text(encoding="utf-8").split("\n")
        lines = lines[:rows + (not split.source.columns)]
        (folder / split.source.file).write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("name", ["CoLA", "RTE", "STS-B"])
def test_the_steps_of_fairseqs_own_script_give_the_same_files(name, glue_dir, vocab_dir, run_fairseq_steps, tmp_path):
    """Inputs are equal byte for byte, labels after look-up in their dictionary, and scores after scaling back."""
    task = packaged_task(name)
    raw = sample(glue_dir(name), task, tmp_path / "raw" / name)
    ours = make(task, raw.parent, vocab_dir("gpt2_bpe"), tmp_path / "ours")
    theirs = run_fairseq_steps(task, raw, vocab_dir("gpt2_bpe"), tmp_path / "theirs")
    for index in range(len(task.sentences)):
        expected = contents(theirs / f"input{index}")
        del expected["preprocess.log"]
        assert contents(ours / f"input{index}") == expected
    for split in ("train", "valid"):
        assert read_labels(ours, task, split) == pytest.approx(read_labels(theirs, task, split, scale=5.0), abs=1e-5)
        labels = [row.label for row in read_examples(task, task.split(split), raw.parent) if isinstance(row, Example)]
        assert read_labels(ours, task, split) == [float(x) if task.regression else task.labels.index(x) for x in labels]
    for split in ("train", "valid", "test"):  # --task glue loads the same data from both folders
        mine, fairseqs = (BinarizedFolder(folder, task.name).load(split) for folder in (ours, theirs))
        for one, other in zip(mine.sentences, fairseqs.sentences, strict=True):
            assert [row.tolist() for row in one] == [row.tolist() for row in other]
        assert (mine.targets is None) == (fairseqs.targets is None) == (split == "test")
        if split != "test":
            assert mine.targets.tolist() == pytest.approx(fairseqs.targets.tolist(), abs=1e-5)


def read_labels(data: Path, task: TaskDefinition, split: str, scale: float = 1.0) -> list[float]:
    """Returns the index of each label in ``task.labels``, or each score times ``scale``."""
    from fairseq.data import Dictionary
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    if task.regression:
        return [float(line) * scale for line in (data / "label" / f"{split}.label").read_text().split()]
    dictionary = Dictionary.load(str(data / "label" / "dict.txt"))
    return [task.labels.index(dictionary[item[0]]) for item in MMapIndexedDataset(str(data / "label" / split))]
