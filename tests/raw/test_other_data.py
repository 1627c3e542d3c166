"""Tests of banking77, TREC and MNLI's dev sets: counts match the authors'."""

from collections import Counter

import pytest

from fairseq_palbert.definitions.content import definition_of
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.raw.examples import Example, read_examples, with_labels

BANKING = {"name": "banking77", "sentences": ["text"], "label": "category", "metric": "accuracy",
           "splits": {"train": "train.csv", "valid": 0.1, "test": "test.csv"}}
TREC = {"name": "TREC", "sentences": ["text"], "label": "category", "metric": "accuracy", "encoding": "latin-1",
        "format": "lines", "pattern": r"(?P<category>\w+):\S+ (?P<text>.*)",
        "splits": {"train": "TREC.train", "test": "TREC.test"}}
MNLI = {"name": "mnli-dev", "sentences": ["premise", "hypothesis"], "label": "label", "metric": "accuracy",
        "splits": {"train": "validation_mismatched.jsonl", "test": "validation_matched.jsonl"}}


@pytest.mark.parametrize("folder, content, rows, labels", [
    ("banking77", BANKING, {"train": 9003, "valid": 1000, "test": 3080}, 77),
    ("TREC", TREC, {"train": 5452, "test": 500}, 6),
    ("MNLI_dev", MNLI, {"train": 9832, "test": 9815}, 3),
])
def test_rows_and_labels(other_dir, folder, content, rows, labels):
    raw = other_dir(folder)
    task = with_labels(definition_of(content), raw)
    assert len(task.labels) == labels
    for split in task.splits:
        examples = list(read_examples(task, split, raw))
        assert all(isinstance(row, Example) for row in examples) and len(examples) == rows[split.name]
        if split.fraction:
            train = Counter(row.label for row in read_examples(task, task.split("train"), raw))
            assert all(abs(count - (count + train[label]) / 10) <= 1
                       for label, count in Counter(row.label for row in examples).items())


def test_letters_beyond_ascii(other_dir):
    raw = other_dir("TREC")
    task = with_labels(definition_of(TREC), raw)
    texts = [row.sentences[0] for row in read_examples(task, task.split("train"), raw)]
    assert [text for text in texts if not text.isascii()] and not [text for text in texts if "\ufffd" in text]


def test_mnlis_dev_sets_are_found_in_the_form_of_the_hub(other_dir, tmp_path):
    (tmp_path / "MNLI").symlink_to(other_dir("MNLI_dev"))
    task = packaged_task("MNLI")
    for name in task.valid_splits:
        rows = list(read_examples(task, task.split(name), tmp_path))
        assert all(isinstance(row, Example) for row in rows) and len(rows) == task.split(name).rows
