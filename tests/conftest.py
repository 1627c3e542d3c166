"""Fixtures that every part of the suite shares."""

import os
import random
from pathlib import Path

import pytest

TOY_WORDS = 50
TOY_SIZES = {"train": 203, "valid": 51, "test": 20}


@pytest.fixture(scope="session")
def glue_dir() -> Path:
    """The folder of raw GLUE tasks that $GLUE_DIR names; tests that need it are skipped where it is unset."""
    return _folder_from_environment("GLUE_DIR", "raw GLUE tasks")


@pytest.fixture(scope="session")
def vocab_dir() -> Path:
    """The folder of vocabularies that $VOCAB_DIR names; tests that need it are skipped where it is unset."""
    return _folder_from_environment("VOCAB_DIR", "vocabularies")


def _folder_from_environment(variable: str, content: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"needs {content}: set {variable}")
    return Path(os.environ[variable])


@pytest.fixture(scope="session")
def make_toy_data():
    """make_toy_data(folder, task, sizes, seed) writes a binarized data folder of a GLUE task with generated sentences of 1
    to 12 tokens, whose label says how many of the first sentence's tokens have an odd id. The test split has no labels."""

    def make(folder: Path, task_name: str, sizes: dict[str, int] = TOY_SIZES, seed: int = 0) -> Path:
        from fairseq.data import Dictionary

        from fairseq_palbert.glue.tasks import glue_task

        task = glue_task(task_name)
        words, labels = Dictionary(), Dictionary()
        for i in range(TOY_WORDS):
            words.add_symbol(f"w{i}")
        for label in task.labels:
            labels.add_symbol(label)
        parts = {f"input{i}": words for i in range(len(task.sentences))} | {"label": labels}
        for part, dictionary in parts.items():
            (folder / part).mkdir(parents=True)
            dictionary.save(str(folder / part / "dict.txt"))
        rng = random.Random(seed)
        for split, rows in sizes.items():
            sentences = {
                part: [[rng.randrange(words.nspecial, len(words)) for _ in range(rng.randint(1, 12))] for _ in range(rows)]
                for part in parts if part != "label"
            }
            for part, sentence_list in sentences.items():
                _write(folder / part / split, sentence_list, words)
            odd = [sum(token % 2 for token in sentence) / len(sentence) for sentence in sentences["input0"]]
            if split == "test":
                continue
            if task.regression:
                (folder / "label" / f"{split}.label").write_text("".join(f"{5 * part}\n" for part in odd))
            else:
                ids = [min(int(part * len(task.labels)), len(task.labels) - 1) for part in odd]
                _write(folder / "label" / split, [[labels.nspecial + i] for i in ids], labels)
        return folder

    return make


def _write(prefix: Path, rows: list[list[int]], dictionary) -> None:
    import torch
    from fairseq.data.indexed_dataset import make_builder

    builder = make_builder(f"{prefix}.bin", "mmap", vocab_size=len(dictionary))
    for row in rows:
        builder.add_item(torch.tensor([*row, dictionary.eos()], dtype=torch.int32))
    builder.finalize(f"{prefix}.idx")
