"""GLUE's files from the Hub give the same folders as the TSVs."""

import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from fairseq_palbert.definitions.definition import TaskDefinition
from fairseq_palbert.definitions.packaged import benchmark_tasks, packaged_task
from fairseq_palbert.raw.examples import Rejected, read_examples
from preprocess.data import main

GLUE = benchmark_tasks("GLUE")
FILES = {  # the Hub's name of each TSV
    "train.tsv": "train", "dev.tsv": "validation", "test.tsv": "test", "AX.tsv": "test",
    "dev_matched.tsv": "validation_matched", "dev_mismatched.tsv": "validation_mismatched",
    "test_matched.tsv": "test_matched", "test_mismatched.tsv": "test_mismatched",
}
ENDINGS = [".jsonl", ".parquet", "-00000-of-00001.parquet"]


def write_hub(task: TaskDefinition, raw: Path, target: Path, ending: str, scores=None) -> None:
    """Writes the TSVs in the Hub's form: class ids as labels, -1 in test; Parquet has scores of type ``scores``."""
    for split in task.splits:
        columns = {name: [] for name in (*task.hub.sentences, task.hub.label, "idx")}
        for index, row in enumerate(read_examples(task, split, raw)):
            label = -1 if row.label is None else float(row.label) if task.regression else task.labels.index(row.label)
            for column, value in zip(columns.values(), (*row.sentences, label, index)):
                column.append(value)
        path = target / task.name / (FILES[split.source.file] + ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        if ending == ".jsonl":
            path.write_text("".join(json.dumps(dict(zip(columns, row))) + "\n" for row in zip(*columns.values())))
        else:
            kinds = {task.hub.label: scores}
            parquet.write_table(pyarrow.table({name: pyarrow.array(values, kinds.get(name))
                                               for name, values in columns.items()}), path)


def binarized(name: str, raw: Path, out: Path, vocabulary: Path) -> dict[str, bytes]:
    main([name, "--raw", str(raw), "--vocab", str(vocabulary), "--out", str(out), "--workers", "1"])
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", GLUE)
def test_every_task_is_the_same_folder(name, ending, write_raw, small_vocabulary, tmp_path):
    raw = write_raw(name, 7).parent
    write_hub(packaged_task(name), raw, tmp_path / "hub", ending)
    assert binarized(name, tmp_path / "hub", tmp_path / "of_hub", small_vocabulary) == binarized(
        name, raw, tmp_path / "of_tsv", small_vocabulary)


@pytest.mark.parametrize("ending", ENDINGS[:2])
@pytest.mark.parametrize("name", ["CoLA", "MRPC", "STS-B", "RTE"])
def test_real_tasks_are_the_same_folder(name, ending, glue_dir, small_vocabulary, tmp_path):
    raw = glue_dir(name).parent
    write_hub(packaged_task(name), raw, tmp_path / "hub", ending)
    assert binarized(name, tmp_path / "hub", tmp_path / "of_hub", small_vocabulary) == binarized(
        name, raw, tmp_path / "of_tsv", small_vocabulary)


def test_scores_of_32_bits_have_the_digits_of_the_tsv(glue_dir, tmp_path):
    """The Hub's own file stores 32 bits: 3.8 comes back as 3.8, and 1.53333333333333 with seven digits."""
    task, raw = packaged_task("STS-B"), glue_dir("STS-B").parent
    write_hub(task, raw, tmp_path, ".parquet", pyarrow.float32())
    read = {folder: [float(row.label) for row in read_examples(task, task.split("train"), folder)]
            for folder in (raw, tmp_path)}
    assert sum(here != there for here, there in zip(*read.values(), strict=True)) == 14
    assert read[tmp_path] == pytest.approx(read[raw], rel=1e-7)


@pytest.fixture
def rows(tmp_path):
    """rows(name, objects, split) writes these objects as a file of that task and returns its examples."""

    def read(name: str, objects: list[dict], split: str = "train") -> list:
        task = packaged_task(name)
        path = tmp_path / name / f"{split}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(value) + "\n" for value in objects))
        return list(read_examples(task, task.split(split), tmp_path))

    return read


def test_class_ids_follow_the_order_of_the_labels_and_labels_may_be_words(rows):
    pair = {"sentence1": "a", "sentence2": "b"}
    read = rows("RTE", [pair | {"label": label, "idx": idx} for idx, label in enumerate([0, 1, "not_entailment"])])
    assert [row.label for row in read] == ["entailment", "not_entailment", "not_entailment"]


def test_a_test_split_needs_no_label(rows):
    row, = rows("CoLA", [{"sentence": "a", "idx": 3}], "test")
    assert (row.sentences, row.label) == (("a",), None)


@pytest.mark.parametrize("label, idx, reason", [
    (-1, 5, "label '-1' is none of 0, 1"), (2, 5, "label '2' is none of 0, 1"), (0.0, 5, "label '0.0' is none"),
    (None, 5, "column 'label' is null"), (0, 3, "idx: 3 is not at least 4"), (0, "x", "idx: 'x' is no whole number"),
])
def test_a_row_that_is_no_example_is_named(rows, label, idx, reason):
    good = {"sentence": "a", "label": 0, "idx": 3}
    first, bad, last = rows("CoLA", [good, {"sentence": "b", "label": label, "idx": idx}, good | {"idx": 9}])
    assert isinstance(bad, Rejected) and bad.line == 2 and bad.reason.startswith(reason)
    assert first.label == last.label == "0"


def test_of_two_forms_side_by_side_the_tsv_counts(write_raw, tmp_path):
    folder = write_raw("CoLA", 4)
    (folder / "train.jsonl").write_text("{}\n")
    task = packaged_task("CoLA")
    assert len(list(read_examples(task, task.split("train"), folder.parent))) == 4
