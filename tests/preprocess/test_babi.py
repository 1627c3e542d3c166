"""Tests of the conversion of bAbI's stories."""

import json
import re
from dataclasses import astuple

import pytest

from fairseq_palbert.definitions.packaged import find_task
from fairseq_palbert.errors import UserError
from preprocess import babi

STORIES = """\
1 Mary moved to the bathroom.
2 Where is Mary?\tbathroom\t1
3 John took the milk.
4 Where is John? \thall, garden\t1 3
1 Sandra left.
2 Is Sandra here?|no|1
"""
QUESTIONS = [
    ("2 two supporting facts", "Mary moved to the bathroom.", "Where is Mary?", "bathroom"),
    ("2 two supporting facts", "John took the milk. Mary moved to the bathroom.", "Where is John?", "hall, garden"),
    ("2 two supporting facts", "Sandra left.", "Is Sandra here?", "no"),
]
DAMAGED = {
    "no number": ("Mary moved.\n", "line 1: not a number and a text"),
    "a blank line": ("1 Mary moved.\n\n", "line 2: not a number and a text"),
    "a number alone": ("1\n", "line 1: not a number"),
    "a number left out": ("1 Mary moved.\n3 John left.\n", "line 2: number 3 after 1"),
    "a story that does not begin with 1": ("2 Mary moved.\n", "line 1: number 2 after 0"),
    "a question without an answer": ("1 Mary moved.\n2 Where is Mary?\n", "line 2: not a question after a story"),
    "an empty answer": ("1 Mary moved.\n2 Where is Mary?\t\t1\n", "line 2: not a question after a story"),
    "no facts": ("1 Mary moved.\n2 Where is Mary?\thall\n", "line 2: not a question after a story"),
    "no story": ("1 Where is Mary?\thall\t1\n", "line 1: not a question after a story"),
    "a byte that is no UTF-8": (b"1 Mary \xff moved.\n", "line 1: byte 0xff"),
    "no question at all": ("1 Mary moved.\n", "has no question"),
    "an empty file": ("", "has no question"),
}


@pytest.fixture
def folder(tmp_path):
    for task in babi.TASKS:
        for split in babi.SPLITS:
            (tmp_path / f"qa{task}_two-supporting-facts_{split}.txt").write_text(STORIES)
    return tmp_path


def test_questions_come_with_the_sentences_before_them_the_latest_first(folder):
    assert [astuple(row) for row in babi.questions(folder / "qa2_two-supporting-facts_test.txt")] == QUESTIONS


def test_task_and_vocabulary_are_written(folder, tmp_path):
    (folder / "qa20_two-supporting-facts_test.txt").write_text(STORIES.replace("\tbathroom\t", "\tattic\t"))
    babi.main([str(folder), "--out", str(tmp_path / "out")])
    rows = {split: [json.loads(line) for line in open(tmp_path / "out" / "raw" / f"{split}.jsonl")]
            for split in babi.SPLITS}
    assert [tuple(row.values()) for row in rows["train"][3:6]] == QUESTIONS
    assert [len(rows[split]) for split in babi.SPLITS] == [60, 60]
    assert find_task(str(tmp_path / "out" / "raw" / "babi.toml")).labels == ("attic", "bathroom", "hall, garden", "no")
    assert {path.name for path in (tmp_path / "out" / "vocab" / "gpt2_bpe").iterdir()} == {
        "encoder.json", "vocab.bpe", "dict.txt"}


@pytest.mark.parametrize("content, message", DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_are_refused_with_their_line(folder, tmp_path, content, message):
    path = folder / "qa7_two-supporting-facts_test.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=re.escape(f"{path}")) as refused:
        babi.main([str(folder), "--out", str(tmp_path / "out")])
    assert message in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name, found", [("qa7_two-supporting-facts_train.txt", 0), ("qa7_again_train.txt", 2)])
def test_each_task_has_one_file(folder, tmp_path, name, found):
    (folder / name).unlink() if found == 0 else (folder / name).touch()
    with pytest.raises(UserError, match=rf"has {found} files qa7_\*_train.txt: name the folder"):
        babi.main([str(folder), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize("split", babi.SPLITS)
def test_real_files(other_dir, split):
    rows = babi.read_split(other_dir("babi") / "en", split)
    assert len(rows) == 20_000 and len({row.task for row in rows}) == 20
    assert astuple(rows[0]) == {
        "train": ("1 single supporting fact", "John went to the hallway. Mary moved to the bathroom.", "Where is Mary?",
                  "bathroom"),
        "test": ("1 single supporting fact", "Mary journeyed to the bathroom. John travelled to the hallway.",
                 "Where is John?", "hallway"),
    }[split]
