"""Tests of users' own tasks: labels, rows, and parts of train."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.fixtures.own_task import ROWS


def rows(labels) -> str:
    return "text,category\n" + "".join(f'the cat {number},"{label}"\n' for number, label in enumerate(labels))


@pytest.mark.parametrize("labels, ordered", [
    (["lost card", "my fees, all", 'the "best"'], ["lost card", "my fees, all", 'the "best"']),
    (["übergabe", "дом", "家", "a"], ["a", "übergabe", "дом", "家"]),
    (["10", "9", "-1"], ["-1", "9", "10"]), (["1.5", "10", "9"], ["1.5", "10", "9"]), (["02", "1"], ["1", "02"]),
    (["007", "00", "7", "-0", "07", "0"], ["0", "-0", "00", "7", "07", "007"]),
    (["true", "false"], ["false", "true"]), (["None", "nan", "NULL"], ["NULL", "None", "nan"]),
    (["a 1", "a 2"], ["a 1", "a 2"]), (["#fairseq:overwrite", "# a"], ["# a", "#fairseq:overwrite"]),
])
def test_labels_as_they_are_in_order_of_number_or_alphabet(own_task, labels, ordered):
    for file in ("train.csv", "valid.csv"):
        own_task.write(file, rows(label.replace('"', '""') for label in labels * 2))
    folder = own_task.binarize()
    assert json.loads((folder / "glue.json").read_text())["labels"] == ordered
    assert own_task.labels("train") == labels * 2
    read = [line.rsplit(" ", 1) for line in (folder / "label" / "dict.txt").read_text().splitlines()]
    assert read == [[label, "2"] for label in ordered]


def test_a_list_of_labels_sets_their_order(own_task):
    own_task.edit('"accuracy"', '"accuracy"\nlabels = ["fees", "loans", "card"]')
    folder = own_task.binarize()
    assert json.loads((folder / "glue.json").read_text())["labels"] == ["fees", "loans", "card"]
    assert own_task.labels("train") == ["card", "fees", "card", "fees"]


@pytest.mark.parametrize("labels", ["[0, 1]", "[false, true]"])
def test_labels_of_json_may_be_numbers_or_truth_values(own_task, labels):
    values = json.loads(labels)
    own_task.edit('"accuracy"', f'"accuracy"\nformat = "jsonl"\nlabels = {labels}')
    for file in ("train.csv", "valid.csv"):
        own_task.write(file, "".join(json.dumps({"text": "a cat", "category": value}) + "\n" for value in values))
    own_task.binarize()
    assert own_task.labels("train") == [json.dumps(value) for value in values]


def test_a_thousand_labels(own_task):
    labels = [f"label {number}" for number in range(1000)]
    own_task.write("train.csv", rows(labels))
    own_task.write("valid.csv", rows(labels[::-1]))
    own_task.binarize()
    assert own_task.labels("train") == labels and own_task.labels("valid") == labels[::-1]


def test_a_label_that_valid_lacks(own_task):
    own_task.write("valid.csv", "text,category\na dog,fees\n")
    own_task.binarize()
    assert own_task.labels("valid") == ["fees"]


def test_equal_rows_all_count(own_task):
    own_task.write("train.csv", ROWS + "the cat,card\n" * 3)
    own_task.binarize()
    assert own_task.labels("train") == ["card", "fees", "card", "fees", "card", "card", "card"]


def test_a_part_of_train_has_each_label_in_its_share_and_never_the_last_row(own_task):
    counts = {"common": 960, "rare": 30, "seldom": 9, "single": 1}
    own_task.edit('"valid.csv"', "0.1\ntest = 0.05")
    own_task.write("train.csv", rows(label for label, count in counts.items() for _ in range(count)))
    own_task.binarize()
    parts = {split: Counter(own_task.labels(split)) for split in ("train", "valid", "test")}
    assert parts["valid"] == {"common": 96, "rare": 3, "seldom": 1} and parts["train"]["single"] == 1
    assert sum(parts.values(), Counter()) == counts and parts["test"].total() == 50
    assert parts["test"]["common"] == 48


def test_the_part_is_drawn_by_a_seed_and_shuffled(own_task):
    own_task.edit('"valid.csv"', "0.5")
    own_task.write("train.csv", rows(["a", "b"] * 20))
    files = [Path("input0", name) for name in ("train.bin", "valid.bin")]
    first, second = ([(own_task.binarize("--overwrite") / file).read_bytes() for file in files] for _ in range(2))
    assert first == second and first[0] != first[1]


@pytest.mark.parametrize("name, content", [
    ("train.csv", "\ufeff" + ROWS.replace("\n", "\r\n")), ("train.csv", ROWS.rstrip("\n")),
    ("train.csv", ROWS + "\n\n"),
    ("train.tsv", ROWS.replace(",", "\t")),
    ("train.json", json.dumps([dict(zip(("text", "category"), row.split(","))) for row in ROWS.splitlines()[1:]])),
])
def test_the_same_rows_in_another_form_are_the_same_folder(own_task, name, content):
    folder = own_task.binarize()
    expected = {path: path.read_bytes() for path in folder.rglob("*.bin")}
    own_task.edit('"train.csv"', f'"{name}"')
    own_task.write(name, content)
    own_task.binarize("--overwrite")
    assert {path: path.read_bytes() for path in folder.rglob("*.bin")} == expected and len(expected) == 4


def test_pairs_scores_and_a_test_split_without_labels(own_task):
    own_task.edit('["text"]', '["text", "other"]')
    own_task.edit('"accuracy"', '"pearson"\nscore_range = [0, 5]')
    own_task.edit('valid = "valid.csv"', 'valid = 0.5\ntest = { file = "test.csv", labelled = false }')
    own_task.write("train.csv", "other,category,text\n" + "".join(f"a,{score},b\n" for score in (0, 5, 2.5, 1e-1)))
    own_task.write("test.csv", "text,other\nthe cat,a\n")
    folder = own_task.binarize()
    scores = [float(line) for split in ("train", "valid") for line in (folder / "label" / f"{split}.label").open()]
    assert sorted(scores) == [0, 0.1, 2.5, 5] and not (folder / "label" / "test.label").exists()
    assert {path.name for path in (folder / "input1").iterdir()} == {
        "dict.txt", *(f"{split}.{end}" for split in ("train", "valid", "test") for end in ("bin", "idx"))}


@pytest.mark.parametrize("labels", ["", '\nlabels = ["card", "fees"]', '\nlabels = "from train"'])
def test_a_damaged_row_of_a_train_that_is_split_is_not_dropped_in_silence(own_task, labels, capsys):
    own_task.edit('"accuracy"', '"accuracy"' + labels)
    own_task.edit('"valid.csv"', "0.25")
    own_task.write("train.csv", ROWS + "a bird\n" + ROWS.partition("\n")[2])
    for only in ([], ["--split", "train"], ["--split", "valid"]):
        assert own_task.refusal(*only).startswith("train.csv, line 6: ")
    folder = own_task.binarize("--keep-going")
    _, *rejected = (folder / "rejected.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in rejected] == ["train", "valid"] and "lines 6" in capsys.readouterr().err
    assert len(own_task.labels("train") + own_task.labels("valid")) == 8
