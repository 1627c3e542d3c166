"""Read the 20 bAbI tasks (arXiv 1502.05698) as pairs of sentences.

    python -m preprocess.babi BABI --out OUT

BABI has qa1_*_train.txt, qa1_*_test.txt ... qa20_*_test.txt of one language and size, such as en or en-10k. A line of
theirs is "NUMBER TEXT" or "NUMBER QUESTION<TAB>ANSWER<TAB>FACTS"; a bar in place of the tab is read too. NUMBER 1
begins a story.

OUT/raw/{train,test}.jsonl have the questions of all tasks. A row has ``question``; ``story``, the sentences before it,
the latest first, so that a story that is too long loses its oldest sentences; ``answer``; and ``task``, such as "1
single supporting fact", which models do not see. OUT/raw/babi.toml is their task file. Its labels are the answers of
both splits, since the test split of task 8 has answers that train lacks. OUT/vocab/gpt2_bpe is a BPE of train.
"""

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from fairseq_palbert.command import run
from fairseq_palbert.errors import UserError
from fairseq_palbert.files import write_json_lines, written_folder
from fairseq_palbert.text_lines import read_lines

from .train_bpe import train_bpe

TASKS, SPLITS = range(1, 21), ("train", "test")
LINE = re.compile(r"(\d+) (.*\S)\s*")
FIELDS = re.compile(r"\s*[\t|]\s*")
REMEDY = "unpack bAbI again"
VOCABULARY = 1024  # tokens, of which train fills fewer: every word becomes one
TASK_FILE = """\
name = "babi"
sentences = ["question", "story"]
label = "answer"
labels = {labels}
metric = "accuracy"

[splits]
train = "train.jsonl"
valid = 0.1
test = "test.jsonl"
"""


@dataclass(frozen=True)
class Question:
    task: str
    story: str
    question: str
    answer: str


def task_files(folder: Path, split: str) -> Iterator[Path]:
    """Yields the file of each task. Raises UserError where a task has none, or several."""
    for task in TASKS:
        found = sorted(folder.glob(f"qa{task}_*_{split}.txt"))
        if len(found) != 1:
            raise UserError(f"{folder} has {len(found)} files qa{task}_*_{split}.txt: name the folder of one language "
                            "and size, such as en, with one of each task")
        yield found[0]


def questions(path: Path) -> Iterator[Question]:
    """Yields the questions of a task's file. Raises UserError for the first line that is none of bAbI's."""
    task = re.sub("[_-]", " ", path.stem.removeprefix("qa").rpartition("_")[0])
    story, before = [], 0
    for line in read_lines(path):
        place = f"{path}, line {line.number}"
        parts = LINE.fullmatch(line.text)
        if line.problem or not parts:
            raise UserError(f"{place}: {line.problem or 'not a number and a text'}: {REMEDY}")
        number, fields = int(parts[1]), FIELDS.split(parts[2])
        if number not in (1, before + 1):
            raise UserError(f"{place}: number {number} after {before}: {REMEDY}")
        story, before = [] if number == 1 else story, number
        if len(fields) == 1 and not fields[0].endswith("?"):
            story.insert(0, fields[0])
        elif len(fields) == 3 and all(fields) and story:
            yield Question(task, " ".join(story), *fields[:2])
        else:
            raise UserError(f"{place}: not a question after a story, its answer and its facts, with tabs between: "
                            f"{REMEDY}")


def read_split(folder: Path, split: str) -> list[Question]:
    """The questions of all tasks, in order. Raises UserError for a file that has none, and as ``questions`` does."""
    rows = []
    for path in task_files(folder, split):
        rows += (of_task := list(questions(path)))
        if not of_task:
            raise UserError(f"{path} has no question: {REMEDY}")
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m preprocess.babi", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="BABI", help="folder of one language and size")
    parser.add_argument("--out", type=Path, required=True, help="folder for raw and vocab")
    options = parser.parse_args(argv)
    splits = {split: read_split(options.folder, split) for split in SPLITS}
    with written_folder(options.out / "raw") as folder:
        for split, rows in splits.items():
            write_json_lines(folder / f"{split}.jsonl", [asdict(row) for row in rows])
        labels = sorted({row.answer for rows in splits.values() for row in rows})
        (folder / "babi.toml").write_text(TASK_FILE.format(labels=json.dumps(labels)), encoding="utf-8")
    with written_folder(options.out / "vocab" / "gpt2_bpe") as folder:
        train_bpe([text for row in splits["train"] for text in (row.question, row.story)], folder, VOCABULARY)


if __name__ == "__main__":
    run(main)
