"""Shared fixtures: toy data, a small vocabulary, and the real data that a machine may have.

Real data is found through GLUE_DIR, SUPERGLUE_DIR, OTHER_DATA_DIR and VOCAB_DIR alone, real encoders through
ENCODERS_DIR, by default where recipes/encoders.sh puts them.
"""

import logging
import os
import random
import resource
from pathlib import Path

import pytest
from hypothesis import settings

import fairseq_palbert.plugin  # noqa: F401  as fairseq's commands have it

pytest_plugins = ["tests.fixtures.checkpoints", "tests.fixtures.networks", "tests.fixtures.own_task",
                  "tests.fixtures.parity", "tests.fixtures.raw_glue", "tests.fixtures.raw_superglue",
                  "tests.fixtures.recorded_runs",
                  "tests.fixtures.vocabularies"]

settings.register_profile("any_machine", deadline=None)  # how long an example takes says nothing on a busy one
settings.load_profile("any_machine")

TOY_WORDS = 50
TOY_SIZES = {"train": 203, "valid": 51, "test": 20}


def _folder(variable: str) -> Path:
    """The folder that the variable names. Skips where it is unset; fails where it is set and names no folder."""
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is unset: no real data for this test")
    folder = Path(value)
    assert folder.is_dir(), f"{variable}={value} is not a folder"
    return folder


@pytest.fixture
def full_disk():
    """full_disk(size): from now on no file grows beyond so many bytes, until the test ends."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _folders(variable: str):
    """find(name) is that folder in the one that the variable names; it skips the test where it is not there."""

    def find(name: str) -> Path:
        folder = _folder(variable) / name
        if not folder.is_dir():
            pytest.skip(f"{variable} has no {name}")
        return folder

    return find


@pytest.fixture(scope="session")
def glue_dir():
    """``glue_dir("RTE")`` is the folder of that task's raw TSVs; the test is skipped where it is not there."""
    return _folders("GLUE_DIR")


@pytest.fixture(scope="session")
def superglue_dir():
    """``superglue_dir("CB")`` is the folder of that task's JSON lines; the test is skipped where it is not there."""
    return _folders("SUPERGLUE_DIR")


@pytest.fixture(scope="session")
def other_dir():
    """``other_dir("TREC")`` is the folder of that data set, none of a benchmark; the test is skipped where it is not
    there."""
    return _folders("OTHER_DATA_DIR")


@pytest.fixture(scope="session")
def vocab_dir():
    """``vocab_dir("gpt2_bpe")`` is the folder of that vocabulary; the test is skipped where it is not there."""
    return _folders("VOCAB_DIR")


@pytest.fixture(scope="session")
def encoder_dir():
    """``encoder_dir("all-mpnet-base-v2")`` is the folder of those real weights; the test is skipped where they are
    not there."""

    def find(name: str) -> Path:
        folder = Path(os.environ.get("ENCODERS_DIR") or Path(__file__).parents[1] / "runs" / "encoders") / name
        if not folder.is_dir():
            pytest.skip(f"{folder} is not there: no real weights for this test; recipes/encoders.sh brings them")
        return folder

    return find


@pytest.fixture(scope="session")
def small_vocabulary(tmp_path_factory) -> Path:
    """Folder of a byte-level BPE of 294 pieces."""
    from preprocess.train_bpe import train_bpe

    folder = tmp_path_factory.mktemp("vocabulary")
    text = ["the cat sat on the mat", "a dog, a zebra and the cat's hat", "it isn't the 12 or 345 dogs"]
    train_bpe(text * 3, folder, 300)
    return folder


@pytest.fixture(scope="session")
def fairseq_ids():
    """fairseq_ids(folder) is a function from a sentence to its ids as fairseq itself makes them of that vocabulary."""

    def build(folder: Path):
        from fairseq.data import Dictionary
        from fairseq.data.encoders.gpt2_bpe_utils import get_encoder

        encoder = get_encoder(str(folder / "encoder.json"), str(folder / "vocab.bpe"))
        dictionary = Dictionary.load(str(folder / "dict.txt"))

        def ids(sentence: str) -> list[int]:
            line = " ".join(map(str, encoder.encode(sentence.strip())))
            return dictionary.encode_line(line, add_if_not_exist=False).tolist()

        return ids

    return build


@pytest.fixture(scope="session")
def make_toy_data():
    """make_toy_data(folder, task, sizes, seed, tokenizer) writes a binarized data folder of a GLUE task with generated
    sentences of 1 to 12 tokens, whose label says how many of the first sentence's tokens have an odd id. The test
    split has no labels. A ``tokenizer`` record makes it a folder of our preprocessing, with glue.json; else it is as
    fairseq's own, with its log and its counts of train's labels."""

    def make(folder: Path, task_name: str, sizes: dict[str, int] = TOY_SIZES, seed: int = 0,
             tokenizer: dict | None = None, detokenized: bool = False) -> Path:
        from fairseq.data import Dictionary

        from fairseq_palbert.definitions.packaged import packaged_task
        from fairseq_palbert.tasks.provenance import write_provenance

        task = packaged_task(task_name)
        words, labels = Dictionary(), Dictionary()
        for i in range(TOY_WORDS):
            words.add_symbol(f"w{i}")
        for label in task.labels:
            labels.add_symbol(label, n=0)
        parts = {f"input{i}": words for i in range(len(task.sentences))} | {"label": labels}
        for part, dictionary in parts.items():
            (folder / part).mkdir(parents=True)
            dictionary.save(str(folder / part / "dict.txt"))
            if tokenizer is None:
                (folder / part / "preprocess.log").touch()
        rng = random.Random(seed)
        for split, rows in sizes.items():
            sentences = {
                part: [[rng.randrange(words.nspecial, len(words)) for _ in range(rng.randint(1, 12))]
                       for _ in range(rows)]
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
                if split == "train":
                    for i in ids:
                        labels.add_symbol(task.labels[i])
        labels.save(str(folder / "label" / "dict.txt"))
        if tokenizer is not None:
            write_provenance(folder, {"task": task_name, "tokenizer": tokenizer, "detokenized": detokenized})
        return folder

    return make


def _write(prefix: Path, rows: list[list[int]], dictionary) -> None:
    import torch
    from fairseq.data.indexed_dataset import make_builder

    builder = make_builder(f"{prefix}.bin", "mmap", vocab_size=len(dictionary))
    for row in rows:
        builder.add_item(torch.tensor([*row, dictionary.eos()], dtype=torch.int32))
    builder.finalize(f"{prefix}.idx")


@pytest.fixture(autouse=True)
def fairseq_s_own_functions_again(monkeypatch):
    """A task and a model make fairseq call functions of ours, for good: see compat.fairseq_trainer."""
    from fairseq import checkpoint_utils, trainer  # after the plugin, which keeps the import of fairseq quiet

    monkeypatch.setattr(checkpoint_utils, "load_checkpoint_to_cpu", checkpoint_utils.load_checkpoint_to_cpu)
    monkeypatch.setattr(trainer, "NanDetector", trainer.NanDetector)


@pytest.fixture(autouse=True)
def quiet_libraries():
    """Importing fairseq lets every library's debug lines through."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.WARNING)
    yield
    logging.getLogger().setLevel(level)
